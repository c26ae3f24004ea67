//! What can go wrong with a model, and how to mend it.

use std::path::{Path, PathBuf};

/// An error that the user of a model or a weight file can cause.
///
/// Every message says what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file or folder cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A model card cannot be used.
    #[error("{path}: field `{field}`: {reason}")]
    Card {
        /// The card, normally `model.json`.
        path: PathBuf,
        /// The field that is at fault.
        field: String,
        /// What is wrong with it and how to mend it.
        reason: String,
    },
    /// A weight file is no safetensors file, is damaged, or is larger than allowed.
    #[error("{path}: {reason}")]
    WeightFile {
        /// The weight file.
        path: PathBuf,
        /// What is wrong with it and how to mend it.
        reason: String,
    },
    /// The tensors of a weight file are not those of the architecture.
    #[error("{path} does not hold the weights of {architecture}:\n  {}", .problems.join("\n  "))]
    WeightMismatch {
        /// The weight file.
        path: PathBuf,
        /// The architecture in words.
        architecture: String,
        /// Every missing, unknown or misshapen tensor.
        problems: Vec<String>,
    },
    /// A file is no usable ONNX network.
    #[error("{path}: {reason}")]
    Onnx {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and how to mend it.
        reason: String,
    },
    /// An ONNX graph has not the structure that was asked for.
    #[error("{path} is not a {architecture}:\n  {}", .problems.join("\n  "))]
    OnnxMismatch {
        /// The file.
        path: PathBuf,
        /// The structure that was asked for.
        architecture: String,
        /// Every node that differs, with the found and the expected shape.
        problems: Vec<String>,
    },
    /// A network cannot be written for another program.
    #[error("export: {0}")]
    Export(String),
    /// Embeddings, labels or prototypes do not fit together.
    #[error("{0}")]
    Prototypes(String),
}

impl ModelError {
    /// Attaches the path to an input or output error.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    /// A damaged or refused weight file.
    pub(crate) fn weight_file(path: &Path, reason: impl Into<String>) -> Self {
        Self::WeightFile {
            path: path.to_path_buf(),
            reason: reason.into(),
        }
    }

    /// An unusable ONNX file.
    pub(crate) fn onnx(path: &Path, reason: impl Into<String>) -> Self {
        Self::Onnx {
            path: path.to_path_buf(),
            reason: reason.into(),
        }
    }
}
