//! The evaluation by face size: one pairing of encoders at one size.

use serde::{Deserialize, Serialize};

use crate::comparison::{Comparisons, Subject};
use crate::embeddings::Embeddings;
use crate::error::Result;
use crate::identification::{Cmc, identify};
use crate::rate::Rate;
use crate::similarity::{Pairs, cross_comparisons};
use crate::verification::{Histogram, OperatingPoint, Rule};

/// How many points of a DET curve a result keeps for drawing.
pub const DET_POINTS: usize = 200;

/// What one pairing (probe encoder – gallery encoder) gives at one probe size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairingResult {
    /// Number of genuine comparisons.
    pub genuine: usize,
    /// Number of impostor comparisons.
    pub impostor: usize,
    /// Equal error rate, as a fraction.
    pub eer: f64,
    /// The threshold nearest to the equal error rate.
    pub eer_threshold: f64,
    /// TAR at FAR 1 %, conservative rule.
    #[serde(rename = "tar@far=0.01")]
    pub tar_1e2: Rate,
    /// TAR at FAR 0.1 %, conservative rule.
    #[serde(rename = "tar@far=0.001")]
    pub tar_1e3: Rate,
    /// TAR at FAR 1 %, nearest rule.
    #[serde(rename = "tar@far=0.01/nearest")]
    pub tar_1e2_nearest: Rate,
    /// TAR at FAR 0.1 %, nearest rule.
    #[serde(rename = "tar@far=0.001/nearest")]
    pub tar_1e3_nearest: Rate,
    /// The operating point at FMR 1 %, conservative rule.
    pub at_fmr_1e2: OperatingPoint,
    /// Leave-one-out rank 1 against the gallery images of all people.
    pub rank1: Rate,
    /// The mean impostor cosine.
    pub mean_impostor_cosine: f64,
    /// The DET curve, thinned.
    pub det: Vec<OperatingPoint>,
    /// Score counts.
    pub histogram: Histogram,
}

/// Evaluates row i of `probe` (LR views) against row j of `gallery` (HR views of the same images), i ≠ j.
///
/// 200 images of 20 people give 1,800 genuine and 38,000 impostor comparisons.
///
/// # Errors
/// Sets of different sizes or dimensions, labels of the wrong length, or people without a second image so that no
/// genuine pair exists.
pub fn evaluate_pairing(
    probe: &Embeddings,
    gallery: &Embeddings,
    labels: &[Subject],
) -> Result<PairingResult> {
    let comparisons = cross_comparisons(probe, labels, gallery, labels, Pairs::OtherImages)?;
    let outcomes = identify(probe, labels, gallery, labels, Pairs::OtherImages)?;
    let scores = comparisons.scores()?;
    let eer = scores.eer();
    Ok(PairingResult {
        genuine: scores.genuine().len(),
        impostor: scores.impostor().len(),
        eer: eer.value,
        eer_threshold: eer.threshold,
        tar_1e2: scores.tar_at_far(1e-2, Rule::Conservative)?,
        tar_1e3: scores.tar_at_far(1e-3, Rule::Conservative)?,
        tar_1e2_nearest: scores.tar_at_far(1e-2, Rule::Nearest)?,
        tar_1e3_nearest: scores.tar_at_far(1e-3, Rule::Nearest)?,
        at_fmr_1e2: scores.threshold_at_fmr(1e-2, Rule::Conservative)?,
        rank1: Cmc::new(&outcomes)?.rank(1),
        mean_impostor_cosine: comparisons.mean_impostor()?,
        det: scores.det(DET_POINTS),
        histogram: scores.histogram(60),
    })
}

/// What becomes of impostors when both sides are low-resolution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollapseResult {
    /// Number of genuine LR–LR comparisons.
    pub genuine: usize,
    /// Number of impostor LR–LR comparisons.
    pub impostor: usize,
    /// Equal error rate of LR–LR, as a fraction.
    pub eer: f64,
    /// FMR of LR–LR at the threshold that was fixed on HR–HR.
    pub fmr_at_hr_threshold: f64,
    /// FNMR of LR–LR at the same threshold.
    pub fnmr_at_hr_threshold: f64,
    /// The threshold used.
    pub hr_threshold: f64,
    /// Mean cosine of LR images of different people.
    pub mean_impostor_cosine: f64,
    /// The DET curve, thinned.
    pub det: Vec<OperatingPoint>,
    /// Score counts.
    pub histogram: Histogram,
}

/// Evaluates LR against LR over unordered pairs, at a threshold fixed on HR.
///
/// A healthy encoder keeps the FMR near the one the threshold was fixed for; one that maps all small faces to one
/// place ("collapse") accepts strangers.
///
/// # Errors
/// Labels of the wrong length, or no genuine or impostor pair.
pub fn evaluate_collapse(
    lr: &Embeddings,
    labels: &[Subject],
    hr_threshold: f64,
) -> Result<CollapseResult> {
    let comparisons = cross_comparisons(lr, labels, lr, labels, Pairs::Unordered)?;
    let scores = comparisons.scores()?;
    let point = scores.point(hr_threshold);
    Ok(CollapseResult {
        genuine: scores.genuine().len(),
        impostor: scores.impostor().len(),
        eer: scores.eer().value,
        fmr_at_hr_threshold: point.fmr,
        fnmr_at_hr_threshold: point.fnmr,
        hr_threshold,
        mean_impostor_cosine: comparisons.mean_impostor()?,
        det: scores.det(DET_POINTS),
        histogram: scores.histogram(60),
    })
}

/// The threshold that gives an FMR of `f` on HR–HR unordered pairs (conservative rule).
///
/// # Errors
/// Labels of the wrong length, no genuine or impostor pair, or `f` outside (0, 1).
pub fn hr_threshold(hr: &Embeddings, labels: &[Subject], f: f64) -> Result<OperatingPoint> {
    hr_comparisons(hr, labels)?
        .scores()?
        .threshold_at_fmr(f, Rule::Conservative)
}

fn hr_comparisons(hr: &Embeddings, labels: &[Subject]) -> Result<Comparisons> {
    cross_comparisons(hr, labels, hr, labels, Pairs::Unordered)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::similarity::tests::{plain_cosine, random_embeddings};

    #[test]
    fn a_pairing_counts_and_ranks_as_the_definition_says() {
        let labels: Vec<Subject> = (0..200).map(|i| i / 10).collect();
        let lr = random_embeddings(1, &labels, 16, 2.0);
        let hr = random_embeddings(1, &labels, 16, 1.0);
        let found = evaluate_pairing(&lr, &hr, &labels).unwrap();
        assert_eq!((found.genuine, found.impostor), (1800, 38_000));
        assert!(found.eer > 0.0 && found.eer < 0.5);
        assert!(found.at_fmr_1e2.fmr <= 0.01);
        let tar = found.tar_1e2.value().unwrap();
        assert!((tar - (1.0 - found.at_fmr_1e2.fnmr)).abs() < 1e-12);
        let json = serde_json::to_value(&found).unwrap();
        assert!(json["tar@far=0.001"]["value"].is_number());
        assert!(json["eer"].is_number());
    }

    #[test]
    fn a_collapsed_space_accepts_strangers_at_the_hr_threshold() {
        let labels: Vec<Subject> = (0..100).map(|i| i / 10).collect();
        let hr = random_embeddings(1, &labels, 32, 0.5);
        let threshold = hr_threshold(&hr, &labels, 0.01).unwrap().threshold;
        let healthy = evaluate_collapse(&hr, &labels, threshold).unwrap();
        assert!(healthy.fmr_at_hr_threshold <= 0.01);
        let shifted: Vec<f32> = hr.data().iter().map(|x| x + 8.0).collect();
        let collapsed = Embeddings::new(shifted, 32).unwrap();
        let found = evaluate_collapse(&collapsed, &labels, threshold).unwrap();
        assert!(found.fmr_at_hr_threshold > 0.99 && found.mean_impostor_cosine > 0.9);
        let (mut sum, mut n) = (0.0, 0);
        for i in 0..100 {
            for j in i + 1..100 {
                if labels[i] != labels[j] {
                    sum += plain_cosine(collapsed.row(i), collapsed.row(j));
                    n += 1;
                }
            }
        }
        assert_eq!(found.impostor, n);
        assert!((found.mean_impostor_cosine - sum / n as f64).abs() < 1e-12);
    }
}
