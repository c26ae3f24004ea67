//! What a backbone costs.

use std::fmt;

use serde::Serialize;

use super::BackboneConfig;

/// Parameters, multiply-accumulate operations and sizes of a backbone.
///
/// MACs are those of convolutions and matrices for one image, as the literature counts them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelSummary {
    /// The network in a few words.
    pub name: String,
    /// Weights, including the frozen last scale of an IResNet, without running statistics.
    pub parameters: u64,
    /// Running means and variances of batch norms.
    pub buffers: u64,
    /// Multiply-accumulate operations for one image.
    pub macs: u64,
    /// Side of the square input in pixels.
    pub input: usize,
    /// Length of the embedding.
    pub embedding: usize,
    /// One row per stage.
    pub stages: Vec<StageSummary>,
}

/// One stage of a backbone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageSummary {
    /// `stem`, `layer1` …, `head`.
    pub name: String,
    /// Channels of its output.
    pub channels: usize,
    /// Side of its output; 1 for the embedding.
    pub side: usize,
    /// Weights.
    pub parameters: u64,
    /// Multiply-accumulate operations for one image.
    pub macs: u64,
}

impl ModelSummary {
    pub(crate) fn new(config: &BackboneConfig) -> Self {
        let mut stages: Vec<StageSummary> = Vec::new();
        let mut buffers = 0;
        for layer in config.layers() {
            buffers += layer.buffers();
            let (channels, side) = layer.output;
            if stages.last().is_none_or(|stage| stage.name != layer.stage) {
                stages.push(StageSummary {
                    name: layer.stage.clone(),
                    channels,
                    side,
                    parameters: 0,
                    macs: 0,
                });
            }
            if let Some(stage) = stages.last_mut() {
                (stage.channels, stage.side) = (channels, side);
                stage.parameters += layer.parameters();
                stage.macs += layer.macs();
            }
        }
        Self {
            name: config.describe(),
            parameters: stages.iter().map(|stage| stage.parameters).sum(),
            buffers,
            macs: stages.iter().map(|stage| stage.macs).sum(),
            input: config.input_size(),
            embedding: config.embedding(),
            stages,
        }
    }
}

impl fmt::Display for ModelSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mega = |n: u64| n as f64 / 1e6;
        writeln!(f, "{}", self.name)?;
        writeln!(
            f,
            "{:<8} {:>14} {:>12} {:>10}",
            "stage", "output", "parameters", "MMAC"
        )?;
        for stage in &self.stages {
            let output = format!("{}×{}×{}", stage.channels, stage.side, stage.side);
            writeln!(
                f,
                "{:<8} {:>14} {:>12} {:>10.1}",
                stage.name,
                output,
                stage.parameters,
                mega(stage.macs)
            )?;
        }
        write!(
            f,
            "total: {:.1} M parameters ({}), {:.2} GMAC at {}×{}",
            mega(self.parameters),
            self.parameters,
            mega(self.macs) / 1e3,
            self.input,
            self.input
        )
    }
}
