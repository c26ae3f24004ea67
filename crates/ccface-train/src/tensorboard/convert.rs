//! Event files of a run that wrote none.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{TensorBoard, has_events};
use crate::{
    TrainError,
    metrics::{Bins, Report},
    run_dir::RunDir,
};

/// Writes what `metrics.jsonl` and `config.toml` of the run in `run` hold as an event file in `out`, and gives its path.
///
/// Wall times come from `timing.jsonl`; where it has none, events are a second apart. A line cut short ends the conversion.
///
/// # Errors
/// [`TrainError::RunDir`] where `run` is no run or `out` holds event files already, [`TrainError::Io`].
pub fn convert(run: &Path, out: &Path) -> Result<PathBuf, TrainError> {
    let run = RunDir::open(run)?;
    if has_events(out) {
        return Err(TrainError::RunDir {
            path: out.to_path_buf(),
            message: "holds event files already; each would be shown twice. Give another --out"
                .into(),
        });
    }
    let times = times(&run.timing_file());
    let start = times.values().copied().reduce(f64::min).unwrap_or(0.0);
    let lines = lines(&run.metrics_file())?;
    let steps = lines.iter().filter_map(step_of).max().unwrap_or(0);
    let mut board = TensorBoard::create(out, steps)?;
    if let Ok(config) = std::fs::read_to_string(run.config_file()) {
        board.configuration(start, &config)?;
    }
    for line in &lines {
        let (Some(kind), Some(step)) = (kind_of(line), step_of(line)) else {
            continue;
        };
        let time = times
            .get(&(kind.to_string(), step))
            .copied()
            .unwrap_or(start + step as f64);
        match kind {
            "step" => board.step(time, step, &report(line))?,
            "validation" => board.validation(time, step, &report(line))?,
            _ => {}
        }
    }
    Ok(board.path().to_path_buf())
}

/// The lines of a stream, up to the first that is no JSON object.
fn lines(path: &Path) -> Result<Vec<Map<String, Value>>, TrainError> {
    let file = File::open(path).map_err(TrainError::io(path, "read"))?;
    let mut found = Vec::new();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(TrainError::io(path, "read"))?;
        match serde_json::from_str(&line) {
            Ok(Value::Object(line)) => found.push(line),
            _ => break,
        }
    }
    Ok(found)
}

/// When each line of the metrics was written, by kind and step.
fn times(path: &Path) -> HashMap<(String, u64), f64> {
    let lines = lines(path).unwrap_or_default();
    lines
        .iter()
        .filter_map(|line| {
            let time = line.get("unix_time")?.as_f64()?;
            Some(((kind_of(line)?.to_string(), step_of(line)?), time))
        })
        .collect()
}

fn kind_of(line: &Map<String, Value>) -> Option<&str> {
    line.get("kind")?.as_str()
}

fn step_of(line: &Map<String, Value>) -> Option<u64> {
    line.get("step")?.as_u64()
}

fn report(line: &Map<String, Value>) -> Report {
    let mut report = Report::default();
    for (name, value) in line {
        if ["kind", "epoch", "step"].contains(&name.as_str()) {
            continue;
        }
        if let Some(number) = value.as_f64() {
            report.push(name, number);
        } else if let Ok(bins) = serde_json::from_value::<Bins>(value.clone()) {
            report.histograms.push((name.clone(), bins));
        }
    }
    report
}
