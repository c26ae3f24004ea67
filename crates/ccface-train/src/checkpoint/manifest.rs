//! What a checkpoint says of itself, and whether that is so.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::store::Rejection;

/// Version of a checkpoint's layout; another one is rejected.
pub const CHECKPOINT_SCHEMA: u32 = 1;

/// The file that makes a directory a checkpoint; written last.
pub const MANIFEST_FILE: &str = "manifest.json";

/// No manifest is longer; a longer file is none.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// What decides a run's numbers: a checkpoint goes on only where all of it is equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// BLAKE3 of the configuration without what changes no number (paths, loader threads, checkpoint intervals).
    pub config_hash: String,
    /// BLAKE3 of the training images.
    pub data_hash: String,
    /// BLAKE3 of the teacher's weights, where there is a teacher.
    pub teacher_hash: Option<String>,
}

impl Fingerprint {
    /// Why a checkpoint of `other` cannot go on here, if it cannot.
    pub fn difference(&self, other: &Self) -> Option<Rejection> {
        let what = if self.config_hash != other.config_hash {
            "another configuration"
        } else if self.data_hash != other.data_hash {
            "other training images"
        } else if self.teacher_hash != other.teacher_hash {
            "another teacher"
        } else {
            return None;
        };
        Some(Rejection::foreign(format!("it was made with {what}")))
    }
}

/// Length and hash of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFacts {
    /// Its length.
    pub bytes: u64,
    /// Its BLAKE3, in hex.
    pub blake3: String,
}

/// What `manifest.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the layout.
    pub schema_version: u32,
    /// Version of the program that wrote it.
    pub ccface_version: String,
    /// Steps done.
    pub step: u64,
    /// The epoch that was going on, from 1.
    pub epoch: usize,
    /// Threads of the CPU pool: going on is bitwise equal at the same number of threads.
    pub threads: usize,
    /// What the run is.
    pub fingerprint: Fingerprint,
    /// Every other file of the directory.
    pub files: BTreeMap<String, FileFacts>,
}

impl Manifest {
    /// Reads the manifest of a checkpoint directory and verifies every file it lists.
    ///
    /// # Errors
    /// The first thing that is not as the manifest says.
    pub fn verified(dir: &Path) -> Result<Self, Rejection> {
        let manifest = Self::read(dir)?;
        for (name, facts) in &manifest.files {
            if Path::new(name).components().count() != 1 || name.contains(['/', '\\']) {
                return Err(Rejection::damaged(format!(
                    "{MANIFEST_FILE} lists `{name}`, which is no plain file name"
                )));
            }
            facts.verify(dir, name)?;
        }
        Ok(manifest)
    }

    fn read(dir: &Path) -> Result<Self, Rejection> {
        let path = dir.join(MANIFEST_FILE);
        let text = File::open(&path)
            .and_then(|file| {
                let mut text = String::new();
                file.take(MAX_MANIFEST_BYTES).read_to_string(&mut text)?;
                Ok(text)
            })
            .map_err(|error| {
                Rejection::damaged(format!("{MANIFEST_FILE} cannot be read: {error}"))
            })?;
        // An older or newer layout is told from damage by the one field that every version has.
        #[derive(Deserialize)]
        struct Versioned {
            schema_version: u32,
        }
        let broken = |error: serde_json::Error| {
            Rejection::damaged(format!("{MANIFEST_FILE} is damaged: {error}"))
        };
        let version: Versioned = serde_json::from_str(&text).map_err(broken)?;
        if version.schema_version != CHECKPOINT_SCHEMA {
            return Err(Rejection::foreign(format!(
                "its layout is version {}, this program reads version {CHECKPOINT_SCHEMA}",
                version.schema_version
            )));
        }
        serde_json::from_str(&text).map_err(broken)
    }
}

impl FileFacts {
    /// The facts of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            blake3: blake3::hash(bytes).to_hex().to_string(),
        }
    }

    fn verify(&self, dir: &Path, name: &str) -> Result<(), Rejection> {
        let path = dir.join(name);
        let unreadable =
            |error: std::io::Error| Rejection::damaged(format!("{name} cannot be read: {error}"));
        let length = fs::metadata(&path).map_err(unreadable)?.len();
        if length != self.bytes {
            return Err(Rejection::damaged(format!(
                "{name} has {length} bytes instead of {}",
                self.bytes
            )));
        }
        let mut hasher = blake3::Hasher::new();
        File::open(&path)
            .and_then(|file| hasher.update_reader(file).map(|_| ()))
            .map_err(unreadable)?;
        if hasher.finalize().to_hex().as_str() != self.blake3 {
            return Err(Rejection::damaged(format!(
                "{name} has other bytes than when it was written"
            )));
        }
        Ok(())
    }
}
