//! What a run leaves for those who watch it, beside the metrics: TensorBoard's events and sample faces with their scores.

mod samples;

pub(crate) use samples::Samples;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ccface_model::Backbone;
use serde_json::Value as Json;

use crate::{
    RunConfig, TrainError,
    encoder::FaceEncoder,
    metrics::{JsonLines, Report, unix_time},
    run_dir::RunDir,
    tensorboard::TensorBoard,
    trainee::StepContext,
    validation::ValidationSet,
};

/// Length of a run, for whoever estimates the time that is left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    pub(crate) epochs: usize,
    pub(crate) steps_per_epoch: usize,
}

impl Length {
    fn steps(self) -> u64 {
        self.epochs as u64 * self.steps_per_epoch as u64
    }
}

/// Writes for the watchers. Trouble here is said once and ends the watching, never the run.
pub(crate) struct Dashboard {
    board: Mutex<Option<TensorBoard>>,
    samples: Mutex<Option<Samples>>,
}

impl Dashboard {
    /// Opens what the configuration asks for, and notes the start of the run, or of its continuation, in `timing.jsonl`.
    pub(crate) fn open(
        run: &RunDir,
        config: &RunConfig,
        length: Length,
        teacher: Option<Arc<dyn FaceEncoder>>,
        people: &[String],
        timing: &mut JsonLines,
    ) -> Self {
        if let Err(error) = note_start(timing, length) {
            log::warn!("timing: {error}");
        }
        let board = config.log.tensorboard.then(|| {
            let mut board = TensorBoard::create(&run.tensorboard_dir(), length.steps())?;
            board.configuration(unix_time(), &config.to_toml())?;
            Ok(board)
        });
        let samples = (config.log.samples > 0).then(|| {
            let dir: PathBuf = run.samples_dir();
            Samples::new(dir, config.log.samples, people.to_vec(), teacher)
        });
        Self {
            board: Mutex::new(board.and_then(|board| usable("TensorBoard", board))),
            samples: Mutex::new(samples),
        }
    }

    /// A training step, with the numbers that went to the metrics.
    pub(crate) fn step(&self, step: u64, report: &Report, elapsed: Duration) {
        let mut report = report.clone();
        let rate = report.samples as f64 / elapsed.as_secs_f64().max(1e-9);
        report.push("images_per_second", rate);
        self.on_board(|board| board.step(unix_time(), step, &report));
    }

    /// A validation, with the numbers that went to the metrics; looks at the sample faces with the student as it is.
    pub(crate) fn validation(
        &self,
        (epoch, step): (usize, u64),
        report: &Report,
        set: &ValidationSet,
        student: &Backbone,
        context: &StepContext,
    ) {
        self.on_board(|board| board.validation(unix_time(), step, report));
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(keeper) = samples.as_mut() else {
            return;
        };
        match keeper.look((epoch, step), set, student, context) {
            Ok(values) => self.on_board(|board| board.values(unix_time(), step, values)),
            Err(error) => {
                log::warn!("sample faces are no longer kept: {error}");
                *samples = None;
            }
        }
    }

    fn on_board(&self, write: impl FnOnce(&mut TensorBoard) -> Result<(), TrainError>) {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(error)) = board.as_mut().map(write) {
            log::warn!("TensorBoard's events are no longer written: {error}");
            *board = None;
        }
    }
}

fn usable<T>(what: &str, result: Result<T, TrainError>) -> Option<T> {
    result
        .inspect_err(|error| log::warn!("{what}'s events are not written: {error}"))
        .ok()
}

fn note_start(timing: &mut JsonLines, length: Length) -> Result<(), TrainError> {
    let head: [(&str, Json); 4] = [
        ("kind", "start".into()),
        ("epochs", length.epochs.into()),
        ("steps_per_epoch", length.steps_per_epoch.into()),
        ("unix_time", unix_time().into()),
    ];
    timing.write(&head, &Report::default())
}
