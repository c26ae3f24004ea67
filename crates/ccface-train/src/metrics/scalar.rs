//! One named number as a burn-train metric, so that every renderer of burn-train can show it.

use std::sync::Arc;

use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
    state::{FormatOptions, NumericMetricState},
};

use super::Report;

/// How a number is shown and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalarKind {
    /// Its name in reports; also the metric's name (a file name: no `/`).
    pub name: String,
    /// Its unit, if it has one.
    pub unit: Option<&'static str>,
    /// Whether more is better.
    pub higher_is_better: bool,
}

impl ScalarKind {
    /// A number without unit of which less is better.
    pub fn lower(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            unit: None,
            higher_is_better: false,
        }
    }

    /// A number without unit of which more is better.
    pub fn higher(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            unit: None,
            higher_is_better: true,
        }
    }

    /// With a unit.
    #[must_use]
    pub fn unit(mut self, unit: &'static str) -> Self {
        self.unit = Some(unit);
        self
    }
}

/// The running mean of one number of the reports.
#[derive(Clone)]
pub struct ScalarMetric {
    kind: ScalarKind,
    name: MetricName,
    state: NumericMetricState,
}

impl ScalarMetric {
    /// A metric that follows the number `kind.name` of each report.
    pub fn new(kind: ScalarKind) -> Self {
        Self {
            name: Arc::new(kind.name.clone()),
            kind,
            state: NumericMetricState::default(),
        }
    }

    fn format(&self) -> FormatOptions {
        let options = FormatOptions::new(self.name.clone()).precision(4);
        match self.kind.unit {
            Some(unit) => options.unit(unit),
            None => options,
        }
    }
}

impl Metric for ScalarMetric {
    type Input = Report;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes {
            unit: self.kind.unit.map(Into::into),
            higher_is_better: self.kind.higher_is_better,
        }
        .into()
    }

    fn update(
        &mut self,
        report: &Report,
        _metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, burn::tensor::TensorReadError> {
        match report.get(&self.kind.name) {
            Some(value) => {
                self.state.update(value, report.samples.max(1));
                Ok(self.state.compute_update(self.format()))
            }
            None => Ok(SerializedEntry::not_available(self.kind.unit)),
        }
    }

    fn compute(&mut self) -> Result<SerializedEntry, burn::tensor::TensorReadError> {
        Ok(self.state.compute_final(self.format()))
    }

    fn clear(&mut self) {
        self.state.reset();
    }
}

impl Numeric for ScalarMetric {
    fn value(&self) -> Option<NumericEntry> {
        let entry = self.state.current_value();
        entry.current().is_finite().then_some(entry)
    }

    fn running_value(&self) -> Option<NumericEntry> {
        let entry = self.state.running_value();
        entry.current().is_finite().then_some(entry)
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}
