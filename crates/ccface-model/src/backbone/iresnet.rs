//! ArcFace's ResNet for faces, with arcface_torch's module names.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PRelu, PReluConfig};
use burn::tensor::{Device, Tensor, assert_shape};
use serde::{Deserialize, Deserializer, Serialize};

use super::draw::Draw;
use super::fill::{Site, fill};
use super::ir_block::{IrBlock, IrBlockShape};
use super::layers::{convolve, prelu};
use super::plan::{ConvShape, Layer, Plan};

/// Depth presets: the number of layers and the blocks of the four stages.
const PRESETS: [(u32, [usize; 4]); 5] = [
    (18, [2, 2, 2, 2]),
    (34, [3, 4, 6, 3]),
    (50, [3, 4, 14, 3]),
    (100, [3, 13, 30, 3]),
    (200, [6, 26, 60, 6]),
];

/// Standard deviation of the initial convolution weights, as arcface_torch draws them.
const CONV_STD: f64 = 0.1;

/// Configuration of an [`IResNet`].
///
/// ```
/// use ccface_model::IResNetConfig;
///
/// let r50 = IResNetConfig::preset(50).expect("50 is a preset");
/// assert_eq!(r50.blocks, [3, 4, 14, 3]);
/// assert!(IResNetConfig::preset(51).is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IResNetConfig {
    /// Residual blocks of the four stages; a file may give a depth instead: `depth = 50`.
    /// Default `[2, 2, 2, 2]` (depth 18); the literature's teachers are 50 and 100 layers deep.
    #[serde(alias = "depth", deserialize_with = "blocks_or_depth")]
    pub blocks: [usize; 4],
    /// Channels of the stem and the first stage, 1..=1024; later stages double it. Default and literature: 64.
    pub width: usize,
    /// Side of the square input in pixels, 16..=1024. Default and literature: 112.
    pub input_size: usize,
    /// Stride of the first convolution, 1 or 2. Default and literature: 1; 2 makes the network about
    /// four times cheaper.
    pub stem_stride: usize,
    /// Length of the embedding, 2..=8192. Default and literature: 512.
    pub embedding: usize,
}

impl Default for IResNetConfig {
    fn default() -> Self {
        Self {
            blocks: PRESETS[0].1,
            width: 64,
            input_size: 112,
            stem_stride: 1,
            embedding: 512,
        }
    }
}

fn blocks_or_depth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[usize; 4], D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a depth such as 50, or four block counts")]
    enum Either {
        Depth(u32),
        Blocks([usize; 4]),
    }
    match Either::deserialize(deserializer)? {
        Either::Blocks(blocks) => Ok(blocks),
        Either::Depth(depth) => blocks_of(depth).ok_or_else(|| {
            let known = PRESETS.map(|(depth, _)| depth.to_string()).join(", ");
            serde::de::Error::custom(format!(
                "no preset of depth {depth}; known: {known}, or four block counts"
            ))
        }),
    }
}

fn blocks_of(depth: u32) -> Option<[usize; 4]> {
    PRESETS
        .iter()
        .find(|preset| preset.0 == depth)
        .map(|preset| preset.1)
}

impl IResNetConfig {
    /// The literature's network of 18, 34, 50, 100 or 200 layers at 112×112 and 512 dimensions.
    pub fn preset(depth: u32) -> Option<Self> {
        blocks_of(depth).map(|blocks| Self {
            blocks,
            ..Self::default()
        })
    }

    /// The depth whose preset has these blocks, if any.
    pub fn depth(&self) -> Option<u32> {
        PRESETS
            .iter()
            .find(|preset| preset.1 == self.blocks)
            .map(|preset| preset.0)
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.blocks.iter().any(|n| !(1..=200).contains(n)) {
            problems.push(format!(
                "blocks = {:?}: every stage needs 1 to 200 blocks",
                self.blocks
            ));
        }
        super::check_common(
            &mut problems,
            self.width,
            self.input_size,
            self.stem_stride,
            self.embedding,
        );
        problems
    }

    fn stem(&self) -> ConvShape {
        ConvShape::dense(3, self.width, 3, self.stem_stride)
    }

    /// The blocks of the stage, 0 to 3.
    fn stage(&self, stage: usize) -> impl Iterator<Item = IrBlockShape> {
        let outputs = self.width << stage;
        let inputs = if stage == 0 { outputs } else { outputs / 2 };
        (0..self.blocks[stage]).map(move |block| IrBlockShape {
            inputs: if block == 0 { inputs } else { outputs },
            outputs,
            downsample: block == 0,
        })
    }

    pub(crate) fn layers(&self) -> Vec<Layer> {
        let mut plan = Plan::new(self.input_size);
        plan.stage("stem");
        plan.conv("conv1".into(), &self.stem());
        plan.norm("bn1".into());
        plan.prelu("prelu".into());
        for stage in 0..4 {
            plan.stage(format!("layer{}", stage + 1));
            for (block, shape) in self.stage(stage).enumerate() {
                shape.plan(&mut plan, &format!("layer{}.{block}", stage + 1));
            }
        }
        plan.stage("head");
        plan.norm("bn2".into());
        plan.linear("fc".into(), self.embedding);
        plan.norm("features".into());
        plan.into_layers()
    }

    /// The module with lazy weights, to be filled or loaded.
    pub(crate) fn skeleton(&self, device: &Device) -> IResNet {
        let norm = |channels| BatchNormConfig::new(channels).init(device);
        let stage = |index| {
            self.stage(index)
                .map(|shape| shape.init(device))
                .collect::<Vec<_>>()
        };
        let flat = {
            let mut plan = Plan::new(self.input_size);
            plan.conv(String::new(), &self.stem());
            (0..4).for_each(|index| self.stage(index).for_each(|b| b.plan(&mut plan, "")));
            plan.channels() * plan.side() * plan.side()
        };
        let mut features = norm(self.embedding);
        // arcface_torch freezes the last scale at 1: the loss is scale-free, so a free one only drifts.
        features.gamma = features.gamma.set_require_grad(false);
        IResNet {
            conv1: self.stem().init(device),
            bn1: norm(self.width),
            prelu: PReluConfig::new()
                .with_num_parameters(self.width)
                .init(device),
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            layer4: stage(3),
            bn2: norm(self.width << 3),
            fc: LinearConfig::new(flat, self.embedding).init(device),
            features,
            input_size: self.input_size,
        }
    }

    /// The module with arcface_torch's initial weights: convolutions N(0, 0.1²), batch norms 1 and 0,
    /// PReLU 0.25, the linear layer U(±1/√inputs).
    pub(crate) fn init_seeded(&self, device: &Device, seed: u64) -> IResNet {
        let skeleton = self.skeleton(device);
        let [fan_in, _] = skeleton.fc.weight.lazy_shape().dims();
        let bound = 1.0 / (fan_in as f64).sqrt();
        fill(skeleton, &mut |site: &Site<'_>| {
            let draw = Draw::new(seed, site.name);
            match site.layer {
                "Conv2d" => Some(draw.normal(site.len(), CONV_STD)),
                "Linear" => Some(draw.uniform(site.len(), bound)),
                _ => None,
            }
        })
    }
}

/// ArcFace's improved residual network; the output is not normalised.
///
/// Field names are those of arcface_torch's state dict. Spatial sizes round up at every stride, as there:
/// 112 → 7, 64 → 4, 48 → 3.
///
/// Source: verbatim, from arcface_torch's published key layout and parameter counts.
#[derive(Module, Debug)]
pub struct IResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    prelu: PRelu,
    layer1: Vec<IrBlock>,
    layer2: Vec<IrBlock>,
    layer3: Vec<IrBlock>,
    layer4: Vec<IrBlock>,
    bn2: BatchNorm,
    fc: Linear,
    features: BatchNorm,
    input_size: usize,
}

impl IResNet {
    /// Embeds faces.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, 3, input_size, input_size]`
    /// - output: `[batch, embedding]`, not normalised
    ///
    /// # Panics
    ///
    /// Panics if the images have another shape.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let side = self.input_size;
        assert_shape!(images, [_, 3, side, side]);
        let x = self.bn1.forward(convolve(&self.conv1, images));
        let mut x = prelu(&self.prelu, x);
        for block in [&self.layer1, &self.layer2, &self.layer3, &self.layer4]
            .into_iter()
            .flatten()
        {
            x = block.forward(x);
        }
        let x = self.fc.forward(self.bn2.forward(x).flatten::<2>(1, 3));
        self.features.forward(x)
    }
}
