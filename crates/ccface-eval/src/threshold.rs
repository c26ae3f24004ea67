//! Thresholds chosen on one set of people and reported on another.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::error::{EvalError, Result};
use crate::verification::{OperatingPoint, Rule, Scores};

/// A threshold fixed on a calibration set, and the identities it has seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibratedThreshold {
    /// What it gave on the calibration set.
    pub calibration: OperatingPoint,
    /// The FMR that was wanted.
    pub wanted_fmr: f64,
    /// How it was chosen.
    pub rule: Rule,
    identities: HashSet<String>,
}

impl CalibratedThreshold {
    /// Chooses the threshold for an FMR of `f` on the calibration scores.
    ///
    /// # Errors
    /// `f` outside (0, 1), fewer than 1/f impostors, or no identity.
    pub fn choose<S: AsRef<str>>(
        scores: &Scores,
        identities: impl IntoIterator<Item = S>,
        f: f64,
        rule: Rule,
    ) -> Result<Self> {
        let calibration = scores.threshold_at_fmr(f, rule)?;
        if let Some(why) = scores.insufficient_impostors(f) {
            return Err(EvalError::NotComparable {
                why: format!("a threshold cannot be calibrated: {why}"),
            });
        }
        let identities: HashSet<String> = identities
            .into_iter()
            .map(|s| s.as_ref().to_owned())
            .collect();
        if identities.is_empty() {
            return Err(EvalError::Empty {
                what: "calibration identities",
            });
        }
        Ok(Self {
            calibration,
            wanted_fmr: f,
            rule,
            identities,
        })
    }

    /// The error rates of the fixed threshold on people it has not seen.
    ///
    /// # Errors
    /// An identity that stands in both sets.
    pub fn apply<S: AsRef<str>>(
        &self,
        scores: &Scores,
        identities: impl IntoIterator<Item = S>,
    ) -> Result<OperatingPoint> {
        let mut shared: Vec<String> = identities
            .into_iter()
            .map(|s| s.as_ref().to_owned())
            .filter(|s| self.identities.contains(s))
            .collect();
        shared.sort();
        shared.dedup();
        match shared.first() {
            Some(first) => Err(EvalError::IdentityOverlap {
                count: shared.len(),
                first: first.clone(),
            }),
            None => Ok(scores.point(self.calibration.threshold)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn scores(shift: f64) -> Scores {
        Scores::new(
            (0..50).map(|i| 1.0 + f64::from(i) / 50.0).collect(),
            (0..200).map(|i| shift + f64::from(i) / 200.0).collect(),
        )
        .unwrap()
    }

    #[test]
    fn a_threshold_from_one_set_is_reported_on_another() {
        let chosen =
            CalibratedThreshold::choose(&scores(0.0), ["a", "b"], 0.01, Rule::Conservative)
                .unwrap();
        assert_eq!(chosen.calibration.fmr, 0.01);
        let there = chosen.apply(&scores(0.5), ["c", "d"]).unwrap();
        assert!(there.fmr > 0.4);
        assert_eq!(there.threshold, chosen.calibration.threshold);
    }

    #[test]
    fn an_identity_in_both_sets_is_an_error_that_names_it() {
        let chosen =
            CalibratedThreshold::choose(&scores(0.0), ["a", "b"], 0.01, Rule::Conservative)
                .unwrap();
        let error = chosen
            .apply(&scores(0.0), ["c", "b", "b"])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("1 identities") && error.contains("first: b"),
            "{error}"
        );
    }

    #[test]
    fn too_few_calibration_impostors_are_refused() {
        let few = Scores::new(vec![1.0], vec![0.0; 50]).unwrap();
        assert!(CalibratedThreshold::choose(&few, ["a"], 0.01, Rule::Nearest).is_err());
        assert!(CalibratedThreshold::choose::<&str>(&scores(0.0), [], 0.1, Rule::Nearest).is_err());
    }
}
