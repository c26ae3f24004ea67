//! Where the end-to-end tests train: a few pictures, a tiny network, a teacher and its students.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::support::{folder, succeed};

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

/// A folder with six people of six pictures and a configuration that trains in moments.
pub(crate) struct Ground {
    dir: tempfile::TempDir,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        folder(&dir.path().join("faces"), 6, 6, 32);
        fs::write(dir.path().join("tiny.toml"), TINY).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `ccface TASK` on the tiny configuration; gives the run directory.
    pub(crate) fn run(&self, task: &str, out: &str, set: &[&str]) -> PathBuf {
        let run = self.path(out);
        let mut args = vec![
            task.to_string(),
            "--config".into(),
            self.text("tiny.toml"),
            "--out".into(),
            self.text(out),
        ];
        args.extend(["--set".into(), format!("data.path={}", self.text("faces"))]);
        for value in set {
            args.extend(["--set".into(), (*value).to_string()]);
        }
        succeed(&args);
        run
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().into()
    }

    /// A teacher of the first four people.
    pub(crate) fn teacher(&self) -> PathBuf {
        self.run("train", "teacher", &["data.identities=p00..p03"])
    }

    /// A student of that teacher, validated on the other two people.
    pub(crate) fn distill(&self, out: &str, set: &[&str]) -> PathBuf {
        let teacher = format!("teacher.path={}", self.text("teacher"));
        let mut all = vec![
            "data.identities=p00..p03",
            teacher.as_str(),
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
