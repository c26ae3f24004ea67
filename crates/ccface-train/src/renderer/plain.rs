//! Plain progress lines with time left, for terminals, logs and CI alike.

use std::{
    collections::HashMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

use super::{ProgressSink, Say};

use burn::train::{
    logger::{EvaluationProgressLogger, TrainingProgressLogger},
    metric::{MetricDefinition, MetricId, NumericEntry},
    renderer::{
        EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
        MetricsRendererTraining,
    },
};

/// Shortest time between two lines inside an epoch.
const INTERVAL: Duration = Duration::from_secs(5);

/// A renderer for burn-train that prints one line every few seconds and one for each epoch and validation.
pub struct PlainRenderer {
    say: Say,
    names: HashMap<MetricId, String>,
    shown: Vec<&'static str>,
    train: HashMap<String, f64>,
    valid: Vec<(String, f64)>,
    split: &'static str,
    epoch: usize,
    epochs: usize,
    done: usize,
    total: usize,
    started: Instant,
    first_epoch: usize,
    /// Images of the first epoch that an earlier process did.
    before: usize,
    last_line: Instant,
}

impl PlainRenderer {
    /// Prints to `sink`; of the training numbers, those in `shown`.
    pub fn new(sink: ProgressSink, shown: Vec<&'static str>) -> Self {
        let now = Instant::now();
        Self {
            say: Say::new(sink),
            names: HashMap::new(),
            shown,
            train: HashMap::new(),
            valid: Vec::new(),
            split: "train",
            epoch: 0,
            epochs: 0,
            done: 0,
            total: 0,
            started: now,
            first_epoch: 1,
            before: 0,
            last_line: now,
        }
    }

    /// For a run that goes on inside an epoch: how many of its images were done before, for the time left.
    #[must_use]
    pub fn going_on_after(mut self, images: usize) -> Self {
        self.before = images;
        self
    }

    fn line(&self, text: &str) {
        self.say.line(text);
    }

    fn training_line(&mut self) {
        self.last_line = Instant::now();
        let mut text = format!(
            "epoch {}/{}  {:>5}/{} images",
            self.epoch, self.epochs, self.done, self.total
        );
        for name in &self.shown {
            if let Some(value) = self.train.get(*name).filter(|value| value.is_finite()) {
                let _ = match *name {
                    "images_per_second" => write!(text, "  {value:.1} img/s"),
                    _ => write!(text, "  {name} {value:.3}"),
                };
            }
        }
        if let Some(left) = self.time_left() {
            let _ = write!(text, "  {} left", clock(left));
        }
        self.line(&text);
    }

    fn time_left(&self) -> Option<Duration> {
        let per_epoch = self.total.max(1) as f64;
        let before = self.before as f64 / per_epoch;
        let done = (self.epoch.saturating_sub(self.first_epoch)) as f64
            + self.done as f64 / per_epoch
            - before;
        let all = (self.epochs + 1).saturating_sub(self.first_epoch) as f64 - before;
        (done > 0.0).then(|| {
            self.started
                .elapsed()
                .mul_f64(((all - done) / done).max(0.0))
        })
    }
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds >= 3600 {
        format!(
            "{}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )
    } else {
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }
}

fn numeric(state: MetricState) -> Option<(MetricId, f64)> {
    match state {
        MetricState::Numeric(entry, Some(number)) => {
            let value = match number {
                NumericEntry::Value(value) | NumericEntry::Final(value) => value,
                NumericEntry::Aggregated {
                    aggregated_value, ..
                } => aggregated_value,
            };
            Some((entry.metric_id, value))
        }
        _ => None,
    }
}

impl MetricsRendererTraining for PlainRenderer {
    fn update_train(&mut self, state: MetricState) {
        if let Some((id, value)) = numeric(state)
            && let Some(name) = self.names.get(&id)
        {
            self.train.insert(name.clone(), value);
        }
    }

    fn update_valid(&mut self, state: MetricState) {
        if let Some((id, value)) = numeric(state)
            && let Some(name) = self.names.get(&id).cloned()
        {
            self.valid.retain(|(known, _)| *known != name);
            self.valid.push((name, value));
        }
    }
}

impl TrainingProgressLogger for PlainRenderer {
    fn start(
        &mut self,
        total_epochs: usize,
        starting_epoch: usize,
        _items: Option<usize>,
        _label: Option<&str>,
    ) {
        self.epochs = total_epochs;
        self.epoch = starting_epoch;
        self.first_epoch = starting_epoch;
        self.started = Instant::now();
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.epoch = epoch + 1;
    }

    fn start_split(&mut self, split: &str, total_items: usize) {
        self.split = if split == "train" { "train" } else { "valid" };
        if self.split == "train" {
            (self.done, self.total) = (0, total_items);
        }
    }

    fn update_split(&mut self, items_processed: usize) {
        if self.split == "train" {
            self.done = items_processed;
            if self.last_line.elapsed() >= INTERVAL {
                self.training_line();
            }
        }
    }

    fn end_split(&mut self) {
        if self.split == "train" {
            self.training_line();
        } else if !self.valid.is_empty() {
            let mut text = format!("epoch {}/{}  validation", self.epoch, self.epochs);
            for (name, value) in std::mem::take(&mut self.valid) {
                let _ = write!(text, "  {name} {value:.2} %");
            }
            self.line(&text);
        }
        self.split = "train";
    }

    fn end(&mut self) {}

    fn log_event_training(&mut self, _event: String) {}
}

impl EvaluationProgressLogger for PlainRenderer {
    fn start_global_progress(&mut self, _total_tests: usize) {}
    fn start_test(&mut self, _name: &str, _total_items: usize) {}
    fn update_test_progress(&mut self, _items_processed: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _event: String) {}
}

impl MetricsRendererEvaluation for PlainRenderer {
    fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}
}

impl MetricsRenderer for PlainRenderer {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.names
            .insert(definition.metric_id, definition.name.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_people_read_them() {
        assert_eq!(clock(Duration::from_secs(9)), "0:09");
        assert_eq!(clock(Duration::from_secs(754)), "12:34");
        assert_eq!(clock(Duration::from_secs(3725)), "1:02:05");
    }
}
