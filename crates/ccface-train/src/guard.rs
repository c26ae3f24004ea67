//! What is done about a step whose numbers are not finite, and about a loss that does not fall.

use serde::{Deserialize, Serialize};

use crate::{config::GuardConfig, exact::Exact};

/// What the guards remember from step to step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GuardState {
    /// Skipped steps since the last good one.
    pub(crate) in_a_row: u32,
    /// Skipped steps of the whole run.
    pub(crate) skipped: u64,
    /// How often the run went back to a checkpoint.
    pub(crate) rollbacks: u32,
    /// What the learning rate is multiplied with since.
    pub(crate) rate: Exact,
    pub(crate) watch: LossWatch,
}

impl Default for GuardState {
    fn default() -> Self {
        Self {
            in_a_row: 0,
            skipped: 0,
            rollbacks: 0,
            rate: Exact(1.0),
            watch: LossWatch::default(),
        }
    }
}

/// What follows from a step that is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Leave the batch out and go on.
    Skip,
    /// Go back to the last checkpoint with a smaller rate.
    GoBack,
    /// End the run.
    GiveUp,
}

impl GuardState {
    /// Judges a step whose loss or gradient is not finite.
    pub(crate) fn not_finite(&mut self, config: &GuardConfig, can_go_back: bool) -> Verdict {
        self.in_a_row += 1;
        self.skipped += 1;
        if self.in_a_row <= config.skips {
            Verdict::Skip
        } else if can_go_back && self.rollbacks < config.rollbacks {
            Verdict::GoBack
        } else {
            Verdict::GiveUp
        }
    }

    /// The state after going back: what the checkpoint knew, one return more, a smaller rate.
    pub(crate) fn went_back(self, before: &Self, config: &GuardConfig) -> Self {
        Self {
            in_a_row: 0,
            skipped: before.skipped,
            rollbacks: before.rollbacks + 1,
            rate: Exact(before.rate.0 * config.rollback_rate),
            ..self
        }
    }
}

/// Compares the loss of the newest steps with that of the first ones.
///
/// The run is cut into windows of `guard.alarm_steps` steps. From the fourth window on, a window whose mean loss is not
/// at least 2 % below the first window's raises the alarm, once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LossWatch {
    windows: u32,
    first: Exact,
    sum: Exact,
    count: u32,
    alarmed: bool,
}

/// Windows before a loss may be called stuck.
const PATIENCE: u32 = 4;

impl LossWatch {
    /// Takes one step's loss; gives the first and the newest mean where the alarm is due.
    pub(crate) fn note(&mut self, loss: f64, window: u32) -> Option<(f64, f64)> {
        if window == 0 {
            return None;
        }
        self.sum.0 += loss;
        self.count += 1;
        if self.count < window {
            return None;
        }
        let mean = self.sum.0 / f64::from(self.count);
        (self.sum, self.count) = (Exact(0.0), 0);
        self.windows += 1;
        if self.windows == 1 {
            self.first = Exact(mean);
        }
        let first = self.first.0;
        let stuck = mean >= first - 0.02 * first.abs();
        if self.windows >= PATIENCE && stuck && !self.alarmed {
            self.alarmed = true;
            return Some((first, mean));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_come_first_then_returns_then_the_end() {
        let config = GuardConfig {
            skips: 2,
            rollbacks: 1,
            rollback_rate: 0.1,
            ..GuardConfig::default()
        };
        let mut guard = GuardState::default();
        let verdicts: Vec<Verdict> = (0..3).map(|_| guard.not_finite(&config, true)).collect();
        assert_eq!(verdicts, [Verdict::Skip, Verdict::Skip, Verdict::GoBack]);
        let mut guard = GuardState::default().went_back(&guard, &config);
        assert_eq!((guard.rate.0, guard.in_a_row, guard.skipped), (0.1, 0, 3));
        let verdicts: Vec<Verdict> = (0..3).map(|_| guard.not_finite(&config, true)).collect();
        assert_eq!(verdicts, [Verdict::Skip, Verdict::Skip, Verdict::GiveUp]);
    }

    #[test]
    fn without_a_checkpoint_there_is_no_way_back() {
        let config = GuardConfig {
            skips: 0,
            ..GuardConfig::default()
        };
        let mut guard = GuardState::default();
        assert_eq!(guard.not_finite(&config, false), Verdict::GiveUp);
    }

    #[test]
    fn a_loss_that_stays_raises_the_alarm_once_and_one_that_falls_never() {
        let mut stuck = LossWatch::default();
        let alarms: Vec<u32> = (0..100)
            .filter(|step| stuck.note(10.0 + f64::from(step % 2) * 0.01, 10).is_some())
            .collect();
        assert_eq!(alarms, [39]);
        let mut falling = LossWatch::default();
        assert!((0..100).all(|step| falling.note(10.0 - 0.05 * f64::from(step), 10).is_none()));
        let mut off = LossWatch::default();
        assert!((0..100).all(|_| off.note(1.0, 0).is_none()));
    }
}
