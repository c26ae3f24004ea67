//! Section `[contrast]`: where the contrast's keys come from.

use serde::{Deserialize, Serialize};

use super::check;

/// Who encodes the HR view into the contrast's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// The frozen teacher.
    #[default]
    Teacher,
    /// An exponential moving average of the student.
    Momentum,
}

/// Where the contrast's keys come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContrastConfig {
    /// `teacher` (default) or `momentum`.
    pub keys: KeySource,
    /// Decay μ of the momentum encoder, 0..1. Default 0.999 (MoCo).
    pub momentum: f64,
}

impl Default for ContrastConfig {
    fn default() -> Self {
        Self {
            keys: KeySource::Teacher,
            momentum: 0.999,
        }
    }
}

impl ContrastConfig {
    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        check(
            mistakes,
            (0.0..1.0).contains(&self.momentum),
            format!(
                "contrast.momentum is {}, must be in 0..1 (below 1)",
                self.momentum
            ),
        );
    }
}
