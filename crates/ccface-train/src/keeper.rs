//! When a run writes a checkpoint, and where it goes back to.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    TrainError,
    checkpoint::{self, CheckpointStore, Fingerprint, Progress},
    config::CheckpointConfig,
    metrics::JsonLines,
    step::State,
    trainee::Trainee,
};

/// The files a run appends to.
pub(crate) struct Streams {
    pub(crate) metrics: JsonLines,
    pub(crate) timing: JsonLines,
}

/// Checkpoints of one run: by steps, by time, and on demand.
pub(crate) struct Keeper {
    store: CheckpointStore,
    config: CheckpointConfig,
    fingerprint: Fingerprint,
    last: Mutex<Instant>,
}

impl Keeper {
    pub(crate) fn new(
        store: CheckpointStore,
        config: CheckpointConfig,
        fingerprint: Fingerprint,
    ) -> Self {
        Self {
            store,
            config,
            fingerprint,
            last: Mutex::new(Instant::now()),
        }
    }

    /// Whether the run writes checkpoints at all.
    pub(crate) fn active(&self) -> bool {
        self.config.keep > 0
    }

    /// Whether steps or minutes ask for a checkpoint after `step`.
    pub(crate) fn due(&self, step: u64) -> bool {
        let by_steps = self.config.every_steps > 0 && step.is_multiple_of(self.config.every_steps);
        let minutes = self.config.every_minutes;
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let by_time = minutes > 0.0 && last.elapsed() >= Duration::from_secs_f64(60.0 * minutes);
        self.active() && (by_steps || by_time)
    }

    /// Writes a checkpoint and drops those that are no longer kept; nothing where the run writes none.
    ///
    /// # Errors
    /// [`TrainError::Io`], or [`TrainError::Diverged`]; older checkpoints stay in both cases.
    pub(crate) fn save(
        &self,
        model: &Trainee,
        state: &State,
        progress: &mut Progress,
        streams: &mut Streams,
    ) -> Result<(), TrainError> {
        if !self.active() {
            return Ok(());
        }
        let clock = Instant::now();
        // The logs first: a checkpoint must never count on lines that a power cut could take.
        streams.metrics.sync()?;
        streams.timing.sync()?;
        progress.metrics_bytes = streams.metrics.bytes();
        progress.timing_bytes = streams.timing.bytes();
        let mut draft = self.store.begin(state.step)?;
        checkpoint::write(&mut draft, model, state, progress)?;
        let saved = draft.commit(progress.cursor.epoch, &self.fingerprint)?;
        let best = progress.best.as_ref().map(|best| best.step);
        self.store.prune(self.config.keep, best)?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        log::info!(
            "{} written in {:.2} s",
            saved.path.display(),
            clock.elapsed().as_secs_f64()
        );
        Ok(())
    }

    /// Where the run goes back to after it went back `before` times: one checkpoint further each time.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub(crate) fn way_back(&self, before: u32) -> Result<Option<PathBuf>, TrainError> {
        let found = self.store.go_back(&self.fingerprint, before as usize)?;
        Ok(found.map(|checkpoint| checkpoint.path))
    }
}
