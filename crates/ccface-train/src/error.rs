//! What can go wrong between a configuration and a finished run, said so that it can be mended.

use std::path::{Path, PathBuf};

use ccface_data::DataError;
use ccface_model::ModelError;

/// An error of training, distillation or evaluation that a user can cause and mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The configuration is wrong; every mistake is listed.
    #[error("{origin}: {}", list(.mistakes))]
    Config {
        /// The file or option the configuration came from.
        origin: String,
        /// Each mistake with its mend.
        mistakes: Vec<String>,
    },
    /// The device is unknown, not compiled in, or not there.
    #[error("{0}")]
    Device(String),
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A model file cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A teacher cannot be run.
    #[error("teacher {path}: {message}")]
    Teacher {
        /// The teacher's file.
        path: PathBuf,
        /// What is wrong and how to mend it.
        message: String,
    },
    /// A file or directory could not be read or written.
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried, as in "write" or "create".
        action: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The run directory holds something that must not be overwritten.
    #[error("{path}: {message}")]
    RunDir {
        /// The run directory.
        path: PathBuf,
        /// What is wrong and how to mend it.
        message: String,
    },
    /// A file of embeddings cannot be written, continued or merged.
    #[error("{path}: {message}")]
    Embedding {
        /// The file.
        path: PathBuf,
        /// What is wrong and how to mend it.
        message: String,
    },
    /// The evaluation cannot be computed from this data.
    #[error("evaluation: {0}")]
    Evaluation(String),
    /// Losses or gradients were not finite, and neither leaving batches out nor going back helped.
    #[error(
        "step {step}: {quantity} is not finite (learning rate {learning_rate:.3e}), after {skipped} skipped steps and {rollbacks} \
         returns to a checkpoint. Samples of the batch: {samples}. Lower optimiser.learning_rate, or look at these images; \
         checkpoints hold finite weights only"
    )]
    NotFinite {
        /// The optimiser step, from 1.
        step: u64,
        /// Which number.
        quantity: &'static str,
        /// The learning rate of the step.
        learning_rate: f64,
        /// Names of the batch's images.
        samples: String,
        /// Steps that were left out before.
        skipped: u64,
        /// How often the run went back.
        rollbacks: u32,
    },
    /// A weight or running statistic is not finite although loss and gradient were.
    #[error(
        "step {step}: a weight or a running statistic is not finite; no checkpoint and no model was written of it. Lower \
         optimiser.learning_rate, or set optimiser.clip_norm"
    )]
    Diverged {
        /// The step after which it was found.
        step: u64,
    },
    /// A checkpoint cannot be gone on from.
    #[error("{path}: {message}")]
    Checkpoint {
        /// The checkpoint's directory, or the folder of them.
        path: PathBuf,
        /// What is wrong and how to mend it.
        message: String,
    },
    /// The first step does not fit the machine.
    #[error(
        "the probe step with a batch of {batch} failed: {message}. Choose a smaller train.batch; train.accumulate = 2 keeps the \
         number of faces behind each update"
    )]
    Probe {
        /// Faces of a batch.
        batch: usize,
        /// What the device said.
        message: String,
    },
    /// Long work before or between steps ended because the run was asked to stop.
    #[error("stopped before the first step")]
    Stopped,
    /// The training machinery reported an error.
    #[error("training stopped: {0}")]
    Training(String),
}

impl TrainError {
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            path,
            action,
            source,
        }
    }

    pub(crate) fn config(origin: impl Into<String>, mistake: impl Into<String>) -> Self {
        Self::Config {
            origin: origin.into(),
            mistakes: vec![mistake.into()],
        }
    }
}

fn list(mistakes: &[String]) -> String {
    match mistakes {
        [one] => one.clone(),
        many => {
            let lines: Vec<String> = many.iter().map(|m| format!("\n  - {m}")).collect();
            format!("{} mistakes:{}", many.len(), lines.concat())
        }
    }
}
