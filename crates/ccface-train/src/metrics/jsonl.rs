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
    bytes: u64,
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
        let bytes = file.metadata().map_err(TrainError::io(path, "open"))?.len();
        Ok(Self {
            path: path.to_path_buf(),
            file: BufWriter::new(file),
            bytes,
        })
    }

    /// Opens the file for appending after its first `bytes`; what comes after them is dropped.
    ///
    /// # Errors
    /// [`TrainError::Io`]; [`TrainError::RunDir`] where the file is shorter.
    pub fn append_after(path: &Path, bytes: u64) -> Result<Self, TrainError> {
        let mut lines = Self::append(path)?;
        lines.cut(bytes)?;
        Ok(lines)
    }

    /// Drops everything after the first `bytes`.
    ///
    /// # Errors
    /// [`TrainError::Io`]; [`TrainError::RunDir`] where the file is shorter.
    pub fn cut(&mut self, bytes: u64) -> Result<(), TrainError> {
        if self.bytes < bytes {
            return Err(TrainError::RunDir {
                path: self.path.clone(),
                message: format!(
                    "has {} bytes, but the checkpoint was written after {bytes}: lines are missing. Bring the file back, \
                     or start anew with --overwrite",
                    self.bytes
                ),
            });
        }
        self.file
            .get_ref()
            .set_len(bytes)
            .map_err(TrainError::io(&self.path, "write"))?;
        self.bytes = bytes;
        Ok(())
    }

    /// Length of the file so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Forces what was written to the disk.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn sync(&mut self) -> Result<(), TrainError> {
        self.file
            .get_ref()
            .sync_data()
            .map_err(TrainError::io(&self.path, "write"))
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
            .map_err(TrainError::io(&self.path, "write"))?;
        self.bytes += text.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_goes_on_after_a_length_and_never_beyond_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.jsonl");
        let write = |lines: &mut JsonLines, step: u64| {
            lines
                .write(&[("step", step.into())], &Report::default())
                .unwrap();
        };
        let mut lines = JsonLines::append(&path).unwrap();
        write(&mut lines, 1);
        let after = lines.bytes();
        write(&mut lines, 2);
        // A torn line, as a cut leaves it.
        std::fs::write(
            &path,
            [&std::fs::read(&path).unwrap()[..], b"{\"st"].concat(),
        )
        .unwrap();
        let mut lines = JsonLines::append_after(&path, after).unwrap();
        write(&mut lines, 3);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{\"step\":1}\n{\"step\":3}\n"
        );
        let message = JsonLines::append_after(&path, 999).unwrap_err().to_string();
        assert!(message.contains("lines are missing"), "{message}");
    }

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
