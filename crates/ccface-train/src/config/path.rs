//! A path, or several of which the first that exists is used.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::TrainError;

/// A path, or several of which the first that exists is used. Relative paths start at the working directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PathChoice {
    /// One path.
    One(String),
    /// Alternatives in order of preference.
    Many(Vec<String>),
}

impl Default for PathChoice {
    fn default() -> Self {
        Self::One(String::new())
    }
}

impl From<&str> for PathChoice {
    fn from(path: &str) -> Self {
        Self::One(path.into())
    }
}

impl PathChoice {
    /// The alternatives in order.
    pub fn candidates(&self) -> &[String] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Many(paths) => paths,
        }
    }

    /// Whether no path was given.
    pub fn is_empty(&self) -> bool {
        self.candidates().iter().all(String::is_empty)
    }

    /// The first alternative that exists.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the key and every path that was tried.
    pub fn resolve(&self, key: &str) -> Result<PathBuf, TrainError> {
        let candidates = self.candidates();
        candidates.iter().map(PathBuf::from).find(|path| path.exists()).ok_or_else(|| {
            TrainError::config(
                key,
                format!(
                    "nothing exists at {}. Give the right path with --set {key}=PATH (scripts/fetch_orl.sh fetches the example data)",
                    candidates.join(" or ")
                ),
            )
        })
    }
}
