//! A range that a stage draws from.

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::rng::Stream;

/// The range `[low, high]` of a parameter, drawn uniformly; written as a list of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 2]", into = "[f64; 2]")]
pub struct Span {
    /// Lowest value.
    pub low: f64,
    /// Highest value.
    pub high: f64,
}

impl Span {
    /// The range from `low` to `high`.
    pub const fn new(low: f64, high: f64) -> Self {
        Self { low, high }
    }

    /// A value in the range, each equally likely.
    pub fn draw(self, stream: &mut Stream) -> f64 {
        stream.uniform_in(self.low..self.high)
    }

    /// A value in the range, every doubling equally likely.
    pub fn draw_log(self, stream: &mut Stream) -> f64 {
        libm::exp(stream.uniform_in(libm::log(self.low)..libm::log(self.high)))
    }

    /// What is wrong where the range must lie within `[least, most]`.
    pub(crate) fn problem(self, key: &str, least: f64, most: f64) -> Option<DataError> {
        let fits = self.low <= self.high && self.low >= least && self.high <= most;
        (!fits).then(|| {
            let value = format!("[{}, {}]", self.low, self.high);
            DataError::config(key, value, format!("needs {least} ≤ low ≤ high ≤ {most}"))
        })
    }
}

impl From<[f64; 2]> for Span {
    fn from([low, high]: [f64; 2]) -> Self {
        Self { low, high }
    }
}

impl From<Span> for [f64; 2] {
    fn from(span: Span) -> Self {
        [span.low, span.high]
    }
}
