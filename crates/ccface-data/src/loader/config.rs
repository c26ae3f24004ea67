//! The settings of a loader.

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::sampler::Sampler;

/// How batches are loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoaderConfig {
    /// Pairs per batch (default 40).
    pub batch: usize,
    /// Threads that prepare batches; 0 prepares each batch when it is asked for (default 2). Never changes a byte.
    pub workers: usize,
    /// Finished batches that each worker may hold ready (default 2).
    pub prefetch: usize,
    /// Decides the order and every draw (default 1).
    pub seed: u64,
    /// Whether a last batch that is not full is left out (default false).
    pub drop_last: bool,
    /// Whether batches hold the HR views (default true); a trainer with cached teacher embeddings needs none.
    pub want_hr: bool,
    /// How an epoch is put together (default shuffled).
    pub sampler: Sampler,
    /// Bytes of decoded pictures to keep in memory (default 0).
    pub cache_bytes: usize,
    /// The share of bad images up to which others stand in for them (0..=1, default 0.001); beyond it loading stops.
    pub error_budget: f64,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self {
            batch: 40,
            workers: 2,
            prefetch: 2,
            seed: 1,
            drop_last: false,
            want_hr: true,
            sampler: Sampler::default(),
            cache_bytes: 0,
            error_budget: 0.001,
        }
    }
}

impl LoaderConfig {
    /// Everything that is wrong with the settings, as far as it shows without a source.
    pub fn problems(&self) -> Vec<DataError> {
        let mut problems = Vec::new();
        if self.batch == 0 {
            problems.push(DataError::config("batch", 0, "must be at least 1"));
        }
        if self.workers > 256 {
            problems.push(DataError::config(
                "workers",
                self.workers,
                "must be at most 256",
            ));
        }
        if self.prefetch == 0 {
            problems.push(DataError::config("prefetch", 0, "must be at least 1"));
        }
        if !(0.0..=1.0).contains(&self.error_budget) {
            problems.push(DataError::config(
                "error_budget",
                self.error_budget,
                "a share of all images lies between 0 and 1",
            ));
        }
        problems
    }
}
