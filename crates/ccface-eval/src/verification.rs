//! Verification: false matches, false non-matches, EER, DET and TAR at a FAR.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{EvalError, Result, open_unit};
use crate::rate::{ENOUGH_ERRORS, Rate};

/// How a threshold is chosen where no score gives the wanted FMR exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// The lowest threshold with FMR ≤ f: the claim "at most f" holds. The default.
    #[default]
    Conservative,
    /// The threshold whose FMR is nearest to f; of two equally near the higher FMR, and of thresholds with the same
    /// FMR the lowest, as InsightFace's IJB tables do.
    Nearest,
}

/// One threshold and its two error rates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OperatingPoint {
    /// A comparison is accepted when its score is at least this.
    pub threshold: f64,
    /// Share of impostor comparisons accepted.
    pub fmr: f64,
    /// Share of genuine comparisons rejected.
    pub fnmr: f64,
}

/// The equal error rate and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Eer {
    /// The rate, 0..1.
    pub value: f64,
    /// The threshold nearest to it.
    pub threshold: f64,
}

/// Score counts in bins of equal width, for drawing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// `bins + 1` edges; the last bin includes its right edge.
    pub edges: Vec<f64>,
    /// Genuine comparisons per bin.
    pub genuine: Vec<usize>,
    /// Impostor comparisons per bin.
    pub impostor: Vec<usize>,
}

/// Genuine and impostor similarity scores (higher = more alike), sorted once.
///
/// ```text
/// FMR(t)  = share of impostor scores ≥ t
/// FNMR(t) = share of genuine scores < t
/// ```
///
/// ```
/// use ccface_eval::{Rule, Scores};
/// let scores = Scores::new(vec![0.9, 0.8, 0.4], vec![0.5, 0.3, 0.2, 0.1])?;
/// assert_eq!(scores.fmr_at(0.45), 0.25);
/// assert_eq!(scores.tar_at_far(0.25, Rule::Conservative)?.value(), Some(1.0));
/// # Ok::<(), ccface_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    genuine: Vec<f64>,
    impostor: Vec<f64>,
}

impl Scores {
    /// Sorts the two lists.
    ///
    /// # Errors
    /// An empty list, or a score that is NaN or infinite.
    pub fn new(mut genuine: Vec<f64>, mut impostor: Vec<f64>) -> Result<Self> {
        for (what, list) in [("genuine score", &genuine), ("impostor score", &impostor)] {
            if let Some(index) = list.iter().position(|s| !s.is_finite()) {
                return Err(EvalError::NotFinite {
                    what,
                    index,
                    value: list[index],
                });
            }
        }
        if genuine.is_empty() {
            return Err(EvalError::Empty {
                what: "genuine scores",
            });
        }
        if impostor.is_empty() {
            return Err(EvalError::Empty {
                what: "impostor scores",
            });
        }
        genuine.par_sort_unstable_by(f64::total_cmp);
        impostor.par_sort_unstable_by(f64::total_cmp);
        Ok(Self { genuine, impostor })
    }

    /// The genuine scores, ascending.
    #[must_use]
    pub fn genuine(&self) -> &[f64] {
        &self.genuine
    }

    /// The impostor scores, ascending.
    #[must_use]
    pub fn impostor(&self) -> &[f64] {
        &self.impostor
    }

    /// Share of impostor scores that `threshold` accepts.
    #[must_use]
    pub fn fmr_at(&self, threshold: f64) -> f64 {
        self.false_matches(threshold) as f64 / self.impostor.len() as f64
    }

    /// Share of genuine scores that `threshold` rejects.
    #[must_use]
    pub fn fnmr_at(&self, threshold: f64) -> f64 {
        self.false_non_matches(threshold) as f64 / self.genuine.len() as f64
    }

    /// Number of impostor scores that `threshold` accepts.
    #[must_use]
    pub fn false_matches(&self, threshold: f64) -> usize {
        self.impostor.len() - self.impostor.partition_point(|&s| s < threshold)
    }

    /// Number of genuine scores that `threshold` rejects.
    #[must_use]
    pub fn false_non_matches(&self, threshold: f64) -> usize {
        self.genuine.partition_point(|&s| s < threshold)
    }

    /// The equal error rate, by linear interpolation on the step curve.
    ///
    /// The curve's points are (FMR, FNMR) at every distinct score and at +∞, in ascending order. Between the last
    /// point with FMR > FNMR and the next one, the straight line is cut with FMR = FNMR:
    ///
    /// ```text
    /// w = d₀ / (d₀ − d₁),  dᵢ = FMRᵢ − FNMRᵢ,   EER = FMR₀ + w (FMR₁ − FMR₀)
    /// ```
    ///
    /// This is also what `brentq(1 − x − interp(fpr, tpr))` on scikit-learn's ROC finds. The threshold is that of
    /// the nearer of the two points.
    #[must_use]
    pub fn eer(&self) -> Eer {
        let (g, m) = (self.genuine.len() as f64, self.impostor.len() as f64);
        let (mut below_g, mut below_i) = (0, 0);
        let mut last = (1.0, 0.0, self.genuine[0].min(self.impostor[0]));
        loop {
            let next_g = self.genuine.get(below_g).copied();
            let next_i = self.impostor.get(below_i).copied();
            let threshold = match (next_g, next_i) {
                (Some(a), Some(b)) => a.min(b),
                (Some(a), None) | (None, Some(a)) => a,
                // Past the last score: accept nothing.
                (None, None) => self.highest().next_up(),
            };
            let fmr = (self.impostor.len() - below_i) as f64 / m;
            let fnmr = below_g as f64 / g;
            if fnmr >= fmr {
                let (d0, d1): (f64, f64) = (last.0 - last.1, fmr - fnmr);
                let w = if d0 > d1 { d0 / (d0 - d1) } else { 0.0 };
                return Eer {
                    value: last.0 + w * (fmr - last.0),
                    threshold: if w < 0.5 { last.2 } else { threshold },
                };
            }
            last = (fmr, fnmr, threshold);
            while self.genuine.get(below_g).is_some_and(|&s| s <= threshold) {
                below_g += 1;
            }
            while self.impostor.get(below_i).is_some_and(|&s| s <= threshold) {
                below_i += 1;
            }
        }
    }

    /// The threshold for an FMR of `f` by `rule`, and its two error rates.
    ///
    /// Conservative: the smallest number above the (k+1)-th largest impostor score, with k the largest count for
    /// which k/n ≤ f.
    ///
    /// # Errors
    /// `f` outside (0, 1).
    pub fn threshold_at_fmr(&self, f: f64, rule: Rule) -> Result<OperatingPoint> {
        open_unit("the wanted FMR", f)?;
        let n = self.impostor.len();
        let allowed = largest_count(f, n);
        // `blocking` is the (k+1)-th largest: it must be rejected.
        let blocking = self.impostor[n - 1 - allowed];
        let conservative = self.point(blocking.next_up());
        Ok(match rule {
            Rule::Conservative => conservative,
            Rule::Nearest => {
                let first_equal = self.impostor.partition_point(|&s| s < blocking);
                let looser = if first_equal == 0 {
                    self.point(self.lowest())
                } else {
                    self.point(self.impostor[first_equal - 1].next_up())
                };
                if (looser.fmr - f).abs() <= (conservative.fmr - f).abs() {
                    looser
                } else {
                    conservative
                }
            }
        })
    }

    /// Share of genuine comparisons accepted at the threshold for an FMR of `f`, with the Wilson interval.
    ///
    /// Insufficient when fewer than 1/f impostor comparisons exist; low-confidence below 30 false matches or 30
    /// false non-matches at the threshold. The subject-level interval comes from
    /// [`crate::Bootstrap::verification`].
    ///
    /// # Errors
    /// `f` outside (0, 1).
    pub fn tar_at_far(&self, f: f64, rule: Rule) -> Result<Rate> {
        let point = self.threshold_at_fmr(f, rule)?;
        if let Some(why) = self.insufficient_impostors(f) {
            return Ok(Rate::insufficient(why));
        }
        let misses = self.false_non_matches(point.threshold);
        let rate = Rate::from_counts(self.genuine.len() - misses, self.genuine.len(), 0.95);
        Ok(match rate {
            Rate::Measured {
                value,
                low,
                high,
                n,
                low_confidence,
            } => Rate::Measured {
                value,
                low,
                high,
                n,
                low_confidence: low_confidence || (self.impostor.len() as f64) * f < ENOUGH_ERRORS,
            },
            other => other,
        })
    }

    /// Why these impostors cannot support an FMR of `f`, if they cannot.
    #[must_use]
    pub fn insufficient_impostors(&self, f: f64) -> Option<String> {
        let n = self.impostor.len();
        (largest_count(f, n) == 0).then(|| {
            format!(
                "{n} impostor comparisons cannot show FMR {f}: at least {} are needed (30 times as many for a firm figure)",
                (1.0 / f).ceil()
            )
        })
    }

    /// Both error rates at one threshold.
    #[must_use]
    pub fn point(&self, threshold: f64) -> OperatingPoint {
        OperatingPoint {
            threshold,
            fmr: self.fmr_at(threshold),
            fnmr: self.fnmr_at(threshold),
        }
    }

    /// The DET curve, threshold ascending, thinned to at most `points` for drawing (the ends are kept).
    ///
    /// A ROC has FMR as its false accept rate and 1 − FNMR as its true accept rate. Thinning spaces the points
    /// evenly along the curve, counting both linear and logarithmic distance, so that either drawing is smooth.
    #[must_use]
    pub fn det(&self, points: usize) -> Vec<OperatingPoint> {
        let full = self.full_curve();
        thin(full, points.max(2), self.genuine.len(), self.impostor.len())
    }

    /// The ROC as (FAR, TAR) pairs, FAR descending, thinned like [`Scores::det`].
    #[must_use]
    pub fn roc(&self, points: usize) -> Vec<(f64, f64)> {
        self.det(points)
            .into_iter()
            .map(|p| (p.fmr, 1.0 - p.fnmr))
            .collect()
    }

    /// Area under the ROC: the chance that a genuine score exceeds an impostor score, ties counting one half.
    #[must_use]
    pub fn auc(&self) -> f64 {
        let total: f64 = self
            .genuine
            .iter()
            .map(|&s| {
                let below = self.impostor.partition_point(|&x| x < s);
                let upto = self.impostor.partition_point(|&x| x <= s);
                (below + upto) as f64 / 2.0
            })
            .sum();
        total / (self.genuine.len() as f64 * self.impostor.len() as f64)
    }

    /// Counts per bin between the lowest and the highest score.
    #[must_use]
    pub fn histogram(&self, bins: usize) -> Histogram {
        let bins = bins.max(1);
        let (low, high) = (self.lowest(), self.highest());
        let width = if high > low {
            (high - low) / bins as f64
        } else {
            1.0
        };
        let count = |list: &[f64]| {
            let mut counts = vec![0; bins];
            for s in list {
                let bin = (((s - low) / width) as usize).min(bins - 1);
                counts[bin] += 1;
            }
            counts
        };
        Histogram {
            edges: (0..=bins).map(|i| low + width * i as f64).collect(),
            genuine: count(&self.genuine),
            impostor: count(&self.impostor),
        }
    }

    fn lowest(&self) -> f64 {
        self.genuine[0].min(self.impostor[0])
    }

    fn highest(&self) -> f64 {
        self.genuine[self.genuine.len() - 1].max(self.impostor[self.impostor.len() - 1])
    }

    /// Every distinct threshold, and one above all scores.
    fn full_curve(&self) -> Vec<OperatingPoint> {
        let (mut below_g, mut below_i) = (0, 0);
        let mut curve = Vec::new();
        loop {
            let threshold = match (self.genuine.get(below_g), self.impostor.get(below_i)) {
                (Some(a), Some(b)) => a.min(*b),
                (Some(a), None) | (None, Some(a)) => *a,
                (None, None) => self.highest().next_up(),
            };
            curve.push(OperatingPoint {
                threshold,
                fmr: (self.impostor.len() - below_i) as f64 / self.impostor.len() as f64,
                fnmr: below_g as f64 / self.genuine.len() as f64,
            });
            if below_g == self.genuine.len() && below_i == self.impostor.len() {
                return curve;
            }
            while self.genuine.get(below_g).is_some_and(|&s| s <= threshold) {
                below_g += 1;
            }
            while self.impostor.get(below_i).is_some_and(|&s| s <= threshold) {
                below_i += 1;
            }
        }
    }
}

/// The largest count k with k/n ≤ f, for f < 1.
pub(crate) fn largest_count(f: f64, n: usize) -> usize {
    let mut k = ((f * n as f64).round() as usize).min(n);
    while k > 0 && k as f64 / n as f64 > f {
        k -= 1;
    }
    k.min(n.saturating_sub(1))
}

fn thin(
    full: Vec<OperatingPoint>,
    wanted: usize,
    genuine: usize,
    impostor: usize,
) -> Vec<OperatingPoint> {
    if full.len() <= wanted {
        return full;
    }
    let place = |p: &OperatingPoint| {
        let log_fmr = p.fmr.max(0.5 / impostor as f64).log10();
        let log_fnmr = p.fnmr.max(0.5 / genuine as f64).log10();
        (p.fmr, p.fnmr, log_fmr, log_fnmr)
    };
    let mut along = Vec::with_capacity(full.len());
    let mut sum = 0.0;
    let mut last = place(&full[0]);
    for p in &full {
        let here = place(p);
        sum += (here.0 - last.0).abs()
            + (here.1 - last.1).abs()
            + (here.2 - last.2).abs()
            + (here.3 - last.3).abs();
        along.push(sum);
        last = here;
    }
    let mut kept = Vec::with_capacity(wanted);
    let mut next = 0;
    for step in 0..wanted {
        let target = sum * step as f64 / (wanted - 1) as f64;
        let index = along.partition_point(|&x| x < target).min(full.len() - 1);
        let index = if step + 1 == wanted {
            full.len() - 1
        } else {
            index
        };
        if step == 0 || index >= next {
            kept.push(full[index]);
            next = index + 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rng::Stream;

    fn random_scores(seed: u64, g: usize, m: usize, decimals: Option<f64>) -> Scores {
        let mut rng = Stream::new(seed, 0);
        let mut draw = |mean: f64| {
            let x = mean + rng.normal();
            decimals.map_or(x, |d| (x * d).round() / d)
        };
        let genuine = (0..g).map(|_| draw(1.5)).collect();
        let impostor = (0..m).map(|_| draw(0.0)).collect();
        Scores::new(genuine, impostor).unwrap()
    }

    fn plain_fmr(scores: &Scores, t: f64) -> f64 {
        scores.impostor.iter().filter(|s| **s >= t).count() as f64 / scores.impostor.len() as f64
    }

    fn plain_fnmr(scores: &Scores, t: f64) -> f64 {
        scores.genuine.iter().filter(|s| **s < t).count() as f64 / scores.genuine.len() as f64
    }

    /// Every candidate threshold, ascending.
    fn thresholds(scores: &Scores) -> Vec<f64> {
        let mut all: Vec<f64> = scores
            .genuine
            .iter()
            .chain(&scores.impostor)
            .flat_map(|&s| [s, s.next_up()])
            .collect();
        all.sort_by(f64::total_cmp);
        all.dedup();
        all
    }

    #[test]
    fn the_eer_equals_a_plain_search_over_all_thresholds() {
        for (seed, decimals) in [(1, None), (2, Some(10.0)), (3, Some(2.0)), (4, None)] {
            let scores = random_scores(seed, 83, 311, decimals);
            let mut distinct: Vec<f64> = scores
                .genuine
                .iter()
                .chain(&scores.impostor)
                .copied()
                .collect();
            distinct.sort_by(f64::total_cmp);
            distinct.dedup();
            distinct.push(f64::INFINITY);
            let points: Vec<(f64, f64)> = distinct
                .iter()
                .map(|&t| (plain_fmr(&scores, t), plain_fnmr(&scores, t)))
                .collect();
            let k = points.iter().position(|(a, b)| b >= a).unwrap();
            let ((a0, b0), (a1, b1)) = (points[k - 1], points[k]);
            let w = (a0 - b0) / ((a0 - b0) - (a1 - b1));
            let expected = a0 + w * (a1 - a0);
            assert!((scores.eer().value - expected).abs() < 1e-12);
            assert!((b0 + w * (b1 - b0) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn perfectly_separated_scores_have_eer_zero_and_reversed_ones_one() {
        let good = Scores::new(vec![2.0, 3.0], vec![0.0, 1.0]).unwrap();
        assert_eq!(good.eer().value, 0.0);
        assert_eq!(good.point(good.eer().threshold).fmr, 0.0);
        assert_eq!(good.point(good.eer().threshold).fnmr, 0.0);
        let bad = Scores::new(vec![0.0, 1.0], vec![2.0, 3.0]).unwrap();
        assert_eq!(bad.eer().value, 1.0);
        let same = Scores::new(vec![1.0; 5], vec![1.0; 7]).unwrap();
        assert_eq!(same.eer().value, 0.5);
    }

    #[test]
    fn the_conservative_threshold_is_the_lowest_whose_fmr_is_at_most_f() {
        for decimals in [None, Some(4.0)] {
            let scores = random_scores(5, 60, 257, decimals);
            for f in [0.004, 0.01, 0.1, 0.29, 0.5, 0.9] {
                let found = scores.threshold_at_fmr(f, Rule::Conservative).unwrap();
                let lowest = thresholds(&scores)
                    .into_iter()
                    .find(|&t| plain_fmr(&scores, t) <= f)
                    .unwrap();
                assert_eq!(found.fnmr, plain_fnmr(&scores, lowest), "f {f}");
                assert_eq!(found.fmr, plain_fmr(&scores, lowest), "f {f}");
            }
        }
    }

    #[test]
    fn the_nearest_threshold_is_nearest_and_ties_go_to_the_higher_tar() {
        for decimals in [None, Some(4.0)] {
            let scores = random_scores(6, 60, 257, decimals);
            for f in [0.004, 0.005_836_575_875_486_381, 0.01, 0.1, 0.29, 0.5, 0.9] {
                let found = scores.threshold_at_fmr(f, Rule::Nearest).unwrap();
                // Ascending thresholds: descending FMR and TAR, so that the first minimum wins.
                let mut best = (f64::INFINITY, 0.0);
                for t in thresholds(&scores) {
                    let gap = (plain_fmr(&scores, t) - f).abs();
                    if gap < best.0 {
                        best = (gap, plain_fnmr(&scores, t));
                    }
                }
                assert_eq!(found.fnmr, best.1, "f {f}");
            }
        }
    }

    #[test]
    fn a_far_below_one_in_n_is_insufficient_and_below_thirty_in_n_is_low_confidence() {
        let scores = random_scores(7, 400, 2000, None);
        let few = scores.tar_at_far(1e-4, Rule::Conservative).unwrap();
        assert!(matches!(few, Rate::Insufficient { .. }));
        assert!(
            scores
                .tar_at_far(1e-2, Rule::Conservative)
                .unwrap()
                .is_low_confidence()
        );
        assert!(
            !scores
                .tar_at_far(5e-2, Rule::Conservative)
                .unwrap()
                .is_low_confidence()
        );
        let exact = Scores::new(vec![1.0], vec![0.0; 1000]).unwrap();
        assert!(exact.insufficient_impostors(1e-3).is_none());
        assert!(exact.insufficient_impostors(0.9e-3).is_some());
    }

    #[test]
    fn the_det_curve_runs_from_accept_all_to_accept_none_and_only_falls() {
        let scores = random_scores(8, 500, 3000, None);
        for points in [2, 17, 200, 100_000] {
            let det = scores.det(points);
            assert!(det.len() <= points && det.len() > points.min(300) / 2);
            assert_eq!((det[0].fmr, det[0].fnmr), (1.0, 0.0));
            let last = det[det.len() - 1];
            assert_eq!((last.fmr, last.fnmr), (0.0, 1.0));
            for pair in det.windows(2) {
                assert!(pair[0].threshold < pair[1].threshold);
                assert!(pair[0].fmr >= pair[1].fmr && pair[0].fnmr <= pair[1].fnmr);
            }
            for p in det {
                assert_eq!(p.fmr, plain_fmr(&scores, p.threshold));
                assert_eq!(p.fnmr, plain_fnmr(&scores, p.threshold));
            }
        }
    }

    #[test]
    fn the_auc_equals_the_share_of_ordered_pairs() {
        let scores = random_scores(9, 40, 70, Some(2.0));
        let mut sum = 0.0;
        for g in &scores.genuine {
            for i in &scores.impostor {
                sum += if g > i {
                    1.0
                } else if g == i {
                    0.5
                } else {
                    0.0
                };
            }
        }
        assert!((scores.auc() - sum / 2800.0).abs() < 1e-12);
    }

    #[test]
    fn every_score_falls_into_one_histogram_bin() {
        let scores = random_scores(10, 40, 70, None);
        let h = scores.histogram(13);
        assert_eq!(h.edges.len(), 14);
        assert_eq!(h.genuine.iter().sum::<usize>(), 40);
        assert_eq!(h.impostor.iter().sum::<usize>(), 70);
        let flat = Scores::new(vec![1.0], vec![1.0]).unwrap().histogram(4);
        assert_eq!(flat.genuine, [1, 0, 0, 0]);
    }

    #[test]
    fn nan_infinite_and_missing_scores_are_refused_with_their_place() {
        let error = Scores::new(vec![1.0, f64::NAN], vec![0.0])
            .unwrap_err()
            .to_string();
        assert!(error.contains("genuine score number 1"), "{error}");
        let error = Scores::new(vec![1.0], vec![f64::INFINITY])
            .unwrap_err()
            .to_string();
        assert!(error.contains("impostor score number 0"), "{error}");
        let error = Scores::new(vec![1.0], vec![]).unwrap_err().to_string();
        assert!(error.contains("no impostor scores"), "{error}");
        assert!(Scores::new(vec![], vec![1.0]).is_err());
        let ok = Scores::new(vec![1.0], vec![0.0]).unwrap();
        assert!(ok.threshold_at_fmr(0.0, Rule::Conservative).is_err());
        assert!(ok.threshold_at_fmr(f64::NAN, Rule::Nearest).is_err());
    }
}
