//! A plan handed to burn-train, with our strategy under it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use burn::{
    optim::SgdConfig,
    tensor::Device,
    train::{
        Interrupter, Learner, SupervisedTraining, TrainingStrategy, logger::InMemoryMetricLogger,
        renderer::MetricsRenderer,
    },
};
use ccface_losses::Term;

use super::{RunRequest, plan::Plan, probe::probe, save::save, start::start};
use crate::{
    RunConfig, Task, TrainError, checkpoint,
    dashboard::{Dashboard, Length},
    loader::OneItem,
    metrics::{ScalarKind, ScalarMetric},
    renderer::{PlainRenderer, Say, TerminalDashboard},
    run_dir::RunDir,
    strategy::{Outcome, Strategy},
    validation::ValidationSet,
};

/// Trains what a plan holds, from the beginning or from a checkpoint, and saves the model.
///
/// # Errors
/// What keeps the run from beginning; an error on the way is in the outcome, beside the model of the last good step.
pub(super) fn launch(
    request: &RunRequest,
    plan: &mut Plan,
    run: &RunDir,
    device: &Device,
    say: &Say,
) -> Result<Outcome, TrainError> {
    let config = plan.config.clone();
    let loader = plan.loader(request.task)?;
    let stepper = plan.stepper(&loader, device);
    let Some(trainee) = plan.trainee.take() else {
        return Err(TrainError::Training("the run was launched twice".into()));
    };
    let trainee = if config.guard.probe {
        probe(&stepper, &loader, trainee)?.0
    } else {
        trainee
    };
    let first = (config.train.members > 1)
        .then(|| checkpoint::pack(&trainee))
        .transpose()?;
    let mut begin = start(request, plan, run, &stepper, trainee, say)?;
    loader.restore_quarantine(&begin.live.progress.quarantine);
    let cursor = begin.live.progress.cursor;
    let epoch = cursor.epoch;
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let dashboard = Dashboard::open(
        run,
        &config,
        Length {
            epochs: config.train.total_epochs(),
            steps_per_epoch: stepper.steps_per_epoch,
        },
        plan.teacher.clone(),
        &plan.record.validation,
        &mut begin.streams.timing,
    );
    let strategy = Strategy {
        dashboard,
        stepper,
        first,
        loader: loader.clone(),
        keeper: begin.keeper,
        streams: Mutex::new(begin.streams),
        start: Mutex::new(Some(begin.live)),
        outcome: outcome.clone(),
        signals: request.signals.clone(),
        say: say.clone(),
    };
    let kinds = step_kinds(request.task, &config);
    let valid_kinds = plan.validation.kinds();
    let validation = Arc::new(std::mem::replace(
        &mut plan.validation,
        ValidationSet::empty(),
    ));
    let interrupter = Interrupter::new();
    let renderer: Box<dyn MetricsRenderer> = if request.tui {
        say.hold();
        Box::new(TerminalDashboard::new(
            interrupter.clone(),
            (epoch > 1).then(|| epoch - 1),
            request.signals.clone(),
        ))
    } else {
        let shown = vec![
            "loss",
            "lr_accuracy",
            "margin_mean",
            "push_share",
            "images_per_second",
        ];
        Box::new(
            PlainRenderer::new(request.progress.clone(), shown)
                .going_on_after(cursor.batch * config.train.batch),
        )
    };
    let train = Arc::new(loader.clone());
    let model = catch_unwind(AssertUnwindSafe(|| {
        let mut training =
            SupervisedTraining::new(run.path(), train, Arc::new(OneItem(validation)))
                .with_application_logger(None)
                .with_metric_logger(InMemoryMetricLogger::default())
                .with_interrupter(interrupter)
                .renderer(renderer)
                .num_epochs(config.train.total_epochs())
                .with_training_strategy(TrainingStrategy::Custom(Arc::new(strategy)));
        if epoch > 1 {
            // Only says where the progress begins: the strategy restores by itself.
            training = training.checkpoint(epoch - 1);
        }
        for kind in kinds {
            training = training.metric_train_numeric(ScalarMetric::new(kind));
        }
        for kind in valid_kinds {
            training = training.metric_valid_numeric(ScalarMetric::new(kind));
        }
        // The strategy has its own optimiser and rate; the learner cannot be without one, so it gets the plainest.
        let result = training.launch(Learner::new(begin.trainee, SgdConfig::new().init(), 0.0));
        drop(result.renderer);
        result.model
    }))
    .map_err(|panic| TrainError::Training(panic_message(panic.as_ref())));
    say.release();
    let model = model?;
    let mut outcome = std::mem::take(&mut *outcome.lock().unwrap_or_else(PoisonError::into_inner));
    if let Some(error) = loader.take_failure() {
        outcome.error = Some(error.into());
    }
    let found = loader.quarantine();
    let found = found
        .iter()
        .map(|bad| format!("{}: {}", bad.name, bad.reason));
    plan.record.quarantine = plan
        .source
        .rejected()
        .iter()
        .map(|bad| format!("{}: {}", bad.name, bad.reason))
        .chain(found)
        .collect();
    let student = outcome.kept.as_ref().unwrap_or(&model.student);
    match (checkpoint::all_finite(student)?, &outcome.error) {
        (true, None) => save(plan, run, student, model.head.as_ref())?,
        (true, Some(_)) => {
            // The first error is the one to report.
            if let Err(error) = save(plan, run, student, model.head.as_ref()) {
                log::warn!("the model so far could not be saved: {error}");
            }
        }
        (false, _) => {
            let step = outcome.steps;
            outcome.error.get_or_insert(TrainError::Diverged { step });
        }
    }
    Ok(outcome)
}

/// What a panic said.
pub(super) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "it panicked without a message".into())
}

fn step_kinds(task: Task, config: &RunConfig) -> Vec<ScalarKind> {
    let mut kinds = vec![ScalarKind::lower("loss")];
    if task == Task::Distill {
        let objective = config.objective.resolve();
        let active = Term::ALL
            .into_iter()
            .filter(|term| term.weight(objective) > 0.0);
        kinds.extend(active.map(|term| ScalarKind::lower(term.name())));
        kinds.push(ScalarKind::higher("margin_mean").unit("rad"));
        kinds.push(ScalarKind::higher("margin_spread").unit("rad"));
        kinds.push(ScalarKind::higher("push_share"));
    }
    kinds.push(ScalarKind::higher("target_cosine"));
    kinds.push(ScalarKind::higher("lr_accuracy"));
    kinds.push(ScalarKind::lower("gradient_norm"));
    kinds.push(ScalarKind::lower("learning_rate"));
    kinds.push(ScalarKind::higher("images_per_second").unit("img/s"));
    kinds
}
