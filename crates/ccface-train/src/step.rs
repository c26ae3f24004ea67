//! One optimiser step, and the state that goes from step to step.

use std::sync::Arc;

use burn::{
    optim::{GradientsParams, ModuleOptimizer},
    tensor::{Device, Tensor, TensorData},
};
use ccface_data::rng::{Purpose, Stream};
use ccface_losses::KeyQueue;
use ccface_model::Momentum;

use crate::{
    TrainError,
    config::{KeySource, RunConfig},
    encoder::{FaceEncoder, read_rows, to_tensor, write_planes},
    gradient,
    metrics::Report,
    optimiser,
    schedule::LearningRate,
    trainee::{DistillContext, Running, StepTask, TrainItem, Trainee, int_tensor},
};

/// Purpose number of the shuffled-margin control's permutations.
const SHUFFLED_MARGINS: Purpose = Purpose::Other(1);

/// What changes from step to step, beside the weights.
pub(crate) struct State {
    pub(crate) optimiser: ModuleOptimizer,
    pub(crate) queue: Option<KeyQueue>,
    pub(crate) momentum: Option<Momentum>,
    /// The average of the student's weights that is kept in the student's place.
    pub(crate) average: Option<Momentum>,
    pub(crate) running: Running,
    /// Steps done.
    pub(crate) step: u64,
}

/// What every step of a run reads and none changes.
pub(crate) struct Stepper {
    pub(crate) config: RunConfig,
    pub(crate) device: Device,
    pub(crate) steps_per_epoch: usize,
    pub(crate) rate: LearningRate,
    pub(crate) teacher: Option<Arc<dyn FaceEncoder>>,
    /// Names a sample in messages.
    pub(crate) name_of: Arc<dyn Fn(usize) -> String + Send + Sync>,
}

impl Stepper {
    /// The state before the first step.
    pub(crate) fn state(&self, model: &Trainee) -> State {
        let mut queue = None;
        let mut momentum = None;
        if let StepTask::Distill(distill) = &model.context.0.task {
            let objective = self.config.objective.resolve();
            if objective.queue > 0 && objective.needs_keys() {
                let images = distill.teacher.plain.len() / distill.teacher.dim;
                // Frozen teacher keys only repeat themselves beyond the data set.
                let capacity = match self.config.contrast.keys {
                    KeySource::Teacher => objective.queue.min(images),
                    KeySource::Momentum => objective.queue,
                };
                queue = Some(KeyQueue::new(capacity));
            }
            if self.config.contrast.keys == KeySource::Momentum && objective.needs_keys() {
                momentum = Some(Momentum::new(&model.student, self.config.contrast.momentum));
            }
        }
        let decay = self.config.train.average;
        State {
            optimiser: optimiser::build(&self.config.optimiser, model),
            queue,
            momentum,
            average: (decay > 0.0).then(|| Momentum::new(&model.student, decay)),
            running: Running::default(),
            step: 0,
        }
    }

    /// One optimiser step. A loss or gradient that is not finite leaves the model as it was.
    pub(crate) fn step(
        &self,
        model: Trainee,
        state: &mut State,
        mut item: TrainItem,
        epoch: usize,
    ) -> (Trainee, Result<Report, TrainError>) {
        let rate = self.rate.at(state.step);
        state.step += 1;
        let keys = match self.prepare(&model, state, &mut item, epoch) {
            Ok(keys) => keys,
            Err(error) => return (model, Err(error)),
        };
        let (loss, mut report, running) = model.forward(&item);
        let not_finite = |quantity| {
            let names: Vec<String> = item
                .batch
                .indices
                .iter()
                .map(|i| (self.name_of)(*i))
                .collect();
            TrainError::NotFinite {
                step: state.step,
                quantity,
                learning_rate: rate,
                samples: names.join(", "),
            }
        };
        if !report.get("loss").is_some_and(f64::is_finite) {
            return (model, Err(not_finite("the loss")));
        }
        let mut gradients = GradientsParams::from_grads(loss.backward(), &model);
        let norm = match gradient::global_norm(&model, &gradients) {
            Ok(norm) if norm.is_finite() => norm,
            Ok(_) => return (model, Err(not_finite("the gradient"))),
            Err(error) => return (model, Err(error)),
        };
        gradient::clip(
            &model,
            &mut gradients,
            norm,
            self.config.optimiser.clip_norm,
        );
        let model = state.optimiser.step(rate, model, gradients);
        state.running = running;
        for average in [&mut state.momentum, &mut state.average]
            .into_iter()
            .flatten()
        {
            average.update(&model.student);
        }
        if let (Some(queue), Some(keys)) = (&mut state.queue, keys) {
            queue.push(keys, int_tensor(&item.batch.labels, &self.device));
        }
        report.push("gradient_norm", norm);
        report.push("learning_rate", rate);
        (model, Ok(report))
    }

    /// Fills in what a step needs beyond its batch; returns the keys that go into the queue afterwards.
    fn prepare(
        &self,
        model: &Trainee,
        state: &State,
        item: &mut TrainItem,
        epoch: usize,
    ) -> Result<Option<Tensor<2>>, TrainError> {
        item.running = state.running;
        let StepTask::Distill(distill) = &model.context.0.task else {
            let warmup = self.config.head.margin_warmup_epochs * self.steps_per_epoch as f64;
            item.margin_share = if warmup > 0.0 {
                ((state.step as f64) / warmup).min(1.0)
            } else {
                1.0
            };
            return Ok(None);
        };
        let objective = self.config.objective.resolve();
        if objective.shuffle_margins {
            let mut stream =
                Stream::new(self.config.seed, epoch as u64, state.step, SHUFFLED_MARGINS);
            item.permutation = Some(stream.permutation(item.batch.len()));
        }
        if objective.needs_teacher_lr() {
            item.teacher_lr = Some(self.teacher_on_lr(item)?);
        }
        if let Some(momentum) = &state.momentum {
            item.keys = Some(self.momentum_keys(momentum, model, item)?);
        }
        item.queue = state.queue.as_ref().and_then(KeyQueue::contents);
        Ok(state.queue.as_ref().map(|_| {
            item.keys
                .clone()
                .unwrap_or_else(|| teacher_keys(distill, item, &self.device))
        }))
    }

    fn teacher_on_lr(&self, item: &TrainItem) -> Result<Tensor<2>, TrainError> {
        let Some(teacher) = &self.teacher else {
            return Err(TrainError::Training(
                "the objective needs the teacher's LR embeddings, but no teacher is open".into(),
            ));
        };
        let (batch, input) = (&item.batch, teacher.input());
        let mut pixels = Vec::new();
        for face in batch
            .student
            .chunks_exact(3 * batch.student_size * batch.student_size)
        {
            let face =
                ccface_data::FaceImage::new(batch.student_size, batch.student_size, face.to_vec());
            crate::encoder::prepare(&face, input, &mut pixels);
        }
        let mut rows = teacher.embed_prepared(pixels, batch.len())?;
        for row in rows.chunks_exact_mut(teacher.dim()) {
            // A zero embedding stays zero: its cosine is 0 and its margin the smallest.
            let _ = crate::encoder::normalise(row);
        }
        Ok(matrix(rows, teacher.dim(), &self.device))
    }

    fn momentum_keys(
        &self,
        momentum: &Momentum,
        model: &Trainee,
        item: &TrainItem,
    ) -> Result<Tensor<2>, TrainError> {
        let (batch, input) = (&item.batch, &model.context.0.input);
        let Some(hr) = &batch.hr else {
            return Err(TrainError::Training(
                "the momentum encoder needs HR views, but the loader gave none".into(),
            ));
        };
        let mut pixels = Vec::with_capacity(hr.len());
        for face in hr.chunks_exact(3 * batch.hr_size * batch.hr_size) {
            if batch.hr_size == input.size {
                write_planes(face, input, &mut pixels);
            } else {
                let face = ccface_data::FaceImage::new(batch.hr_size, batch.hr_size, face.to_vec());
                crate::encoder::prepare(&face, input, &mut pixels);
            }
        }
        let images = to_tensor(
            pixels,
            batch.len(),
            input.size,
            &self.device.clone().inner(),
        );
        let mut rows = read_rows(momentum.module().forward(images))?;
        let dim = rows.len() / batch.len().max(1);
        for row in rows.chunks_exact_mut(dim.max(1)) {
            let _ = crate::encoder::normalise(row);
        }
        Ok(matrix(rows, dim, &self.device))
    }
}

fn matrix(rows: Vec<f32>, dim: usize, device: &Device) -> Tensor<2> {
    let count = rows.len() / dim.max(1);
    Tensor::from_data(TensorData::new(rows, [count, dim]), device)
}

fn teacher_keys(distill: &DistillContext, item: &TrainItem, device: &Device) -> Tensor<2> {
    let mut rows = Vec::with_capacity(item.batch.len() * distill.teacher.dim);
    for (index, flipped) in item.batch.indices.iter().zip(&item.batch.flipped) {
        rows.extend_from_slice(distill.teacher.row(*index, *flipped && distill.shared_flip));
    }
    matrix(rows, distill.teacher.dim, device)
}
