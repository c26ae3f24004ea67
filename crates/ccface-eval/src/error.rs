//! What can be wrong with the numbers, labels and files given to an evaluation.

use std::path::PathBuf;

/// An evaluation that cannot be done, with the reason and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A list of scores, labels or probes holds nothing.
    #[error("no {what}: at least one is needed for this measure")]
    Empty {
        /// What is missing, in the plural.
        what: &'static str,
    },
    /// A score is NaN or infinite.
    #[error(
        "{what} number {index} is {value}: scores must be finite; drop failed comparisons and report them as failures to acquire"
    )]
    NotFinite {
        /// Which list it stands in.
        what: &'static str,
        /// Zero-based position.
        index: usize,
        /// The value found.
        value: f64,
    },
    /// An embedding holds NaN or infinity.
    #[error(
        "embedding row {row} holds {value} at column {column} ({bad_rows} such rows in all): leave failed images out of the file and count them as failures to enrol"
    )]
    NotFiniteEmbedding {
        /// First bad row.
        row: usize,
        /// Column of its first bad value.
        column: usize,
        /// The value found.
        value: f32,
        /// How many rows are bad.
        bad_rows: usize,
    },
    /// An embedding of length zero has no direction.
    #[error(
        "embedding row {row} is all zeros ({bad_rows} such rows in all): it has no direction to compare; leave failed images out and count them as failures to enrol"
    )]
    ZeroEmbedding {
        /// First zero row.
        row: usize,
        /// How many rows are zero.
        bad_rows: usize,
    },
    /// Rows of different lengths, or a probe and a gallery of different networks.
    #[error(
        "{what} has dimension {found}, expected {expected}: all embeddings of one evaluation must come from encoders with the same embedding size"
    )]
    Dimension {
        /// What is being compared.
        what: String,
        /// The dimension wanted.
        expected: usize,
        /// The dimension found.
        found: usize,
    },
    /// Two lists that must run in step do not.
    #[error(
        "{what}: expected {expected} entries, found {found}; give one per row, in the same order"
    )]
    Length {
        /// Which list.
        what: String,
        /// How many are wanted.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A rate, share or level outside its range.
    #[error("{what} is {value}, allowed is {range}")]
    OutOfRange {
        /// Which parameter.
        what: &'static str,
        /// The value given.
        value: f64,
        /// The range in words.
        range: &'static str,
    },
    /// The same person in the calibration set and in the test set.
    #[error(
        "{count} identities stand in both the calibration and the test set (first: {first}): a threshold must be chosen on other people than it is reported on; split by identity"
    )]
    IdentityOverlap {
        /// How many are shared.
        count: usize,
        /// One of them.
        first: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what its format says.
    #[error("{path}: {why}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong and how to mend it.
        why: String,
    },
    /// A data set's folder differs from the layout its authors ship.
    #[error("{path}: not a complete {protocol} layout:\n{problems}")]
    Layout {
        /// The root folder given.
        path: PathBuf,
        /// Which protocol.
        protocol: &'static str,
        /// One problem a line: what is expected, what is there.
        problems: String,
    },
    /// Result documents that cannot be compared.
    #[error("cannot compare: {why}")]
    NotComparable {
        /// The reason and the way out.
        why: String,
    },
}

/// The crate's result type.
pub type Result<T> = std::result::Result<T, EvalError>;

impl EvalError {
    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io {
            path: path.into(),
            source,
        }
    }

    pub(crate) fn format(path: impl Into<PathBuf>, why: impl Into<String>) -> Self {
        Self::Format {
            path: path.into(),
            why: why.into(),
        }
    }
}

/// Checks that `value` lies strictly between 0 and 1.
pub(crate) fn open_unit(what: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value < 1.0 {
        Ok(())
    } else {
        Err(EvalError::OutOfRange {
            what,
            value,
            range: "strictly between 0 and 1",
        })
    }
}
