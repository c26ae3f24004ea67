//! What a run would be and take, found out without making it.

use std::time::Instant;

use burn::module::Module;
use serde::Serialize;

use super::{RunRequest, networks::Embed, plan::Plan, probe::probe};
use crate::{
    TrainError,
    config::{KeySource, OptimiserKind},
    encoder::{embed_unit, stoppable},
    renderer::Say,
};

/// Teacher views that are timed.
const TIMED_VIEWS: usize = 8;

/// A run before it is run: counted, and measured on one step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunEstimate {
    /// Training images.
    pub images: usize,
    /// Training identities.
    pub identities: usize,
    /// Images of the validation.
    pub validation_images: usize,
    /// Faces behind each update.
    pub faces_per_step: usize,
    /// Updates of an epoch.
    pub steps_per_epoch: usize,
    /// Epochs.
    pub epochs: usize,
    /// Updates of the run.
    pub steps: usize,
    /// The student in words.
    pub student: String,
    /// Numbers that are trained, head and projector included.
    pub parameters: usize,
    /// Seconds of one step, measured.
    pub seconds_per_step: f64,
    /// Seconds of all steps; validation and checkpoints come on top.
    pub seconds: f64,
    /// Teacher embeddings to be computed, at most (a cache may hold them).
    pub teacher_views: usize,
    /// Seconds for them, measured on a few.
    pub teacher_seconds: f64,
    /// Memory of this process after the step, MiB, where the system says it.
    pub resident_mib: Option<f64>,
    /// Size of one checkpoint, MiB.
    pub checkpoint_mib: f64,
    /// BLAKE3 of the resolved configuration.
    pub config_hash: String,
}

/// Builds a run up to its first step, measures that step, and leaves nothing behind.
///
/// # Errors
/// As [`run`](super::run) before its first step.
pub fn estimate(request: &RunRequest) -> Result<RunEstimate, TrainError> {
    request.config.validate(request.task, &request.origin)?;
    let device = request.config.device_spec()?.resolve()?;
    let say = Say::new(request.progress.clone());
    let mut plan = Plan::build(request, &device, &say, Embed::StandIn)?;
    let loader = plan.loader(request.task)?;
    let stepper = plan.stepper(&loader, &device);
    let Some(trainee) = plan.trainee.take() else {
        return Err(TrainError::Training("the plan holds no network".into()));
    };
    // The first step also warms caches up and compiles kernels.
    let (trainee, _) = probe(&stepper, &loader, trainee)?;
    let (trainee, probed) = probe(&stepper, &loader, trainee)?;
    let state = stepper.state(&trainee);
    let config = &plan.config;
    let images = plan.source.len();
    let steps = stepper.steps_per_epoch * config.train.total_epochs();
    let mut teacher_views = 0;
    let mut per_view = 0.0;
    if let (Some(teacher), true) = (&plan.teacher, plan.needs_embeddings) {
        teacher_views = 2 * images;
        let count = TIMED_VIEWS.min(images);
        let clock = Instant::now();
        let source = plan.source.as_ref();
        let face = |i: usize| Ok(ccface_data::FaceImage::from_rgb8(&source.image(i)?));
        let guarded = stoppable(teacher.as_ref(), &request.signals);
        embed_unit(&guarded, count, config.teacher.batch, &face, &mut |_| {})?;
        per_view = clock.elapsed().as_secs_f64() / count.max(1) as f64;
    }
    let parameters = trainee.num_params();
    let student = trainee.student.num_params();
    let moments = match config.optimiser.kind {
        OptimiserKind::Sgd => usize::from(config.optimiser.momentum > 0.0),
        OptimiserKind::Adamw => 2,
    };
    let queue = state.queue.as_ref().map_or(0, |queue| {
        let dim = match config.contrast.keys {
            KeySource::Momentum => trainee.context.0.embedding,
            KeySource::Teacher => trainee.key_dim(),
        };
        queue.capacity() * (dim + 2)
    });
    let copies = usize::from(state.momentum.is_some()) + usize::from(state.average.is_some());
    let numbers = parameters * (1 + moments) + student * copies + queue;
    let mib = |bytes: f64| bytes / f64::from(1u32 << 20);
    let seconds_per_step = probed.time.as_secs_f64();
    Ok(RunEstimate {
        images,
        identities: plan.source.identities().len(),
        validation_images: plan.validation.faces.len(),
        faces_per_step: config.train.batch * config.train.accumulate,
        steps_per_epoch: stepper.steps_per_epoch,
        epochs: config.train.total_epochs(),
        steps,
        student: plan.backbone.describe(),
        parameters,
        seconds_per_step,
        seconds: seconds_per_step * steps as f64,
        teacher_views,
        teacher_seconds: per_view * teacher_views as f64,
        resident_mib: probed.resident.map(|bytes| mib(bytes as f64)),
        checkpoint_mib: mib(4.0 * numbers as f64),
        config_hash: config.hash(),
    })
}
