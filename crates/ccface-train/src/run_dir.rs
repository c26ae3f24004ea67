//! The run directory: what a run leaves behind, and how it is written so that a cut never shows half a file.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    RunConfig, Task, TrainError, checkpoint::CheckpointStore, encoder::Assumptions, lock::LOCK_FILE,
};

/// The file that makes a directory a run.
const RUN_FILE: &str = "run.json";

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Training, or cut off while training.
    Running,
    /// All epochs done.
    Finished,
    /// Stopped by the user; the model of the last step is kept.
    Interrupted,
    /// Ended by an error; the message is in `error`.
    Failed,
}

/// What `run.json` says of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of this file's schema.
    pub schema_version: u32,
    /// Version of the program.
    pub ccface_version: String,
    /// `distill` or `train`.
    pub task: Task,
    /// Where the run is.
    pub state: RunState,
    /// BLAKE3 of the resolved configuration.
    pub config_hash: String,
    /// Master seed.
    pub seed: u64,
    /// Device as asked for.
    pub device: String,
    /// Threads of the CPU pool: runs are bitwise equal at one number of threads.
    pub threads: usize,
    /// Data folder.
    pub data: String,
    /// BLAKE3 of the training images.
    pub data_hash: String,
    /// Names of the training identities.
    pub identities: Vec<String>,
    /// Names of the validation identities.
    pub validation: Vec<String>,
    /// The teacher's file, if there is one.
    pub teacher: Option<TeacherRecord>,
    /// Optimiser steps done.
    pub steps: u64,
    /// Epochs done.
    pub epochs: usize,
    /// The best validation, where there was one.
    #[serde(default)]
    pub best: Option<BestValidation>,
    /// Images that could not be used, each with its reason.
    #[serde(default)]
    pub quarantine: Vec<String>,
    /// What ended a failed run.
    pub error: Option<String>,
}

/// The validation with the smallest error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestValidation {
    /// Which number.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// The step it was measured after.
    pub step: u64,
}

/// The teacher of a run, enough to open it again and to notice another file in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeacherRecord {
    /// Its path as resolved.
    pub path: PathBuf,
    /// BLAKE3 of its weights.
    pub hash: String,
    /// Colour order and scale it was run with.
    pub input: ccface_model::InputSpec,
    /// Its licence.
    pub licence: String,
}

impl TeacherRecord {
    /// How to open the teacher again.
    pub fn assumptions(&self) -> Assumptions {
        Assumptions {
            input: self.input.clone(),
            licence: self.licence.clone(),
        }
    }
}

/// Schema version of `run.json`.
pub const RUN_SCHEMA: u32 = 1;

/// A run directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Checks that a new run may begin at `path`, before anything is done for it.
    ///
    /// # Errors
    /// [`TrainError::RunDir`] where a run is there already (unless `overwrite`) or the place holds other files.
    pub fn check_free(path: &Path, overwrite: bool) -> Result<(), TrainError> {
        let refuse = |message: &str| TrainError::RunDir {
            path: path.to_path_buf(),
            message: message.into(),
        };
        if path.is_file() {
            return Err(refuse("is a file; --out takes a directory"));
        }
        if is_run(path) {
            if overwrite {
                return Ok(());
            }
            return Err(refuse(
                "holds a run already. Give another --out, --resume to go on with it, or --overwrite to replace it",
            ));
        }
        if !path.exists() {
            return Ok(());
        }
        for entry in fs::read_dir(path).map_err(TrainError::io(path, "read"))? {
            let entry = entry.map_err(TrainError::io(path, "read"))?;
            if entry.file_name() != LOCK_FILE {
                return Err(refuse("is not empty and holds no run. Give another --out"));
            }
        }
        Ok(())
    }

    /// Makes a new run directory and writes the resolved configuration into it.
    ///
    /// # Errors
    /// As [`check_free`](Self::check_free); [`TrainError::Io`] where it cannot be written.
    pub fn create(path: &Path, config: &RunConfig, overwrite: bool) -> Result<Self, TrainError> {
        Self::check_free(path, overwrite)?;
        fs::create_dir_all(path).map_err(TrainError::io(path, "create"))?;
        for name in [RUN_FILE, "config.toml", "metrics.jsonl", "timing.jsonl"] {
            remove_if_there(&path.join(name))?;
        }
        for name in ["model", "tensorboard", "samples"] {
            let dir = path.join(name);
            if dir.exists() {
                fs::remove_dir_all(&dir).map_err(TrainError::io(&dir, "remove"))?;
            }
        }
        CheckpointStore::of_run(path).remove_all()?;
        Self::reopen(path, config)
    }

    /// Takes an existing run directory and writes the resolved configuration into it.
    ///
    /// # Errors
    /// [`TrainError::Io`] where it cannot be written.
    pub fn reopen(path: &Path, config: &RunConfig) -> Result<Self, TrainError> {
        let run = Self {
            path: path.to_path_buf(),
        };
        write_atomically(&run.config_file(), |file| {
            file.write_all(config.to_toml().as_bytes())
        })?;
        Ok(run)
    }

    /// Opens an existing run directory.
    ///
    /// # Errors
    /// [`TrainError::RunDir`] where there is none.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        if !is_run(path) {
            return Err(TrainError::RunDir {
                path: path.to_path_buf(),
                message: "is no run directory (it has no run.json)".into(),
            });
        }
        Ok(Self {
            path: path.to_path_buf(),
        })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved configuration.
    pub fn config_file(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// The raw per-step values, one JSON object a line.
    pub fn metrics_file(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Throughput and wall time, apart from the metrics because they differ from run to run.
    pub fn timing_file(&self) -> PathBuf {
        self.path.join("timing.jsonl")
    }

    /// The model's directory: weights, card and prototypes.
    pub fn model_dir(&self) -> PathBuf {
        self.path.join("model")
    }

    /// TensorBoard's event files.
    pub fn tensorboard_dir(&self) -> PathBuf {
        self.path.join("tensorboard")
    }

    /// Sample faces and `scores.jsonl`, what teacher and student say of them at each validation.
    pub fn samples_dir(&self) -> PathBuf {
        self.path.join("samples")
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn write_record(&self, record: &RunRecord) -> Result<(), TrainError> {
        let mut text = serde_json::to_string_pretty(record).unwrap_or_default();
        text.push('\n');
        write_atomically(&self.path.join(RUN_FILE), |file| {
            file.write_all(text.as_bytes())
        })
    }

    /// Reads `run.json`.
    ///
    /// # Errors
    /// [`TrainError::Io`] where it cannot be read, [`TrainError::RunDir`] where it is no such file.
    pub fn read_record(&self) -> Result<RunRecord, TrainError> {
        let path = self.path.join(RUN_FILE);
        let text = fs::read_to_string(&path).map_err(TrainError::io(&path, "read"))?;
        serde_json::from_str(&text).map_err(|error| TrainError::RunDir {
            path,
            message: format!("is damaged or of another version: {error}"),
        })
    }
}

/// Whether a directory is a run.
pub fn is_run(path: &Path) -> bool {
    path.join(RUN_FILE).is_file()
}

/// The model inside a run directory, or the path itself where it is no run.
pub fn model_path(path: &Path) -> PathBuf {
    if is_run(path) {
        path.join("model")
    } else {
        path.to_path_buf()
    }
}

/// The prototypes' file of a run or model directory.
pub fn head_file(path: &Path) -> PathBuf {
    let model = model_path(path);
    let dir = if model.is_dir() {
        model
    } else {
        model.parent().unwrap_or(Path::new("")).to_path_buf()
    };
    dir.join("prototypes.safetensors")
}

fn remove_if_there(path: &Path) -> Result<(), TrainError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(TrainError::io(path, "remove")(error))
        }
        _ => Ok(()),
    }
}

/// Writes a file under a temporary name, flushes it to the disk and renames it into place.
pub(crate) fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), TrainError> {
    let temporary = path.with_extension("tmp");
    let result = File::create(&temporary).and_then(|mut file| {
        write(&mut file)?;
        file.sync_all()
    });
    if let Err(error) = result {
        let _ = fs::remove_file(&temporary);
        return Err(TrainError::io(path, "write")(error));
    }
    fs::rename(&temporary, path).map_err(TrainError::io(path, "write"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_second_run_does_not_overwrite_the_first_unless_told() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("run");
        let config = RunConfig::default();
        let run = RunDir::create(&out, &config, false).unwrap();
        fs::write(run.path().join(RUN_FILE), "{}").unwrap();
        let message = RunDir::create(&out, &config, false)
            .unwrap_err()
            .to_string();
        assert!(message.contains("--overwrite"), "{message}");
        assert!(RunDir::create(&out, &config, true).is_ok());
        assert!(!is_run(&out));
    }

    #[test]
    fn a_directory_with_other_files_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "x").unwrap();
        assert!(RunDir::create(dir.path(), &RunConfig::default(), true).is_err());
        assert!(dir.path().join("thesis.tex").exists());
    }
}
