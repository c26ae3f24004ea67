//! The runs that are watched; later ones are found as they come.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ccface_train::run_dir::is_run;

use super::run::{Found, Run};
use crate::CliError;

/// Runs that are followed at most.
const MOST: usize = 64;
/// Looks at the files between two looks for new runs.
const SELDOM: u32 = 10;

/// All runs, by the order in which they were found; a run keeps its place.
#[derive(Debug)]
pub(super) struct Runs {
    places: Vec<PathBuf>,
    runs: Vec<Run>,
    looks: u32,
}

impl Runs {
    /// Finds the runs in these places.
    ///
    /// # Errors
    /// [`CliError::Usage`] for a place that is no directory.
    pub(super) fn open(places: Vec<PathBuf>) -> Result<Self, CliError> {
        for place in &places {
            if !place.is_dir() {
                return Err(CliError::Usage(format!(
                    "{} is no directory; watch takes run directories (the --out of distill or train), or a directory that holds them",
                    place.display()
                )));
            }
        }
        let mut runs = Self {
            places,
            runs: Vec::new(),
            looks: 0,
        };
        runs.find();
        Ok(runs)
    }

    /// The run of a number.
    pub(super) fn get(&self, number: usize) -> Option<&Run> {
        self.runs.get(number)
    }

    /// Every run.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter()
    }

    /// Looks at all files.
    pub(super) fn refresh(&mut self) -> Found {
        let before = self.runs.len();
        self.looks += 1;
        if self.looks.is_multiple_of(SELDOM) {
            self.find();
        }
        let mut all = Found {
            changed: self.runs.len() > before,
            more: false,
        };
        for run in &mut self.runs {
            let found = run.refresh();
            all.changed |= found.changed;
            all.more |= found.more;
        }
        all
    }

    /// The names of the runs: the shortest ends of their paths that tell them apart.
    pub(super) fn names(&self) -> Vec<String> {
        let parts: Vec<Vec<String>> = self.runs.iter().map(|run| parts(run.path())).collect();
        let name = |parts: &Vec<String>, length: usize| {
            let from = parts.len().saturating_sub(length);
            parts[from..].join("/")
        };
        parts
            .iter()
            .enumerate()
            .map(|(mine, own)| {
                let alone = |length: &usize| {
                    let others = parts.iter().enumerate().filter(|(other, _)| *other != mine);
                    others
                        .map(|(_, other)| name(other, *length))
                        .all(|other| other != name(own, *length))
                };
                let length = (1..own.len()).find(alone).unwrap_or(own.len());
                name(own, length)
            })
            .collect()
    }

    fn find(&mut self) {
        let mut found = Vec::new();
        for place in &self.places {
            if is_run(place) {
                found.push(place.clone());
                continue;
            }
            let inside = fs::read_dir(place).into_iter().flatten().flatten();
            let mut inside: Vec<PathBuf> = inside
                .map(|entry| entry.path())
                .filter(|path| is_run(path))
                .collect();
            inside.sort();
            found.extend(inside);
        }
        for path in found {
            let path = path.canonicalize().unwrap_or(path);
            if self.runs.len() < MOST && self.runs.iter().all(|run| run.path() != path) {
                self.runs.push(Run::new(path));
            }
        }
    }
}

fn parts(path: &Path) -> Vec<String> {
    path.iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn runs_are_found_in_directories_also_later_and_have_names_that_differ() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("run.json"), "{}").unwrap();
            path
        };
        let (a, b) = (make("one/orl"), make("two/orl"));
        let other = dir.path().join("three");
        fs::create_dir(&other).unwrap();
        let mut runs = Runs::open(vec![a, b.parent().unwrap().into(), other]).unwrap();
        assert_eq!(runs.names(), ["one/orl", "two/orl"]);
        make("three/late");
        for _ in 0..SELDOM {
            runs.refresh();
        }
        assert_eq!(runs.names(), ["one/orl", "two/orl", "late"]);
        assert!(Runs::open(vec![dir.path().join("nowhere")]).is_err());
    }
}
