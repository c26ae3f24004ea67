//! One run, followed through its files.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use ccface_train::ConfigSource;
use serde_json::{Map, Value, json};

use super::{
    series::{Seen, Series},
    tail::Tail,
};

/// Validations, looks at sample faces and remarks that are kept of each run.
const KEPT: usize = 1000;
/// Longest text of a remark, characters.
const REMARK: usize = 500;

/// What is known of a run.
#[derive(Debug)]
pub(super) struct Run {
    path: PathBuf,
    metrics: Tail,
    timing: Tail,
    scores: Tail,
    facts: Facts,
    steps: Series,
    pace: Series,
    validations: List,
    samples: List,
    remarks: List,
}

/// What `run.json` and `config.toml` say, read again where they change.
#[derive(Debug, Default)]
struct Facts {
    read: Option<(SystemTime, u64)>,
    record: Value,
    settings: Map<String, Value>,
    start: Map<String, Value>,
    version: u64,
}

/// Lines of a kind that come seldom.
#[derive(Debug, Default)]
struct List {
    lines: Vec<Value>,
    generation: u64,
    version: u64,
}

/// What somebody has seen of a run.
#[derive(Debug, Default)]
pub(super) struct SeenRun {
    facts: u64,
    steps: Seen,
    pace: Seen,
    validations: Seen,
    samples: Seen,
    remarks: Seen,
}

/// What a look at the files found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// Something is new.
    pub(super) changed: bool,
    /// There is more to read at once.
    pub(super) more: bool,
}

impl Run {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            metrics: Tail::new(path.join("metrics.jsonl")),
            timing: Tail::new(path.join("timing.jsonl")),
            scores: Tail::new(path.join("samples").join("scores.jsonl")),
            path,
            facts: Facts::default(),
            steps: Series::default(),
            pace: Series::default(),
            validations: List::default(),
            samples: List::default(),
            remarks: List::default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the files.
    pub(super) fn refresh(&mut self) -> Found {
        let mut found = Found {
            changed: self.facts.refresh(&self.path),
            more: false,
        };
        let news = self.metrics.read();
        if news.restarted {
            self.steps.clear();
            self.validations.clear();
            self.remarks.clear();
        }
        found.note(news.restarted, &news.lines, news.more);
        for line in news.lines {
            match (kind(&line), step(&line)) {
                (Some("step"), Some(step)) => self.steps.push(step, &line),
                (Some("validation"), Some(step)) => self.validations.push(step, line),
                _ => self.remarks.push(step(&line).unwrap_or(0), remark(&line)),
            }
        }
        let news = self.timing.read();
        if news.restarted {
            self.pace.clear();
        }
        found.note(news.restarted, &news.lines, news.more);
        for line in news.lines {
            match (kind(&line), step(&line)) {
                (Some("step"), Some(step)) => self.pace.push(step, &line),
                (Some("start"), _) => {
                    self.facts.start = line;
                    self.facts.version += 1;
                }
                _ => {}
            }
        }
        let news = self.scores.read();
        if news.restarted {
            self.samples.clear();
        }
        found.note(news.restarted, &news.lines, news.more);
        for line in news.lines {
            self.samples.push(step(&line).unwrap_or(0), line);
        }
        found
    }

    /// What somebody who has seen `seen` has to be told: name of the event and what it holds.
    pub(super) fn news(&self, seen: &mut SeenRun) -> Vec<(&'static str, Value)> {
        let mut news = Vec::new();
        if seen.facts != self.facts.version {
            seen.facts = self.facts.version;
            news.push(("facts", self.facts.json()));
        }
        let parts = [
            ("pace", self.pace.news(&mut seen.pace)),
            ("steps", self.steps.news(&mut seen.steps)),
            ("validations", self.validations.news(&mut seen.validations)),
            ("samples", self.samples.news(&mut seen.samples)),
            ("remarks", self.remarks.news(&mut seen.remarks)),
        ];
        let parts = parts.into_iter();
        news.extend(parts.filter_map(|(name, part)| Some((name, part?))));
        news
    }
}

impl Found {
    fn note(&mut self, restarted: bool, lines: &[Map<String, Value>], more: bool) {
        self.changed |= restarted || !lines.is_empty();
        self.more |= more;
    }
}

impl Facts {
    fn refresh(&mut self, run: &Path) -> bool {
        let path = run.join("run.json");
        let stamp = fs::metadata(&path)
            .and_then(|m| Ok((m.modified()?, m.len())))
            .ok();
        if stamp == self.read {
            return false;
        }
        let record = fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let Some(record) = record else {
            // Being replaced, or of another kind: the next look may tell.
            return false;
        };
        self.read = stamp;
        self.record = record;
        self.settings = settings(&run.join("config.toml"));
        self.version += 1;
        true
    }

    fn json(&self) -> Value {
        let record = |name: &str| self.record.get(name).cloned().unwrap_or(Value::Null);
        let count = |name: &str| {
            self.record
                .get(name)
                .and_then(Value::as_array)
                .map(Vec::len)
        };
        json!({
            "task": record("task"),
            "state": record("state"),
            "error": record("error"),
            "device": record("device"),
            "threads": record("threads"),
            "data": record("data"),
            "version": record("ccface_version"),
            "identities": count("identities"),
            "validation": count("validation"),
            "teacher": self.record.get("teacher").and_then(|t| t.get("path")).cloned(),
            "start": self.start,
            "settings": self.settings,
        })
    }
}

impl List {
    fn push(&mut self, step: u64, mut line: Map<String, Value>) {
        self.version += 1;
        line.insert("step".into(), step.into());
        let later = |known: &Value| known["step"].as_u64() >= Some(step);
        if line.contains_key("epoch") && self.lines.iter().any(later) {
            self.lines.retain(|known| !later(known));
            self.generation += 1;
        }
        if self.lines.len() >= KEPT {
            self.lines.remove(0);
            self.generation += 1;
        }
        self.lines.push(Value::Object(line));
    }

    fn clear(&mut self) {
        self.lines.clear();
        self.generation += 1;
        self.version += 1;
    }

    fn news(&self, seen: &mut Seen) -> Option<Value> {
        let from = seen.advance(self.generation, self.version, self.lines.len())?;
        Some(json!({"from": from, "rows": self.lines[from..]}))
    }
}

fn kind(line: &Map<String, Value>) -> Option<&str> {
    line.get("kind")?.as_str()
}

fn step(line: &Map<String, Value>) -> Option<u64> {
    line.get("step")?.as_u64()
}

/// A line of a kind that has no panel of its own, as words.
fn remark(line: &Map<String, Value>) -> Map<String, Value> {
    let kind = kind(line).unwrap_or("line");
    let words: Vec<String> = line
        .iter()
        .filter(|(name, _)| !["kind", "step", "epoch"].contains(&name.as_str()))
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name}: {text}"),
            other => format!("{name}: {other}"),
        })
        .collect();
    let text: String = words.join(", ").chars().take(REMARK).collect();
    let remark = json!({"kind": kind, "text": text});
    remark.as_object().cloned().unwrap_or_default()
}

/// The settings of a run by dotted key; none where the file is of another version.
fn settings(path: &Path) -> Map<String, Value> {
    let source = ConfigSource {
        file: Some(path.to_path_buf()),
        ..ConfigSource::default()
    };
    let mut flat = Map::new();
    match source.load() {
        Ok(config) => flatten(
            "",
            serde_json::to_value(config).unwrap_or_default(),
            &mut flat,
        ),
        Err(error) => log::debug!("{error}"),
    }
    flat
}

fn flatten(prefix: &str, value: Value, flat: &mut Map<String, Value>) {
    match value {
        Value::Object(inner) if !inner.is_empty() => {
            for (name, value) in inner {
                let name = if prefix.is_empty() {
                    name
                } else {
                    format!("{prefix}.{name}")
                };
                flatten(&name, value, flat);
            }
        }
        Value::String(text) => {
            flat.insert(prefix.into(), text.into());
        }
        other => {
            flat.insert(prefix.into(), other.to_string().into());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_of_other_kinds_become_remarks_and_validations_replace_what_they_repeat() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = concat!(
            "{\"kind\":\"validation\",\"epoch\":1,\"step\":5,\"eer_8px\":2.0}\n",
            "{\"kind\":\"rollback\",\"step\":6,\"why\":\"the <loss> is not finite\"}\n",
            "{\"kind\":\"validation\",\"epoch\":1,\"step\":5,\"eer_8px\":3.0}\n",
        );
        fs::write(dir.path().join("metrics.jsonl"), metrics).unwrap();
        fs::write(dir.path().join("run.json"), "{\"state\":\"running\"}").unwrap();
        let mut run = Run::new(dir.path().to_path_buf());
        assert!(run.refresh().changed);
        assert!(!run.refresh().changed);
        let mut seen = SeenRun::default();
        let news = run.news(&mut seen);
        let of = |kind: &str| {
            news.iter()
                .find(|(name, _)| *name == kind)
                .unwrap()
                .1
                .clone()
        };
        assert_eq!(of("facts")["state"], "running");
        assert_eq!(of("validations")["rows"].as_array().unwrap().len(), 1);
        assert_eq!(of("validations")["rows"][0]["eer_8px"], 3.0);
        let remark = &of("remarks")["rows"][0];
        assert_eq!(
            (&remark["kind"], &remark["text"]),
            (&json!("rollback"), &json!("why: the <loss> is not finite"))
        );
        assert!(run.news(&mut seen).is_empty());
    }

    #[test]
    fn settings_are_flat_and_a_file_that_is_no_configuration_gives_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        fs::write(&path, "seed = 7\n[train]\nepochs = 3\n").unwrap();
        let flat = settings(&path);
        assert_eq!(
            (&flat["seed"], &flat["train.epochs"]),
            (&json!("7"), &json!("3"))
        );
        fs::write(&path, "colour = 'red'").unwrap();
        assert!(settings(&path).is_empty());
    }
}
