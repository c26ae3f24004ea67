//! A first-in-first-out queue of past keys with their labels.

use burn::tensor::{Device, Int, Tensor, TensorData, assert_shape};
use serde::{Deserialize, Serialize};

use crate::{
    error::LossError,
    numeric::{constant, full_precision},
};

/// The newest `capacity` keys, as plain tensors that no optimizer and no checkpoint visits.
///
/// With frozen teacher keys the queue never goes stale and merely resamples the teacher's
/// embeddings: cap it at the data set's size. MoCo's default capacity is 65,536.
///
/// Storage is a ring: a push writes the batch's rows and moves none.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use ccface_losses::KeyQueue;
/// let device = Device::default();
/// let mut queue = KeyQueue::new(3);
/// queue.push(Tensor::<2>::eye(2, &device), Tensor::<1, Int>::from_ints([4, 5], &device));
/// assert_eq!((queue.len(), queue.capacity()), (2, 3));
/// ```
#[derive(Clone, Debug)]
pub struct KeyQueue {
    capacity: usize,
    length: usize,
    next: usize,
    storage: Option<(Tensor<2>, Tensor<1, Int>)>,
}

/// A queue as plain numbers, for a checkpoint; rows in storage order, so that a resumed run sums in
/// the order of the uninterrupted one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyQueueRecord {
    /// How many keys the queue can hold.
    pub capacity: usize,
    /// The dimension of a key; 0 for an empty queue.
    pub dim: usize,
    /// The row that the next key will be written to.
    pub next: usize,
    /// The keys, row after row.
    pub keys: Vec<f32>,
    /// Their labels.
    pub labels: Vec<i64>,
}

impl KeyQueue {
    /// An empty queue; a capacity of 0 makes a queue that stays empty.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            length: 0,
            next: 0,
            storage: None,
        }
    }

    /// How many keys the queue can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many keys it holds.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The keys and their labels, in storage order; `None` while the queue is empty.
    ///
    /// # Shapes
    /// - keys: `[len, dim]`
    /// - labels: `[len]`
    pub fn contents(&self) -> Option<(Tensor<2>, Tensor<1, Int>)> {
        let (keys, labels) = self.storage.as_ref().filter(|_| self.length > 0)?;
        Some(if self.length == self.capacity {
            (keys.clone(), labels.clone())
        } else {
            (
                keys.clone().narrow(0, 0, self.length),
                labels.clone().narrow(0, 0, self.length),
            )
        })
    }

    /// Adds a batch of keys and drops the oldest beyond the capacity; no gradient is kept.
    ///
    /// # Shapes
    /// - keys: `[batch, dim]`, unit norm; the same `dim` at every push
    /// - labels: `[batch]`
    ///
    /// # Panics
    /// Where shapes disagree.
    pub fn push(&mut self, keys: Tensor<2>, labels: Tensor<1, Int>) {
        let [batch, dim] = keys.dims();
        assert_shape!(labels, [batch]);
        let fitting = batch.min(self.capacity);
        if fitting == 0 {
            return;
        }
        let keys = full_precision(constant(keys)).narrow(0, batch - fitting, fitting);
        let labels = labels
            .without_autodiff()
            .narrow(0, batch - fitting, fitting);
        let (mut all_keys, mut all_labels) = match self.storage.take() {
            Some(storage) => storage,
            None => {
                let device = keys.device();
                (
                    Tensor::zeros([self.capacity, dim], (&device, keys.dtype())),
                    Tensor::zeros([self.capacity], (&device, labels.dtype())),
                )
            }
        };
        assert_shape!(all_keys, [_, dim]);
        // Up to the ring's end, then from its beginning.
        let first = fitting.min(self.capacity - self.next);
        for (from, to, count) in [(0, self.next, first), (first, 0, fitting - first)] {
            if count > 0 {
                let new_keys = keys.clone().narrow(0, from, count);
                let new_labels = labels.clone().narrow(0, from, count);
                all_keys = all_keys.slice_assign([to..to + count, 0..dim], new_keys);
                #[allow(clippy::single_range_in_vec_init)]
                let rows = [to..to + count];
                all_labels = all_labels.slice_assign(rows, new_labels);
            }
        }
        self.next = (self.next + fitting) % self.capacity;
        self.length = (self.length + fitting).min(self.capacity);
        self.storage = Some((all_keys, all_labels));
    }

    /// The queue as plain numbers, read back from the device (keys in f32).
    pub fn to_record(&self) -> KeyQueueRecord {
        let (dim, keys, labels) = match self.contents() {
            None => (0, Vec::new(), Vec::new()),
            Some((keys, labels)) => (
                keys.dims()[1],
                keys.into_data().iter::<f32>().collect(),
                labels.into_data().iter::<i64>().collect(),
            ),
        };
        KeyQueueRecord {
            capacity: self.capacity,
            dim,
            next: self.next,
            keys,
            labels,
        }
    }

    /// The queue that a record describes, on `device`.
    ///
    /// # Errors
    /// [`LossError::QueueRecord`] where the record's numbers contradict each other.
    pub fn from_record(record: KeyQueueRecord, device: &Device) -> Result<Self, LossError> {
        let length = record.labels.len();
        let damaged = |what: String| Err(LossError::QueueRecord { what });
        if length > record.capacity {
            return damaged(format!(
                "{length} labels exceed the capacity of {}",
                record.capacity
            ));
        }
        if length.checked_mul(record.dim) != Some(record.keys.len()) {
            return damaged(format!(
                "{} numbers are not {length} keys of dimension {}",
                record.keys.len(),
                record.dim
            ));
        }
        if length > 0 && record.dim == 0 {
            return damaged(format!("{length} keys of dimension 0"));
        }
        // A queue that is not full was filled from row 0 on.
        let expected = if length < record.capacity {
            length
        } else {
            record.next
        };
        if record.next != expected || (record.capacity > 0 && record.next >= record.capacity) {
            return damaged(format!(
                "{length} of {} keys, but the next row is {}",
                record.capacity, record.next
            ));
        }
        let mut queue = Self::new(record.capacity);
        if length > 0 {
            let keys = TensorData::new(record.keys, [length, record.dim]);
            let labels = TensorData::new(record.labels, [length]);
            let device = device.clone().without_autodiff();
            queue.push(
                Tensor::from_data(keys, &device),
                Tensor::from_data(labels, &device),
            );
            queue.next = record.next;
        }
        Ok(queue)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{labels, values};

    fn keys(from: i64, count: i64) -> (Tensor<2>, Tensor<1, Int>) {
        let ids: Vec<i64> = (from..from + count).collect();
        let rows: Vec<f32> = ids.iter().flat_map(|i| [*i as f32, -(*i as f32)]).collect();
        let rows = TensorData::new(rows, [count as usize, 2]);
        (Tensor::from_data(rows, &Device::flex()), labels(&ids))
    }

    fn held(queue: &KeyQueue) -> Vec<i64> {
        let (rows, own) = queue.contents().unwrap();
        let mut own: Vec<i64> = own.into_data().iter::<i64>().collect();
        let rows = values(rows);
        for (row, label) in own.iter().enumerate() {
            assert_eq!(rows[2 * row], *label as f64);
            assert_eq!(rows[2 * row + 1], -(*label as f64));
        }
        own.sort_unstable();
        own
    }

    #[test]
    fn the_newest_keys_stay_whatever_the_batch_sizes() {
        for capacity in 1..8 {
            for batch in 1..10 {
                let mut queue = KeyQueue::new(capacity);
                let mut pushed = 0i64;
                for _ in 0..7 {
                    let (rows, own) = keys(pushed, batch);
                    queue.push(rows, own);
                    pushed += batch;
                    let first = (pushed - capacity as i64).max(0);
                    assert_eq!(held(&queue), (first..pushed).collect::<Vec<_>>());
                    assert_eq!(queue.len(), (pushed as usize).min(capacity));
                }
            }
        }
    }

    #[test]
    fn a_record_restores_the_queue_and_its_future() {
        for pushes in 0..4 {
            let mut queue = KeyQueue::new(5);
            for push in 0..pushes {
                let (rows, own) = keys(2 * push, 2);
                queue.push(rows, own);
            }
            let record = queue.to_record();
            let mut restored = KeyQueue::from_record(record.clone(), &Device::flex()).unwrap();
            assert_eq!(restored.to_record(), record);
            for q in [&mut queue, &mut restored] {
                let (rows, own) = keys(100, 3);
                q.push(rows, own);
            }
            assert_eq!(restored.to_record(), queue.to_record());
        }
    }

    #[test]
    fn a_queue_without_capacity_stays_empty() {
        let mut queue = KeyQueue::new(0);
        let (rows, own) = keys(0, 3);
        queue.push(rows, own);
        assert!(queue.is_empty() && queue.contents().is_none());
        let record = queue.to_record();
        assert!(KeyQueue::from_record(record, &Device::flex()).is_ok());
    }

    #[test]
    fn damaged_records_are_refused() {
        let good = KeyQueueRecord {
            capacity: 3,
            dim: 2,
            next: 2,
            keys: vec![0.0; 4],
            labels: vec![0, 1],
        };
        assert!(KeyQueue::from_record(good.clone(), &Device::flex()).is_ok());
        let damage: [fn(&mut KeyQueueRecord); 5] = [
            |r| r.capacity = 1,
            |r| r.dim = 3,
            |r| r.next = 1,
            |r| r.keys.truncate(3),
            |r| {
                r.dim = 0;
                r.keys.clear();
            },
        ];
        for change in damage {
            let mut bad = good.clone();
            change(&mut bad);
            assert!(KeyQueue::from_record(bad, &Device::flex()).is_err());
        }
    }
}
