//! One step before the first: does a batch fit the machine?

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use burn::tensor::{Int, Tensor};

use super::launch::panic_message;
use crate::{
    TrainError,
    loader::PairLoader,
    memory, running_buffers,
    step::Stepper,
    trainee::{TrainItem, Trainee},
};

/// What the probe step took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Probed {
    /// Forward, backward and update of one step.
    pub(super) time: Duration,
    /// Memory of the process afterwards, in bytes, where the system says it.
    pub(super) resident: Option<u64>,
}

/// Runs one whole step on a full batch and a full queue, and throws its result away.
///
/// # Errors
/// [`TrainError::Probe`] where the machinery panics (as GPU backends do when memory runs out), or what the data report.
pub(super) fn probe(
    stepper: &Stepper,
    loader: &PairLoader,
    trainee: Trainee,
) -> Result<(Trainee, Probed), TrainError> {
    let mut items = Vec::new();
    for place in 0..stepper.config.train.accumulate.min(loader.batches()) {
        items.push(TrainItem::new(loader.single(0, place)?));
    }
    let batch = stepper.config.train.batch;
    let clock = Instant::now();
    let done = catch_unwind(AssertUnwindSafe(|| {
        let mut state = stepper.state(&trainee);
        if let Some(queue) = &mut state.queue {
            let dim = match &state.momentum {
                Some(_) => trainee.context.0.embedding,
                None => trainee.key_dim(),
            };
            let keys = Tensor::<2>::zeros([queue.capacity(), dim], &stepper.device);
            let labels = Tensor::<1, Int>::zeros([queue.capacity()], &stepper.device);
            queue.push(keys, labels);
        }
        if let Ok(pass) = stepper.gradients(&trainee, &state, items, 1)? {
            let updated = state.optimiser.step(0.0, trainee.clone(), pass.gradients);
            // A device may work ahead of us: reading a number waits for it.
            let _ = crate::gradient::first_number(&updated)?;
        }
        Ok::<_, TrainError>(())
    }));
    let time = clock.elapsed();
    match done {
        Ok(result) => result?,
        Err(panic) => {
            return Err(TrainError::Probe {
                batch,
                message: panic_message(panic.as_ref()),
            });
        }
    }
    let probed = Probed {
        time,
        resident: memory::resident(),
    };
    Ok((running_buffers::undo(trainee), probed))
}
