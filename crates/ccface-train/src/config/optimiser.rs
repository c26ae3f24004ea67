//! Section `[optimiser]`: optimiser and learning rate.

use serde::{Deserialize, Serialize};

use super::check;

/// The optimiser's kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimiserKind {
    /// Stochastic gradient descent with momentum, as PyTorch computes it (no dampening).
    #[default]
    Sgd,
    /// Adam with decoupled weight decay.
    Adamw,
}

/// How the learning rate falls after warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Half a cosine down to 0.
    #[default]
    Cosine,
    /// `(1 − t)²`, arcface_torch's polynomial.
    Polynomial,
    /// No fall.
    Constant,
}

/// Optimiser and learning-rate schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimiserConfig {
    /// `sgd` (default) or `adamw`.
    pub kind: OptimiserKind,
    /// Peak learning rate. Default 0.01.
    pub learning_rate: f64,
    /// Momentum of SGD, 0..1. Default 0.9.
    pub momentum: f64,
    /// Weight decay. Default 5e-4.
    pub weight_decay: f64,
    /// Also decay biases, batch-norm and PReLU parameters. Default false.
    pub decay_all: bool,
    /// Clip the global gradient norm to this; 0 never clips. Default 5.
    pub clip_norm: f64,
    /// `cosine` (default), `polynomial` or `constant`.
    pub schedule: Schedule,
    /// Epochs of linear warm-up, fractions allowed. Default 0.
    pub warmup_epochs: f64,
}

impl Default for OptimiserConfig {
    fn default() -> Self {
        Self {
            kind: OptimiserKind::Sgd,
            learning_rate: 0.01,
            momentum: 0.9,
            weight_decay: 5e-4,
            decay_all: false,
            clip_norm: 5.0,
            schedule: Schedule::Cosine,
            warmup_epochs: 0.0,
        }
    }
}

impl OptimiserConfig {
    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        let positive = |v: f64| v.is_finite() && v > 0.0;
        let not_negative = |v: f64| v.is_finite() && v >= 0.0;
        check(
            mistakes,
            positive(self.learning_rate),
            "optimiser.learning_rate must be above 0",
        );
        check(
            mistakes,
            (0.0..1.0).contains(&self.momentum),
            "optimiser.momentum must be in 0..1 (below 1)",
        );
        check(
            mistakes,
            not_negative(self.weight_decay),
            "optimiser.weight_decay must be 0 or more",
        );
        check(
            mistakes,
            not_negative(self.clip_norm),
            "optimiser.clip_norm must be 0 (never) or more",
        );
        check(
            mistakes,
            not_negative(self.warmup_epochs),
            "optimiser.warmup_epochs must be 0 or more",
        );
    }
}
