//! Section `[train]`: length, batch and loading of a run.

use serde::{Deserialize, Serialize};

use super::check;

/// Length, batch and loading of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSection {
    /// Passes over the data, of each member where there are several. Default 12.
    pub epochs: usize,
    /// Faces per batch. Default 40.
    pub batch: usize,
    /// Batches behind each update of the weights; their gradients are averaged over all their faces. Default 1.
    ///
    /// Equal to one larger batch where no layer and no term looks across the batch; batch norms and the contrast's
    /// in-batch negatives see each batch on its own.
    pub accumulate: usize,
    /// Loader threads; the result is the same for any number. 0 loads in the training thread. Default 1.
    pub workers: usize,
    /// Decoded faces kept in memory, in MiB. Default 512.
    pub cache_mib: usize,
    /// Decay of an exponential moving average of the student's weights, 0..1. Where it is on, the average is validated
    /// and saved instead of the last weights. Default 0: off; 0.99 averages over the last hundred steps or so.
    ///
    /// ```text
    /// θ̄ ← average·θ̄ + (1 − average)·θ      after every step, from θ̄ = θ at the start
    /// ```
    pub average: f64,
    /// Share of the run, at its end, over which the student's weights are averaged with equal weights, 0..=1; the average is
    /// validated and saved instead of the last weights. Default 0: off. Goes well with `optimiser.schedule = "constant"`.
    ///
    /// ```text
    /// θ̄ = mean of θ after each of the last ⌈average_tail · steps⌉ steps
    /// ```
    ///
    /// Source: reconstructed, stochastic weight averaging (Izmailov et al., UAI 2018); batch norms' running statistics are
    /// averaged alike instead of measured anew.
    pub average_tail: f64,
    /// Students that are trained one after the other, each for `epochs` from the same first weights, with optimiser, key queue,
    /// learning-rate schedule and draws of its own; their mean is validated and saved. Default 1.
    ///
    /// Fine-tuning few images lands somewhere else with every seed; the mean is better than its members. A head with
    /// trainable prototypes is that of the last member. Source: reconstructed, uniform model soup (Wortsman et al., ICML 2022).
    pub members: usize,
}

impl Default for TrainSection {
    fn default() -> Self {
        Self {
            epochs: 12,
            batch: 40,
            accumulate: 1,
            workers: 1,
            cache_mib: 512,
            average: 0.0,
            average_tail: 0.0,
            members: 1,
        }
    }
}

impl TrainSection {
    /// Passes over the data of all members together.
    pub fn total_epochs(&self) -> usize {
        self.epochs * self.members
    }

    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        check(mistakes, self.epochs > 0, "train.epochs must be at least 1");
        check(mistakes, self.batch > 0, "train.batch must be at least 1");
        check(
            mistakes,
            self.accumulate > 0,
            "train.accumulate must be at least 1",
        );
        check(
            mistakes,
            self.workers <= 256,
            format!("train.workers is {}, 256 at most", self.workers),
        );
        check(
            mistakes,
            (0.0..1.0).contains(&self.average),
            format!(
                "train.average is {}, must be 0 (off) or a decay below 1, as in 0.99",
                self.average
            ),
        );
        check(
            mistakes,
            (0.0..=1.0).contains(&self.average_tail),
            format!(
                "train.average_tail is {}, must be 0 (off) or a share of the run up to 1, as in 0.5",
                self.average_tail
            ),
        );
        check(
            mistakes,
            self.average == 0.0 || self.average_tail == 0.0,
            "train.average and train.average_tail are two ways of averaging: set one of them to 0",
        );
        check(
            mistakes,
            (1..=100).contains(&self.members),
            format!("train.members is {}, must be 1 to 100", self.members),
        );
        check(
            mistakes,
            self.members == 1 || (self.average == 0.0 && self.average_tail == 0.0),
            "train.members above 1 averages already: set train.average and train.average_tail to 0",
        );
    }
}
