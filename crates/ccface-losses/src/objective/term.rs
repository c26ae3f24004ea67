//! The objective's terms by name.

use serde::{Deserialize, Serialize};

use super::ObjectiveConfig;

/// A term of the objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// Margin softmax against the frozen prototypes.
    ClassificationConsistency,
    /// Contrast of LR queries with HR keys.
    CrossResolution,
    /// The LR–LR push as a term of its own.
    Push,
    /// Agreement of the embeddings.
    EmbeddingConsistency,
    /// Agreement of the logits.
    LogitConsistency,
}

impl Term {
    /// Every term, in the order of the sum.
    pub const ALL: [Self; 5] = [
        Self::ClassificationConsistency,
        Self::CrossResolution,
        Self::Push,
        Self::EmbeddingConsistency,
        Self::LogitConsistency,
    ];

    /// The name in metrics, reports and golden files.
    ///
    /// ```
    /// use ccface_losses::Term;
    /// assert_eq!(Term::CrossResolution.name(), "cross_resolution");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Self::ClassificationConsistency => "classification_consistency",
            Self::CrossResolution => "cross_resolution",
            Self::Push => "push",
            Self::EmbeddingConsistency => "embedding_consistency",
            Self::LogitConsistency => "logit_consistency",
        }
    }

    /// The weight of this term in the sum; a term of weight 0 is not computed.
    pub fn weight(self, config: &ObjectiveConfig) -> f64 {
        match self {
            Self::ClassificationConsistency => config.classification,
            Self::CrossResolution => config.cross_resolution,
            Self::Push => config.push,
            Self::EmbeddingConsistency => config.embedding,
            Self::LogitConsistency => config.logit,
        }
    }
}
