//! ccface-data's loader as a burn data loader: batches in the order of (seed, epoch), from any step on.

use std::sync::{Arc, Mutex, PoisonError};

use burn::{
    data::{
        dataloader::{DataLoader, DataLoaderIterator, Progress},
        dataset::DatasetError,
    },
    tensor::Device,
};
use ccface_data::{BadImage, Batch, DataError, Loader};

use crate::trainee::TrainItem;

/// One epoch after the other; each `iter` starts where `seek` said.
#[derive(Clone)]
pub(crate) struct PairLoader {
    loader: Arc<Loader>,
    images: usize,
    batch: usize,
    position: Arc<Mutex<(u64, usize)>>,
    failure: Arc<Mutex<Option<DataError>>>,
}

impl PairLoader {
    pub(crate) fn new(loader: Loader, images: usize, batch: usize) -> Self {
        Self {
            loader: Arc::new(loader),
            images,
            batch,
            position: Arc::new(Mutex::new((0, 0))),
            failure: Arc::new(Mutex::new(None)),
        }
    }

    pub(crate) fn batches(&self) -> usize {
        self.loader.len_batches()
    }

    /// Where the next `iter` starts: an epoch, from 0, and a batch in it.
    pub(crate) fn seek(&self, epoch: u64, batch: usize) {
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) = (epoch, batch);
    }

    /// One batch by its place.
    ///
    /// # Errors
    /// What its images report, or that there is no such batch.
    pub(crate) fn single(&self, epoch: u64, batch: usize) -> Result<Batch, DataError> {
        self.loader
            .epoch(epoch, batch)
            .next()
            .unwrap_or(Err(DataError::Worker))
    }

    /// The images that could not be used so far.
    pub(crate) fn quarantine(&self) -> Vec<BadImage> {
        self.loader.quarantine()
    }

    /// Takes over what an earlier process found.
    pub(crate) fn restore_quarantine(&self, bad: &[BadImage]) {
        self.loader.restore_quarantine(bad);
    }

    /// The error that ended an epoch early, as it was.
    pub(crate) fn take_failure(&self) -> Option<DataError> {
        self.failure.lock().ok()?.take()
    }
}

impl DataLoader<TrainItem> for PairLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<TrainItem> + 'a> {
        let (epoch, batch) = *self.position.lock().unwrap_or_else(PoisonError::into_inner);
        Box::new(Epoch {
            batches: Box::new(self.loader.epoch(epoch, batch)),
            owner: self,
            done: (batch * self.batch).min(self.images),
        })
    }

    fn num_items(&self) -> usize {
        self.images
    }

    fn to_device(&self, _device: &Device) -> Arc<dyn DataLoader<TrainItem>> {
        // Batches are plain numbers; the step uploads them.
        Arc::new(self.clone())
    }

    fn slice(&self, _start: usize, _end: usize) -> Arc<dyn DataLoader<TrainItem>> {
        // Only burn's multi-device strategies slice; ours does not.
        Arc::new(self.clone())
    }
}

struct Epoch<'a> {
    batches: Box<dyn Iterator<Item = Result<Batch, DataError>> + 'a>,
    owner: &'a PairLoader,
    done: usize,
}

impl Iterator for Epoch<'_> {
    type Item = Result<TrainItem, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(match self.batches.next()? {
            Ok(batch) => {
                self.done += batch.len();
                Ok(TrainItem::new(batch))
            }
            Err(error) => {
                let text = std::io::Error::other(error.to_string());
                if let Ok(mut slot) = self.owner.failure.lock() {
                    slot.get_or_insert(error);
                }
                Err(DatasetError::new(text))
            }
        })
    }
}

impl DataLoaderIterator<TrainItem> for Epoch<'_> {
    fn progress(&self) -> Progress {
        Progress::new(self.done, self.owner.images, Some("images".into()))
    }
}

/// A loader that gives one item, the validation, each time.
#[derive(Clone)]
pub(crate) struct OneItem<T>(pub(crate) T);

impl<T: Clone + Send + Sync + 'static> DataLoader<T> for OneItem<T> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<T> + 'a> {
        Box::new(Once(Some(self.0.clone())))
    }

    fn num_items(&self) -> usize {
        1
    }

    fn to_device(&self, _device: &Device) -> Arc<dyn DataLoader<T>> {
        Arc::new(self.clone())
    }

    fn slice(&self, _start: usize, _end: usize) -> Arc<dyn DataLoader<T>> {
        Arc::new(self.clone())
    }
}

struct Once<T>(Option<T>);

impl<T> Iterator for Once<T> {
    type Item = Result<T, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl<T> DataLoaderIterator<T> for Once<T> {
    fn progress(&self) -> Progress {
        Progress::new(usize::from(self.0.is_none()), 1, Some("validations".into()))
    }
}
