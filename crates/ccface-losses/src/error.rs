//! What can go wrong here through a user's doing: a damaged queue record.

use thiserror::Error;

/// An error of this crate that a user can cause.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LossError {
    /// A key queue's record contradicts itself.
    #[error(
        "the key queue's record is damaged: {what}; resume from an older checkpoint, or start the run anew"
    )]
    QueueRecord {
        /// The contradiction, in words.
        what: String,
    },
}
