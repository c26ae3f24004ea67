//! Networks from a face to an embedding.

mod draw;
mod fill;
mod ir_block;
mod iresnet;
mod layers;
mod mobilefacenet;
mod plan;
mod summary;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

pub use ir_block::IrBlock;
pub use iresnet::{IResNet, IResNetConfig};
pub use mobilefacenet::{Bottleneck, ConvUnit, MobileFaceNet, MobileFaceNetConfig};
pub use summary::{ModelSummary, StageSummary};

#[cfg(test)]
pub(crate) use draw::Draw;
pub(crate) use fill::{Site, fill, pytorch_parameter};
pub(crate) use plan::{Layer, Operator};

/// Which backbone to build, as a configuration file or a model card writes it.
///
/// ```
/// use ccface_model::BackboneConfig;
///
/// let config: BackboneConfig = serde_json::from_str(
///     r#"{"kind": "iresnet", "depth": 50, "input_size": 112}"#,
/// ).expect("a valid configuration");
/// assert_eq!(config.summary().parameters, 43_590_848);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum BackboneConfig {
    /// ArcFace's improved residual network.
    #[serde(rename = "iresnet")]
    IResNet(IResNetConfig),
    /// The small network for phones and CPUs.
    #[serde(rename = "mobilefacenet")]
    MobileFaceNet(MobileFaceNetConfig),
}

impl BackboneConfig {
    /// Side of the square input in pixels.
    pub fn input_size(&self) -> usize {
        match self {
            Self::IResNet(config) => config.input_size,
            Self::MobileFaceNet(config) => config.input_size,
        }
    }

    /// Length of the embedding.
    pub fn embedding(&self) -> usize {
        match self {
            Self::IResNet(config) => config.embedding,
            Self::MobileFaceNet(config) => config.embedding,
        }
    }

    /// Checks every field before any tensor exists.
    ///
    /// # Errors
    ///
    /// All mistakes, one sentence each, with the field's name and the allowed range.
    pub fn validate(&self) -> Result<(), Vec<String>> {
        let problems = match self {
            Self::IResNet(config) => config.problems(),
            Self::MobileFaceNet(config) => config.problems(),
        };
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }

    /// Builds the network with the initial weights of seed 0; see [`init_seeded`](Self::init_seeded).
    ///
    /// # Panics
    ///
    /// Panics if [`validate`](Self::validate) finds a mistake.
    pub fn init(&self, device: &Device) -> Backbone {
        self.init_seeded(device, 0)
    }

    /// Builds the network with initial weights that are a pure function of the seed and the tensor's name.
    ///
    /// The numbers are drawn on the CPU, so every backend starts from the same bits, whatever was drawn from
    /// the device's own generator before.
    ///
    /// # Panics
    ///
    /// Panics if [`validate`](Self::validate) finds a mistake.
    pub fn init_seeded(&self, device: &Device, seed: u64) -> Backbone {
        self.expect_valid();
        match self {
            Self::IResNet(config) => Backbone::IResNet(config.init_seeded(device, seed)),
            Self::MobileFaceNet(config) => {
                Backbone::MobileFaceNet(config.init_seeded(device, seed))
            }
        }
    }

    /// Counts parameters, MACs and sizes without building a tensor.
    ///
    /// # Panics
    ///
    /// Panics if [`validate`](Self::validate) finds a mistake.
    pub fn summary(&self) -> ModelSummary {
        self.expect_valid();
        ModelSummary::new(self)
    }

    /// The network in a few words: `iresnet-50 112×112 → 512`.
    pub fn describe(&self) -> String {
        let name = match self {
            Self::IResNet(config) => {
                let depth = config
                    .depth()
                    .map_or_else(|| format!("{:?}", config.blocks), |d| d.to_string());
                let width = match config.width {
                    64 => String::new(),
                    width => format!(" width {width}"),
                };
                format!("iresnet-{depth}{width}")
            }
            Self::MobileFaceNet(config) => {
                let width = match config.width {
                    64 => String::new(),
                    width => format!(" width {width}"),
                };
                let folded = if config.folded { " (folded)" } else { "" };
                format!("mobilefacenet{width}{folded}")
            }
        };
        let (side, dim) = (self.input_size(), self.embedding());
        format!("{name} {side}×{side} → {dim}")
    }

    pub(crate) fn layers(&self) -> Vec<Layer> {
        match self {
            Self::IResNet(config) => config.layers(),
            Self::MobileFaceNet(config) => config.layers(),
        }
    }

    /// The network with lazy weights that the caller replaces.
    pub(crate) fn skeleton(&self, device: &Device) -> Backbone {
        match self {
            Self::IResNet(config) => Backbone::IResNet(config.skeleton(device)),
            Self::MobileFaceNet(config) => Backbone::MobileFaceNet(config.skeleton(device)),
        }
    }

    fn expect_valid(&self) {
        if let Err(problems) = self.validate() {
            panic!("invalid backbone: {}", problems.join("; "));
        }
    }
}

/// The limits that both backbones share.
fn check_common(
    problems: &mut Vec<String>,
    width: usize,
    input_size: usize,
    stem_stride: usize,
    embedding: usize,
) {
    if !(1..=1024).contains(&width) {
        problems.push(format!(
            "width = {width}: choose 1 to 1024 (the literature has 64)"
        ));
    }
    if !(16..=1024).contains(&input_size) {
        problems.push(format!(
            "input_size = {input_size}: choose 16 to 1024 pixels (the literature has 112)"
        ));
    }
    if !(1..=2).contains(&stem_stride) {
        problems.push(format!("stem_stride = {stem_stride}: choose 1 or 2"));
    }
    if !(2..=8192).contains(&embedding) {
        problems.push(format!(
            "embedding = {embedding}: choose 2 to 8192 (the literature has 512)"
        ));
    }
}

/// A network from a face to an embedding.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Backbone {
    /// ArcFace's improved residual network.
    IResNet(IResNet),
    /// The small network for phones and CPUs.
    MobileFaceNet(MobileFaceNet),
}

impl Backbone {
    /// Embeds faces; the output is not normalised.
    ///
    /// Batch norms use batch statistics when the network trains on an autodiff device, and running ones
    /// otherwise.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, 3, input_size, input_size]`
    /// - output: `[batch, embedding]`
    ///
    /// # Panics
    ///
    /// Panics if the images have another shape.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        match self {
            Self::IResNet(net) => net.forward(images),
            Self::MobileFaceNet(net) => net.forward(images),
        }
    }

    /// A copy for inference: no gradients, running statistics up to date, nothing shared with `self`.
    ///
    /// Use it for a frozen teacher, for validation and before saving. A plain `clone` shares the running
    /// statistics of its batch norms with the original and may lag one step behind.
    pub fn frozen(&self) -> Self {
        self.valid()
    }
}

#[cfg(test)]
mod tests;
