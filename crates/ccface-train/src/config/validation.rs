//! Section `[validation]`: EER by face size during training.

use serde::{Deserialize, Serialize};

use super::check;

/// Validation by face size, after every `every` epochs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ValidationConfig {
    /// Identities to validate on (a selection of the data folder), `seen` (the training identities: a check of the
    /// fit, not of generalisation), or empty for none. With `data.folds` the held-out fold is used instead.
    pub identities: String,
    /// Face sizes of the LR probes, pixels. Default 8, 12, 16.
    pub sizes: Vec<usize>,
    /// Epochs between validations; the last epoch always validates. Default 1.
    pub every: usize,
}

impl Default for ValidationConfig {
    fn default() -> Self {
        Self {
            identities: String::new(),
            sizes: vec![8, 12, 16],
            every: 1,
        }
    }
}

impl ValidationConfig {
    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        check(
            mistakes,
            self.every > 0,
            "validation.every must be at least 1",
        );
        check(
            mistakes,
            self.sizes.iter().all(|s| *s >= 2),
            "validation.sizes: a face has at least 2 pixels",
        );
    }
}
