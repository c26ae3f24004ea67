//! What runs lie in a folder, where each of them is, and whether it can go on.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    RunConfig, Task, TrainError,
    checkpoint::{CheckpointStore, Manifest},
    lock::LOCK_FILE,
    run_dir::{BestValidation, RunDir, RunState, is_run},
};

/// Where a run is, as it shows from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A process trains in it.
    Running,
    /// It says that it trains, but no process does: it was killed.
    CutOff,
    /// All epochs done.
    Finished,
    /// Stopped by the user.
    Interrupted,
    /// Ended by an error.
    Failed,
    /// Its `run.json` cannot be read.
    Damaged,
}

/// One checkpoint and whether it is sound.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckpointOverview {
    /// The directory's name.
    pub name: String,
    /// Steps done when it was written.
    pub step: u64,
    /// Why it is not used; none where it is sound.
    pub rejected: Option<String>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunOverview {
    /// Its directory.
    pub path: PathBuf,
    /// `distill` or `train`; none where `run.json` is damaged.
    pub task: Option<Task>,
    /// Where it is.
    pub standing: Standing,
    /// Steps done, as far as anything on disk knows.
    pub step: u64,
    /// Epochs the configuration asks for.
    pub epochs: Option<usize>,
    /// The best validation so far.
    pub best: Option<BestValidation>,
    /// What ended it, or what is wrong with `run.json`.
    pub error: Option<String>,
    /// Its checkpoints, newest first.
    pub checkpoints: Vec<CheckpointOverview>,
}

/// Looks at a run directory, or at the runs in a folder, sorted by name.
///
/// # Errors
/// [`TrainError::Io`] for a folder that cannot be read, [`TrainError::RunDir`] where there is no run.
pub fn survey(dir: &Path) -> Result<Vec<RunOverview>, TrainError> {
    if is_run(dir) {
        return Ok(vec![overview(dir)?]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(TrainError::io(dir, "read"))? {
        let path = entry.map_err(TrainError::io(dir, "read"))?.path();
        if is_run(&path) {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(TrainError::RunDir {
            path: dir.to_path_buf(),
            message: "holds no run (a directory with run.json), and is none".into(),
        });
    }
    found.sort();
    found.iter().map(|path| overview(path)).collect()
}

fn overview(dir: &Path) -> Result<RunOverview, TrainError> {
    let run = RunDir::open(dir)?;
    let checkpoints: Vec<CheckpointOverview> = CheckpointStore::of_run(dir)
        .list()?
        .into_iter()
        .map(|checkpoint| CheckpointOverview {
            name: checkpoint.name(),
            step: checkpoint.step,
            rejected: Manifest::verified(&checkpoint.path)
                .err()
                .map(|rejection| rejection.reason),
        })
        .collect();
    let newest = checkpoints.iter().find(|c| c.rejected.is_none());
    let saved = newest.map_or(0, |checkpoint| checkpoint.step);
    let epochs = fs::read_to_string(run.config_file())
        .ok()
        .and_then(|text| toml::from_str::<RunConfig>(&text).ok())
        .map(|config| config.train.total_epochs());
    let record = match run.read_record() {
        Ok(record) => record,
        Err(error) => {
            return Ok(RunOverview {
                path: dir.to_path_buf(),
                task: None,
                standing: Standing::Damaged,
                step: saved,
                epochs,
                best: None,
                error: Some(error.to_string()),
                checkpoints,
            });
        }
    };
    let best = newest
        .and_then(|checkpoint| {
            crate::checkpoint::best_of(&CheckpointStore::of_run(dir).dir().join(&checkpoint.name))
        })
        .or(record.best);
    let standing = match record.state {
        RunState::Running if held(dir) => Standing::Running,
        RunState::Running => Standing::CutOff,
        RunState::Finished => Standing::Finished,
        RunState::Interrupted => Standing::Interrupted,
        RunState::Failed => Standing::Failed,
    };
    Ok(RunOverview {
        path: dir.to_path_buf(),
        task: Some(record.task),
        standing,
        step: record.steps.max(saved),
        epochs,
        best,
        error: record.error,
        checkpoints,
    })
}

/// Whether a process holds the run's lock.
fn held(dir: &Path) -> bool {
    File::open(dir.join(LOCK_FILE))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
