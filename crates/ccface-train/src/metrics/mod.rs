//! What a step or a validation reports, as burn-train metrics and as raw lines.

mod bins;
mod jsonl;
mod scalar;

pub use bins::Bins;
pub use jsonl::JsonLines;
pub use scalar::{ScalarKind, ScalarMetric};

use burn::train::{ItemLazy, metric::Adaptor};

/// Named numbers of one step (means over its batch) or of one validation.
///
/// Already on the host: a step reads its loss before it updates anything, so there is nothing left to wait for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Samples behind the numbers.
    pub samples: usize,
    /// Name and value, in the order of the stream.
    pub scalars: Vec<(String, f64)>,
    /// Name and distribution over the batch.
    pub histograms: Vec<(String, Bins)>,
}

impl Report {
    /// The number of a name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.scalars
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| *value)
    }

    /// Adds another report's numbers, weighted with `share`, and its counts; the first report keeps its numbers as they are where `share` is 1.
    pub(crate) fn add(&mut self, other: Self, share: f64) {
        self.samples += other.samples;
        for (name, value) in other.scalars {
            match self.scalars.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += share * value,
                None => self.scalars.push((name, share * value)),
            }
        }
        for (name, bins) in other.histograms {
            match self.histograms.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => sum.add(&bins),
                None => self.histograms.push((name, bins)),
            }
        }
    }

    /// Adds a number.
    pub fn push(&mut self, name: impl Into<String>, value: f64) {
        self.scalars.push((name.into(), value));
    }
}

/// Seconds since 1970, for the streams that hold wall time.
pub(crate) fn unix_time() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64())
}

impl ItemLazy for Report {
    fn sync(self) -> Result<Self, burn::tensor::ExecutionError> {
        Ok(self)
    }
}

impl Adaptor<Report> for Report {
    fn adapt(&self) -> Report {
        self.clone()
    }
}
