//! Comparisons: scores that remember which two subjects they are of.

use rayon::prelude::*;

use crate::error::{EvalError, Result};
use crate::verification::Scores;

/// A person, as a dense number; [`crate::Labels`] makes them from names.
pub type Subject = u32;

/// One similarity score between an image of `probe` and an image of `gallery`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Higher = more alike.
    pub score: f64,
    /// Who is on the probe image.
    pub probe: Subject,
    /// Who is on the gallery image.
    pub gallery: Subject,
}

/// Genuine and impostor comparisons, the input of the subject-level bootstrap.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparisons {
    /// Comparisons of two images of one person.
    pub genuine: Vec<Comparison>,
    /// Comparisons of two people.
    pub impostor: Vec<Comparison>,
}

impl Comparisons {
    /// The bare scores.
    ///
    /// # Errors
    /// No genuine or no impostor comparison, or a score that is not finite.
    pub fn scores(&self) -> Result<Scores> {
        let bare = |list: &[Comparison]| list.par_iter().map(|c| c.score).collect();
        Scores::new(bare(&self.genuine), bare(&self.impostor))
    }

    /// The mean impostor score: near 0 for cosine in a healthy space, near 1 where the space has collapsed.
    ///
    /// # Errors
    /// No impostor comparison.
    pub fn mean_impostor(&self) -> Result<f64> {
        if self.impostor.is_empty() {
            return Err(EvalError::Empty {
                what: "impostor comparisons",
            });
        }
        let sum: f64 = self.impostor.iter().map(|c| c.score).sum();
        Ok(sum / self.impostor.len() as f64)
    }
}
