//! Where a run is, as plain numbers.

use ccface_data::BadImage;
use ccface_losses::RunningStatistics;
use serde::{Deserialize, Serialize};

use crate::{exact::Exact, guard::GuardState, metrics::Report, trainee::Running};

/// The batch that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// Its epoch, from 1; one more than the run has once all is done.
    pub(crate) epoch: usize,
    /// Its place in the epoch, from 0; the epoch's number of batches where only the validation is left.
    pub(crate) batch: usize,
}

/// The best validation so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    /// Which number.
    pub(crate) metric: String,
    /// Its value.
    pub(crate) value: Exact,
    /// The step it was measured after.
    pub(crate) step: u64,
}

/// The ring of keys without its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueFacts {
    pub(crate) capacity: usize,
    pub(crate) dim: usize,
    pub(crate) next: usize,
    pub(crate) length: usize,
}

/// Everything of a run that is no tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// Steps done.
    pub(crate) step: u64,
    /// Members of the run whose training is over.
    #[serde(default)]
    pub(crate) members: usize,
    pub(crate) cursor: Cursor,
    /// Master seed: every draw follows from it and the position.
    pub(crate) seed: u64,
    /// Images that went through the student.
    pub(crate) images: u64,
    /// Seconds spent in steps.
    pub(crate) seconds: f64,
    /// Length of `metrics.jsonl` and `timing.jsonl`; what comes after is of steps that are done again.
    pub(crate) metrics_bytes: u64,
    pub(crate) timing_bytes: u64,
    pub(crate) norms: Option<[Exact; 2]>,
    pub(crate) score: Option<[Exact; 2]>,
    pub(crate) queue: Option<QueueFacts>,
    pub(crate) last_validation: Vec<(String, Exact)>,
    pub(crate) best: Option<Best>,
    pub(crate) guard: GuardState,
    /// Images that could not be used so far.
    pub(crate) quarantine: Vec<BadImage>,
}

impl Progress {
    /// A run that has not begun.
    pub(crate) fn start(seed: u64) -> Self {
        Self {
            step: 0,
            members: 0,
            cursor: Cursor { epoch: 1, batch: 0 },
            seed,
            images: 0,
            seconds: 0.0,
            metrics_bytes: 0,
            timing_bytes: 0,
            norms: None,
            score: None,
            queue: None,
            last_validation: Vec::new(),
            best: None,
            guard: GuardState::default(),
            quarantine: Vec::new(),
        }
    }

    pub(super) fn take_running(&mut self, running: Running) {
        let exact = |s: RunningStatistics| [Exact(s.mean), Exact(s.std)];
        self.norms = running.norms.map(exact);
        self.score = running.score.map(exact);
    }

    pub(super) fn running(&self) -> Running {
        let plain = |[mean, std]: [Exact; 2]| RunningStatistics {
            mean: mean.0,
            std: std.0,
        };
        Running {
            norms: self.norms.map(plain),
            score: self.score.map(plain),
        }
    }

    /// Remembers a validation; says whether it is the best one so far.
    ///
    /// The mean EER over the LR sizes is compared; less is better, and of equals the first stays.
    pub(crate) fn note_validation(&mut self, report: &Report) -> bool {
        self.last_validation = report
            .scalars
            .iter()
            .map(|(name, value)| (name.clone(), Exact(*value)))
            .collect();
        let small: Vec<f64> = report
            .scalars
            .iter()
            .filter(|(name, _)| name.ends_with("px"))
            .map(|(_, value)| *value)
            .collect();
        let value = small.iter().sum::<f64>() / small.len() as f64;
        let better =
            value.is_finite() && self.best.as_ref().is_none_or(|best| value < best.value.0);
        if better {
            self.best = Some(Best {
                metric: "mean EER over LR sizes, %".into(),
                value: Exact(value),
                step: self.step,
            });
        }
        better
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_bit_survives_the_file() {
        let mut progress = Progress::start(u64::MAX);
        progress.take_running(Running {
            norms: Some(RunningStatistics {
                mean: 0.1 + 0.2,
                std: 1.0 / 3.0,
            }),
            score: None,
        });
        let mut report = Report::default();
        report.push("eer_8px", 100.0 / 7.0);
        report.push("eer_hr", f64::NAN);
        assert!(progress.note_validation(&report));
        let text = serde_json::to_string(&progress).unwrap();
        let back: Progress = serde_json::from_str(&text).unwrap();
        assert_eq!(back.running(), progress.running());
        assert_eq!(back.best, progress.best);
        assert!(back.last_validation[1].1.0.is_nan());
        assert_eq!(back.seed, u64::MAX);
    }

    #[test]
    fn only_a_smaller_error_is_better_and_none_is_none() {
        let mut progress = Progress::start(0);
        let mut judge = |value: f64| {
            let mut report = Report::default();
            report.push("eer_8px", value);
            progress.note_validation(&report)
        };
        assert!(judge(9.0));
        assert!(!judge(9.0));
        assert!(!judge(f64::NAN));
        assert!(judge(8.0));
        assert!(!progress.note_validation(&Report::default()));
    }
}
