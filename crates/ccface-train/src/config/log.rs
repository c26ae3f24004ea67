//! What a run writes for those who watch it.

use serde::{Deserialize, Serialize};

use super::check;

/// What is written beside `metrics.jsonl`. It changes neither the model nor the metrics, and does not enter the hash of the
/// configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// TensorBoard event files in `RUN/tensorboard`. Default on.
    pub tensorboard: bool,
    /// People whose pictures and scores are kept in `RUN/samples` at each validation, 0..64; 0 keeps none. Default 4.
    pub samples: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            tensorboard: true,
            samples: 4,
        }
    }
}

impl LogConfig {
    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        check(
            mistakes,
            self.samples <= 64,
            format!("log.samples is {}, 64 people at most", self.samples),
        );
    }
}
