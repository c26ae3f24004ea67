//! Ten-fold accuracy and VAL@FAR over pairs: the protocol of the LFW family.

use serde::{Deserialize, Serialize};

use crate::embeddings::Embeddings;
use crate::error::{EvalError, Result, open_unit};

/// Accuracy over folds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldAccuracy {
    /// Mean over folds.
    pub mean: f64,
    /// Standard deviation over folds (ddof 0).
    pub std: f64,
    /// Accuracy of each fold.
    pub folds: Vec<f64>,
    /// Threshold that the other folds chose for each fold.
    pub thresholds: Vec<f64>,
    /// Whether each pair was decided rightly at its fold's threshold.
    #[serde(skip)]
    pub correct: Vec<bool>,
}

/// VAL at a FAR over folds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldVal {
    /// Mean share of genuine pairs accepted.
    pub val: f64,
    /// Its standard deviation over folds (ddof 0).
    pub std: f64,
    /// Mean share of impostor pairs accepted: what the wanted FAR became.
    pub far: f64,
}

/// Squared distances of unit embeddings, row i of `a` with row i of `b`.
///
/// ```text
/// d = ‖e₁ − e₂‖² = 2 − 2 cos
/// ```
///
/// # Errors
/// Different dimensions or numbers of rows.
pub fn pair_distances(a: &Embeddings, b: &Embeddings) -> Result<Vec<f64>> {
    if a.dim() != b.dim() {
        return Err(EvalError::Dimension {
            what: "the second of each pair".into(),
            expected: a.dim(),
            found: b.dim(),
        });
    }
    if a.len() != b.len() {
        return Err(EvalError::Length {
            what: "second embeddings of pairs".into(),
            expected: a.len(),
            found: b.len(),
        });
    }
    Ok((0..a.len())
        .map(|i| 2.0 - 2.0 * crate::search::cosine(a.row(i), b.row(i)))
        .collect())
}

/// Accuracy on each fold at the threshold that is best on the others.
///
/// Folds are consecutive; thresholds run 0, 0.01 … 3.99; a pair is accepted when its distance is below the
/// threshold; the first of equally good thresholds is taken.
///
/// Source: verbatim, the LFW protocol as InsightFace's `verification.py` computes it.
///
/// # Errors
/// Lists of different lengths, fewer pairs than folds, fewer than two folds, or a distance that is not finite.
pub fn fold_accuracy(distances: &[f64], same: &[bool], folds: usize) -> Result<FoldAccuracy> {
    check(distances, same, folds)?;
    let candidates: Vec<f64> = (0..400).map(|i| f64::from(i) * 0.01).collect();
    let bounds = fold_bounds(distances.len(), folds);
    // Correct decisions per fold and threshold.
    let correct: Vec<Vec<usize>> = bounds
        .iter()
        .map(|&(from, to)| {
            candidates
                .iter()
                .map(|t| {
                    (from..to)
                        .filter(|&i| (distances[i] < *t) == same[i])
                        .count()
                })
                .collect()
        })
        .collect();
    let mut found = FoldAccuracy {
        mean: 0.0,
        std: 0.0,
        folds: Vec::new(),
        thresholds: Vec::new(),
        correct: Vec::new(),
    };
    for (test, &(from, to)) in bounds.iter().enumerate() {
        let train = |k: usize| -> usize {
            let others = correct.iter().enumerate().filter(|(fold, _)| *fold != test);
            others.map(|(_, of_fold)| of_fold[k]).sum()
        };
        let (mut best, mut most) = (0, 0);
        for k in 0..candidates.len() {
            let hits = train(k);
            if hits > most {
                (best, most) = (k, hits);
            }
        }
        found
            .folds
            .push(correct[test][best] as f64 / (to - from) as f64);
        found.thresholds.push(candidates[best]);
        found
            .correct
            .extend((from..to).map(|i| (distances[i] < candidates[best]) == same[i]));
    }
    (found.mean, found.std) = mean_std(&found.folds);
    Ok(found)
}

/// Share of genuine pairs accepted at a FAR, the threshold interpolated on the other folds.
///
/// Thresholds run 0, 0.001 … 3.999. On the training folds the FAR is a rising step function of the threshold; the
/// threshold is interpolated linearly between the last step below `far` and the first at or above it, and is 0
/// where the FAR is never reached.
///
/// Source: reconstructed, from InsightFace's `calculate_val` (scipy's linear interpolation with repeated abscissae).
///
/// # Errors
/// As [`fold_accuracy`], or `far` outside (0, 1).
pub fn fold_val(distances: &[f64], same: &[bool], folds: usize, far: f64) -> Result<FoldVal> {
    check(distances, same, folds)?;
    open_unit("the wanted FAR", far)?;
    let candidates: Vec<f64> = (0..4000).map(|i| f64::from(i) * 0.001).collect();
    let (mut vals, mut fars) = (Vec::new(), Vec::new());
    for &(from, to) in &fold_bounds(distances.len(), folds) {
        let inside = |i: &usize| (from..to).contains(i);
        let mut impostors: Vec<f64> = (0..distances.len())
            .filter(|i| !inside(i) && !same[*i])
            .map(|i| distances[i])
            .collect();
        impostors.sort_by(f64::total_cmp);
        let far_at =
            |t: f64| impostors.partition_point(|d| *d < t) as f64 / impostors.len().max(1) as f64;
        let first = candidates.partition_point(|t| far_at(*t) < far);
        let threshold = match first {
            _ if first == candidates.len() => 0.0,
            0 => candidates[0],
            _ => {
                let (t0, t1) = (candidates[first - 1], candidates[first]);
                let (f0, f1) = (far_at(t0), far_at(t1));
                t0 + (far - f0) / (f1 - f0) * (t1 - t0)
            }
        };
        let rate = |genuine: bool| {
            let of_kind = (from..to).filter(|&i| same[i] == genuine);
            let n = of_kind.clone().count().max(1);
            of_kind.filter(|&i| distances[i] < threshold).count() as f64 / n as f64
        };
        vals.push(rate(true));
        fars.push(rate(false));
    }
    let (val, std) = mean_std(&vals);
    Ok(FoldVal {
        val,
        std,
        far: mean_std(&fars).0,
    })
}

fn check(distances: &[f64], same: &[bool], folds: usize) -> Result<()> {
    if distances.len() != same.len() {
        return Err(EvalError::Length {
            what: "same/different marks of pairs".into(),
            expected: distances.len(),
            found: same.len(),
        });
    }
    if folds < 2 {
        return Err(EvalError::OutOfRange {
            what: "the number of folds",
            value: folds as f64,
            range: "2 or more",
        });
    }
    if distances.len() < folds {
        return Err(EvalError::OutOfRange {
            what: "the number of pairs",
            value: distances.len() as f64,
            range: "one for each fold (10 in the LFW protocol) or more; list more pairs",
        });
    }
    if let Some(index) = distances.iter().position(|d| !d.is_finite()) {
        return Err(EvalError::NotFinite {
            what: "distance",
            index,
            value: distances[index],
        });
    }
    Ok(())
}

/// Consecutive folds; the first n mod k hold one pair more.
fn fold_bounds(n: usize, folds: usize) -> Vec<(usize, usize)> {
    let mut from = 0;
    (0..folds)
        .map(|f| {
            let size = n / folds + usize::from(f < n % folds);
            from += size;
            (from - size, from)
        })
        .collect()
}

fn mean_std(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rng::Stream;

    fn pairs(n: usize) -> (Vec<f64>, Vec<bool>) {
        let mut rng = Stream::new(1, 0);
        (0..n)
            .map(|i| {
                let same = i / 30 % 2 == 0;
                let d = 1.2 + 0.3 * rng.normal() + if same { -0.5 } else { 0.4 };
                (d.clamp(0.0, 4.0), same)
            })
            .unzip()
    }

    #[test]
    fn fold_accuracy_equals_plain_loops() {
        let (distances, same) = pairs(603);
        let found = fold_accuracy(&distances, &same, 10).unwrap();
        let mut start = 0;
        let mut all = vec![];
        for f in 0..10 {
            let size = if f < 3 { 61 } else { 60 };
            let test = start..start + size;
            let accuracy = |range: &dyn Fn(&usize) -> bool, t: f64| {
                let list: Vec<usize> = (0..603).filter(|i| range(i)).collect();
                list.iter()
                    .filter(|i| (distances[**i] < t) == same[**i])
                    .count() as f64
                    / list.len() as f64
            };
            let mut best = (0.0, -1.0);
            for k in 0..400 {
                let t = f64::from(k) * 0.01;
                let a = accuracy(&|i| !test.contains(i), t);
                if a > best.1 {
                    best = (t, a);
                }
            }
            assert_eq!(found.thresholds[f], best.0);
            all.push(accuracy(&|i| test.contains(i), best.0));
            start += size;
        }
        assert_eq!(found.folds, all);
        let correct = found.correct.iter().filter(|c| **c).count();
        assert!((correct as f64 / 603.0 - found.mean).abs() < 0.01);
        assert!((found.mean - all.iter().sum::<f64>() / 10.0).abs() < 1e-12);
        assert!(found.mean > 0.85 && found.std > 0.0);
    }

    #[test]
    fn val_at_far_keeps_the_far_near_what_was_wanted() {
        let (distances, same) = pairs(6000);
        let found = fold_val(&distances, &same, 10, 0.01).unwrap();
        assert!((found.far - 0.01).abs() < 0.006, "{found:?}");
        assert!(found.val > 0.4 && found.val < 1.0);
        let apart: Vec<f64> = same
            .iter()
            .map(|s| if *s { 0.1 } else { 3.999_9 })
            .collect();
        // The FAR is never reached: the threshold is 0 and nothing is accepted.
        assert_eq!(fold_val(&apart, &same, 10, 0.01).unwrap().val, 0.0);
    }

    #[test]
    fn wrong_input_is_refused() {
        let few = fold_accuracy(&[1.0; 9], &[true; 9], 10).unwrap_err();
        assert!(
            few.to_string()
                .starts_with("the number of pairs is 9, allowed is one for each fold"),
            "{few}"
        );
        assert!(fold_accuracy(&[1.0; 9], &[true; 9], 1).is_err());
        assert!(fold_accuracy(&[1.0; 20], &[true; 19], 10).is_err());
        assert!(fold_val(&[f64::NAN; 20], &[true; 20], 10, 0.1).is_err());
    }
}
