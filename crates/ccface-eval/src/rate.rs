//! A rate with its interval and its sample size, or the reason why there is no number.

use serde::{Deserialize, Serialize};

use crate::interval::wilson;

/// Fewer errors than this leave a rate uncertain by more than about 30 % of itself (rule of 30).
pub const ENOUGH_ERRORS: f64 = 30.0;

/// The outcome of measuring a rate: a number that says how sure it is, or no number.
///
/// Serialises as `{"value", "low", "high", "n", "low_confidence"}` or `{"insufficient": "why"}`.
///
/// ```
/// use ccface_eval::Rate;
/// let rate = Rate::from_counts(631, 650, 0.95);
/// let (low, high) = rate.interval().unwrap_or_default();
/// assert!((low - 0.9548).abs() < 1e-3 && (high - 0.9812).abs() < 1e-3);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Rate {
    /// A number that the data supports.
    Measured {
        /// The share, 0..1.
        value: f64,
        /// Lower end of the interval.
        low: f64,
        /// Upper end of the interval.
        high: f64,
        /// What the share is of: comparisons or probes.
        n: usize,
        /// True when fewer than 30 errors stand behind it.
        #[serde(default)]
        low_confidence: bool,
    },
    /// The data cannot support this figure.
    Insufficient {
        /// Why not, and how much is needed.
        insufficient: String,
    },
}

impl Rate {
    /// `hits` of `n` with the naive Wilson interval at `level`; marked when hits or misses make fewer than 30 errors.
    ///
    /// The errors are the misses, `n − hits`. With `n = 0` the outcome is insufficient.
    #[must_use]
    pub fn from_counts(hits: usize, n: usize, level: f64) -> Self {
        if n == 0 {
            return Self::insufficient("no trials");
        }
        let (low, high) = wilson(hits as f64, n as f64, level);
        Self::Measured {
            value: hits as f64 / n as f64,
            low,
            high,
            n,
            low_confidence: ((n - hits) as f64) < ENOUGH_ERRORS,
        }
    }

    /// No number, for this reason.
    #[must_use]
    pub fn insufficient(why: impl Into<String>) -> Self {
        Self::Insufficient {
            insufficient: why.into(),
        }
    }

    /// The number, where there is one.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Measured { value, .. } => Some(*value),
            Self::Insufficient { .. } => None,
        }
    }

    /// The interval's two ends, where there is a number.
    #[must_use]
    pub fn interval(&self) -> Option<(f64, f64)> {
        match self {
            Self::Measured { low, high, .. } => Some((*low, *high)),
            Self::Insufficient { .. } => None,
        }
    }

    /// The same rate with another interval, widened where needed so that it holds the value.
    #[must_use]
    pub fn with_interval(self, ends: (f64, f64)) -> Self {
        match self {
            Self::Measured {
                value,
                n,
                low_confidence,
                ..
            } => Self::Measured {
                value,
                low: ends.0.min(value),
                high: ends.1.max(value),
                n,
                low_confidence,
            },
            other => other,
        }
    }

    /// True when there is no number, or one that fewer than 30 errors stand behind.
    #[must_use]
    pub fn is_low_confidence(&self) -> bool {
        match self {
            Self::Measured { low_confidence, .. } => *low_confidence,
            Self::Insufficient { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_measured_rate_is_written_as_value_low_high_n() {
        let json = serde_json::to_value(Rate::from_counts(90, 100, 0.95)).unwrap();
        assert_eq!(json["value"], 0.9);
        assert_eq!(json["n"], 100);
        assert_eq!(json["low_confidence"], true);
        assert!(json["low"].as_f64().unwrap() < 0.9 && json["high"].as_f64().unwrap() > 0.9);
    }

    #[test]
    fn an_insufficient_rate_is_written_as_its_reason_and_read_back() {
        let rate = Rate::insufficient("only 10 impostors");
        let json = serde_json::to_string(&rate).unwrap();
        assert_eq!(json, r#"{"insufficient":"only 10 impostors"}"#);
        assert_eq!(serde_json::from_str::<Rate>(&json).unwrap(), rate);
    }

    #[test]
    fn thirty_misses_end_the_low_confidence_mark() {
        assert!(Rate::from_counts(71, 100, 0.95).is_low_confidence());
        assert!(!Rate::from_counts(70, 100, 0.95).is_low_confidence());
    }

    #[test]
    fn no_trials_give_no_number() {
        assert_eq!(Rate::from_counts(0, 0, 0.95).value(), None);
    }
}
