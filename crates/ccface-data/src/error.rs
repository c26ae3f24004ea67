//! Everything that can go wrong between a file on disk and a batch of numbers.

use std::path::{Path, PathBuf};

/// What a user can cause while faces are found, read, paired or batched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The data path does not exist.
    #[error("{}: no such {what}; check the path (relative paths start at the current folder)", path.display())]
    Missing {
        /// The path as given.
        path: PathBuf,
        /// What was expected there, such as `folder` or `file`.
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
    /// The path exists and holds something else than was expected.
    #[error("{}: {problem}", path.display())]
    Layout {
        /// The path that was read.
        path: PathBuf,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// One image cannot be used.
    #[error("{name}: {reason}")]
    Image {
        /// The image, by path or by name within its source.
        name: String,
        /// Why it cannot be used.
        reason: ImageProblem,
    },
    /// One identity holds fewer images than asked for.
    #[error(
        "{name}: {found} image(s), but at least {needed} per identity are needed; add images, remove the folder, or leave the identity out of the selection"
    )]
    TooFewImages {
        /// The identity, by path or by name.
        name: String,
        /// How many images it holds.
        found: usize,
        /// How many were asked for.
        needed: usize,
    },
    /// An identity selection cannot be understood or names nobody.
    #[error("identity selection '{text}': {problem}")]
    Selection {
        /// The selection, or its part, as given.
        text: String,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// A setting of the pairs, the loader or the degradation is out of range.
    #[error("{key} = {value}: {problem}")]
    Config {
        /// The setting's name.
        key: String,
        /// The value as given.
        value: String,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// An index beyond the source's last image.
    #[error("image {index} was asked for, but the source holds {len}")]
    OutOfRange {
        /// The index asked for.
        index: usize,
        /// The number of images.
        len: usize,
    },
    /// A file breaks its format.
    #[error("{}: {problem} (at byte {offset})", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// More images are bad than the error budget allows.
    #[error(
        "{bad} of {total} images cannot be used, more than the error budget of {budget:.3} % allows; the first ones: {worst}; repair or remove them (a verification of the source lists them all), or raise the budget"
    )]
    Budget {
        /// Distinct bad images seen so far.
        bad: usize,
        /// Images in the source.
        total: usize,
        /// The budget in per cent.
        budget: f64,
        /// The first bad files with their reasons.
        worst: String,
    },
    /// A loader thread ended without a word.
    #[error("a data loader thread stopped unexpectedly; run again with 0 workers to see why")]
    Worker,
}

/// Why one image cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ImageProblem {
    /// A file of zero bytes.
    #[error("the file is empty (0 bytes); restore or remove it")]
    Empty,
    /// The first bytes belong to no known image format.
    #[error(
        "not an image: the content is none of JPEG, PNG, BMP or PGM/PPM, whatever the file's extension says; remove it from the identity's folder or convert it"
    )]
    NotAnImage,
    /// The compressed file is larger than allowed.
    #[error(
        "the file has {bytes} bytes, more than the limit of {limit}; shrink it or raise the limit"
    )]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The decoded picture would be larger than allowed.
    #[error(
        "the picture is larger than allowed when decoded ({detail}); shrink it or raise the limit"
    )]
    Oversized {
        /// What the decoder said.
        detail: String,
    },
    /// The decoder gave up.
    #[error(
        "the image cannot be decoded ({detail}); it is damaged or cut short: restore or remove it"
    )]
    Corrupt {
        /// What the decoder said.
        detail: String,
    },
    /// The decoder panicked.
    #[error("the decoder failed on this image in an unforeseen way; restore or remove it")]
    DecoderPanic,
    /// The file cannot be read.
    #[error("the file cannot be read ({detail}); check that it exists and its permissions")]
    Unreadable {
        /// What the system said.
        detail: String,
    },
    /// The record holds no image or a damaged header.
    #[error("the record is damaged ({detail})")]
    Record {
        /// What is wrong with it.
        detail: String,
    },
    /// The record's label names no identity.
    #[error("the label {label} is out of range ({detail})")]
    Label {
        /// The label as stored.
        label: String,
        /// What is allowed.
        detail: String,
    },
}

impl DataError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        DataError::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn layout(path: &Path, problem: impl Into<String>) -> Self {
        DataError::Layout {
            path: path.to_path_buf(),
            problem: problem.into(),
        }
    }

    pub(crate) fn image(name: impl Into<String>, reason: ImageProblem) -> Self {
        DataError::Image {
            name: name.into(),
            reason,
        }
    }

    /// The problem of the one image that this error is about; any other error as an unreadable image.
    pub(crate) fn into_problem(self) -> ImageProblem {
        match self {
            DataError::Image { reason, .. } => reason,
            other => ImageProblem::Unreadable {
                detail: crate::decode::one_line(&other),
            },
        }
    }

    pub(crate) fn format(path: &Path, offset: u64, problem: impl Into<String>) -> Self {
        DataError::Format {
            path: path.to_path_buf(),
            offset,
            problem: problem.into(),
        }
    }

    pub(crate) fn config(
        key: impl Into<String>,
        value: impl std::fmt::Display,
        problem: impl Into<String>,
    ) -> Self {
        DataError::Config {
            key: key.into(),
            value: value.to_string(),
            problem: problem.into(),
        }
    }
}
