//! Batches, prepared ahead by worker threads, in an order that no thread can change.

mod config;

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

pub use config::LoaderConfig;

use crate::batch::Batch;
use crate::error::DataError;
use crate::paired::{Draw, PairConfig, Pairer, Views};
use crate::quarantine::{BadImage, Quarantine, Substitutes};
use crate::sampler::Visit;
use crate::source::{CachedSource, FaceSource};

/// Gives the batches of any epoch, from any position.
///
/// Batch `b` of an epoch holds the visits `b·batch..` of the sampler's order, and every draw within it follows
/// from (seed, epoch, index): the same bytes come with any number of workers and after a restart anywhere.
///
/// An image that cannot be used is listed in its batch's `bad`, and another of its identity stands in, the same one every
/// time; the batch's `indices` and `labels` are those of the stand-in.
pub struct Loader {
    shared: Arc<Shared>,
}

struct Shared {
    source: Arc<dyn FaceSource>,
    pairer: Pairer,
    config: LoaderConfig,
    substitutes: OnceLock<Substitutes>,
    quarantine: Mutex<Quarantine>,
}

impl Loader {
    /// A loader of HR/LR pairs.
    ///
    /// # Errors
    /// The first invalid setting of either config, a source without images, or one that had to leave out more entries
    /// than the error budget allows.
    pub fn new(
        source: Arc<dyn FaceSource>,
        pairs: PairConfig,
        config: LoaderConfig,
    ) -> Result<Self, DataError> {
        if let Some(problem) = config.problems().into_iter().next() {
            return Err(problem);
        }
        if let Some(problem) = config.sampler.problem(source.as_ref(), config.batch) {
            return Err(problem);
        }
        if source.is_empty() {
            return Err(DataError::config(
                "images",
                0,
                "the source holds no images to load",
            ));
        }
        let source: Arc<dyn FaceSource> = if config.cache_bytes > 0 {
            Arc::new(CachedSource::new(source, config.cache_bytes))
        } else {
            source
        };
        let pairer = Pairer::new(pairs)?;
        let quarantine = Quarantine::default();
        quarantine.check(source.as_ref(), config.error_budget)?;
        Ok(Self {
            shared: Arc::new(Shared {
                source,
                pairer,
                config,
                substitutes: OnceLock::new(),
                quarantine: Mutex::new(quarantine),
            }),
        })
    }

    /// The number of batches in an epoch.
    pub fn len_batches(&self) -> usize {
        let Shared { source, config, .. } = self.shared.as_ref();
        let visits = config.sampler.visits(source.as_ref(), config.batch);
        if config.drop_last {
            visits / config.batch
        } else {
            visits.div_ceil(config.batch)
        }
    }

    /// The source that is read.
    pub fn source(&self) -> &Arc<dyn FaceSource> {
        &self.shared.source
    }

    /// The bad images that batches have shown so far, by index.
    pub fn quarantine(&self) -> Vec<BadImage> {
        self.shared.quarantine().list()
    }

    /// Takes over the bad images that an earlier process found, so that the error budget goes on where it was.
    pub fn restore_quarantine(&self, bad: &[BadImage]) {
        let mut quarantine = self.shared.quarantine();
        bad.iter().for_each(|bad| quarantine.add(bad.clone()));
    }

    /// The batches of an epoch from `start_batch` on.
    ///
    /// Worker threads run until the iterator is dropped, at most `workers · (prefetch + 1)` batches ahead.
    pub fn epoch(&self, epoch: u64, start_batch: usize) -> Epoch {
        let Shared { source, config, .. } = self.shared.as_ref();
        let order = config
            .sampler
            .order(source.as_ref(), config.batch, config.seed, epoch);
        let end = self.len_batches();
        let plan = Arc::new(EpochPlan {
            shared: Arc::clone(&self.shared),
            order,
            epoch,
        });
        let workers = (0..config.workers.min(end.saturating_sub(start_batch)))
            .map(|w| spawn(&plan, start_batch + w, end))
            .collect();
        Epoch {
            plan,
            workers,
            start: start_batch,
            next: start_batch,
            end,
        }
    }
}

impl Shared {
    fn quarantine(&self) -> MutexGuard<'_, Quarantine> {
        self.quarantine
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The views of an image, or of the one that stands in for it, the HR view appended to the batch's; bad images are
    /// listed in the batch.
    fn views(&self, draw: Draw, batch: &mut Batch) -> Result<(usize, Views), DataError> {
        let source = self.source.as_ref();
        let mut failed = match self.pairer.views(source, draw, batch.hr.as_mut()) {
            Ok(views) => return Ok((draw.index, views)),
            Err(error) => error,
        };
        let substitutes = self
            .substitutes
            .get_or_init(|| Substitutes::new(source, self.config.seed));
        let mut index = draw.index;
        for next in substitutes.of(source, draw.index) {
            let DataError::Image { reason, .. } = failed else {
                return Err(failed);
            };
            batch.bad.push(BadImage {
                index,
                name: source.name(index),
                reason,
            });
            index = next;
            match self
                .pairer
                .views(source, Draw { index, ..draw }, batch.hr.as_mut())
            {
                Ok(views) => return Ok((index, views)),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

struct EpochPlan {
    shared: Arc<Shared>,
    order: Vec<Visit>,
    epoch: u64,
}

impl EpochPlan {
    fn batch(&self, number: usize) -> Result<Batch, DataError> {
        let Shared {
            source,
            pairer,
            config,
            ..
        } = self.shared.as_ref();
        let from = (number * config.batch).min(self.order.len());
        let to = (from + config.batch).min(self.order.len());
        let visits = &self.order[from..to];
        let (student_size, hr_size) = (pairer.config.student_size, pairer.config.teacher_size);
        let n = visits.len();
        let mut batch = Batch {
            indices: Vec::with_capacity(n),
            labels: Vec::with_capacity(n),
            flipped: Vec::with_capacity(n),
            face_sizes: Vec::with_capacity(n),
            is_hr: Vec::with_capacity(n),
            student: Vec::with_capacity(n * 3 * student_size * student_size),
            hr: config
                .want_hr
                .then(|| Vec::with_capacity(n * 3 * hr_size * hr_size)),
            student_size,
            hr_size,
            bad: Vec::new(),
        };
        for visit in visits {
            let draw = Draw {
                seed: config.seed,
                epoch: self.epoch,
                index: visit.index,
                repeat: visit.repeat,
            };
            let (index, views) = self.shared.views(draw, &mut batch)?;
            batch.indices.push(index);
            batch.labels.push(source.identity(index));
            batch.flipped.push(views.flipped);
            batch.face_sizes.push(views.face_size);
            batch.is_hr.push(views.is_hr);
            batch.student.extend_from_slice(&views.student.data);
        }
        Ok(batch)
    }
}

struct Worker {
    batches: Receiver<Result<Batch, DataError>>,
    thread: JoinHandle<()>,
}

/// Worker `w` of `n` prepares batches `start + w`, `start + w + n`, …: the consumer takes from the workers in turn,
/// so that order needs no sorting, and a full channel makes the worker wait.
fn spawn(plan: &Arc<EpochPlan>, first: usize, end: usize) -> Worker {
    let config = &plan.shared.config;
    let step = config.workers;
    let (sender, batches) = sync_channel(config.prefetch);
    let plan = Arc::clone(plan);
    let thread = std::thread::spawn(move || {
        for number in (first..end).step_by(step) {
            if sender.send(plan.batch(number)).is_err() {
                return;
            }
        }
    });
    Worker { batches, thread }
}

/// The batches of one epoch, in order.
///
/// A spent error budget ends the sequence with [`DataError::Budget`]; where that happens depends on the order of the
/// batches alone.
pub struct Epoch {
    plan: Arc<EpochPlan>,
    workers: Vec<Worker>,
    start: usize,
    next: usize,
    end: usize,
}

impl Epoch {
    /// The number of the batch that comes next: where a restart would begin.
    pub fn position(&self) -> usize {
        self.next
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let number = self.next;
        self.next += 1;
        let Shared { config, source, .. } = self.plan.shared.as_ref();
        let made = if self.workers.is_empty() {
            self.plan.batch(number)
        } else {
            let worker = &self.workers[(number - self.start) % config.workers];
            worker.batches.recv().unwrap_or(Err(DataError::Worker))
        };
        // Counted here and not in the workers, so that the threads' timing has no say.
        let counted = made.and_then(|batch| {
            if !batch.bad.is_empty() {
                let mut quarantine = self.plan.shared.quarantine();
                batch.bad.iter().for_each(|bad| quarantine.add(bad.clone()));
                quarantine.check(source.as_ref(), config.error_budget)?;
            }
            Ok(batch)
        });
        if matches!(counted, Err(DataError::Budget { .. })) {
            self.next = self.end;
        }
        Some(counted)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end.saturating_sub(self.next);
        (left, Some(left))
    }
}

impl Drop for Epoch {
    fn drop(&mut self) {
        for worker in self.workers.drain(..) {
            // Closing the channel lets the thread end at its next batch.
            drop(worker.batches);
            if worker.thread.join().is_err() {
                log::warn!("a data loader thread ended in a panic");
            }
        }
    }
}

#[cfg(test)]
mod tests;
