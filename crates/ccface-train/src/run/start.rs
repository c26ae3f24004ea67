//! Where a run begins: at its first step, or where its newest sound checkpoint left it.

use std::path::Path;

use super::{Resume, RunRequest, plan::Plan};
use crate::{
    TrainError,
    checkpoint::{
        self, CheckpointStore, Fingerprint, Manifest, Progress, Search, StoredCheckpoint,
    },
    keeper::{Keeper, Streams},
    metrics::JsonLines,
    renderer::Say,
    run_dir::RunDir,
    step::Stepper,
    strategy::Live,
    trainee::Trainee,
};

/// A run that is ready for its next step.
pub(super) struct Begin {
    pub(super) trainee: Trainee,
    pub(super) live: Live,
    pub(super) keeper: Keeper,
    pub(super) streams: Streams,
}

/// Puts trainee, state and logs where the run begins.
///
/// # Errors
/// A checkpoint that was asked for and cannot be used, checkpoints of another run alone, or files that cannot be written.
pub(super) fn start(
    request: &RunRequest,
    plan: &Plan,
    run: &RunDir,
    stepper: &Stepper,
    trainee: Trainee,
    say: &Say,
) -> Result<Begin, TrainError> {
    let fingerprint = plan.fingerprint();
    let store = CheckpointStore::of_run(run.path());
    let partial = store.clean()?;
    if partial > 0 {
        say.line(&format!(
            "checkpoint {partial} half written and removed: an earlier process was cut off while it wrote"
        ));
    }
    let from = match &request.resume {
        Resume::Never => None,
        Resume::Auto => newest(&store, &fingerprint, say)?,
        Resume::From(path) => Some(chosen(&store, path, &fingerprint)?),
    };
    let (trainee, live) = match &from {
        Some(checkpoint) => {
            let (trainee, state, progress) =
                checkpoint::restore(&checkpoint.path, stepper, trainee)?;
            say.line(&format!(
                "resume     from {}: step {}, epoch {}",
                checkpoint.name(),
                progress.step,
                progress.cursor.epoch
            ));
            if let Ok(manifest) = Manifest::verified(&checkpoint.path)
                && manifest.threads != rayon::current_num_threads()
            {
                say.line(&format!(
                    "resume     the run had {} threads and has {} now: its numbers go on, but not bit for bit",
                    manifest.threads,
                    rayon::current_num_threads()
                ));
            }
            (trainee, Live { state, progress })
        }
        None => {
            let state = stepper.state(&trainee);
            let progress = Progress::start(plan.config.seed);
            (trainee, Live { state, progress })
        }
    };
    let streams = Streams {
        metrics: JsonLines::append_after(&run.metrics_file(), live.progress.metrics_bytes)?,
        timing: JsonLines::append_after(&run.timing_file(), live.progress.timing_bytes)?,
    };
    Ok(Begin {
        trainee,
        live,
        keeper: Keeper::new(store, plan.config.checkpoint.clone(), fingerprint),
        streams,
    })
}

/// The newest sound checkpoint, each rejected one said; none where all are damaged or there is none.
fn newest(
    store: &CheckpointStore,
    fingerprint: &Fingerprint,
    say: &Say,
) -> Result<Option<StoredCheckpoint>, TrainError> {
    let Search { found, rejected } = store.newest(fingerprint)?;
    for (checkpoint, rejection) in &rejected {
        say.line(&format!(
            "resume     {} rejected: {rejection}",
            checkpoint.name()
        ));
    }
    if found.is_some() {
        return Ok(found);
    }
    if let Some((checkpoint, rejection)) = rejected.iter().find(|(_, r)| r.foreign) {
        return Err(TrainError::Checkpoint {
            path: checkpoint.path.clone(),
            message: format!(
                "{rejection}. Resume with the run's own configuration (leave --config and --set out: its config.toml is read), \
                 give another --out, or --overwrite to start anew"
            ),
        });
    }
    say.line(if rejected.is_empty() {
        "resume     there is no checkpoint yet: from the first step"
    } else {
        "resume     no checkpoint is sound: from the first step"
    });
    Ok(None)
}

/// The checkpoint that was named, by its directory or its name alone.
fn chosen(
    store: &CheckpointStore,
    path: &Path,
    fingerprint: &Fingerprint,
) -> Result<StoredCheckpoint, TrainError> {
    let refuse = |message: String| TrainError::Checkpoint {
        path: path.to_path_buf(),
        message,
    };
    let all = store.list()?;
    let names = || {
        all.iter()
            .map(StoredCheckpoint::name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let same = |known: &Path| match (known.canonicalize(), path.canonicalize()) {
        (Ok(known), Ok(path)) => known == path,
        _ => false,
    };
    let found = all
        .iter()
        .find(|known| Path::new(&known.name()) == path || same(&known.path))
        .ok_or_else(|| {
            refuse(format!(
                "is no checkpoint of this run; it has: {}. To start from another run's student, set student.start to it",
                names()
            ))
        })?;
    let sound = Manifest::verified(&found.path).and_then(|manifest| {
        fingerprint
            .difference(&manifest.fingerprint)
            .map_or(Ok(()), Err)
    });
    match sound {
        Ok(()) => Ok(found.clone()),
        Err(rejection) => Err(refuse(rejection.to_string())),
    }
}
