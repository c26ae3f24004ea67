//! Our strategy under burn-train's `SupervisedTraining`: it owns the order of steps, validations, checkpoints and records,
//! and burn-train shows them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use burn::{
    data::dataloader::Progress as Shown,
    train::{
        EventProcessorTraining, Interrupter, Learner, LearnerEvent, SupervisedLearningStrategy,
        SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents, TrainingItem,
        ValidLoader,
    },
};
use ccface_model::Backbone;
use serde_json::Value;

use crate::{
    TrainError,
    checkpoint::{self, Cursor, Progress},
    dashboard::Dashboard,
    freeze,
    guard::Verdict,
    keeper::{Keeper, Streams},
    loader::PairLoader,
    memory,
    metrics::{Report, unix_time},
    renderer::Say,
    signals::RunSignals,
    step::{NotFinite, State, StepResult, Stepper},
    trainee::Trainee,
};

/// What a run came to, kept apart from burn-train's result, which the terminal dashboard resets.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) steps: u64,
    pub(crate) epochs: usize,
    /// Images and step time of this process.
    pub(crate) images: u64,
    pub(crate) training_time: Duration,
    pub(crate) last_validation: Vec<(String, f64)>,
    /// Best validation: its name, value and step.
    pub(crate) best: Option<(String, f64, u64)>,
    pub(crate) skipped: u64,
    pub(crate) interrupted: bool,
    /// What is saved in the trained student's place, where the run asks for that.
    pub(crate) kept: Option<Backbone>,
    pub(crate) error: Option<TrainError>,
}

/// The strategy; `outcome` is shared with whoever launched it.
pub(crate) struct Strategy {
    pub(crate) stepper: Stepper,
    /// The model before the first step, where members of the run begin from it again.
    pub(crate) first: Option<Vec<u8>>,
    pub(crate) loader: PairLoader,
    pub(crate) keeper: Keeper,
    pub(crate) streams: Mutex<Streams>,
    /// For those who watch.
    pub(crate) dashboard: Dashboard,
    /// Where the run begins: taken once.
    pub(crate) start: Mutex<Option<Live>>,
    pub(crate) outcome: Arc<Mutex<Outcome>>,
    pub(crate) signals: RunSignals,
    pub(crate) say: Say,
}

/// What changes while a run goes on, beside the weights.
pub(crate) struct Live {
    pub(crate) state: State,
    pub(crate) progress: Progress,
}

/// How the steps of an epoch ended.
enum Flow {
    /// All are done.
    Done,
    /// The run was asked to stop, or the machinery around it failed.
    Stopped,
    /// Back to a checkpoint: the numbers of the last steps were not finite.
    Back(NotFinite),
}

type Processor = SupervisedTrainingEventProcessor<Trainee>;

impl SupervisedLearningStrategy<Trainee> for Strategy {
    fn fit(
        &self,
        components: TrainingComponents<Trainee>,
        learner: Learner<Trainee>,
        train: TrainLoader<Trainee>,
        valid: ValidLoader<Trainee>,
        _starting_epoch: usize,
    ) -> (Trainee, Processor) {
        let mut run = Fit {
            strategy: self,
            processor: components.event_processor,
            interrupter: components.interrupter,
            train,
            valid,
            epochs: components.num_epochs,
        };
        let mut model = learner.model();
        let start = lock(&self.start).take();
        if let Some(mut live) = start {
            let (trained, result) = run.epochs(model, &mut live);
            model = trained;
            let mut outcome = lock(&self.outcome);
            outcome.steps = live.state.step;
            outcome.epochs = live.progress.cursor.epoch - 1;
            outcome.skipped = live.progress.guard.skipped;
            let exact = live.progress.last_validation.into_iter();
            outcome.last_validation = exact.map(|(name, value)| (name, value.0)).collect();
            outcome.best = live
                .progress
                .best
                .map(|best| (best.metric, best.value.0, best.step));
            outcome.kept = self.stepper.kept(&model, &live.state);
            if let Err(error) = result {
                outcome.error = Some(error);
            }
        }
        (model, run.processor)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One call of `fit`.
struct Fit<'a> {
    strategy: &'a Strategy,
    processor: Processor,
    interrupter: Interrupter,
    train: TrainLoader<Trainee>,
    valid: ValidLoader<Trainee>,
    epochs: usize,
}

impl Fit<'_> {
    fn epochs(&mut self, mut model: Trainee, live: &mut Live) -> (Trainee, Result<(), TrainError>) {
        macro_rules! attempt {
            ($result:expr) => {
                match $result {
                    Ok(value) => value,
                    Err(error) => return (model, Err(error)),
                }
            };
        }
        if live.state.step == 0 && live.progress.cursor.batch == 0 {
            // A way back from the first steps, and the proof that checkpoints can be written here.
            attempt!(self.save(&model, live));
        }
        while live.progress.cursor.epoch <= self.epochs {
            let epoch = live.progress.cursor.epoch;
            model = attempt!(self.member(model.clone(), live, epoch));
            let config = &self.strategy.stepper.config;
            let of_member = (epoch - 1) % config.train.epochs + 1;
            model = freeze::apply(&config.student, model, of_member);
            let (next, flow) = self.steps(model, live, epoch);
            model = next;
            match attempt!(flow) {
                Flow::Done => {}
                Flow::Stopped => {
                    self.note_stop();
                    let saved = self.save(&model, live);
                    return (model, saved);
                }
                Flow::Back(bad) => {
                    model = attempt!(self.go_back(model.clone(), live, &bad));
                    // What was learned about the rate must survive a cut from here on.
                    attempt!(self.save(&model, live));
                    continue;
                }
            }
            let every = self.strategy.stepper.config.validation.every;
            let mut best = false;
            if epoch == self.epochs || epoch.is_multiple_of(every) {
                match self.validate(&model, live, epoch) {
                    Ok(better) => best = better,
                    Err(TrainError::Stopped) => {
                        self.interrupter.stop(Some("stopped by the user"));
                        self.note_stop();
                        let saved = self.save(&model, live);
                        return (model, saved);
                    }
                    Err(error) => return (model, Err(error)),
                }
            }
            live.progress.cursor = Cursor {
                epoch: epoch + 1,
                batch: 0,
            };
            let ended = self.processor.process_train(LearnerEvent::EndEpoch(epoch));
            self.interrupter.fail_on_error(ended);
            let stop = self.should_stop();
            if stop || best {
                attempt!(self.save(&model, live));
            }
            if stop && epoch < self.epochs {
                self.note_stop();
                break;
            }
        }
        (model, Ok(()))
    }

    /// Begins the member of the run that an epoch belongs to, unless it has begun.
    fn member(&self, model: Trainee, live: &mut Live, epoch: usize) -> Result<Trainee, TrainError> {
        let stepper = &self.strategy.stepper;
        let member = (epoch - 1) / stepper.config.train.epochs;
        let Some(first) = self
            .strategy
            .first
            .as_ref()
            .filter(|_| live.state.members < member)
        else {
            return Ok(model);
        };
        let trained = model.student.frozen();
        let model = checkpoint::unpack(model, first)?;
        stepper.next_member(&model, &mut live.state, &trained);
        self.strategy.say.line(&format!(
            "member     {} of {}, from the first weights again",
            member + 1,
            stepper.config.train.members
        ));
        Ok(model)
    }

    fn should_stop(&self) -> bool {
        if self.strategy.signals.stopping() {
            self.interrupter.stop(Some("stopped by the user"));
        }
        self.interrupter.should_stop()
    }

    fn note_stop(&self) {
        let mut outcome = lock(&self.strategy.outcome);
        match self.interrupter.error() {
            Some(error) => {
                outcome
                    .error
                    .get_or_insert_with(|| TrainError::Training(error.to_string()));
            }
            None => outcome.interrupted = true,
        }
    }

    fn save(&self, model: &Trainee, live: &mut Live) -> Result<(), TrainError> {
        live.progress.quarantine = self.strategy.loader.quarantine();
        self.strategy.keeper.save(
            model,
            &live.state,
            &mut live.progress,
            &mut lock(&self.strategy.streams),
        )
    }

    /// The steps of an epoch from the cursor on.
    fn steps(
        &mut self,
        mut model: Trainee,
        live: &mut Live,
        epoch: usize,
    ) -> (Trainee, Result<Flow, TrainError>) {
        let train = self.train.clone();
        let started = self.processor.process_train(LearnerEvent::StartSplit {
            epoch_number: epoch,
            total_items: train.num_items(),
        });
        self.interrupter.fail_on_error(started);
        let clock = Instant::now();
        let strategy = self.strategy;
        let first = live.progress.cursor.batch;
        strategy.loader.seek((epoch - 1) as u64, first);
        let mut iterator = train.iter();
        let accumulate = strategy.stepper.config.train.accumulate;
        let flow = loop {
            let mut items = Vec::with_capacity(accumulate);
            while items.len() < accumulate
                && let Some(item) = iterator.next()
            {
                match item {
                    Ok(item) => items.push(item),
                    Err(error) => {
                        self.interrupter.fail(error);
                        break;
                    }
                }
            }
            if self.interrupter.should_stop() {
                break Ok(Flow::Stopped);
            }
            if items.is_empty() {
                break Ok(Flow::Done);
            }
            let batches = items.len();
            let clock = Instant::now();
            let factor = live.progress.guard.rate.0;
            let (next, result) =
                strategy
                    .stepper
                    .step(model, &mut live.state, items, epoch, factor);
            model = next;
            let elapsed = clock.elapsed();
            live.progress.cursor.batch += batches;
            live.progress.step = live.state.step;
            let flow = match result {
                Err(error) => Err(error),
                Ok(StepResult::NotFinite(bad)) => self.not_finite(live, epoch, bad),
                Ok(StepResult::Done(report)) => self
                    .good_step(live, epoch, report, elapsed, iterator.progress())
                    .map(|()| None),
            };
            match flow {
                Err(error) => break Err(error),
                Ok(Some(flow)) => break Ok(flow),
                Ok(None) => {}
            }
            if self.should_stop() {
                break Ok(Flow::Stopped);
            }
            if (strategy.keeper.due(live.state.step) || strategy.signals.take_save())
                && let Err(error) = self.save(&model, live)
            {
                break Err(error);
            }
        };
        log::info!("epoch {epoch}: {:.1} s", clock.elapsed().as_secs_f64());
        let ended = self.processor.process_train(LearnerEvent::EndSplit(epoch));
        self.interrupter.fail_on_error(ended);
        (model, flow)
    }

    fn good_step(
        &mut self,
        live: &mut Live,
        epoch: usize,
        mut report: Report,
        elapsed: Duration,
        shown: Shown,
    ) -> Result<(), TrainError> {
        live.progress.guard.in_a_row = 0;
        live.progress.images += report.samples as u64;
        live.progress.seconds += elapsed.as_secs_f64();
        {
            let mut outcome = lock(&self.strategy.outcome);
            outcome.images += report.samples as u64;
            outcome.training_time += elapsed;
        }
        self.write("step", live, epoch, &[], &report, elapsed)?;
        self.strategy
            .dashboard
            .step(live.state.step, &report, elapsed);
        self.watch_loss(live, epoch, report.get("loss").unwrap_or(f64::NAN))?;
        report.push(
            "images_per_second",
            report.samples as f64 / elapsed.as_secs_f64().max(1e-9),
        );
        let lr = report.get("learning_rate").unwrap_or_default();
        let step = live.state.step as usize;
        let item = TrainingItem::new(report, shown, Some(step), Some(lr.into()));
        let processed = self
            .processor
            .process_train(LearnerEvent::ProcessedItem(item));
        self.interrupter.fail_on_error(processed);
        Ok(())
    }

    fn watch_loss(&self, live: &mut Live, epoch: usize, loss: f64) -> Result<(), TrainError> {
        let config = &self.strategy.stepper.config;
        if live.state.step <= self.strategy.stepper.steps_of_easing() {
            return Ok(());
        }
        let watch = &mut live.progress.guard.watch;
        let Some((first, now)) = watch.note(loss, config.guard.alarm_steps) else {
            return Ok(());
        };
        self.strategy.say.line(&format!(
            "alarm      step {}: the loss has not fallen (mean {first:.3} at first, {now:.3} now). Is the colour order right \
             (teacher.colour, student.colour), are the labels right or shuffled, is the learning rate too small or too large?",
            live.state.step
        ));
        let mut numbers = Report::default();
        numbers.push("first_loss", first);
        numbers.push("recent_loss", now);
        self.write("alarm", live, epoch, &[], &numbers, Duration::ZERO)
    }

    fn not_finite(
        &self,
        live: &mut Live,
        epoch: usize,
        bad: NotFinite,
    ) -> Result<Option<Flow>, TrainError> {
        let config = &self.strategy.stepper.config.guard;
        let guard = &mut live.progress.guard;
        let can_go_back = self.strategy.keeper.active();
        let verdict = guard.not_finite(config, can_go_back);
        let samples = bad.samples.join(", ");
        log::warn!(
            "step {}: {} is not finite (learning rate {:.3e}); samples: {samples}",
            live.state.step,
            bad.quantity,
            bad.learning_rate
        );
        match verdict {
            Verdict::Skip => {
                let extra = [
                    ("quantity", Value::from(bad.quantity)),
                    ("samples", Value::from(bad.samples)),
                ];
                let mut numbers = Report::default();
                numbers.push("learning_rate", bad.learning_rate);
                self.write("skipped", live, epoch, &extra, &numbers, Duration::ZERO)?;
                Ok(None)
            }
            Verdict::GoBack => Ok(Some(Flow::Back(bad))),
            Verdict::GiveUp => Err(TrainError::NotFinite {
                step: live.state.step,
                quantity: bad.quantity,
                learning_rate: bad.learning_rate,
                samples,
                // This step was not left out: it ended the run.
                skipped: guard.skipped - 1,
                rollbacks: guard.rollbacks,
            }),
        }
    }

    /// Takes the run back to a checkpoint, with a smaller learning rate from there on.
    fn go_back(
        &self,
        model: Trainee,
        live: &mut Live,
        bad: &NotFinite,
    ) -> Result<Trainee, TrainError> {
        let strategy = self.strategy;
        let (from, before) = (live.state.step, live.progress.guard.clone());
        let path =
            strategy
                .keeper
                .way_back(before.rollbacks)?
                .ok_or_else(|| TrainError::NotFinite {
                    step: from,
                    quantity: bad.quantity,
                    learning_rate: bad.learning_rate,
                    samples: bad.samples.join(", "),
                    skipped: before.skipped - 1,
                    rollbacks: before.rollbacks,
                })?;
        let (model, state, progress) = checkpoint::restore(&path, &strategy.stepper, model)?;
        {
            let mut streams = lock(&strategy.streams);
            streams.metrics.cut(progress.metrics_bytes)?;
            streams.timing.cut(progress.timing_bytes)?;
        }
        *live = Live { state, progress };
        let guard = std::mem::take(&mut live.progress.guard);
        live.progress.guard = guard.went_back(&before, &strategy.stepper.config.guard);
        let factor = live.progress.guard.rate.0;
        strategy.say.line(&format!(
            "guard      step {from}: {} is not finite. Back to step {}, learning rate × {factor:e} from there on",
            bad.quantity, live.state.step
        ));
        let mut numbers = Report::default();
        numbers.push("from_step", from as f64);
        numbers.push("rate_factor", factor);
        let epoch = live.progress.cursor.epoch;
        self.write("rolled_back", live, epoch, &[], &numbers, Duration::ZERO)?;
        Ok(model)
    }

    /// Appends a line to the metrics, and its time to the timing where it took any.
    fn write(
        &self,
        kind: &str,
        live: &Live,
        epoch: usize,
        extra: &[(&str, Value)],
        report: &Report,
        elapsed: Duration,
    ) -> Result<(), TrainError> {
        let mut head: Vec<(&str, Value)> = vec![
            ("kind", kind.into()),
            ("epoch", epoch.into()),
            ("step", live.state.step.into()),
        ];
        let mut streams = lock(&self.strategy.streams);
        if !elapsed.is_zero() {
            let mut timing = Report::default();
            timing.push("seconds", elapsed.as_secs_f64());
            if kind == "step" {
                timing.push(
                    "images_per_second",
                    report.samples as f64 / elapsed.as_secs_f64().max(1e-9),
                );
            }
            if let Some(bytes) = memory::resident() {
                timing.push("resident_mib", bytes as f64 / f64::from(1u32 << 20));
            }
            timing.push("unix_time", unix_time());
            streams.timing.write(&head, &timing)?;
        }
        head.extend(extra.iter().cloned());
        streams.metrics.write(&head, report)
    }

    /// Validates; says whether it was the best so far.
    fn validate(
        &mut self,
        model: &Trainee,
        live: &mut Live,
        epoch: usize,
    ) -> Result<bool, TrainError> {
        let mut items: Vec<_> = self.valid.iter().flatten().collect();
        let Some(set) = items.pop().filter(|set| !set.faces.is_empty()) else {
            return Ok(false);
        };
        let started = self.processor.process_valid(LearnerEvent::StartSplit {
            epoch_number: epoch,
            total_items: 1,
        });
        self.interrupter.fail_on_error(started);
        let clock = Instant::now();
        let kept = self.strategy.stepper.kept(model, &live.state);
        let student = kept.as_ref().unwrap_or(&model.student);
        let report = set.evaluate(student, &model.context.0)?;
        self.write("validation", live, epoch, &[], &report, clock.elapsed())?;
        let at = (epoch, live.state.step);
        self.strategy
            .dashboard
            .validation(at, &report, &set, student, &model.context.0);
        let better = live.progress.note_validation(&report);
        let item = TrainingItem::new(report, Shown::new(1, 1, None), Some(epoch), None);
        for event in [
            LearnerEvent::ProcessedItem(item),
            LearnerEvent::EndSplit(epoch),
        ] {
            let processed = self.processor.process_valid(event);
            self.interrupter.fail_on_error(processed);
        }
        Ok(better)
    }
}
