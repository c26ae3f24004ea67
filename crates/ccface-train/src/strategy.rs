//! Our strategy under burn-train's `SupervisedTraining`: it owns the order of steps, validations and records, and burn-train
//! shows them.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use burn::{
    data::dataloader::Progress,
    train::{
        EventProcessorTraining, InferenceStep, Interrupter, Learner, LearnerEvent,
        SupervisedLearningStrategy, SupervisedTrainingEventProcessor, TrainLoader,
        TrainingComponents, TrainingItem, ValidLoader,
    },
};
use ccface_model::Backbone;
use serde_json::Value;

use crate::{
    TrainError,
    metrics::{JsonLines, Report},
    step::{State, Stepper},
    trainee::Trainee,
};

/// What a run came to, kept apart from burn-train's result, which the terminal dashboard resets.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) steps: u64,
    pub(crate) epochs: usize,
    pub(crate) images: u64,
    pub(crate) training_time: Duration,
    pub(crate) last_validation: Option<Report>,
    pub(crate) interrupted: bool,
    /// The averaged student, where the run keeps one: it is what is saved.
    pub(crate) average: Option<Backbone>,
    pub(crate) error: Option<TrainError>,
}

/// The strategy; `outcome` is shared with whoever launched it.
pub(crate) struct Strategy {
    pub(crate) stepper: Stepper,
    pub(crate) streams: Mutex<Streams>,
    pub(crate) outcome: Arc<Mutex<Outcome>>,
    /// Set from outside to stop after the current step.
    pub(crate) stop: Arc<AtomicBool>,
}

/// The files a run appends to.
pub(crate) struct Streams {
    pub(crate) metrics: JsonLines,
    pub(crate) timing: JsonLines,
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
        let mut state = self.stepper.state(&model);
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
            if last || epoch.is_multiple_of(self.stepper.config.validation.every) {
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
        self.outcome().average = state.average.map(|average| average.module().clone());
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
            let (next, report) = self.stepper.step(model, state, item, epoch);
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
            let lr = self.stepper.rate.at(state.step.saturating_sub(1));
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
        let mut timing = Report {
            samples: report.samples,
            scalars: Vec::new(),
        };
        timing.push("seconds", elapsed.as_secs_f64());
        timing.push(
            "images_per_second",
            report.samples as f64 / elapsed.as_secs_f64().max(1e-9),
        );
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
        let report = match &state.average {
            Some(average) => set.evaluate(average.module(), &model.context.0),
            None => InferenceStep::step(model, set),
        };
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
            streams.timing.write(&head, &timing)?;
        }
        self.outcome().last_validation = Some(report.clone());
        let item = TrainingItem::new(report, Progress::new(1, 1, None), Some(epoch), None);
        interrupter.fail_on_error(processor.process_valid(LearnerEvent::ProcessedItem(item)));
        interrupter.fail_on_error(processor.process_valid(LearnerEvent::EndSplit(epoch)));
        Ok(())
    }
}
