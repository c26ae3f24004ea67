//! A plan handed to burn-train, with our strategy under it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use burn::{
    optim::SgdConfig,
    tensor::Device,
    train::{
        Interrupter, Learner, SupervisedTraining, TrainingStrategy,
        logger::InMemoryMetricLogger,
        renderer::{MetricsRenderer, tui::TuiMetricsRendererWrapper},
    },
};
use ccface_data::{Loader, LoaderConfig};
use ccface_losses::Term;

use super::{RunRequest, plan::Plan, save::save};
use crate::{
    RunConfig, Task, TrainError,
    config::KeySource,
    loader::{OneItem, PairLoader},
    metrics::{JsonLines, ScalarKind, ScalarMetric},
    renderer::PlainRenderer,
    run_dir::RunDir,
    schedule::LearningRate,
    step::Stepper,
    strategy::{Outcome, Strategy, Streams},
    validation::ValidationSet,
};

pub(super) fn launch(
    request: &RunRequest,
    plan: &mut Plan,
    run: &RunDir,
    device: &Device,
) -> Result<Outcome, TrainError> {
    let config = &plan.config;
    let wants_hr = config.contrast.keys == KeySource::Momentum && request.task == Task::Distill;
    let loader = Loader::new(
        plan.source.clone(),
        config.pairs.clone(),
        LoaderConfig {
            batch: config.train.batch,
            workers: config.train.workers,
            seed: config.seed,
            want_hr: wants_hr,
            cache_bytes: config.train.cache_mib << 20,
            ..LoaderConfig::default()
        },
    )?;
    let train = PairLoader::new(loader, plan.source.len());
    let steps_per_epoch = train.batches();
    if steps_per_epoch == 0 {
        return Err(TrainError::config(
            "train.batch",
            "a batch is larger than the data set; nothing would be trained",
        ));
    }
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let names: Vec<String> = (0..plan.source.len())
        .map(|i| plan.source.name(i))
        .collect();
    let strategy = Strategy {
        stepper: Stepper {
            config: config.clone(),
            device: device.clone().autodiff(),
            steps_per_epoch,
            rate: LearningRate::new(&config.optimiser, steps_per_epoch, config.train.epochs),
            teacher: plan.teacher.clone(),
            name_of: Arc::new(move |i| {
                names
                    .get(i)
                    .cloned()
                    .unwrap_or_else(|| format!("image {i}"))
            }),
        },
        streams: Mutex::new(Streams {
            metrics: JsonLines::append(&run.metrics_file())?,
            timing: JsonLines::append(&run.timing_file())?,
        }),
        outcome: outcome.clone(),
        stop: request.stop.clone(),
    };
    let Some(trainee) = plan.trainee.take() else {
        return Err(TrainError::Training("the run was launched twice".into()));
    };
    let kinds = step_kinds(request.task, config);
    let valid_kinds = plan.validation.kinds();
    let validation = Arc::new(std::mem::replace(
        &mut plan.validation,
        ValidationSet::empty(),
    ));
    let interrupter = Interrupter::new();
    let renderer: Box<dyn MetricsRenderer> = if request.tui {
        Box::new(TuiMetricsRendererWrapper::new(interrupter.clone(), None))
    } else {
        let shown = vec![
            "loss",
            "lr_accuracy",
            "margin_mean",
            "push_share",
            "images_per_second",
        ];
        Box::new(PlainRenderer::new(request.progress.clone(), shown))
    };
    let epochs = config.train.epochs;
    let failure = train.clone();
    let model = catch_unwind(AssertUnwindSafe(|| {
        let mut training =
            SupervisedTraining::new(run.path(), Arc::new(train), Arc::new(OneItem(validation)))
                .with_application_logger(None)
                .with_metric_logger(InMemoryMetricLogger::default())
                .with_interrupter(interrupter)
                .renderer(renderer)
                .num_epochs(epochs)
                .with_training_strategy(TrainingStrategy::Custom(Arc::new(strategy)));
        for kind in kinds {
            training = training.metric_train_numeric(ScalarMetric::new(kind));
        }
        for kind in valid_kinds {
            training = training.metric_valid_numeric(ScalarMetric::new(kind));
        }
        // The strategy has its own optimiser and rate; the learner cannot be without one, so it gets the plainest.
        let result = training.launch(Learner::new(trainee, SgdConfig::new().init(), 0.0));
        drop(result.renderer);
        result.model
    }))
    .map_err(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_else(|| "it panicked without a message".into());
        TrainError::Training(message)
    })?;
    let mut outcome = std::mem::take(&mut *outcome.lock().unwrap_or_else(PoisonError::into_inner));
    if let Some(error) = failure.take_failure() {
        outcome.error = Some(error.into());
    }
    save(
        plan,
        run,
        outcome.average.as_ref().unwrap_or(&model.student),
        model.head.as_ref(),
    )?;
    Ok(outcome)
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
