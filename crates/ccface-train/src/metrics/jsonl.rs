//! The metrics stream on disk: one JSON object a line, written as it happens.

use std::{
    fs::{File, OpenOptions},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use serde_json::{Map, Number, Value};

use super::Report;
use crate::TrainError;

/// An append-only file of JSON lines.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: BufWriter<File>,
}

impl JsonLines {
    /// Opens the file for appending, making it if needed.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn append(path: &Path) -> Result<Self, TrainError> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(TrainError::io(path, "open"))?;
        Ok(Self {
            path: path.to_path_buf(),
            file: BufWriter::new(file),
        })
    }

    /// Writes `head`, the report's numbers and its distributions as one line, and hands it to the system.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn write(&mut self, head: &[(&str, Value)], report: &Report) -> Result<(), TrainError> {
        let mut line = Map::new();
        for (key, value) in head {
            line.insert((*key).into(), value.clone());
        }
        for (name, value) in &report.scalars {
            // JSON has no NaN: a number that is none is null.
            line.insert(
                name.clone(),
                Number::from_f64(*value).map_or(Value::Null, Value::Number),
            );
        }
        for (name, bins) in &report.histograms {
            let bins = serde_json::to_value(bins).unwrap_or(Value::Null);
            line.insert(name.clone(), bins);
        }
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.flush())
            .map_err(TrainError::io(&self.path, "write"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_keep_the_order_of_the_report_and_turn_nan_into_null() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.jsonl");
        let mut lines = JsonLines::append(&path).unwrap();
        let mut report = Report::default();
        report.push("loss", 0.5);
        report.push("b", f64::NAN);
        let bins = crate::metrics::Bins::count(&[0.1], 0.0, 0.5, 2);
        report.histograms.push(("margins".into(), bins));
        lines
            .write(&[("kind", "step".into()), ("step", 1.into())], &report)
            .unwrap();
        lines
            .write(&[("kind", "step".into())], &Report::default())
            .unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(
            text,
            "{\"kind\":\"step\",\"step\":1,\"loss\":0.5,\"b\":null,\"margins\":{\"low\":0.0,\"high\":0.5,\"counts\":[1,0]}}\n{\"kind\":\"step\"}\n"
        );
    }
}
