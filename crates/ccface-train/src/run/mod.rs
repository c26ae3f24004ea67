//! From a configuration to a finished run: `distill` and `train` share everything but the head.

mod estimate;
mod head;
mod launch;
mod networks;
mod plan;
mod probe;
mod save;
mod start;

use std::{path::PathBuf, time::Duration};

use crate::{
    RunConfig, Task, TrainError,
    lock::RunLock,
    renderer::{ProgressSink, Say},
    run_dir::{BestValidation, RunDir, RunState, is_run},
    signals::RunSignals,
    teacher::CacheOutcome,
};
pub use estimate::{RunEstimate, estimate};
use launch::launch;
use networks::Embed;
use plan::Plan;

/// How long a run waits for the one before it in the same directory to be gone.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

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
    /// Go on with a run that is there already.
    pub resume: Resume,
    /// Show burn's terminal dashboard instead of plain lines.
    pub tui: bool,
    /// Where plain progress lines go.
    pub progress: ProgressSink,
    /// Set from outside to stop after the current step, or to write a checkpoint.
    pub signals: RunSignals,
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
    /// Images that could not be used, each with its reason.
    pub left_out: Vec<String>,
    /// Steps that were left out because their numbers were not finite.
    pub skipped_steps: u64,
}

/// How a run treats one that is in its directory already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Resume {
    /// Refuses it, or replaces it where `overwrite` says so.
    #[default]
    Never,
    /// Goes on from its newest sound checkpoint; begins where there is nothing yet.
    Auto,
    /// Goes on from this checkpoint of it.
    From(PathBuf),
}

/// Runs a configuration from data to a saved model.
///
/// # Errors
/// Everything that [`TrainError`] names. After the run directory was made, `run.json` says how the run ended, and the
/// model of the last good step is saved whatever ended it.
pub fn run(request: RunRequest) -> Result<RunSummary, TrainError> {
    request.config.validate(request.task, &request.origin)?;
    let device = request.config.device_spec()?.resolve()?;
    let _lock = RunLock::take(&request.out, LOCK_PATIENCE)?;
    let resume = request.resume != Resume::Never && is_run(&request.out);
    if resume && let Some(summary) = finished(&request)? {
        return Ok(summary);
    }
    if !resume {
        if let Resume::From(path) = &request.resume {
            return Err(TrainError::Checkpoint {
                path: path.clone(),
                message: format!(
                    "{} holds no run that could go on from it",
                    request.out.display()
                ),
            });
        }
        RunDir::check_free(&request.out, request.overwrite)?;
    }
    let say = Say::new(request.progress.clone());
    let mut plan = Plan::build(&request, &device, &say, Embed::Teacher)?;
    let run = if resume {
        RunDir::reopen(&request.out, &plan.config)?
    } else {
        RunDir::create(&request.out, &plan.config, request.overwrite)?
    };
    run.write_record(&plan.record)?;
    let outcome = match launch(&request, &mut plan, &run, &device, &say) {
        Ok(outcome) => outcome,
        Err(error) => {
            plan.record.state = RunState::Failed;
            plan.record.error = Some(error.to_string());
            note_end(&run, &plan);
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
    plan.record.best = outcome.best.map(|(metric, value, step)| BestValidation {
        metric,
        value,
        step,
    });
    plan.record.error = outcome.error.as_ref().map(ToString::to_string);
    if let Some(error) = outcome.error {
        note_end(&run, &plan);
        return Err(error);
    }
    run.write_record(&plan.record)?;
    Ok(RunSummary {
        state: plan.record.state,
        out: request.out,
        steps: outcome.steps,
        images_per_second: outcome.images as f64 / outcome.training_time.as_secs_f64().max(1e-9),
        validation: outcome.last_validation,
        cache: plan.cache,
        left_out: plan.record.quarantine,
        skipped_steps: outcome.skipped,
    })
}

/// Says in `run.json` how a failed run ended; where even that cannot be written, the first error is the one to report.
fn note_end(run: &RunDir, plan: &Plan) {
    if let Err(error) = run.write_record(&plan.record) {
        log::warn!("{error}");
    }
}

/// The summary of a run that needs nothing more.
fn finished(request: &RunRequest) -> Result<Option<RunSummary>, TrainError> {
    let record = RunDir::open(&request.out)?.read_record()?;
    if record.task != request.task {
        return Err(TrainError::RunDir {
            path: request.out.clone(),
            message:
                "holds a run of the other command; distill and train do not go on from each other"
                    .into(),
        });
    }
    Ok((record.state == RunState::Finished).then(|| RunSummary {
        state: RunState::Finished,
        out: request.out.clone(),
        steps: record.steps,
        images_per_second: 0.0,
        validation: Vec::new(),
        cache: None,
        left_out: record.quarantine,
        skipped_steps: 0,
    }))
}
