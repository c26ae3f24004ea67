//! One optimiser step, and the state that goes from step to step.

use std::sync::Arc;

use burn::{
    optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer},
    tensor::{Device, Tensor, TensorData},
};
use ccface_data::rng::{Purpose, Stream};
use ccface_losses::KeyQueue;
use ccface_model::{Backbone, Momentum};

use crate::{
    TrainError,
    config::{KeySource, RunConfig},
    encoder::{FaceEncoder, read_rows, to_tensor, write_planes},
    gradient,
    metrics::Report,
    optimiser, running_buffers,
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
    /// Members whose training is over and whose mean `average` is (`train.members`).
    pub(crate) members: usize,
}

/// What one step came to.
pub(crate) enum StepResult {
    /// The weights were updated.
    Done(Report),
    /// Nothing was.
    NotFinite(NotFinite),
}

/// A step whose numbers are not finite.
#[derive(Clone, Debug)]
pub(crate) struct NotFinite {
    /// Which number.
    pub(crate) quantity: &'static str,
    pub(crate) learning_rate: f64,
    /// Names of the images.
    pub(crate) samples: Vec<String>,
}

/// Forward and backward of a step, before anything is updated.
pub(crate) struct Pass {
    pub(crate) gradients: GradientsParams,
    /// Global norm before clipping.
    pub(crate) norm: f64,
    pub(crate) report: Report,
    pub(crate) running: Running,
    /// Keys and labels for the queue.
    pub(crate) keys: Vec<(Tensor<2>, Vec<usize>)>,
}

/// What every step of a run reads and none changes.
pub(crate) struct Stepper {
    pub(crate) config: RunConfig,
    pub(crate) device: Device,
    /// Optimiser steps of an epoch.
    pub(crate) steps_per_epoch: usize,
    pub(crate) rate: LearningRate,
    pub(crate) teacher: Option<Arc<dyn FaceEncoder>>,
    /// The student before its first step, where a share of it is kept.
    pub(crate) start: Option<Backbone>,
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
        let averaged = &self.config.train;
        State {
            optimiser: optimiser::build(&self.config.optimiser, model),
            queue,
            momentum,
            average: (averaged.average > 0.0
                || averaged.average_tail > 0.0
                || averaged.members > 1)
                .then(|| Momentum::new(&model.student, averaged.average)),
            running: Running::default(),
            step: 0,
            members: 0,
        }
    }

    /// Steps of the members before the one that step number `step`, from 1, belongs to.
    fn steps_before_member(&self, step: u64) -> u64 {
        let steps = (self.steps_per_epoch * self.config.train.epochs).max(1) as u64;
        step.saturating_sub(1) / steps * steps
    }

    /// Takes the member that is over into the mean, and begins the next one from the weights in `model`.
    pub(crate) fn next_member(&self, model: &Trainee, state: &mut State, trained: &Backbone) {
        let mut fresh = self.state(model);
        fresh.step = state.step;
        fresh.members = state.members + 1;
        fresh.average = state.average.take();
        if let Some(mean) = &mut fresh.average {
            mean.blend(trained, share_of_others(fresh.members as u64));
        }
        *state = fresh;
    }

    /// The student that is validated and saved, where it is another than the trained one: the average, a mixture with the
    /// starting weights, or both.
    pub(crate) fn kept(&self, model: &Trainee, state: &State) -> Option<Backbone> {
        let average = match &state.average {
            // The mean with the member that is being trained.
            Some(mean) if self.config.train.members > 1 => {
                let mut mean = mean.clone();
                mean.blend(&model.student, share_of_others(state.members as u64 + 1));
                Some(mean.module().clone())
            }
            other => other.as_ref().map(|average| average.module().clone()),
        };
        let Some(start) = &self.start else {
            return average;
        };
        let mut mixture = Momentum::new(start, self.config.student.start_share);
        mixture.update(average.as_ref().unwrap_or(&model.student));
        Some(mixture.module().clone())
    }

    /// The share of the old average that step number `step`, from 1, keeps.
    fn kept_of_average(&self, step: u64) -> f64 {
        let train = &self.config.train;
        if train.average_tail == 0.0 {
            return train.average;
        }
        let steps = (self.steps_per_epoch * train.epochs) as u64;
        kept_of_tail(step, steps, train.average_tail)
    }

    /// Steps during which the task itself grows harder, so that a loss that does not fall means nothing.
    pub(crate) fn steps_of_easing(&self) -> u64 {
        let epochs = self
            .config
            .head
            .margin_warmup_epochs
            .max(self.config.pairs.curriculum_epochs);
        (epochs * self.steps_per_epoch as f64).ceil() as u64
    }

    /// One optimiser step over one batch, or over several whose gradients are averaged by their number of faces.
    ///
    /// A loss or gradient that is not finite leaves weights, running statistics and state as they were.
    ///
    /// # Errors
    /// What teacher or device report; numbers that are not finite are no error but [`StepResult::NotFinite`].
    pub(crate) fn step(
        &self,
        model: Trainee,
        state: &mut State,
        items: Vec<TrainItem>,
        epoch: usize,
        rate_factor: f64,
    ) -> (Trainee, Result<StepResult, TrainError>) {
        let member = self.steps_before_member(state.step + 1);
        let learning_rate = self.rate.at(state.step - member) * rate_factor;
        state.step += 1;
        match self.gradients(&model, state, items, epoch) {
            Err(error) => (model, Err(error)),
            Ok(Err(bad)) => {
                let bad = NotFinite {
                    learning_rate,
                    ..bad
                };
                (running_buffers::undo(model), Ok(StepResult::NotFinite(bad)))
            }
            Ok(Ok(mut pass)) => {
                gradient::clip(
                    &model,
                    &mut pass.gradients,
                    pass.norm,
                    self.config.optimiser.clip_norm,
                );
                let model = state.optimiser.step(learning_rate, model, pass.gradients);
                state.running = pass.running;
                if let Some(momentum) = &mut state.momentum {
                    momentum.update(&model.student);
                }
                if let Some(average) = &mut state.average
                    && self.config.train.members == 1
                {
                    average.blend(&model.student, self.kept_of_average(state.step));
                }
                if let Some(queue) = &mut state.queue {
                    for (keys, labels) in pass.keys {
                        queue.push(keys, int_tensor(&labels, &self.device));
                    }
                }
                pass.report.push("gradient_norm", pass.norm);
                pass.report.push("learning_rate", learning_rate);
                (model, Ok(StepResult::Done(pass.report)))
            }
        }
    }

    /// Forward and backward of a step's batches, with nothing updated; `Err` inside for numbers that are not finite.
    pub(crate) fn gradients(
        &self,
        model: &Trainee,
        state: &State,
        items: Vec<TrainItem>,
        epoch: usize,
    ) -> Result<Result<Pass, NotFinite>, TrainError> {
        let faces: usize = items.iter().map(|item| item.batch.len()).sum();
        let samples: Vec<usize> = items
            .iter()
            .flat_map(|item| item.batch.indices.iter().copied())
            .collect();
        let not_finite = |quantity| NotFinite {
            quantity,
            learning_rate: 0.0,
            samples: samples.iter().map(|i| (self.name_of)(*i)).collect(),
        };
        let alone = items.len() == 1;
        let mut accumulator = GradientsAccumulator::new();
        let (mut report, mut keys) = (Report::default(), Vec::new());
        let mut running = state.running;
        for (place, mut item) in items.into_iter().enumerate() {
            item.running = running;
            let own = self.prepare(model, state, &mut item, epoch, place)?;
            let (loss, found, next) = model.forward(&item);
            running = next;
            if !found.get("loss").is_some_and(f64::is_finite) {
                return Ok(Err(not_finite("the loss")));
            }
            let mut gradients = GradientsParams::from_grads(loss.backward(), model);
            let share = item.batch.len() as f64 / faces as f64;
            if !alone {
                gradient::scale(model, &mut gradients, share);
            }
            accumulator.accumulate(model, gradients);
            report.add(found, share);
            keys.extend(own.map(|keys| (keys, item.batch.labels)));
        }
        let gradients = accumulator.grads();
        let norm = gradient::global_norm(model, &gradients)?;
        if !norm.is_finite() {
            return Ok(Err(not_finite("the gradient")));
        }
        Ok(Ok(Pass {
            gradients,
            norm,
            report,
            running,
            keys,
        }))
    }

    /// Fills in what a step needs beyond its batch; returns the keys that go into the queue afterwards.
    fn prepare(
        &self,
        model: &Trainee,
        state: &State,
        item: &mut TrainItem,
        epoch: usize,
        place: usize,
    ) -> Result<Option<Tensor<2>>, TrainError> {
        let StepTask::Distill(distill) = &model.context.0.task else {
            let warmup = self.config.head.margin_warmup_epochs * self.steps_per_epoch as f64;
            item.margin_share = if warmup > 0.0 {
                let done = state.step - self.steps_before_member(state.step);
                ((done as f64) / warmup).min(1.0)
            } else {
                1.0
            };
            return Ok(None);
        };
        let objective = self.config.objective.resolve();
        if objective.shuffle_margins {
            let index = state.step | ((place as u64) << 48);
            let mut stream = Stream::new(self.config.seed, epoch as u64, index, SHUFFLED_MARGINS);
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

/// The share that the others keep in a mean which the n-th of equal members joins.
fn share_of_others(n: u64) -> f64 {
    (n as f64 - 1.0) / n as f64
}

/// The share that step number `step` of `steps`, from 1, keeps of an equal average over the last `tail` of them: nothing until
/// that part begins, then (n − 1)/n at its n-th step.
fn kept_of_tail(step: u64, steps: u64, tail: f64) -> f64 {
    let last = (tail * steps as f64).ceil() as u64;
    share_of_others((step + last).saturating_sub(steps).max(1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::module::{Module, ModuleVisitor, Param};
    use ccface_data::Batch;
    use ccface_losses::{ArcFace, MarginHead};
    use ccface_model::{BackboneConfig, InputSpec, MobileFaceNetConfig};

    use super::*;
    use crate::{
        config::OptimiserConfig,
        freeze,
        trainee::{Context, StepContext},
    };

    const SIDE: usize = 16;

    /// A student without batch norms, so that no layer looks across the batch.
    fn trainee(device: &Device) -> Trainee {
        let config = BackboneConfig::MobileFaceNet(MobileFaceNetConfig {
            folded: true,
            width: 8,
            input_size: SIDE,
            embedding: 4,
            ..MobileFaceNetConfig::default()
        });
        let rows: Vec<f32> = (0..12).map(|i| (i as f32 * 0.7).sin()).collect();
        let rows = Tensor::<2>::from_data(TensorData::new(rows, [3, 4]), device);
        Trainee {
            student: config.init_seeded(device, 1),
            projector: None,
            head: Some(Param::from_tensor(rows)),
            context: Context(Arc::new(StepContext {
                input: InputSpec::arcface(SIDE),
                embedding: 4,
                task: StepTask::Classify(MarginHead::ArcFace(ArcFace {
                    scale: 8.0,
                    margin: 0.2,
                })),
            })),
        }
    }

    fn item(from: usize, count: usize) -> TrainItem {
        let pixels = 3 * SIDE * SIDE;
        TrainItem::new(Batch {
            indices: (from..from + count).collect(),
            labels: (from..from + count).map(|i| i % 3).collect(),
            flipped: vec![false; count],
            face_sizes: vec![8.0; count],
            is_hr: vec![false; count],
            student: (from * pixels..(from + count) * pixels)
                .map(|i| 127.0 * (1.0 + (i as f32 * 0.37).sin()))
                .collect(),
            hr: None,
            student_size: SIDE,
            hr_size: SIDE,
            bad: Vec::new(),
        })
    }

    fn numbers(model: &Trainee, gradients: &GradientsParams) -> Vec<f32> {
        struct All<'a>(&'a GradientsParams, Vec<f32>);
        impl ModuleVisitor for All<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if let Some(gradient) = self.0.get::<D>(param.id) {
                    self.1.extend(read_rows(gradient).unwrap());
                }
            }
        }
        let mut all = All(gradients, Vec::new());
        model.visit(&mut all);
        all.1
    }

    fn stepper(config: RunConfig, device: &Device) -> Stepper {
        Stepper {
            config,
            device: device.clone(),
            steps_per_epoch: 1,
            rate: LearningRate::new(&OptimiserConfig::default(), 1, 100),
            teacher: None,
            start: None,
            name_of: Arc::new(|i| format!("image {i}")),
        }
    }

    fn weights(model: &Trainee) -> Vec<f32> {
        struct All(Vec<f32>);
        impl ModuleVisitor for All {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.extend(read_rows(param.val().inner()).unwrap());
            }
        }
        let mut all = All(Vec::new());
        model.visit(&mut all);
        all.0
    }

    #[test]
    fn a_poisoned_batch_changes_nothing_and_its_images_are_named() {
        let device = Device::flex().autodiff();
        let stepper = stepper(RunConfig::default(), &device);
        let model = trainee(&device);
        let mut state = stepper.state(&model);
        let (model, good) = stepper.step(model, &mut state, vec![item(0, 4)], 1, 1.0);
        assert!(matches!(good.unwrap(), StepResult::Done(_)));
        let before = weights(&model);
        let mut poisoned = item(4, 3);
        poisoned.batch.student[5] = f32::NAN;
        let (model, bad) = stepper.step(model, &mut state, vec![item(0, 2), poisoned], 1, 1.0);
        let StepResult::NotFinite(bad) = bad.unwrap() else {
            panic!("a NaN went through");
        };
        assert_eq!(bad.samples.len(), 5);
        assert!(bad.samples.contains(&"image 6".to_string()));
        assert_eq!(weights(&model), before);
        assert_eq!(
            state.step, 2,
            "it counts as a step, so that every schedule keeps its place"
        );
        let (model, good) = stepper.step(model, &mut state, vec![item(0, 4)], 1, 1.0);
        assert!(matches!(good.unwrap(), StepResult::Done(_)));
        assert!(weights(&model).iter().all(|w| w.is_finite()) && weights(&model) != before);
    }

    #[test]
    fn accumulated_batches_give_the_gradient_of_the_larger_one() {
        let device = Device::flex().autodiff();
        let model = trainee(&device);
        let stepper = stepper(RunConfig::default(), &device);
        let state = stepper.state(&model);
        let of = |items| stepper.gradients(&model, &state, items, 1).unwrap();
        let Ok(whole) = of(vec![item(0, 7)]) else {
            panic!("not finite");
        };
        // Parts of different size: each counts by its faces.
        let Ok(parts) = of(vec![item(0, 4), item(4, 2), item(6, 1)]) else {
            panic!("not finite");
        };
        let (a, b) = (
            numbers(&model, &whole.gradients),
            numbers(&model, &parts.gradients),
        );
        assert!(a.len() > 1000 && whole.norm > 1e-3);
        let largest = a.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        for (a, b) in a.iter().zip(&b) {
            assert!((a - b).abs() <= 1e-4 * largest, "{a} {b}");
        }
        assert!((whole.norm - parts.norm).abs() < 1e-4 * whole.norm);
        let loss = |pass: &Pass| pass.report.get("loss").unwrap();
        assert!((loss(&whole) - loss(&parts)).abs() < 1e-4);
        assert_eq!(parts.report.samples, 7);
    }

    #[test]
    fn frozen_parts_get_no_gradient_until_their_epochs_are_over() {
        let device = Device::flex().autodiff();
        let mut config = RunConfig::default();
        config.student.freeze = vec!["stem".into(), "layer".into()];
        config.student.freeze_epochs = 2;
        let stepper = stepper(config, &device);
        let mut model = trainee(&device);
        let mut counts = Vec::new();
        for epoch in 1..=3 {
            model = freeze::apply(&stepper.config.student, model, epoch);
            let state = stepper.state(&model);
            let Ok(pass) = stepper
                .gradients(&model, &state, vec![item(0, 4)], epoch)
                .unwrap()
            else {
                panic!("not finite");
            };
            counts.push(pass.gradients.len());
        }
        assert!(
            counts[0] > 0 && counts[0] == counts[1] && counts[1] < counts[2],
            "{counts:?}"
        );
    }

    #[test]
    fn the_tail_is_averaged_with_equal_weights() {
        for (tail, first) in [(0.5, 6), (0.31, 7), (1.0, 1), (0.01, 10)] {
            let mut average = f64::NAN;
            for step in 1..=10 {
                let kept = kept_of_tail(step, 10, tail);
                let old = if kept == 0.0 { 0.0 } else { kept * average };
                average = old + (1.0 - kept) * step as f64;
            }
            let mean = (first..=10).sum::<u64>() as f64 / (11 - first) as f64;
            assert!((average - mean).abs() < 1e-12, "{tail}: {average}");
        }
    }
}
