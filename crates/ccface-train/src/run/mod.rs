//! From a configuration to a finished run: `distill` and `train` share everything but the head.

mod head;
mod launch;
mod plan;
mod save;

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, atomic::AtomicBool},
};

use crate::{
    RunConfig, Task, TrainError,
    renderer::ProgressSink,
    run_dir::{RunDir, RunState},
    teacher::CacheOutcome,
};
use launch::launch;
use plan::Plan;

/// A run to be done.
pub struct RunRequest {
    /// `distill` or `train`.
    pub task: Task,
    /// What decides the run.
    pub config: RunConfig,
    /// Where the configuration came from, for messages.
    pub origin: String,
    /// The run directory.
    pub out: PathBuf,
    /// Replace a run that is there already.
    pub overwrite: bool,
    /// Show burn's terminal dashboard instead of plain lines.
    pub tui: bool,
    /// Where plain progress lines go.
    pub progress: ProgressSink,
    /// Set from outside (Ctrl-C) to stop after the current step.
    pub stop: Arc<AtomicBool>,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// How it ended.
    pub state: RunState,
    /// The run directory.
    pub out: PathBuf,
    /// Steps done.
    pub steps: u64,
    /// Training images that went through the student, per second of step time.
    pub images_per_second: f64,
    /// Last validation: name and EER in percent.
    pub validation: Vec<(String, f64)>,
    /// What the teacher cache did.
    pub cache: Option<CacheOutcome>,
}

/// Runs a configuration from data to a saved model.
///
/// # Errors
/// Everything that [`TrainError`] names. After the run directory was made, `run.json` says how the run ended, and the
/// model of the last good step is saved whatever ended it.
pub fn run(request: RunRequest) -> Result<RunSummary, TrainError> {
    request.config.validate(request.task, &request.origin)?;
    let device = request.config.device_spec()?.resolve()?;
    let say = Say(request.progress.clone());
    let mut plan = Plan::build(&request, &device, &say)?;
    let run = RunDir::create(&request.out, &plan.config, request.overwrite)?;
    run.write_record(&plan.record)?;
    let result = launch(&request, &mut plan, &run, &device);
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(error) => {
            plan.record.state = RunState::Failed;
            plan.record.error = Some(error.to_string());
            run.write_record(&plan.record)?;
            return Err(error);
        }
    };
    plan.record.steps = outcome.steps;
    plan.record.epochs = outcome.epochs;
    plan.record.state = match (&outcome.error, outcome.interrupted) {
        (Some(_), _) => RunState::Failed,
        (None, true) => RunState::Interrupted,
        (None, false) => RunState::Finished,
    };
    plan.record.error = outcome.error.as_ref().map(ToString::to_string);
    run.write_record(&plan.record)?;
    if let Some(error) = outcome.error {
        return Err(error);
    }
    Ok(RunSummary {
        state: plan.record.state,
        out: request.out,
        steps: outcome.steps,
        images_per_second: outcome.images as f64 / outcome.training_time.as_secs_f64().max(1e-9),
        validation: outcome
            .last_validation
            .map(|report| report.scalars)
            .unwrap_or_default(),
        cache: plan.cache,
    })
}

/// Short lines about what happens before training.
struct Say(ProgressSink);

impl Say {
    fn line(&self, text: &str) {
        let mut sink = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(sink, "{text}").and_then(|()| sink.flush());
    }
}
