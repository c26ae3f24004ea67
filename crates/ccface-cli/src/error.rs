//! What the command line says when it cannot go on.

use std::path::{Path, PathBuf};

use ccface_train::TrainError;

/// An error with an exit code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// From training or evaluation.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// From reading data.
    #[error(transparent)]
    Data(#[from] ccface_data::DataError),
    /// From a model file.
    #[error(transparent)]
    Model(#[from] ccface_model::ModelError),
    /// From the evaluation.
    #[error(transparent)]
    Eval(#[from] ccface_eval::EvalError),
    /// From aligning faces.
    #[error(transparent)]
    Align(#[from] ccface_data::align::AlignError),
    /// A file could not be read or written.
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The options do not fit together.
    #[error("{0}")]
    Usage(String),
}

impl CliError {
    /// 1 for a run that failed on the way, 3 for one whose numbers stopped being finite, 2 for input that has to be mended.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Train(TrainError::NotFinite { .. } | TrainError::Diverged { .. }) => 3,
            Self::Train(TrainError::Training(_) | TrainError::Probe { .. }) => 1,
            _ => 2,
        }
    }

    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            path,
            action,
            source,
        }
    }
}
