//! What a checkpoint holds: the trainee, the state between steps, and where the run was.

use std::{fs, path::Path};

use burn::{
    module::{Module, ModuleVisitor, Param},
    store::ModuleRecord,
    tensor::{Bytes, Tensor},
};
use ccface_losses::{KeyQueue, KeyQueueRecord};
use ccface_model::{Backbone, Momentum};

use super::{
    progress::{Progress, QueueFacts},
    store::Draft,
};
use crate::{
    TrainError,
    run_dir::BestValidation,
    step::{State, Stepper},
    trainee::Trainee,
};

const STUDENT: &str = "student.bpk";
const OPTIMISER: &str = "optimiser.bpk";
const MOMENTUM: &str = "momentum.bpk";
const AVERAGE: &str = "average.bpk";
const QUEUE: &str = "queue.bin";
const PROGRESS: &str = "progress.json";

/// Writes everything that the next step depends on.
///
/// # Errors
/// [`TrainError::Io`], or [`TrainError::Diverged`] where a weight is not finite: that never gets onto the disk.
pub(crate) fn write(
    draft: &mut Draft,
    model: &Trainee,
    state: &State,
    progress: &mut Progress,
) -> Result<(), TrainError> {
    // Running statistics lag one step behind until they are asked to catch up; clones share them.
    let _ = model.student.frozen();
    let averages = [(MOMENTUM, &state.momentum), (AVERAGE, &state.average)];
    let finite = all_finite(model)?
        && averages
            .iter()
            .filter_map(|(_, average)| average.as_ref())
            .try_fold(true, |fine, average| {
                Ok::<_, TrainError>(fine && all_finite(average.module())?)
            })?;
    if !finite {
        return Err(TrainError::Diverged { step: state.step });
    }
    draft.file(STUDENT, &bytes_of(model.clone())?)?;
    let optimiser = state.optimiser.into_bytes().map_err(unpackable)?;
    draft.file(OPTIMISER, &optimiser)?;
    for (name, average) in averages {
        if let Some(average) = average {
            draft.file(name, &bytes_of(average.module().clone())?)?;
        }
    }
    progress.queue = None;
    if let Some(queue) = &state.queue {
        let record = queue.to_record();
        progress.queue = Some(QueueFacts {
            capacity: record.capacity,
            dim: record.dim,
            next: record.next,
            length: record.labels.len(),
        });
        draft.file(QUEUE, &queue_bytes(&record))?;
    }
    progress.step = state.step;
    progress.members = state.members;
    progress.take_running(state.running);
    let mut text = serde_json::to_string_pretty(progress).map_err(|error| {
        TrainError::Training(format!("the progress cannot be written: {error}"))
    })?;
    text.push('\n');
    draft.file(PROGRESS, text.as_bytes())
}

/// Puts a run where a checkpoint left it; the directory has been verified before.
///
/// # Errors
/// [`TrainError::Checkpoint`] for files that do not fit the run, although their hashes do.
pub(crate) fn restore(
    dir: &Path,
    stepper: &Stepper,
    model: Trainee,
) -> Result<(Trainee, State, Progress), TrainError> {
    let misfit = |what: String| TrainError::Checkpoint {
        path: dir.to_path_buf(),
        message: format!(
            "{what}. Go on from another one with --resume=PATH, or start anew with --overwrite"
        ),
    };
    let read = |name: &str| {
        let path = dir.join(name);
        fs::read(&path).map_err(TrainError::io(&path, "read"))
    };
    let record = |name: &str| {
        ModuleRecord::from_bytes(Bytes::from_bytes_vec(read(name)?))
            .map_err(|error| misfit(format!("{name}: {error}")))
    };
    let progress: Progress = serde_json::from_slice(&read(PROGRESS)?)
        .map_err(|error| misfit(format!("{PROGRESS}: {error}")))?;
    let model = model
        .try_load_record(record(STUDENT)?)
        .map_err(|error| misfit(format!("{STUDENT}: {error}")))?;
    // Built after the weights are in: its groups go by parameter id, and ids come with the record.
    let mut state = stepper.state(&model);
    state.optimiser = state
        .optimiser
        .from_bytes(Bytes::from_bytes_vec(read(OPTIMISER)?))
        .map_err(|error| misfit(format!("{OPTIMISER}: {error}")))?;
    let averaged = |name: &str, average: Option<Momentum>| match average {
        None => Ok(None),
        Some(average) => average
            .module()
            .frozen()
            .try_load_record(record(name)?)
            .map(|module: Backbone| Some(Momentum::new(&module, average.mu())))
            .map_err(|error| misfit(format!("{name}: {error}"))),
    };
    state.momentum = averaged(MOMENTUM, state.momentum)?;
    state.average = averaged(AVERAGE, state.average)?;
    state.members = progress.members;
    if let Some(facts) = progress.queue.filter(|_| state.queue.is_some()) {
        let record = queue_record(facts, &read(QUEUE)?)
            .ok_or_else(|| misfit(format!("{QUEUE} has another length than {PROGRESS} says")))?;
        let queue = KeyQueue::from_record(record, &stepper.device)
            .map_err(|error| misfit(format!("{QUEUE}: {error}")))?;
        state.queue = Some(queue);
    }
    state.running = progress.running();
    state.step = progress.step;
    Ok((model, state, progress))
}

/// The best validation that a checkpoint knows of; none where it knows none or cannot be read.
pub(crate) fn best_of(dir: &Path) -> Option<BestValidation> {
    let text = fs::read(dir.join(PROGRESS)).ok()?;
    let progress: Progress = serde_json::from_slice(&text).ok()?;
    progress.best.map(|best| BestValidation {
        metric: best.metric,
        value: best.value.0,
        step: best.step,
    })
}

/// The whole model, to begin again from.
///
/// # Errors
/// [`TrainError::Training`] where it cannot be packed.
pub(crate) fn pack(model: &Trainee) -> Result<Vec<u8>, TrainError> {
    // Running statistics lag one step behind until they are asked to catch up; clones share them.
    let _ = model.student.frozen();
    Ok(bytes_of(model.clone())?.to_vec())
}

/// The model that was packed.
///
/// # Errors
/// [`TrainError::Training`] where the bytes are of another model.
pub(crate) fn unpack(model: Trainee, bytes: &[u8]) -> Result<Trainee, TrainError> {
    let misfit = |error: &dyn std::fmt::Display| {
        TrainError::Training(format!("the first weights cannot be taken up: {error}"))
    };
    let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes.to_vec()))
        .map_err(|error| misfit(&error))?;
    model
        .try_load_record(record)
        .map_err(|error| misfit(&error))
}

fn bytes_of<M: Module>(module: M) -> Result<Bytes, TrainError> {
    module.into_record().into_bytes().map_err(unpackable)
}

fn unpackable(error: impl std::fmt::Display) -> TrainError {
    TrainError::Training(format!("the checkpoint cannot be packed: {error}"))
}

fn queue_bytes(record: &KeyQueueRecord) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 * record.keys.len() + 8 * record.labels.len());
    bytes.extend(record.keys.iter().flat_map(|key| key.to_le_bytes()));
    bytes.extend(record.labels.iter().flat_map(|label| label.to_le_bytes()));
    bytes
}

fn queue_record(facts: QueueFacts, bytes: &[u8]) -> Option<KeyQueueRecord> {
    let keys = facts.length.checked_mul(facts.dim)?.checked_mul(4)?;
    let (keys, labels) = bytes.split_at_checked(keys)?;
    if labels.len() != facts.length.checked_mul(8)? {
        return None;
    }
    Some(KeyQueueRecord {
        capacity: facts.capacity,
        dim: facts.dim,
        next: facts.next,
        keys: keys
            .chunks_exact(4)
            .filter_map(|b| Some(f32::from_le_bytes(b.try_into().ok()?)))
            .collect(),
        labels: labels
            .chunks_exact(8)
            .filter_map(|b| Some(i64::from_le_bytes(b.try_into().ok()?)))
            .collect(),
    })
}

/// Whether every number of a module is finite.
///
/// # Errors
/// [`TrainError::Training`] where the device does not give the numbers back.
pub(crate) fn all_finite<M: Module>(module: &M) -> Result<bool, TrainError> {
    struct Check(Result<bool, TrainError>);
    impl ModuleVisitor for Check {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if matches!(self.0, Ok(true)) {
                self.0 = crate::encoder::read_rows(param.val().without_autodiff())
                    .map(|values| values.iter().all(|value| value.is_finite()));
            }
        }
    }
    let mut check = Check(Ok(true));
    module.visit(&mut check);
    check.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_queue_survives_its_file_and_a_wrong_length_is_noticed() {
        let record = KeyQueueRecord {
            capacity: 5,
            dim: 3,
            next: 2,
            keys: vec![0.1, -2.0, f32::MIN_POSITIVE, 4.0, 5.5, 1e30],
            labels: vec![7, -1],
        };
        let facts = QueueFacts {
            capacity: 5,
            dim: 3,
            next: 2,
            length: 2,
        };
        let bytes = queue_bytes(&record);
        assert_eq!(queue_record(facts, &bytes).unwrap(), record);
        assert!(queue_record(facts, &bytes[1..]).is_none());
    }
}
