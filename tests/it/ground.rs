//! Where the end-to-end tests train: a few pictures, a tiny network, a teacher and its students.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::support::{folder, program, success};

const TINY: &str = r#"
seed = 3
[student]
start = "scratch"
backbone = { kind = "iresnet", blocks = [1, 1, 1, 1], width = 8, input_size = 32, embedding = 16, stem_stride = 2 }
[pairs]
sizes = [6, 8, 12, 32]
[optimiser]
learning_rate = 0.02
[head]
loss = { kind = "arcface", scale = 16.0, margin = 0.2 }
[train]
epochs = 2
batch = 8
"#;

/// A folder of pictures and a configuration that trains in moments.
pub(crate) struct Ground {
    dir: tempfile::TempDir,
    /// `key=value` that come before those of each run.
    settings: &'static [&'static str],
}

impl Ground {
    /// Six people of six pictures.
    pub(crate) fn new() -> Self {
        Self::with(6, 6, &[])
    }

    pub(crate) fn with(people: u64, shots: u64, settings: &'static [&'static str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        folder(&dir.path().join("faces"), people, shots, 32);
        fs::write(dir.path().join("tiny.toml"), TINY).unwrap();
        Self { dir, settings }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().into()
    }

    /// `ccface TASK` on the tiny configuration; a student has the ground's teacher unless told otherwise.
    pub(crate) fn command(&self, task: &str, out: &str, set: &[&str]) -> Command {
        let mut command = program();
        command.arg(task).arg("--config");
        command.arg(self.path("tiny.toml"));
        command.arg("--out").arg(self.path(out));
        let data = format!("data.path={}", self.text("faces"));
        let teacher = format!("teacher.path={}", self.text("teacher"));
        let mut all = vec![data.as_str()];
        if task == "distill" {
            all.push(&teacher);
        }
        for value in all.iter().chain(self.settings).chain(set) {
            command.arg("--set").arg(value);
        }
        command
    }

    /// Runs that command to its end; gives the run directory.
    pub(crate) fn run(&self, task: &str, out: &str, set: &[&str]) -> PathBuf {
        success(self.command(task, out, set).output().unwrap());
        self.path(out)
    }

    /// A teacher of the first four people.
    pub(crate) fn teacher(&self) -> PathBuf {
        self.run("train", "teacher", &["data.identities=p00..p03"])
    }

    /// A student of that teacher, validated on the other two people.
    pub(crate) fn distill(&self, out: &str, set: &[&str]) -> PathBuf {
        let mut all = vec![
            "data.identities=p00..p03",
            "validation.identities=p04..p05",
            "validation.sizes=[8]",
        ];
        all.extend(set);
        self.run("distill", out, &all)
    }
}

/// The training steps of a run's stream.
pub(crate) fn steps(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|v: &Value| v["kind"] == "step")
        .collect()
}

pub(crate) fn loss(step: &Value) -> f64 {
    step["loss"].as_f64().unwrap()
}
