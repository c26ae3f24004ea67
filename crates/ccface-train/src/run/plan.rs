//! What a run is made of: data, teacher, student and their facts, built and checked before anything is trained.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::{
    module::{Module, ModuleVisitor, Param},
    nn::LinearConfig,
    tensor::{Device, Tensor},
};
use ccface_data::{
    FaceSource, ImageFolder, Loader, LoaderConfig,
    rng::{Purpose, Stream},
};
use ccface_model::{Backbone, BackboneConfig, InputSpec, OnnxFile, Prototypes, load_model};

use super::{RunRequest, head::Pieces};
use crate::{
    RunConfig, Task, TrainError,
    checkpoint::Fingerprint,
    config::{HeadStart, KeySource},
    data::{Faces, split_identities},
    encoder::{FaceEncoder, Opened, is_onnx, open_encoder, stoppable},
    loader::PairLoader,
    renderer::Say,
    run_dir::{RUN_SCHEMA, RunRecord, RunState, TeacherRecord, model_path},
    schedule::LearningRate,
    step::Stepper,
    teacher::{CacheOutcome, TeacherEmbeddings, embed_source},
    trainee::{Context, StepContext, Trainee},
    validation::ValidationSet,
};

/// Purpose number of embeddings that only stand in.
const STAND_IN: Purpose = Purpose::Other(3);

/// Where the teacher's embeddings of the training images come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Embed {
    /// From the teacher, or its cache.
    Teacher,
    /// From random numbers, where only shapes and speed matter.
    StandIn,
}

/// Everything a launch needs, built and checked before the run directory exists.
pub(super) struct Plan {
    pub(super) config: RunConfig,
    pub(super) source: Arc<dyn FaceSource>,
    pub(super) validation: ValidationSet,
    pub(super) trainee: Option<Trainee>,
    pub(super) teacher: Option<Arc<dyn FaceEncoder>>,
    pub(super) backbone: BackboneConfig,
    pub(super) input: InputSpec,
    /// What the saved head is, for the frozen case.
    pub(super) inherited: Option<Prototypes>,
    pub(super) record: RunRecord,
    pub(super) card_licence: String,
    /// Whether the run takes the teacher's embeddings of its images.
    pub(super) needs_embeddings: bool,
    pub(super) cache: Option<CacheOutcome>,
}

impl Plan {
    /// Builds a run from its configuration.
    ///
    /// # Errors
    /// Everything about data, teacher and student that keeps a run from beginning.
    pub(super) fn build(
        request: &RunRequest,
        device: &Device,
        say: &Say,
        embed: Embed,
    ) -> Result<Self, TrainError> {
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
            Some((_, encoder)) if needs_embeddings && embed == Embed::StandIn => {
                Some(stand_in(encoder.dim(), source.len(), config.seed))
            }
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
        let embedded = embeddings.is_some();
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
        check_freeze(&config, &trainee)?;
        let validation = match &split.validation {
            Some(selection) => {
                let held_out = ImageFolder::open(&data_path, selection)?;
                Faces::load(&held_out)?.into_validation(&config.validation.sizes, &request.signals)
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
            best: None,
            quarantine: Vec::new(),
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
            needs_embeddings: needs_embeddings && embedded,
            cache,
        })
    }

    /// The loader of the training images.
    ///
    /// # Errors
    /// Settings that the data refuse, or an epoch without a batch.
    pub(super) fn loader(&self, task: Task) -> Result<PairLoader, TrainError> {
        let config = &self.config;
        let loader = Loader::new(
            self.source.clone(),
            config.pairs.clone(),
            LoaderConfig {
                batch: config.train.batch,
                workers: config.train.workers,
                seed: config.seed,
                want_hr: config.contrast.keys == KeySource::Momentum && task == Task::Distill,
                cache_bytes: config.train.cache_mib << 20,
                error_budget: config.data.error_budget,
                ..LoaderConfig::default()
            },
        )?;
        let loader = PairLoader::new(loader, self.source.len(), config.train.batch);
        if loader.batches() == 0 {
            return Err(TrainError::config(
                "train.batch",
                "a batch is larger than the data set; nothing would be trained",
            ));
        }
        Ok(loader)
    }

    /// What every step reads.
    pub(super) fn stepper(&self, loader: &PairLoader, device: &Device) -> Stepper {
        let config = self.config.clone();
        let steps_per_epoch = loader.batches().div_ceil(config.train.accumulate);
        let names: Vec<String> = (0..self.source.len())
            .map(|i| self.source.name(i))
            .collect();
        Stepper {
            device: device.clone().autodiff(),
            steps_per_epoch,
            rate: LearningRate::new(&config.optimiser, steps_per_epoch, config.train.epochs),
            teacher: self.teacher.clone(),
            name_of: Arc::new(move |i| {
                names
                    .get(i)
                    .cloned()
                    .unwrap_or_else(|| format!("image {i}"))
            }),
            config,
        }
    }

    /// What a checkpoint must have been made with to go on here.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            config_hash: self.config.result_hash(),
            data_hash: self.record.data_hash.clone(),
            teacher_hash: self.record.teacher.as_ref().map(|t| t.hash.clone()),
        }
    }
}

/// Unit vectors in the place of a teacher's embeddings.
fn stand_in(dim: usize, images: usize, seed: u64) -> TeacherEmbeddings {
    let mut stream = Stream::new(seed, 0, 0, STAND_IN);
    let mut rows = || {
        let mut rows: Vec<f32> = (0..images * dim).map(|_| stream.normal() as f32).collect();
        for row in rows.chunks_exact_mut(dim.max(1)) {
            let _ = crate::encoder::normalise(row);
        }
        rows
    };
    TeacherEmbeddings {
        dim,
        plain: rows(),
        mirrored: rows(),
    }
}

/// Refuses parts to freeze that the student does not have, or that leave nothing to train.
fn check_freeze(config: &RunConfig, trainee: &Trainee) -> Result<(), TrainError> {
    struct Names {
        path: Vec<String>,
        found: Vec<String>,
    }
    impl ModuleVisitor for Names {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
            self.found.push(self.path.join("."));
        }
    }
    let parts = &config.student.freeze;
    if parts.is_empty() {
        return Ok(());
    }
    let mut names = Names {
        path: Vec::new(),
        found: Vec::new(),
    };
    trainee.visit(&mut names);
    let unknown = parts
        .iter()
        .find(|part| !names.found.iter().any(|name| name.contains(part.as_str())));
    if let Some(part) = unknown {
        let mut known: Vec<&str> = names
            .found
            .iter()
            .filter_map(|name| name.strip_prefix("student.")?.split('.').nth(1))
            .collect();
        known.dedup();
        return Err(TrainError::config(
            "student.freeze",
            format!(
                "no parameter's name contains `{part}`; the student's parts are {}",
                known.join(", ")
            ),
        ));
    }
    if names
        .found
        .iter()
        .all(|name| parts.iter().any(|part| name.contains(part.as_str())))
    {
        return Err(TrainError::config(
            "student.freeze",
            "covers every parameter: nothing would be trained",
        ));
    }
    Ok(())
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
        &stoppable(teacher, &request.signals),
        source,
        config.teacher.batch,
        Some(&dir),
        config.data.error_budget,
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
    for reason in &outcome.unreadable {
        say.line(&format!("teacher    left out: {reason}"));
    }
    say.line(&format!(
        "teacher    embeddings: {} images from the cache, {} computed",
        outcome.hits, outcome.misses
    ));
    Ok((embeddings, outcome))
}
