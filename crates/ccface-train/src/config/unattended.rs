//! What a run does for itself while nobody watches: checkpoints, and guards over its numbers.

use serde::{Deserialize, Serialize};

use super::check;

/// When checkpoints are written, and how many stay. Nothing here changes a number of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Steps between checkpoints; 0 (default) goes by time alone.
    pub every_steps: u64,
    /// Minutes between checkpoints, fractions allowed; 0 goes by steps alone. Default 10.
    pub every_minutes: f64,
    /// How many of the newest stay, beside the one of the best validation. Default 3; 0 writes no checkpoints at all.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            every_steps: 0,
            every_minutes: 10.0,
            keep: 3,
        }
    }
}

impl CheckpointConfig {
    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        check(
            mistakes,
            self.every_minutes.is_finite() && self.every_minutes >= 0.0,
            "checkpoint.every_minutes must be 0 (never by time) or more",
        );
    }
}

/// What is done about numbers that are not finite and a loss that does not fall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardConfig {
    /// Steps in a row that may be left out because their loss or gradient is not finite. Default 3.
    pub skips: u32,
    /// How often the run goes back to its newest checkpoint after that, before it gives up. Default 2.
    pub rollbacks: u32,
    /// What the learning rate is multiplied with at each return, 0..1. Default 0.1.
    pub rollback_rate: f64,
    /// Length in steps of the windows whose mean losses are compared; a loss that has not fallen by the fourth window raises
    /// an alarm. Default 50; 0 never.
    pub alarm_steps: u32,
    /// Run forward and backward once before the first step, so that a batch that does not fit shows at once. Default true.
    pub probe: bool,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            skips: 3,
            rollbacks: 2,
            rollback_rate: 0.1,
            alarm_steps: 50,
            probe: true,
        }
    }
}

impl GuardConfig {
    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        check(
            mistakes,
            self.rollback_rate > 0.0 && self.rollback_rate <= 1.0,
            "guard.rollback_rate must be above 0 and at most 1",
        );
    }
}
