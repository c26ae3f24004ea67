//! The objective's settings, its presets and the check of their ranges.

use std::f64::consts::FRAC_PI_2;

use serde::{Deserialize, Serialize};

use super::{Objective, Term};
use crate::adaptive_penalty::Difficulty;

/// Settings of the objective. The default is the preset [`ccface`](Self::ccface).
///
/// ```text
/// L = λ_c·L_cc + λ_x·L_x + λ_p·L_p + λ_e·L_e + λ_l·L_l        mean over the batch
/// ```
///
/// The paper's own values are not available to this project; the defaults come from this project's
/// measurements on the ORL faces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveConfig {
    /// The scale `s` of the cosines, above 0. Default 30 (20 classes); ArcFace's 64 suits 10⁵
    /// classes, and `√2·ln(C−1)` is a lower bound for C classes.
    pub scale: f64,
    /// What the margin follows. Default `retention`.
    pub difficulty: Difficulty,
    /// The margin of the hardest sample, radians, in `[0, margin_max]`. Default 0.
    pub margin_min: f64,
    /// The margin of the easiest sample, radians, in `[margin_min, π/2)`. Default 0.5, ArcFace's.
    pub margin_max: f64,
    /// A control: permute the margins within the batch. Default off.
    pub shuffle_margins: bool,
    /// Standardise the HR score by running statistics; for `difficulty = "teacher_hr"` alone.
    /// Default off.
    pub standardise_score: bool,
    /// The weight λ_c of classification consistency, at least 0. Default 1; 0 is for ablations.
    pub classification: f64,
    /// The weight λ_x of the cross-resolution contrast, at least 0. Default 1.
    pub cross_resolution: f64,
    /// The weight λ_p of the LR–LR push as a term of its own, at least 0. Default 0: the push then
    /// acts within the contrast's denominator alone (`batch_push`).
    pub push: f64,
    /// The weight λ_e of embedding consistency, at least 0. Default 5.
    pub embedding: f64,
    /// The weight λ_l of logit consistency, at least 0. Default 0.
    pub logit: f64,
    /// The contrast's temperature τ, above 0. Default 0.1; MoCo: 0.07 (v1), 0.2 (v2).
    pub temperature: f64,
    /// The temperature τ_p of the separate push, above 0. Default 0.1.
    pub push_temperature: f64,
    /// The temperature T of logit consistency, above 0. Default 4; at 1 and a large scale the
    /// teacher's distribution is one-hot.
    pub logit_temperature: f64,
    /// Whether the batch's other keys are negatives of the contrast. Default on.
    pub batch_keys: bool,
    /// Whether the batch's other queries are negatives of the contrast. Default on.
    pub batch_push: bool,
    /// How many past keys the queue holds; 0 for none. Default 0; MoCo's 65,536. With frozen teacher
    /// keys more than the data set's size gives nothing new.
    pub queue: usize,
    /// Divide the contrast by `ln(1 + number of negatives)`. Default off.
    pub normalise_contrast: bool,
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self::ccface()
    }
}

impl ObjectiveConfig {
    /// The method as described: every part on. Prototypes frozen, a margin by the share of the HR
    /// score that the student keeps, contrast with the push in its denominator, embedding
    /// consistency.
    ///
    /// Source: reconstructed; the numbers are this project's choice after measurements on ORL.
    pub fn ccface() -> Self {
        Self {
            scale: 30.0,
            difficulty: Difficulty::Retention,
            margin_min: 0.0,
            margin_max: 0.5,
            shuffle_margins: false,
            standardise_score: false,
            classification: 1.0,
            cross_resolution: 1.0,
            push: 0.0,
            embedding: 5.0,
            logit: 0.0,
            temperature: 0.1,
            push_temperature: 0.1,
            logit_temperature: 4.0,
            batch_keys: true,
            batch_push: true,
            queue: 0,
            normalise_contrast: false,
        }
    }

    /// What measurement supports: as [`ccface`](Self::ccface), but with a fixed margin of 0.5.
    ///
    /// On ORL (20 test people, 3 seeds) no adaptive margin was separated from the fixed one in
    /// contrast plus embedding consistency, and the fixed margin kept the lowest HR error, so the
    /// simpler setting stands until a measurement says otherwise.
    pub fn recommended() -> Self {
        Self {
            difficulty: Difficulty::Fixed,
            margin_min: 0.5,
            margin_max: 0.5,
            ..Self::ccface()
        }
    }

    /// The objective with these settings; check them with [`validate`](Self::validate) first.
    pub fn init(&self) -> Objective {
        Objective {
            config: self.clone(),
        }
    }

    /// Whether the teacher must also embed the LR views.
    pub fn needs_teacher_lr(&self) -> bool {
        self.difficulty == Difficulty::TeacherLr
    }

    /// Whether a term uses HR keys.
    pub fn needs_keys(&self) -> bool {
        self.cross_resolution > 0.0
    }

    /// Checks every setting; all mistakes at once.
    ///
    /// # Errors
    /// One sentence for each setting out of range or combination that cannot work.
    ///
    /// ```
    /// use ccface_losses::ObjectiveConfig;
    /// let config = ObjectiveConfig { scale: 0.0, temperature: -1.0, ..Default::default() };
    /// assert_eq!(config.validate().unwrap_err().len(), 2);
    /// ```
    pub fn validate(&self) -> Result<(), Vec<String>> {
        let mut mistakes = Vec::new();
        for (name, value) in [
            ("scale", self.scale),
            ("temperature", self.temperature),
            ("push_temperature", self.push_temperature),
            ("logit_temperature", self.logit_temperature),
        ] {
            if !(value.is_finite() && value > 0.0) {
                mistakes.push(format!("{name} is {value}, but must be above 0"));
            }
        }
        for (name, value) in [
            ("classification", self.classification),
            ("cross_resolution", self.cross_resolution),
            ("push", self.push),
            ("embedding", self.embedding),
            ("logit", self.logit),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                mistakes.push(format!(
                    "{name} is {value}, but a weight must be at least 0 (0 turns the term off)"
                ));
            }
        }
        for (name, value) in [
            ("margin_min", self.margin_min),
            ("margin_max", self.margin_max),
        ] {
            if !(0.0..FRAC_PI_2).contains(&value) {
                mistakes.push(format!(
                    "{name} is {value}, but a margin must be at least 0 and below π/2 (radians)"
                ));
            }
        }
        if self.margin_min > self.margin_max {
            mistakes.push(format!(
                "margin_min {} exceeds margin_max {}: swap or lower it",
                self.margin_min, self.margin_max
            ));
        }
        if Term::ALL.iter().all(|term| term.weight(self) == 0.0) {
            mistakes.push("every weight is 0: give at least one term a weight".to_owned());
        }
        if self.cross_resolution > 0.0 && !self.batch_keys && !self.batch_push && self.queue == 0 {
            mistakes.push(
                "cross_resolution has a weight but no negatives: turn on batch_keys or batch_push, \
                 or give queue a length"
                    .to_owned(),
            );
        }
        if self.standardise_score && self.difficulty != Difficulty::TeacherHr {
            mistakes.push(format!(
                "standardise_score works with difficulty = \"teacher_hr\" alone, not with \"{}\"",
                self.difficulty.name()
            ));
        }
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(mistakes)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn both_presets_are_valid() {
        assert_eq!(ObjectiveConfig::ccface().validate(), Ok(()));
        assert_eq!(ObjectiveConfig::recommended().validate(), Ok(()));
        assert_eq!(ObjectiveConfig::default(), ObjectiveConfig::ccface());
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let bad = ObjectiveConfig {
            scale: f64::NAN,
            temperature: 0.0,
            push_temperature: -1.0,
            logit_temperature: f64::INFINITY,
            classification: -1.0,
            cross_resolution: 1.0,
            embedding: f64::NAN,
            margin_min: 1.0,
            margin_max: 0.5,
            standardise_score: true,
            batch_keys: false,
            batch_push: false,
            ..ObjectiveConfig::ccface()
        };
        let mistakes = bad.validate().unwrap_err();
        for name in [
            "scale is",
            "temperature is 0",
            "push_temperature",
            "logit_temperature",
            "classification",
            "embedding",
            "margin_min 1 exceeds",
            "no negatives",
            "standardise_score",
        ] {
            assert!(
                mistakes.iter().any(|m| m.contains(name)),
                "{name} is not named in {mistakes:?}"
            );
        }
        assert_eq!(mistakes.len(), 9);
    }

    #[test]
    fn margins_stay_below_a_right_angle_and_nan_is_refused() {
        for margin_max in [FRAC_PI_2, 3.0, f64::NAN] {
            let bad = ObjectiveConfig {
                margin_max,
                ..ObjectiveConfig::ccface()
            };
            assert_eq!(bad.validate().unwrap_err().len(), 1, "{margin_max}");
        }
    }

    #[test]
    fn an_objective_without_any_weight_is_refused() {
        let bad = ObjectiveConfig {
            classification: 0.0,
            cross_resolution: 0.0,
            embedding: 0.0,
            ..ObjectiveConfig::ccface()
        };
        assert!(bad.validate().unwrap_err()[0].contains("every weight is 0"));
    }
}
