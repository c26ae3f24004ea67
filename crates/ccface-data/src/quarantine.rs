//! Images that cannot be used: listed with reasons, replaced the same way every time, and not too many of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{DataError, ImageProblem};
use crate::rng::{Purpose, Stream};
use crate::source::{FaceSource, by_identity};

/// One image that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadImage {
    /// Its index in the source.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub reason: ImageProblem,
}

/// The bad images seen so far.
#[derive(Debug, Clone, Default)]
pub struct Quarantine {
    seen: BTreeMap<usize, BadImage>,
}

impl Quarantine {
    /// Adds an image; one that is listed already changes nothing.
    pub fn add(&mut self, bad: BadImage) {
        self.seen.entry(bad.index).or_insert_with(|| {
            log::warn!("left out: {}: {}", bad.name, bad.reason);
            bad
        });
    }

    /// The bad images, by index.
    pub fn list(&self) -> Vec<BadImage> {
        self.seen.values().cloned().collect()
    }

    /// Checks that what the source rejected and what was found bad stays within `budget`, a share of all entries.
    ///
    /// # Errors
    /// [`DataError::Budget`] with the first bad files.
    pub fn check(&self, source: &dyn FaceSource, budget: f64) -> Result<(), DataError> {
        let rejected = source.rejected();
        let bad = rejected.len() + self.seen.len();
        let total = source.len() + rejected.len();
        if bad as f64 <= budget * total as f64 {
            return Ok(());
        }
        let found = self
            .seen
            .values()
            .map(|b| format!("{}: {}", b.name, b.reason));
        let left_out = rejected.iter().map(|r| format!("{}: {}", r.name, r.reason));
        let worst: Vec<String> = found.chain(left_out).take(5).collect();
        Err(DataError::Budget {
            bad,
            total,
            budget: 100.0 * budget,
            worst: worst.join("; "),
        })
    }
}

/// Which images stand in for a bad one.
#[derive(Debug)]
pub(crate) struct Substitutes {
    members: Vec<Vec<usize>>,
    seed: u64,
}

/// How many strangers are tried once the identity has no good image.
const STRANGERS: usize = 64;

impl Substitutes {
    pub(crate) fn new(source: &dyn FaceSource, seed: u64) -> Self {
        Self {
            members: by_identity(source),
            seed,
        }
    }

    /// The stand-ins for image `index` in the order in which they are tried: the identity's other images, then others;
    /// a pure function of (seed, index).
    pub(crate) fn of<'a>(
        &'a self,
        source: &'a dyn FaceSource,
        index: usize,
    ) -> impl Iterator<Item = usize> + 'a {
        let mut stream = Stream::new(self.seed, 0, index as u64, Purpose::Substitute);
        let mut own: Vec<usize> = self.members[source.identity(index)]
            .iter()
            .copied()
            .filter(|i| *i != index)
            .collect();
        stream.shuffle(&mut own);
        let strangers: Vec<usize> = (0..STRANGERS).map(|_| stream.below(source.len())).collect();
        own.into_iter().chain(strangers)
    }
}
