//! The learning rate as a pure function of the step.

use crate::config::{OptimiserConfig, Schedule};

/// The learning rate over a run's steps.
///
/// ```text
/// warm-up     lr·(step + 1) / warmup                        step < warmup
/// cosine      lr·½(1 + cos πt)
/// polynomial  lr·(1 − t)²                                    t = (step − warmup) / (total − warmup)
/// constant    lr
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LearningRate {
    peak: f64,
    schedule: Schedule,
    warmup: f64,
    total: f64,
}

impl LearningRate {
    /// The schedule of a run of `epochs` with `steps_per_epoch` steps each.
    pub fn new(config: &OptimiserConfig, steps_per_epoch: usize, epochs: usize) -> Self {
        let steps = steps_per_epoch as f64;
        Self {
            peak: config.learning_rate,
            schedule: config.schedule,
            warmup: (config.warmup_epochs * steps).min(steps * epochs as f64),
            total: steps * epochs as f64,
        }
    }

    /// The rate of a step, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        let step = step as f64;
        if step < self.warmup {
            return self.peak * (step + 1.0).min(self.warmup) / self.warmup;
        }
        let t = ((step - self.warmup) / (self.total - self.warmup).max(1.0)).clamp(0.0, 1.0);
        self.peak
            * match self.schedule {
                Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * t).cos()),
                Schedule::Polynomial => (1.0 - t).powi(2),
                Schedule::Constant => 1.0,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(schedule: Schedule, warmup_epochs: f64) -> LearningRate {
        LearningRate::new(
            &OptimiserConfig {
                learning_rate: 0.1,
                schedule,
                warmup_epochs,
                ..Default::default()
            },
            10,
            4,
        )
    }

    #[test]
    fn cosine_starts_at_the_peak_and_ends_near_zero() {
        let rate = rate(Schedule::Cosine, 0.0);
        assert_eq!(rate.at(0), 0.1);
        assert!((rate.at(20) - 0.05).abs() < 1e-12);
        assert!(rate.at(39) < 0.001 && rate.at(40) < 1e-12);
    }

    #[test]
    fn warm_up_climbs_to_the_peak_and_hands_over() {
        let rate = rate(Schedule::Polynomial, 1.0);
        assert!((rate.at(0) - 0.01).abs() < 1e-12);
        assert!((rate.at(9) - 0.1).abs() < 1e-12);
        assert!((rate.at(10) - 0.1).abs() < 1e-12);
        assert!(rate.at(25) < 0.1);
        assert_eq!(rate.at(1000), 0.0);
    }
}
