//! Protocols read from disk as their authors ship them: lists of images, labels and pairs, with counts.

pub mod csv_lists;
pub mod lfw;
pub mod scface;
pub mod survface;
#[cfg(test)]
mod tests;
pub mod tinyface;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::error::{EvalError, Result};
use crate::matfile::{MatVariable, read_mat};
use crate::result::ProtocolFacts;

/// One image of a protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaceImage {
    /// The file, relative to the protocol's root.
    pub path: PathBuf,
    /// Who it is; [`crate::DISTRACTOR`] for nobody of the probes.
    pub label: String,
}

/// Two images of a protocol to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImagePair {
    /// Index into [`Protocol::probe`].
    pub a: usize,
    /// Index into [`Protocol::probe`].
    pub b: usize,
    /// Whether both are of one person.
    pub same: bool,
}

/// How many of something a layout should hold, and how many it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// What is counted, a name fit for JSON.
    pub what: &'static str,
    /// What the authors ship, where it is known.
    pub expected: Option<usize>,
    /// What is there.
    pub found: usize,
}

/// A protocol found on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// `tinyface`, `scface/all130/d1`, `lfw`, …
    pub name: String,
    /// The folder that all paths are relative to.
    pub root: PathBuf,
    /// The probes; for verification protocols, every image of a pair once.
    pub probe: Vec<FaceImage>,
    /// The gallery; empty for verification protocols.
    pub gallery: Vec<FaceImage>,
    /// The comparisons of a verification protocol, in the authors' order.
    pub pairs: Vec<ImagePair>,
    /// Expected and found.
    pub counts: Vec<Count>,
    /// What a reader must know.
    pub warnings: Vec<String>,
}

impl Protocol {
    fn new(name: impl Into<String>, root: &Path) -> Self {
        Self {
            name: name.into(),
            root: root.to_path_buf(),
            probe: Vec::new(),
            gallery: Vec::new(),
            pairs: Vec::new(),
            counts: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The protocol box of a result, with the counts found.
    #[must_use]
    pub fn facts(&self) -> ProtocolFacts {
        ProtocolFacts {
            name: self.name.clone(),
            counts: self
                .counts
                .iter()
                .map(|c| (c.what.to_owned(), c.found))
                .collect(),
            ..ProtocolFacts::default()
        }
    }
}

/// What to do with a layout that is not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Completeness {
    /// Any difference from the authors' files is an error. The default.
    #[default]
    Whole,
    /// Missing files are left out, wrong counts are warnings: for replicas and parts. Contradictions stay errors.
    Part,
}

/// Differences gathered while a layout is read, so that all are told at once.
struct Problems {
    completeness: Completeness,
    /// Wrong in any case.
    fatal: Vec<String>,
    /// Wrong only where the layout must be whole.
    partial: Vec<String>,
}

impl Problems {
    fn new(completeness: Completeness) -> Self {
        Self {
            completeness,
            fatal: Vec::new(),
            partial: Vec::new(),
        }
    }

    /// Adds a count, and a difference where it is not the expected one.
    fn count(
        &mut self,
        protocol: &mut Protocol,
        what: &'static str,
        expected: Option<usize>,
        found: usize,
    ) {
        if let Some(expected) = expected
            && expected != found
        {
            self.partial
                .push(format!("{what}: expected {expected}, found {found}"));
        }
        protocol.counts.push(Count {
            what,
            expected,
            found,
        });
    }

    /// Ends the reading: an error with all problems, or the protocol with warnings.
    fn finish(self, mut protocol: Protocol, kind: &'static str) -> Result<Protocol> {
        let mut problems = self.fatal;
        match self.completeness {
            Completeness::Whole => problems.extend(self.partial),
            Completeness::Part => protocol.warnings.extend(self.partial),
        }
        if problems.is_empty() {
            return Ok(protocol);
        }
        let hint = match self.completeness {
            Completeness::Whole => "\n  (a part of the set can be read by asking for a part)",
            Completeness::Part => "",
        };
        Err(EvalError::Layout {
            path: protocol.root,
            protocol: kind,
            problems: format!("  {}{hint}", problems.join("\n  ")),
        })
    }
}

/// The names of the images directly in a folder, sorted; an error that names the folder where there is none.
fn images_in(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| EvalError::io(folder, e))? {
        let entry = entry.map_err(|e| EvalError::io(folder, e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_image(&name) && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn is_image(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
    matches!(
        extension.as_deref(),
        Some("jpg" | "jpeg" | "png" | "bmp" | "pgm" | "ppm")
    )
}

/// Refuses names that lead out of the folder they are listed for.
fn safe_name(name: &str) -> std::result::Result<(), String> {
    let path = Path::new(name);
    let inside = path
        .components()
        .all(|c| matches!(c, std::path::Component::Normal(_)));
    if name.is_empty() || name.contains('\0') || !inside {
        return Err(format!("`{name}` is not a plain relative path"));
    }
    Ok(())
}

/// A list of names and ids from a MAT file: the variables called so, else the only ones of their kind.
fn name_id_pairs(path: &Path, names: &str, ids: &str) -> Result<Vec<(String, f64)>> {
    let variables = read_mat(path)?;
    let pick = |wanted: &str, fits: &dyn Fn(&MatVariable) -> bool| {
        let mut fitting = variables.iter().filter(|v| fits(v));
        variables
            .iter()
            .find(|v| v.name == wanted && fits(v))
            .or_else(|| fitting.next().filter(|_| fitting.next().is_none()))
    };
    let missing = |wanted: &str, kind: &str| {
        let present: Vec<&str> = variables.iter().map(|v| v.name.as_str()).collect();
        EvalError::format(
            path,
            format!(
                "no variable `{wanted}` holding {kind}; the file has: {}",
                present.join(", ")
            ),
        )
    };
    let list = pick(names, &|v| v.strings().is_some_and(|s| !s.is_empty()))
        .and_then(MatVariable::strings)
        .ok_or_else(|| missing(names, "strings"))?;
    let numbers = pick(ids, &|v| v.numbers().is_some_and(|n| !n.is_empty()))
        .and_then(MatVariable::numbers)
        .ok_or_else(|| missing(ids, "numbers"))?;
    if list.len() != numbers.len() {
        return Err(EvalError::format(
            path,
            format!("{} names but {} ids", list.len(), numbers.len()),
        ));
    }
    Ok(list.into_iter().map(str::to_owned).zip(numbers).collect())
}

/// Reports names that stand twice in a list.
fn report_repeats<'a>(
    problems: &mut Vec<String>,
    list: &str,
    names: impl Iterator<Item = &'a str>,
) {
    let mut seen = HashSet::new();
    let repeated: Vec<&str> = names.filter(|n| !seen.insert(*n)).collect();
    if let Some(first) = repeated.first() {
        problems.push(format!(
            "{list}: {} names stand more than once (first: {first}); a file counted twice changes every rate",
            repeated.len()
        ));
    }
}

/// Reports listed files that are not on disk, and files on disk that are not listed; gives the present ones.
fn match_files(
    problems: &mut Problems,
    list: &str,
    listed: Vec<(String, f64)>,
    on_disk: &[String],
) -> Vec<(String, f64)> {
    let disk: HashSet<&str> = on_disk.iter().map(String::as_str).collect();
    let names: HashSet<&str> = listed.iter().map(|(n, _)| n.as_str()).collect();
    let extra: Vec<&&str> = disk.difference(&names).collect();
    if let Some(first) = extra.iter().min() {
        problems.partial.push(format!(
            "{list}: {} images are in the folder but not in the list (first: {first})",
            extra.len()
        ));
    }
    report_repeats(
        &mut problems.fatal,
        list,
        listed.iter().map(|(n, _)| n.as_str()),
    );
    let mut missing = listed.iter().filter(|(n, _)| !disk.contains(n.as_str()));
    if let Some((first, _)) = missing.next() {
        let first = first.clone();
        let count = 1 + missing.count();
        problems.partial.push(format!(
            "{list}: {count} of {} listed images are missing (first: {first})",
            listed.len()
        ));
    }
    listed
        .into_iter()
        .filter(|(n, _)| disk.contains(n.as_str()))
        .collect()
}

/// The identity in a file name: what stands before the first `_`.
fn prefix(name: &str) -> &str {
    name.split('_').next().unwrap_or(name)
}
