//! TensorBoard event files: the numbers of `metrics.jsonl` for those who look at runs with TensorBoard.

mod convert;
mod event;
mod record;

pub use convert::convert;
pub use event::{Content, Event, Histogram, Image, SessionLog, Summary, Value, What};
pub use record::{frame, masked_crc, read_frame};

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use prost::Message;

use crate::{
    TrainError,
    metrics::{Bins, Report, unix_time},
};

/// Steps of a run that get an event; a longer run writes every second, third, … step.
const POINTS: u64 = 5000;
/// Steps of a run that get a histogram.
const HISTOGRAMS: u64 = 500;
/// Status number of a start in a session log.
const START: i32 = 1;

/// An event file that is being written.
///
/// Each record goes to the system as a whole, so that a killed run leaves a file that can be read. A run that is taken up
/// again starts a new file, and says from which step on it replaces what an earlier one said.
#[derive(Debug)]
pub struct TensorBoard {
    path: PathBuf,
    file: File,
    /// Step of the last event; none before the first.
    last: Option<u64>,
    every: u64,
    histogram_every: u64,
}

impl TensorBoard {
    /// Starts a new event file in `dir`, for a run of `steps` steps.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn create(dir: &Path, steps: u64) -> Result<Self, TrainError> {
        fs::create_dir_all(dir).map_err(TrainError::io(dir, "create"))?;
        let (path, file) = new_file(dir).map_err(TrainError::io(dir, "create a file in"))?;
        let mut board = Self {
            path,
            file,
            last: None,
            every: steps.div_ceil(POINTS).max(1),
            histogram_every: steps.div_ceil(HISTOGRAMS).max(1),
        };
        board.write(
            unix_time(),
            0,
            What::FileVersion("brain.Event:2".to_string()),
        )?;
        Ok(board)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved configuration as a text.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn configuration(&mut self, time: f64, toml: &str) -> Result<(), TrainError> {
        // Indented, a text is a block of code in Markdown whatever it holds.
        let block: Vec<String> = toml.lines().map(|line| format!("    {line}")).collect();
        let value = Value::text("configuration", &block.join("\n"));
        self.write(time, 0, What::Summary(Summary { value: vec![value] }))
    }

    /// A training step: its numbers under `train/`, its distributions as histograms.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn step(&mut self, time: f64, step: u64, report: &Report) -> Result<(), TrainError> {
        let place = step.saturating_sub(1);
        let mut values = Vec::new();
        if place.is_multiple_of(self.every) {
            values.extend(scalars("train", report));
        }
        if place.is_multiple_of(self.histogram_every) {
            for (name, bins) in &report.histograms {
                let tag = format!("train/{name}");
                values.push(Value::histogram(tag, histogram(name, bins, report)));
            }
        }
        self.values(time, step, values)
    }

    /// A validation: its numbers under `validation/`.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn validation(&mut self, time: f64, step: u64, report: &Report) -> Result<(), TrainError> {
        self.values(time, step, scalars("validation", report).collect())
    }

    /// Values of any kind at a step.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn values(&mut self, time: f64, step: u64, value: Vec<Value>) -> Result<(), TrainError> {
        if value.is_empty() {
            return Ok(());
        }
        // A run that was rolled back starts again from there.
        if self.last.is_none_or(|last| step < last) {
            self.write(time, step, What::SessionLog(SessionLog { status: START }))?;
        }
        self.last = Some(step);
        self.write(time, step, What::Summary(Summary { value }))
    }

    fn write(&mut self, wall_time: f64, step: u64, what: What) -> Result<(), TrainError> {
        let event = Event {
            wall_time,
            step: i64::try_from(step).unwrap_or(i64::MAX),
            what: Some(what),
        };
        self.file
            .write_all(&frame(&event.encode_to_vec()))
            .map_err(TrainError::io(&self.path, "write"))
    }
}

/// Whether a directory holds event files.
pub fn has_events(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().contains(".tfevents."))
    })
}

/// Makes a file whose name sorts after those of earlier starts.
fn new_file(dir: &Path) -> io::Result<(PathBuf, File)> {
    let (seconds, process) = (unix_time() as u64, std::process::id());
    let mut number = 0u32;
    loop {
        let name = format!("events.out.tfevents.{seconds:010}.ccface.{process}.{number}");
        let path = dir.join(name);
        let opened = OpenOptions::new().append(true).create_new(true).open(&path);
        match opened {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1000 => {
                number += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

fn scalars<'a>(group: &'a str, report: &'a Report) -> impl Iterator<Item = Value> + 'a {
    let numbers = report.scalars.iter();
    numbers
        .filter(|(_, value)| value.is_finite())
        .map(move |(name, value)| Value::scalar(format!("{group}/{name}"), *value))
}

/// The bins of a report as TensorBoard's histogram; sums come from the report's mean and spread of the same name, where it
/// has them.
fn histogram(name: &str, bins: &Bins, report: &Report) -> Histogram {
    let stem = name.trim_end_matches('s');
    let number = |what: &str| report.get(&format!("{stem}_{what}")).unwrap_or(0.0);
    let (mean, spread, num) = (number("mean"), number("spread"), bins.total() as f64);
    let filled = |index: &usize| bins.counts[*index] > 0;
    let first = (0..bins.counts.len()).find(filled).unwrap_or(0);
    let last = (0..bins.counts.len()).rev().find(filled).unwrap_or(0);
    Histogram {
        min: if first == 0 {
            bins.low
        } else {
            bins.upper(first - 1)
        },
        max: bins.upper(last),
        num,
        sum: num * mean,
        sum_squares: num * (mean * mean + spread * spread),
        bucket_limit: (0..bins.counts.len()).map(|i| bins.upper(i)).collect(),
        bucket: bins.counts.iter().map(|n| f64::from(*n)).collect(),
    }
}

#[cfg(test)]
mod tests;
