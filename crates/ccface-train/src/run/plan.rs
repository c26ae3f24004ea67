//! What a run is made of: data, teacher, student and their facts, built and checked before anything is trained.

use std::sync::Arc;

use burn::{nn::LinearConfig, tensor::Device};
use ccface_data::{FaceSource, Loader, LoaderConfig};
use ccface_model::{BackboneConfig, InputSpec, Prototypes};

use super::{
    RunRequest,
    head::Pieces,
    networks::{Embed, embed_training_images, open_student, open_teacher, stand_in},
};
use crate::{
    RunConfig, Task, TrainError,
    checkpoint::Fingerprint,
    config::{HeadStart, KeySource},
    data::{Faces, open_source, split_identities},
    encoder::FaceEncoder,
    freeze,
    loader::PairLoader,
    renderer::Say,
    run_dir::{RUN_SCHEMA, RunRecord, RunState, TeacherRecord},
    schedule::LearningRate,
    step::Stepper,
    teacher::CacheOutcome,
    trainee::{Context, StepContext, Trainee},
    validation::ValidationSet,
};

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
        let source = open_source(&data_path, &config.data.split, &split.train)?;
        let variants = match config.data.variants.count {
            1 => String::new(),
            count => format!(", {count} variants of each image"),
        };
        say.line(&format!(
            "data       {} images of {} identities in {}{variants}",
            source.len(),
            source.identities().len(),
            data_path.display()
        ));
        let source = config.data.variants.of(source);
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
        freeze::check(&config.student, &trainee)?;
        let validation = match &split.validation {
            Some(selection) => {
                let held_out = open_source(&data_path, &config.data.split, selection)?;
                Faces::load(held_out.as_ref())?
                    .into_validation(&config.validation.sizes, &request.signals)
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
            start: self
                .trainee
                .as_ref()
                .filter(|_| config.student.start_share > 0.0)
                .map(|trainee| trainee.student.frozen()),
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

/// The licence a student inherits: its data's and its teacher's, each named once.
fn combine_licences(licences: &[String]) -> String {
    let mut named: Vec<&str> = licences.iter().map(String::as_str).collect();
    named.sort_unstable();
    named.dedup();
    named.join(" + ")
}
