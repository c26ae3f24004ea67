//! Reject curves: how the error falls as the least confident comparisons are refused.

use serde::{Deserialize, Serialize};

use crate::error::{EvalError, Result};

/// The error among what is kept, against the share rejected, for one source of confidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RejectCurve {
    /// Where the confidence comes from.
    pub source: String,
    /// (share rejected, error among the rest), from nothing rejected on.
    pub points: Vec<(f64, f64)>,
    /// Mean error over all shares: smaller is better.
    pub area: f64,
}

/// Rejects trials in ascending order of confidence and follows the error among the rest.
///
/// ```text
/// error(r) = errors among the ⌈(1 − r) n⌉ most confident trials / their number
/// ```
///
/// Trials with equal confidence are rejected together; between such steps the curve keeps its last value.
///
/// # Errors
/// Lists of different lengths, no trial, or a confidence that is not finite.
pub fn reject_curve(
    source: &str,
    confidence: &[f64],
    error: &[bool],
    points: usize,
) -> Result<RejectCurve> {
    if confidence.len() != error.len() {
        return Err(EvalError::Length {
            what: format!("confidences of {source}"),
            expected: error.len(),
            found: confidence.len(),
        });
    }
    if error.is_empty() {
        return Err(EvalError::Empty {
            what: "trials for a reject curve",
        });
    }
    if let Some(index) = confidence.iter().position(|c| !c.is_finite()) {
        return Err(EvalError::NotFinite {
            what: "confidence",
            index,
            value: confidence[index],
        });
    }
    let n = error.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| confidence[a].total_cmp(&confidence[b]));
    let mut left = error.iter().filter(|e| **e).count();
    // The error after each possible number of rejected trials.
    let mut after = Vec::with_capacity(n);
    let mut current = left as f64 / n as f64;
    let mut rejected = 0;
    after.push(current);
    while rejected < n {
        let level = confidence[order[rejected]];
        let mut end = rejected;
        while end < n && confidence[order[end]] == level {
            left -= usize::from(error[order[end]]);
            end += 1;
        }
        // Within the tied group the curve stands still.
        after.resize(end, current);
        if end < n {
            current = left as f64 / (n - end) as f64;
            after.push(current);
        }
        rejected = end;
    }
    let area = after.iter().sum::<f64>() / n as f64;
    let wanted = points.clamp(2, n.max(2));
    let curve = (0..wanted)
        .map(|i| (i * (n - 1)) / (wanted - 1))
        .map(|r| (r as f64 / n as f64, after[r]))
        .collect();
    Ok(RejectCurve {
        source: source.to_owned(),
        points: curve,
        area,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn the_curve_equals_dropping_trials_one_by_one() {
        let mut rng = Stream::new(1, 0);
        let confidence: Vec<f64> = (0..60).map(|_| rng.uniform()).collect();
        let error: Vec<bool> = confidence.iter().map(|c| rng.uniform() > *c).collect();
        let curve = reject_curve("norm", &confidence, &error, 60).unwrap();
        for (r, &(share, value)) in curve.points.iter().enumerate() {
            let mut order: Vec<usize> = (0..60).collect();
            order.sort_by(|a, b| confidence[*a].total_cmp(&confidence[*b]));
            let kept = &order[r..];
            let errors = kept.iter().filter(|i| error[**i]).count();
            assert_eq!(share, r as f64 / 60.0);
            assert!((value - errors as f64 / kept.len() as f64).abs() < 1e-12);
        }
    }

    #[test]
    fn a_confidence_that_knows_the_errors_removes_them_first() {
        let error = [true, false, true, false, false];
        let knows = [0.0, 1.0, 0.1, 1.1, 1.2];
        let misled = [1.0, 0.0, 1.1, 0.1, 0.2];
        let good = reject_curve("a", &knows, &error, 5).unwrap();
        let bad = reject_curve("b", &misled, &error, 5).unwrap();
        assert_eq!(good.points[2].1, 0.0);
        assert!(good.area < bad.area);
    }

    #[test]
    fn a_constant_confidence_gives_a_flat_curve() {
        let curve =
            reject_curve("a", &[1.0; 6], &[true, false, true, false, false, true], 6).unwrap();
        assert!(curve.points.iter().all(|p| p.1 == 0.5));
        assert_eq!(curve.area, 0.5);
    }

    #[test]
    fn wrong_input_is_refused() {
        assert!(reject_curve("a", &[1.0], &[], 5).is_err());
        assert!(reject_curve("a", &[], &[], 5).is_err());
        assert!(reject_curve("a", &[f64::NAN], &[true], 5).is_err());
    }
}
