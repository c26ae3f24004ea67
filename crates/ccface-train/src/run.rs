//! From a configuration to a finished run: `distill` and `train` share everything but the head.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
};

use burn::{
    module::Param,
    nn::LinearConfig,
    tensor::{Device, Tensor, TensorData},
    train::{
        Interrupter, Learner, SupervisedTraining, TrainingStrategy,
        logger::InMemoryMetricLogger,
        renderer::{MetricsRenderer, tui::TuiMetricsRendererWrapper},
    },
};
use ccface_data::{
    FaceSource, ImageFolder, Loader, LoaderConfig,
    rng::{Purpose, Stream},
};
use ccface_losses::Term;
use ccface_model::{
    Backbone, BackboneConfig, InputSpec, ModelCard, OnnxFile, Prototypes, load_model, save_model,
};

use crate::{
    RunConfig, Task, TrainError,
    config::{HeadStart, KeySource, TeacherFlip},
    dashboard::{Dashboard, Length},
    data::{Faces, split_identities},
    encoder::{FaceEncoder, Opened, is_onnx, open_encoder},
    loader::{OneItem, PairLoader},
    metrics::{JsonLines, ScalarKind, ScalarMetric},
    renderer::{PlainRenderer, ProgressSink},
    run_dir::{RUN_SCHEMA, RunDir, RunRecord, RunState, TeacherRecord, model_path},
    strategy::{Outcome, Strategy, Streams},
    teacher::{CacheOutcome, TeacherEmbeddings, embed_source, inherit},
    trainee::{Context, DistillContext, StepContext, StepTask, Trainee},
    validation::ValidationSet,
};

/// Purpose number of the draws of trainable prototypes.
const HEAD_WEIGHTS: Purpose = Purpose::Other(2);

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

/// Everything a launch needs, built and checked before the run directory exists.
struct Plan {
    config: RunConfig,
    source: Arc<dyn FaceSource>,
    validation: ValidationSet,
    trainee: Option<Trainee>,
    teacher: Option<Arc<dyn FaceEncoder>>,
    backbone: BackboneConfig,
    input: InputSpec,
    /// What the saved head is, for the frozen case.
    inherited: Option<Prototypes>,
    record: RunRecord,
    card_licence: String,
    cache: Option<CacheOutcome>,
}

impl Plan {
    fn build(request: &RunRequest, device: &Device, say: &Say) -> Result<Self, TrainError> {
        let mut config = request.config.clone();
        let data_path = config.data.path.resolve("data.path")?;
        let split = split_identities(&data_path, &config.data, &config.validation)?;
        let source: Arc<dyn FaceSource> = Arc::new(ImageFolder::open(&data_path, &split.train)?);
        say.line(&format!(
            "data       {} images of {} identities in {}",
            source.len(),
            source.identities().len(),
            data_path.display()
        ));
        let training = device.clone().autodiff();
        let teacher = open_teacher(request.task, &config, device)?;
        if let Some((path, encoder)) = &teacher {
            say.line(&format!(
                "teacher    {} ({} px, {} numbers)",
                path.display(),
                encoder.input().size,
                encoder.dim()
            ));
        }
        let teacher_path = teacher.as_ref().map(|(path, _)| path.as_path());
        let (student, backbone, input) = open_student(&config, teacher_path, &training)?;
        config.pairs.student_size = input.size;
        config.pairs.teacher_size = match (&teacher, config.contrast.keys) {
            (Some((_, encoder)), KeySource::Teacher) => encoder.input().size,
            _ => input.size,
        };
        say.line(&format!(
            "student    {} ({} px)",
            backbone.summary().name,
            input.size
        ));

        let labels: Vec<usize> = (0..source.len()).map(|i| source.identity(i)).collect();
        let mut cache = None;
        let needs_embeddings =
            request.task == Task::Distill || config.head.start == HeadStart::ClassMeans;
        let embeddings = match &teacher {
            Some((_, encoder)) if needs_embeddings => {
                let (embeddings, found) = embed_training_images(
                    request,
                    &config,
                    encoder.as_ref(),
                    source.as_ref(),
                    say,
                )?;
                cache = Some(found);
                Some(embeddings)
            }
            _ => None,
        };
        let pieces = Pieces {
            config: &config,
            labels: &labels,
            source: source.as_ref(),
            device,
            training: &training,
        };
        let (context, head, projector, inherited) = match request.task {
            Task::Distill => pieces.distill(embeddings, teacher_path, &backbone, say)?,
            Task::Train => pieces.classify(embeddings, teacher_path, &backbone)?,
        };
        let projector = projector.map(|(from, to)| {
            training.seed(config.seed);
            LinearConfig::new(from, to).with_bias(false).init(&training)
        });
        let trainee = Trainee {
            student,
            projector,
            head,
            context: Context(Arc::new(StepContext {
                input: input.clone(),
                embedding: backbone.embedding(),
                task: context,
            })),
        };
        let validation = match &split.validation {
            Some(selection) => {
                let held_out = ImageFolder::open(&data_path, selection)?;
                Faces::load(&held_out)?.into_validation(&config.validation.sizes)
            }
            None => ValidationSet::empty(),
        };
        if !validation.faces.is_empty() {
            let seen = if split.seen {
                " (the training identities: a check of the fit)"
            } else {
                ""
            };
            say.line(&format!(
                "validation {} images{seen}",
                validation.faces.len()
            ));
        }
        let teacher_record = teacher.as_ref().map(|(path, encoder)| TeacherRecord {
            path: path.canonicalize().unwrap_or_else(|_| path.clone()),
            hash: encoder.hash().into(),
            input: encoder.input().clone(),
            licence: encoder.licence().into(),
        });
        let mut licences = vec![config.data.licence.clone()];
        licences.extend(teacher_record.as_ref().map(|t| t.licence.clone()));
        let record = RunRecord {
            schema_version: RUN_SCHEMA,
            ccface_version: env!("CARGO_PKG_VERSION").into(),
            task: request.task,
            state: RunState::Running,
            config_hash: config.hash(),
            seed: config.seed,
            device: config.device_spec()?.to_string(),
            threads: rayon::current_num_threads(),
            data: data_path.display().to_string(),
            data_hash: source.hash()?,
            identities: source.identities().to_vec(),
            validation: split.validation_names,
            teacher: teacher_record,
            steps: 0,
            epochs: 0,
            error: None,
        };
        Ok(Self {
            config,
            source,
            validation,
            trainee: Some(trainee),
            teacher: teacher.map(|(_, encoder)| encoder),
            backbone,
            input,
            inherited,
            record,
            card_licence: combine_licences(&licences),
            cache,
        })
    }
}

/// The licence a student inherits: its data's and its teacher's, each named once.
fn combine_licences(licences: &[String]) -> String {
    let mut named: Vec<&str> = licences.iter().map(String::as_str).collect();
    named.sort_unstable();
    named.dedup();
    named.join(" + ")
}

fn open_teacher(
    task: Task,
    config: &RunConfig,
    device: &Device,
) -> Result<Option<Opened>, TrainError> {
    let needed = task == Task::Distill
        || config.student.starts_from_teacher()
        || config.head.start == HeadStart::ClassMeans;
    if !needed {
        return Ok(None);
    }
    let path = config.teacher.path.resolve("teacher.path")?;
    let assume = crate::encoder::Assumptions {
        input: config.teacher.input(0),
        licence: config.teacher.licence.clone(),
    };
    let encoder = open_encoder(&path, &assume, device)?;
    Ok(Some((path, encoder)))
}

fn open_student(
    config: &RunConfig,
    teacher: Option<&Path>,
    device: &Device,
) -> Result<(Backbone, BackboneConfig, InputSpec), TrainError> {
    let student = &config.student;
    if student.starts_from_scratch() {
        return Ok((
            student.backbone.init_seeded(device, config.seed),
            student.backbone.clone(),
            student.input(),
        ));
    }
    let path = match (student.starts_from_teacher(), teacher) {
        (true, Some(teacher)) => teacher.to_path_buf(),
        (true, None) => {
            return Err(TrainError::config(
                "student.start",
                "there is no teacher to start from",
            ));
        }
        (false, _) => PathBuf::from(&student.start),
    };
    if is_onnx(&path) {
        let file = OnnxFile::read(&path)?;
        let (backbone, architecture) = ccface_model::mobilefacenet_from_onnx(&file, device)?;
        let input = config.teacher.input(architecture.input_size());
        return Ok((backbone, architecture, input));
    }
    let (backbone, card) = load_model(&model_path(&path), device)?;
    Ok((backbone, card.architecture, card.input))
}

fn embed_training_images(
    request: &RunRequest,
    config: &RunConfig,
    teacher: &dyn FaceEncoder,
    source: &dyn FaceSource,
    say: &Say,
) -> Result<(TeacherEmbeddings, CacheOutcome), TrainError> {
    let beside = request
        .out
        .parent()
        .unwrap_or(Path::new(""))
        .join("teacher-cache");
    let dir = if config.teacher.cache.is_empty() {
        beside
    } else {
        PathBuf::from(&config.teacher.cache)
    };
    let mut last = std::time::Instant::now();
    let (embeddings, outcome) = embed_source(
        teacher,
        source,
        config.teacher.batch,
        Some(&dir),
        &mut |done, total| {
            if last.elapsed().as_secs() >= 5 {
                last = std::time::Instant::now();
                say.line(&format!("teacher    {done}/{total} views embedded"));
            }
        },
    )?;
    if let Some(why) = &outcome.rejected {
        say.line(&format!("teacher    cache set aside: {why}"));
    }
    say.line(&format!(
        "teacher    embeddings: {} images from the cache, {} computed",
        outcome.hits, outcome.misses
    ));
    Ok((embeddings, outcome))
}

/// What the two tasks build their step from.
struct Pieces<'a> {
    config: &'a RunConfig,
    labels: &'a [usize],
    source: &'a dyn FaceSource,
    device: &'a Device,
    training: &'a Device,
}

type Parts = (
    StepTask,
    Option<Param<Tensor<2>>>,
    Option<(usize, usize)>,
    Option<Prototypes>,
);

impl Pieces<'_> {
    fn distill(
        &self,
        embeddings: Option<TeacherEmbeddings>,
        teacher: Option<&Path>,
        backbone: &BackboneConfig,
        say: &Say,
    ) -> Result<Parts, TrainError> {
        let (Some(teacher), Some(embeddings)) = (teacher, embeddings) else {
            return Err(TrainError::config(
                "teacher.path",
                "distillation needs a teacher",
            ));
        };
        let objective = self.config.objective.resolve();
        let head = inherit(
            self.config.teacher.prototypes,
            &embeddings,
            self.labels,
            self.source.identities(),
            teacher,
            objective.scale,
            self.device,
        )?;
        if head.single_image_identities > 0 {
            say.line(&format!(
                "teacher    {} identities have a single image: their HR score is against themselves",
                head.single_image_identities
            ));
        }
        let (from, to) = (backbone.embedding(), embeddings.dim);
        let projector = (from != to).then_some((from, to));
        if projector.is_some() {
            say.line(&format!(
                "student    {from} numbers against the teacher's {to}: a projector is trained and dropped; student and teacher embeddings do not match each other"
            ));
        }
        let context = StepTask::Distill(Box::new(DistillContext {
            objective: objective.init(),
            prototypes: head.prototypes.to_tensor(self.training),
            shared_flip: self.config.teacher.flip == TeacherFlip::Shared,
            teacher: embeddings,
            head: head.clone(),
        }));
        Ok((context, None, projector, Some(head.prototypes)))
    }

    fn classify(
        &self,
        embeddings: Option<TeacherEmbeddings>,
        teacher: Option<&Path>,
        backbone: &BackboneConfig,
    ) -> Result<Parts, TrainError> {
        let (classes, dim) = (self.source.identities().len(), backbone.embedding());
        let data = match self.config.head.start {
            HeadStart::Random => {
                let mut stream = Stream::new(self.config.seed, 0, 0, HEAD_WEIGHTS);
                (0..classes * dim)
                    .map(|_| (0.01 * stream.normal()) as f32)
                    .collect()
            }
            HeadStart::ClassMeans => {
                let (Some(embeddings), Some(teacher)) = (embeddings, teacher) else {
                    return Err(TrainError::config(
                        "head.start",
                        "class_means needs teacher.path",
                    ));
                };
                if embeddings.dim != dim {
                    return Err(TrainError::config(
                        "head.start",
                        format!(
                            "class_means has {} numbers, the student's embedding {dim}; use random",
                            embeddings.dim
                        ),
                    ));
                }
                let kind = crate::config::PrototypeKind::ClassMeans;
                let names = self.source.identities();
                inherit(
                    kind,
                    &embeddings,
                    self.labels,
                    names,
                    teacher,
                    1.0,
                    self.device,
                )?
                .prototypes
                .data
            }
        };
        let rows = Tensor::<2>::from_data(TensorData::new(data, [classes, dim]), self.training);
        Ok((
            StepTask::Classify(self.config.head.loss),
            Some(Param::from_tensor(rows)),
            None,
            None,
        ))
    }
}

fn launch(
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
        config: config.clone(),
        device: device.clone().autodiff(),
        steps_per_epoch,
        teacher: plan.teacher.clone(),
        streams: Mutex::new(Streams {
            metrics: JsonLines::append(&run.metrics_file())?,
            timing: JsonLines::append(&run.timing_file())?,
        }),
        dashboard: Dashboard::open(
            run,
            config,
            Length {
                epochs: config.train.epochs,
                steps_per_epoch,
            },
            plan.teacher.clone(),
            &plan.record.validation,
        ),
        outcome: outcome.clone(),
        stop: request.stop.clone(),
        name_of: Arc::new(move |i| {
            names
                .get(i)
                .cloned()
                .unwrap_or_else(|| format!("image {i}"))
        }),
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
    let optimiser = crate::optimiser::build(&config.optimiser, &trainee);
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
        // Rate and state live in the strategy; the learner's own optimiser is never stepped.
        let result = training.launch(Learner::new(
            trainee,
            optimiser,
            config.optimiser.learning_rate,
        ));
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
    save(plan, run, &model)?;
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

fn save(plan: &Plan, run: &RunDir, model: &Trainee) -> Result<(), TrainError> {
    let dir = run.model_dir();
    let mut card = ModelCard::new(plan.backbone.clone(), plan.input.clone());
    card.licence.clone_from(&plan.card_licence);
    card.data = Some(ccface_model::Provenance {
        name: plan.record.data.clone(),
        hash: plan.record.data_hash.clone(),
    });
    card.teacher = plan
        .record
        .teacher
        .as_ref()
        .map(|teacher| ccface_model::Provenance {
            name: teacher.path.display().to_string(),
            hash: teacher.hash.clone(),
        });
    save_model(&dir, &model.student, &card)?;
    let head = match (&plan.inherited, &model.head) {
        (Some(inherited), _) => Some(inherited.clone()),
        (None, Some(rows)) => Some(trained_head(plan, rows.val())?),
        (None, None) => None,
    };
    if let Some(head) = head {
        head.save(&crate::run_dir::head_file(&dir))?;
    }
    Ok(())
}

fn trained_head(plan: &Plan, rows: Tensor<2>) -> Result<Prototypes, TrainError> {
    let [classes, dim] = rows.dims();
    let data = crate::encoder::read_rows(rows)?;
    Ok(Prototypes::new(classes, dim, data)?.with_identities(plan.source.identities().to_vec())?)
}
