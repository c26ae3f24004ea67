//! One process for each run directory.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::TrainError;

/// The lock's name in a run directory.
pub(crate) const LOCK_FILE: &str = "lock";

/// A run directory held by this process; the system lets go of it however the process ends.
#[derive(Debug)]
pub(crate) struct RunLock {
    path: PathBuf,
    /// The directory, where this lock made it: it goes again if nothing came into it.
    made: Option<PathBuf>,
    _file: File,
}

impl RunLock {
    /// Takes the directory, making it where it is not there; a holder gets `patience` to go, for a process that was killed
    /// a moment ago may still be on its way out.
    ///
    /// # Errors
    /// [`TrainError::RunDir`] where another process holds it, [`TrainError::Io`] where it cannot be written.
    pub(crate) fn take(dir: &Path, patience: Duration) -> Result<Self, TrainError> {
        let refuse = |message: String| TrainError::RunDir {
            path: dir.to_path_buf(),
            message,
        };
        if dir.is_file() {
            return Err(refuse("is a file; --out takes a directory".into()));
        }
        let made = (!dir.exists()).then(|| dir.to_path_buf());
        fs::create_dir_all(dir).map_err(TrainError::io(dir, "create"))?;
        let path = dir.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(TrainError::io(&path, "write"))?;
        let started = Instant::now();
        let mut locked = file.try_lock();
        while matches!(locked, Err(TryLockError::WouldBlock)) && started.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(50));
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = (&mut file).take(32).read_to_string(&mut holder);
                let holder = match holder.trim() {
                    "" => String::new(),
                    id => format!(" (process {id})"),
                };
                return Err(refuse(format!(
                    "another process{holder} trains in this run directory. Wait for it or stop it; its lock goes with it"
                )));
            }
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                log::warn!(
                    "{}: this file system has no locks; see to it that no second process trains here",
                    path.display()
                );
            }
            Err(TryLockError::Error(error)) => return Err(TrainError::io(&path, "lock")(error)),
        }
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self {
            path,
            made,
            _file: file,
        })
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        if let Some(dir) = &self.made {
            // Only an empty directory goes: a run that was refused before it began.
            let _ = fs::remove_dir(dir);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_second_lock_is_refused_with_the_holders_number_until_the_first_goes() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        let lock = RunLock::take(&run, Duration::ZERO).unwrap();
        let message = RunLock::take(&run, Duration::from_millis(60))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains(&std::process::id().to_string()),
            "{message}"
        );
        drop(lock);
        assert!(!run.exists(), "nothing came into it");
        fs::create_dir(&run).unwrap();
        drop(RunLock::take(&run, Duration::ZERO).unwrap());
        assert!(run.exists(), "it was there before");
    }
}
