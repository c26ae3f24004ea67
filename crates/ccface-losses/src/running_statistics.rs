//! Running mean and standard deviation as plain numbers: state that goes in and comes out.

use serde::{Deserialize, Serialize};

/// A mean and a standard deviation that follow a stream of batches.
///
/// ```text
/// x ← rate·x(batch) + (1 − rate)·x
/// ```
///
/// with the batch's mean and its sample standard deviation (n − 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunningStatistics {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub std: f64,
}

impl RunningStatistics {
    /// The statistics of one batch; `None` for fewer than two values.
    ///
    /// ```
    /// use ccface_losses::RunningStatistics;
    /// let of = RunningStatistics::of(&[1.0, 3.0]).unwrap();
    /// assert_eq!((of.mean, of.std), (2.0, 2f64.sqrt()));
    /// ```
    pub fn of(batch: &[f64]) -> Option<Self> {
        if batch.len() < 2 {
            return None;
        }
        let count = batch.len() as f64;
        let mean = batch.iter().sum::<f64>() / count;
        let square: f64 = batch.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self {
            mean,
            std: (square / (count - 1.0)).sqrt(),
        })
    }

    /// The statistics after one more batch, `rate` in `[0, 1]` being the new batch's weight. A batch
    /// of one moves the mean alone, an empty one nothing.
    #[must_use]
    pub fn updated(self, batch: &[f64], rate: f64) -> Self {
        match (Self::of(batch), batch) {
            (Some(new), _) => Self {
                mean: rate * new.mean + (1.0 - rate) * self.mean,
                std: rate * new.std + (1.0 - rate) * self.std,
            },
            (None, [single]) => Self {
                mean: rate * single + (1.0 - rate) * self.mean,
                ..self
            },
            (None, _) => self,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_rate_of_one_forgets_and_a_rate_of_zero_keeps() {
        let state = RunningStatistics {
            mean: 20.0,
            std: 100.0,
        };
        let batch = [1.0, 2.0, 3.0];
        assert_eq!(state.updated(&batch, 0.0), state);
        let new = state.updated(&batch, 1.0);
        assert_eq!((new.mean, new.std), (2.0, 1.0));
    }

    #[test]
    fn one_value_moves_the_mean_alone_and_none_moves_nothing() {
        let state = RunningStatistics {
            mean: 1.0,
            std: 2.0,
        };
        let new = state.updated(&[3.0], 0.5);
        assert_eq!((new.mean, new.std), (2.0, 2.0));
        assert_eq!(state.updated(&[], 0.5), state);
    }
}
