//! Everything that can go wrong between landmarks and an aligned face.

use std::path::PathBuf;

/// What a user can cause while faces are aligned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlignError {
    /// A folder or a file is not there.
    #[error("{}: no such {what}; check the path (relative paths start at the current folder)", path.display())]
    Missing {
        /// The path as given.
        path: PathBuf,
        /// What was expected there.
        what: &'static str,
    },
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path that was touched.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The landmark file breaks its format.
    #[error("{}, line {line}, column '{column}': {problem}", path.display())]
    Landmarks {
        /// The landmark file.
        path: PathBuf,
        /// The line, the header being line 1.
        line: u64,
        /// The column's name.
        column: String,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// The landmarks determine no similarity.
    #[error("the five landmarks determine no alignment: {problem}")]
    Degenerate {
        /// What is wrong with them.
        problem: String,
    },
    /// A setting is out of range.
    #[error("{key} = {value}: {problem}")]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// The value as given.
        value: String,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// The output would overwrite the input.
    #[error("{}: the aligned faces would overwrite their pictures; give another output folder", path.display())]
    OutputIsInput {
        /// The folder given twice.
        path: PathBuf,
    },
    /// An aligned face cannot be encoded.
    #[error("{}: cannot encode the aligned face ({detail})", path.display())]
    Encode {
        /// The file to be written.
        path: PathBuf,
        /// What the encoder said.
        detail: String,
    },
}
