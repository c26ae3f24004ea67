//! Section `[head]`: margin softmax with trainable prototypes.

use ccface_losses::MarginHead;
use serde::{Deserialize, Serialize};

use super::check;

/// Where trainable prototypes start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadStart {
    /// Drawn from a normal distribution of deviation 0.01, as arcface_torch does.
    #[default]
    Random,
    /// The teacher's class means, as the distilled student has them (the fair control).
    ClassMeans,
}

/// The margin softmax head with trainable prototypes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeadConfig {
    /// Which loss: ArcFace (default), CosFace or AdaFace, with its scale and margin.
    pub loss: MarginHead,
    /// Where the prototypes start. Default `random`.
    pub start: HeadStart,
    /// Epochs over which the margin grows linearly from 0 to its value. Default 0: the whole margin at once.
    pub margin_warmup_epochs: f64,
}

impl HeadConfig {
    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        if let Err(found) = self.loss.validate() {
            mistakes.extend(found.into_iter().map(|m| format!("head.loss: {m}")));
        }
        check(
            mistakes,
            self.margin_warmup_epochs >= 0.0 && self.margin_warmup_epochs.is_finite(),
            "head.margin_warmup_epochs must be 0 or more",
        );
    }
}
