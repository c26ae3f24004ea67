//! Our strategy under burn-train's `SupervisedTraining`: it owns optimiser, schedule, queue and momentum encoder, and
//! looks at every step before it updates anything.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use burn::{
    data::dataloader::Progress,
    optim::{GradientsParams, ModuleOptimizer},
    tensor::Device,
    train::{
        EventProcessorTraining, InferenceStep, Interrupter, Learner, LearnerEvent,
        SupervisedLearningStrategy, SupervisedTrainingEventProcessor, TrainLoader,
        TrainingComponents, TrainingItem, ValidLoader,
    },
};
use ccface_data::rng::{Purpose, Stream};
use ccface_losses::KeyQueue;
use ccface_model::Momentum;
use serde_json::Value;

use crate::{
    TrainError,
    config::{KeySource, RunConfig},
    dashboard::Dashboard,
    encoder::{FaceEncoder, read_rows, to_tensor, write_planes},
    gradient,
    metrics::{JsonLines, Report, unix_time},
    optimiser,
    schedule::LearningRate,
    trainee::{DistillContext, Running, StepTask, TrainItem, Trainee, int_tensor},
};

/// Purpose number of the shuffled-margin control's permutations.
const SHUFFLED_MARGINS: Purpose = Purpose::Other(1);

/// What a run came to, kept apart from burn-train's result, which the terminal dashboard resets.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) steps: u64,
    pub(crate) epochs: usize,
    pub(crate) images: u64,
    pub(crate) training_time: Duration,
    pub(crate) last_validation: Option<Report>,
    pub(crate) interrupted: bool,
    pub(crate) error: Option<TrainError>,
}

/// The strategy; `outcome` is shared with whoever launched it.
pub(crate) struct Strategy {
    pub(crate) config: RunConfig,
    pub(crate) device: Device,
    pub(crate) steps_per_epoch: usize,
    pub(crate) teacher: Option<Arc<dyn FaceEncoder>>,
    pub(crate) streams: Mutex<Streams>,
    /// For those who watch.
    pub(crate) dashboard: Dashboard,
    pub(crate) outcome: Arc<Mutex<Outcome>>,
    /// Set from outside to stop after the current step.
    pub(crate) stop: Arc<AtomicBool>,
    /// Names a sample in messages.
    pub(crate) name_of: Arc<dyn Fn(usize) -> String + Send + Sync>,
}

/// The files a run appends to.
pub(crate) struct Streams {
    pub(crate) metrics: JsonLines,
    pub(crate) timing: JsonLines,
}

/// What changes from step to step.
struct State {
    optimiser: ModuleOptimizer,
    rate: LearningRate,
    queue: Option<KeyQueue>,
    momentum: Option<Momentum>,
    running: Running,
    step: u64,
}

impl SupervisedLearningStrategy<Trainee> for Strategy {
    fn fit(
        &self,
        components: TrainingComponents<Trainee>,
        learner: Learner<Trainee>,
        train: TrainLoader<Trainee>,
        valid: ValidLoader<Trainee>,
        starting_epoch: usize,
    ) -> (Trainee, SupervisedTrainingEventProcessor<Trainee>) {
        let mut processor = components.event_processor;
        let interrupter = components.interrupter;
        let mut model = learner.model();
        let mut state = self.state(&model);
        for epoch in starting_epoch..=components.num_epochs {
            let (next, result) = self.epoch(
                model,
                &mut state,
                &train,
                epoch,
                &mut processor,
                &interrupter,
            );
            model = next;
            if let Err(error) = result {
                self.outcome().error = Some(error);
                break;
            }
            if interrupter.should_stop() {
                self.note_stop(&interrupter);
                break;
            }
            let last = epoch == components.num_epochs;
            if last || epoch.is_multiple_of(self.config.validation.every) {
                let result =
                    self.validate(&model, &state, &valid, epoch, &mut processor, &interrupter);
                if let Err(error) = result {
                    self.outcome().error = Some(error);
                    break;
                }
            }
            interrupter.fail_on_error(processor.process_train(LearnerEvent::EndEpoch(epoch)));
            self.outcome().epochs = epoch;
            if interrupter.should_stop() {
                self.note_stop(&interrupter);
                break;
            }
        }
        (model, processor)
    }
}

impl Strategy {
    fn outcome(&self) -> std::sync::MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_stop(&self, interrupter: &Interrupter) {
        let mut outcome = self.outcome();
        match interrupter.error() {
            Some(error) => {
                outcome
                    .error
                    .get_or_insert_with(|| TrainError::Training(error.to_string()));
            }
            None => outcome.interrupted = true,
        }
    }

    fn state(&self, model: &Trainee) -> State {
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
        State {
            optimiser: optimiser::build(&self.config.optimiser, model),
            rate: LearningRate::new(
                &self.config.optimiser,
                self.steps_per_epoch,
                self.config.train.epochs,
            ),
            queue,
            momentum,
            running: Running::default(),
            step: 0,
        }
    }

    fn epoch(
        &self,
        mut model: Trainee,
        state: &mut State,
        train: &TrainLoader<Trainee>,
        epoch: usize,
        processor: &mut SupervisedTrainingEventProcessor<Trainee>,
        interrupter: &Interrupter,
    ) -> (Trainee, Result<(), TrainError>) {
        interrupter.fail_on_error(processor.process_train(LearnerEvent::StartSplit {
            epoch_number: epoch,
            total_items: train.num_items(),
        }));
        let started = Instant::now();
        let mut result = Ok(());
        let mut iterator = train.iter();
        while let Some(item) = iterator.next() {
            let item = match item {
                Ok(item) => item,
                Err(error) => {
                    interrupter.fail(error);
                    break;
                }
            };
            let clock = Instant::now();
            let (next, report) = self.step(model, state, item, epoch);
            model = next;
            let mut report = match report {
                Ok(report) => report,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            };
            let elapsed = clock.elapsed();
            self.count(&report, elapsed);
            result = self.write_step(state, epoch, &report, elapsed);
            report.push(
                "images_per_second",
                report.samples as f64 / elapsed.as_secs_f64().max(1e-9),
            );
            let lr = state.rate.at(state.step.saturating_sub(1));
            let item = TrainingItem::new(
                report,
                iterator.progress(),
                Some(state.step as usize),
                Some(lr.into()),
            );
            interrupter.fail_on_error(processor.process_train(LearnerEvent::ProcessedItem(item)));
            if self.stop.load(Ordering::Relaxed) {
                interrupter.stop(Some("stopped by the user"));
            }
            if result.is_err() || interrupter.should_stop() {
                break;
            }
        }
        log::info!("epoch {epoch}: {:.1} s", started.elapsed().as_secs_f64());
        interrupter.fail_on_error(processor.process_train(LearnerEvent::EndSplit(epoch)));
        (model, result)
    }

    fn count(&self, report: &Report, elapsed: Duration) {
        let mut outcome = self.outcome();
        outcome.steps += 1;
        outcome.images += report.samples as u64;
        outcome.training_time += elapsed;
    }

    /// One optimiser step. A loss or gradient that is not finite leaves the model as it was.
    fn step(
        &self,
        model: Trainee,
        state: &mut State,
        mut item: TrainItem,
        epoch: usize,
    ) -> (Trainee, Result<Report, TrainError>) {
        let rate = state.rate.at(state.step);
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
        if let Some(momentum) = &mut state.momentum {
            momentum.update(&model.student);
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
    ) -> Result<Option<burn::tensor::Tensor<2>>, TrainError> {
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

    fn teacher_on_lr(&self, item: &TrainItem) -> Result<burn::tensor::Tensor<2>, TrainError> {
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
    ) -> Result<burn::tensor::Tensor<2>, TrainError> {
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

    fn write_step(
        &self,
        state: &State,
        epoch: usize,
        report: &Report,
        elapsed: Duration,
    ) -> Result<(), TrainError> {
        let head: [(&str, Value); 3] = [
            ("kind", "step".into()),
            ("epoch", epoch.into()),
            ("step", state.step.into()),
        ];
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.metrics.write(&head, report)?;
        self.dashboard.step(state.step, report, elapsed);
        let mut timing = Report::default();
        timing.push("seconds", elapsed.as_secs_f64());
        timing.push(
            "images_per_second",
            report.samples as f64 / elapsed.as_secs_f64().max(1e-9),
        );
        timing.push("unix_time", unix_time());
        streams.timing.write(&head, &timing)
    }

    fn validate(
        &self,
        model: &Trainee,
        state: &State,
        valid: &ValidLoader<Trainee>,
        epoch: usize,
        processor: &mut SupervisedTrainingEventProcessor<Trainee>,
        interrupter: &Interrupter,
    ) -> Result<(), TrainError> {
        let mut items: Vec<_> = valid.iter().flatten().collect();
        let Some(set) = items.pop().filter(|set| !set.faces.is_empty()) else {
            return Ok(());
        };
        interrupter.fail_on_error(processor.process_valid(LearnerEvent::StartSplit {
            epoch_number: epoch,
            total_items: 1,
        }));
        let clock = Instant::now();
        let report = InferenceStep::step(model, set.clone());
        let head: [(&str, Value); 3] = [
            ("kind", "validation".into()),
            ("epoch", epoch.into()),
            ("step", state.step.into()),
        ];
        {
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            streams.metrics.write(&head, &report)?;
            let mut timing = Report::default();
            timing.push("seconds", clock.elapsed().as_secs_f64());
            timing.push("unix_time", unix_time());
            streams.timing.write(&head, &timing)?;
        }
        self.dashboard
            .validation((epoch, state.step), &report, &set, model);
        self.outcome().last_validation = Some(report.clone());
        let item = TrainingItem::new(report, Progress::new(1, 1, None), Some(epoch), None);
        interrupter.fail_on_error(processor.process_valid(LearnerEvent::ProcessedItem(item)));
        interrupter.fail_on_error(processor.process_valid(LearnerEvent::EndSplit(epoch)));
        Ok(())
    }
}

fn matrix(rows: Vec<f32>, dim: usize, device: &Device) -> burn::tensor::Tensor<2> {
    let count = rows.len() / dim.max(1);
    burn::tensor::Tensor::from_data(burn::tensor::TensorData::new(rows, [count, dim]), device)
}

fn teacher_keys(
    distill: &DistillContext,
    item: &TrainItem,
    device: &Device,
) -> burn::tensor::Tensor<2> {
    let mut rows = Vec::with_capacity(item.batch.len() * distill.teacher.dim);
    for (index, flipped) in item.batch.indices.iter().zip(&item.batch.flipped) {
        rows.extend_from_slice(distill.teacher.row(*index, *flipped && distill.shared_flip));
    }
    matrix(rows, distill.teacher.dim, device)
}
