//! The folder of a run's checkpoints: writing one whole, finding the newest that is sound, dropping the rest.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use super::manifest::{CHECKPOINT_SCHEMA, FileFacts, Fingerprint, MANIFEST_FILE, Manifest};
use crate::TrainError;

/// Prefix of a directory that is being written or removed.
const PARTIAL: &str = ".partial-";
/// Prefix of a checkpoint that another of the same step is about to replace.
const REPLACED: &str = ".replaced-";
/// Prefix of a checkpoint.
const STEP: &str = "step-";

/// Why a checkpoint is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The reason, as half a sentence.
    pub reason: String,
    /// Whether the checkpoint is sound but of another run or program, and not merely damaged.
    pub foreign: bool,
}

impl Rejection {
    pub(super) fn damaged(reason: String) -> Self {
        Self {
            reason,
            foreign: false,
        }
    }

    pub(super) fn foreign(reason: String) -> Self {
        Self {
            reason,
            foreign: true,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// A checkpoint as it lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// Its directory.
    pub path: PathBuf,
    /// The step in its name.
    pub step: u64,
}

impl StoredCheckpoint {
    /// Its name for messages: the directory's.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }
}

/// What a search for a checkpoint found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The newest that is sound and of the run.
    pub found: Option<StoredCheckpoint>,
    /// Every newer one, newest first, with what is wrong with it.
    pub rejected: Vec<(StoredCheckpoint, Rejection)>,
}

/// The folder `checkpoints` of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointStore {
    dir: PathBuf,
}

impl CheckpointStore {
    /// The store of the run directory `run`; nothing is made until something is written.
    pub fn of_run(run: &Path) -> Self {
        Self {
            dir: run.join("checkpoints"),
        }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Every checkpoint by its name, newest first; none of them is verified.
    ///
    /// # Errors
    /// [`TrainError::Io`] for a folder that cannot be read.
    pub fn list(&self) -> Result<Vec<StoredCheckpoint>, TrainError> {
        let mut found: Vec<StoredCheckpoint> = self
            .entries()?
            .into_iter()
            .filter_map(|path| {
                let step = path
                    .file_name()?
                    .to_str()?
                    .strip_prefix(STEP)?
                    .parse()
                    .ok()?;
                Some(StoredCheckpoint { path, step })
            })
            .collect();
        found.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.step));
        Ok(found)
    }

    fn entries(&self) -> Result<Vec<PathBuf>, TrainError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(TrainError::io(&self.dir, "read")(error)),
        };
        entries
            .map(|entry| {
                entry
                    .map(|e| e.path())
                    .map_err(TrainError::io(&self.dir, "read"))
            })
            .collect()
    }

    /// The newest checkpoint that is sound and of this run, and why each newer one was rejected.
    ///
    /// # Errors
    /// [`TrainError::Io`] for a folder that cannot be read.
    pub fn newest(&self, fingerprint: &Fingerprint) -> Result<Search, TrainError> {
        let mut rejected = Vec::new();
        for checkpoint in self.list()? {
            let sound = Manifest::verified(&checkpoint.path).and_then(|manifest| match fingerprint
                .difference(&manifest.fingerprint)
            {
                Some(rejection) => Err(rejection),
                None => Ok(()),
            });
            match sound {
                Ok(()) => {
                    return Ok(Search {
                        found: Some(checkpoint),
                        rejected,
                    });
                }
                Err(rejection) => rejected.push((checkpoint, rejection)),
            }
        }
        Ok(Search {
            found: None,
            rejected,
        })
    }

    /// The way back of a run whose numbers went bad: of its sound checkpoints the newest, or with `further` one that many before
    /// it, as far as there are any. Every newer one is removed, so that no later start takes it up.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn go_back(
        &self,
        fingerprint: &Fingerprint,
        further: usize,
    ) -> Result<Option<StoredCheckpoint>, TrainError> {
        let all = self.list()?;
        let mut sound = all.iter().filter(|checkpoint| {
            Manifest::verified(&checkpoint.path)
                .is_ok_and(|manifest| fingerprint.difference(&manifest.fingerprint).is_none())
        });
        let mut chosen = sound.next().cloned();
        for older in sound.take(further) {
            chosen = Some(older.clone());
        }
        if let Some(chosen) = &chosen {
            for newer in all.iter().filter(|newer| newer.step > chosen.step) {
                self.discard(&newer.path)?;
            }
        }
        Ok(chosen)
    }

    /// Removes what an earlier process left half written or half removed, and puts back what it was about to replace; returns
    /// how many.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn clean(&self) -> Result<usize, TrainError> {
        let mut found = 0;
        for path in self.entries()? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some(original) = name.strip_prefix(REPLACED) {
                let place = self.dir.join(original);
                if place.exists() {
                    remove(&path)?;
                } else {
                    fs::rename(&path, &place).map_err(TrainError::io(&place, "write"))?;
                }
                found += 1;
            } else if name.starts_with(PARTIAL) {
                remove(&path)?;
                found += 1;
            }
        }
        Ok(found)
    }

    /// Starts the checkpoint of `step`.
    ///
    /// # Errors
    /// [`TrainError::Io`] where its directory cannot be made.
    pub fn begin(&self, step: u64) -> Result<Draft, TrainError> {
        let partial = self.dir.join(format!("{PARTIAL}{STEP}{step:09}"));
        remove(&partial)?;
        fs::create_dir_all(&partial).map_err(TrainError::io(&partial, "create"))?;
        Ok(Draft {
            store: self.clone(),
            step,
            path: partial,
            files: BTreeMap::new(),
        })
    }

    /// Keeps the newest `keep` checkpoints and that of step `best`; removes the others.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn prune(&self, keep: usize, best: Option<u64>) -> Result<(), TrainError> {
        for checkpoint in self.list()?.into_iter().skip(keep.max(1)) {
            if Some(checkpoint.step) != best {
                self.discard(&checkpoint.path)?;
            }
        }
        Ok(())
    }

    /// Removes all checkpoints.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn remove_all(&self) -> Result<(), TrainError> {
        remove(&self.dir)
    }

    /// Removes a checkpoint so that a cut leaves it whole or marked as partial.
    fn discard(&self, path: &Path) -> Result<(), TrainError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = self.dir.join(format!("{PARTIAL}gone-{name}"));
        remove(&aside)?;
        fs::rename(path, &aside).map_err(TrainError::io(path, "move"))?;
        remove(&aside)
    }
}

/// A checkpoint that is being written; one that is dropped before its end leaves nothing.
#[derive(Debug)]
pub struct Draft {
    store: CheckpointStore,
    step: u64,
    path: PathBuf,
    files: BTreeMap<String, FileFacts>,
}

impl Draft {
    /// Writes one file and forces it to disk.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), TrainError> {
        write_through(&self.path.join(name), bytes)?;
        self.files.insert(name.into(), FileFacts::of(bytes));
        Ok(())
    }

    /// Writes the manifest and moves the checkpoint to its place.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn commit(
        mut self,
        epoch: usize,
        fingerprint: &Fingerprint,
    ) -> Result<StoredCheckpoint, TrainError> {
        let manifest = Manifest {
            schema_version: CHECKPOINT_SCHEMA,
            ccface_version: env!("CARGO_PKG_VERSION").into(),
            step: self.step,
            epoch,
            threads: rayon::current_num_threads(),
            fingerprint: fingerprint.clone(),
            files: std::mem::take(&mut self.files),
        };
        let mut text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
        text.push('\n');
        write_through(&self.path.join(MANIFEST_FILE), text.as_bytes())?;
        sync_dir(&self.path);
        let name = format!("{STEP}{:09}", self.step);
        let place = self.store.dir.join(&name);
        let aside = self.store.dir.join(format!("{REPLACED}{name}"));
        if place.exists() {
            // The same step again, after going back: one of the two is there whenever this is cut off.
            remove(&aside)?;
            fs::rename(&place, &aside).map_err(TrainError::io(&place, "move"))?;
        }
        fs::rename(&self.path, &place).map_err(TrainError::io(&place, "write"))?;
        sync_dir(&self.store.dir);
        remove(&aside)?;
        Ok(StoredCheckpoint {
            path: place,
            step: self.step,
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After a commit nothing lies there any more.
        if self.path.exists() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn write_through(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    File::create(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(TrainError::io(path, "write"))
}

/// Forces a directory's entries to disk where the system can.
fn sync_dir(path: &Path) {
    if let Ok(dir) = File::open(path) {
        let _ = dir.sync_all();
    }
}

fn remove(path: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::io(path, "remove")(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn fingerprint(config: &str) -> Fingerprint {
        Fingerprint {
            config_hash: config.into(),
            data_hash: "d".into(),
            teacher_hash: None,
        }
    }

    fn save(store: &CheckpointStore, step: u64) -> StoredCheckpoint {
        let mut draft = store.begin(step).unwrap();
        draft.file("a.bin", &[1, 2, 3]).unwrap();
        draft.file("b.bin", &step.to_le_bytes()).unwrap();
        draft.commit(1, &fingerprint("c")).unwrap()
    }

    fn steps(store: &CheckpointStore) -> Vec<u64> {
        store.list().unwrap().iter().map(|c| c.step).collect()
    }

    #[test]
    fn the_newest_sound_checkpoint_is_found_and_each_damage_named() {
        type Damage = (fn(&Path), &'static str);
        let damages: [Damage; 6] = [
            (
                |dir| fs::write(dir.join("b.bin"), [0; 3]).unwrap(),
                "3 bytes instead of 8",
            ),
            (
                |dir| fs::write(dir.join("a.bin"), [1, 2, 2]).unwrap(),
                "other bytes",
            ),
            (
                |dir| fs::write(dir.join("a.bin"), []).unwrap(),
                "0 bytes instead of 3",
            ),
            (
                |dir| fs::remove_file(dir.join("a.bin")).unwrap(),
                "cannot be read",
            ),
            (
                |dir| fs::write(dir.join(MANIFEST_FILE), "{").unwrap(),
                "damaged",
            ),
            (
                |dir| fs::remove_file(dir.join(MANIFEST_FILE)).unwrap(),
                "cannot be read",
            ),
        ];
        for (damage, word) in damages {
            let dir = tempfile::tempdir().unwrap();
            let store = CheckpointStore::of_run(dir.path());
            save(&store, 3);
            let newest = save(&store, 7);
            let Search { found, rejected } = store.newest(&fingerprint("c")).unwrap();
            assert_eq!((found.unwrap().step, rejected.len()), (7, 0));
            damage(&newest.path);
            let Search { found, rejected } = store.newest(&fingerprint("c")).unwrap();
            assert_eq!(found.unwrap().step, 3);
            assert!(rejected[0].1.reason.contains(word), "{}", rejected[0].1);
            assert!(!rejected[0].1.foreign);
        }
    }

    #[test]
    fn a_checkpoint_of_another_run_or_layout_is_told_from_damage() {
        let dir = tempfile::tempdir().unwrap();
        let store = CheckpointStore::of_run(dir.path());
        let saved = save(&store, 1);
        let Search { found, rejected } = store.newest(&fingerprint("other")).unwrap();
        assert!(found.is_none() && rejected[0].1.foreign);
        let text = fs::read_to_string(saved.path.join(MANIFEST_FILE)).unwrap();
        let older = text.replace("\"schema_version\": 1", "\"schema_version\": 0");
        fs::write(saved.path.join(MANIFEST_FILE), older).unwrap();
        let Search { rejected, .. } = store.newest(&fingerprint("c")).unwrap();
        assert!(rejected[0].1.foreign && rejected[0].1.reason.contains("version 0"));
    }

    #[test]
    fn the_way_back_leads_further_each_time_and_closes_behind() {
        let dir = tempfile::tempdir().unwrap();
        let store = CheckpointStore::of_run(dir.path());
        let back = |further| {
            let found = store.go_back(&fingerprint("c"), further).unwrap();
            found.map(|checkpoint| checkpoint.step)
        };
        assert_eq!(back(0), None);
        for step in [1, 2, 3, 4] {
            save(&store, step);
        }
        assert_eq!((back(0), steps(&store)), (Some(4), vec![4, 3, 2, 1]));
        assert_eq!((back(1), steps(&store)), (Some(3), vec![3, 2, 1]));
        fs::write(store.dir().join("step-000000002").join("a.bin"), "").unwrap();
        assert_eq!((back(9), steps(&store)), (Some(1), vec![1]));
    }

    #[test]
    fn the_last_and_the_best_stay_and_partial_ones_are_cleaned() {
        let dir = tempfile::tempdir().unwrap();
        let store = CheckpointStore::of_run(dir.path());
        assert_eq!(steps(&store), Vec::<u64>::new());
        for step in [1, 2, 3, 4, 5] {
            save(&store, step);
        }
        store.prune(2, Some(1)).unwrap();
        assert_eq!(steps(&store), [5, 4, 1]);
        // The same step again replaces the old one.
        save(&store, 5);
        assert_eq!(steps(&store), [5, 4, 1]);
        // Cut off between moving the old one aside and the new one in.
        let last = store.list().unwrap()[0].path.clone();
        fs::rename(&last, store.dir().join(".replaced-step-000000005")).unwrap();
        assert_eq!((store.clean().unwrap(), steps(&store)), (1, vec![5, 4, 1]));
        fs::create_dir(store.dir().join(".partial-step-000000009")).unwrap();
        assert_eq!(store.clean().unwrap(), 1);
        drop(store.begin(9).unwrap());
        assert_eq!(fs::read_dir(store.dir()).unwrap().count(), 3);
    }
}
