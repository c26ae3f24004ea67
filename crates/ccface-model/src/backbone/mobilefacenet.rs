//! MobileFaceNet: a small network for faces on phones and CPUs.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, BatchNormConfig, PRelu, PReluConfig};
use burn::tensor::{Device, Tensor, assert_shape};
use serde::{Deserialize, Serialize};

use super::draw::Draw;
use super::fill::{Site, fill};
use super::layers::{convolve, prelu};
use super::plan::{ConvShape, Layer, Plan};

/// The initial PReLU slope.
const SLOPE: f64 = 0.25;

/// Configuration of a [`MobileFaceNet`].
///
/// ```
/// use ccface_model::{BackboneConfig, MobileFaceNetConfig};
///
/// let phone = BackboneConfig::MobileFaceNet(MobileFaceNetConfig {
///     input_size: 48,
///     ..MobileFaceNetConfig::default()
/// });
/// assert!(phone.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MobileFaceNetConfig {
    /// Residual bottlenecks of the three stages, each after one strided bottleneck, 0..=100.
    /// Default and literature: `[4, 6, 2]`.
    pub blocks: [usize; 3],
    /// Channels of the stem and the first stage, 1..=1024; later stages have twice that.
    /// Default and literature: 64.
    pub width: usize,
    /// Expansion of the residual bottlenecks, 1..=16; the strided ones of the later stages have twice that.
    /// Default and literature: 2.
    pub expansion: usize,
    /// Channels before the global depthwise convolution, 1..=8192. Default and literature: 512.
    pub head_width: usize,
    /// Side of the square input in pixels, 16..=1024. Default and literature: 112.
    pub input_size: usize,
    /// Stride of the first convolution, 1 or 2. Default and literature: 2; 1 suits small native inputs.
    pub stem_stride: usize,
    /// Channels per group of the stem's second convolution, a divisor of `width`. Default and literature: 1, which is
    /// depthwise; arcface_torch's network of scale 2 has 2.
    #[serde(skip_serializing_if = "is_one")]
    pub stem_group: usize,
    /// Length of the embedding, 2..=8192. Default 512; the paper has 128.
    pub embedding: usize,
    /// Whether batch norms are folded into convolution biases, as in networks that come from ONNX.
    /// Default false: a network that is trained from scratch wants its batch norms.
    pub folded: bool,
}

impl Default for MobileFaceNetConfig {
    fn default() -> Self {
        Self {
            blocks: [4, 6, 2],
            width: 64,
            expansion: 2,
            head_width: 512,
            input_size: 112,
            stem_stride: 2,
            stem_group: 1,
            embedding: 512,
            folded: false,
        }
    }
}

/// The usual value stays out of files, so that cards of other networks do not change.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_one(value: &usize) -> bool {
    *value == 1
}

/// The shape of a bottleneck.
#[derive(Debug, Clone, Copy)]
struct BottleneckShape {
    inputs: usize,
    expanded: usize,
    outputs: usize,
    stride: usize,
}

impl BottleneckShape {
    /// Only the strided bottleneck that opens a stage has no shortcut.
    fn residual(self) -> bool {
        self.stride == 1
    }

    fn convs(self, folded: bool) -> [ConvShape; 3] {
        [
            ConvShape::dense(self.inputs, self.expanded, 1, 1),
            ConvShape::depthwise(self.expanded, 3, self.stride),
            ConvShape::dense(self.expanded, self.outputs, 1, 1),
        ]
        .map(|shape| shape.with_bias(folded))
    }
}

impl MobileFaceNetConfig {
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.blocks.iter().any(|n| *n > 100) {
            problems.push(format!(
                "blocks = {:?}: a stage has at most 100 residual bottlenecks",
                self.blocks
            ));
        }
        if !(1..=16).contains(&self.expansion) {
            problems.push(format!(
                "expansion = {}: choose 1 to 16 (the paper has 2)",
                self.expansion
            ));
        }
        if self.stem_group == 0 || !self.width.is_multiple_of(self.stem_group) {
            problems.push(format!(
                "stem_group = {}: choose a divisor of width = {} (the paper has 1)",
                self.stem_group, self.width
            ));
        }
        if !(1..=8192).contains(&self.head_width) {
            problems.push(format!(
                "head_width = {}: choose 1 to 8192 (the paper has 512)",
                self.head_width
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

    fn stem(&self) -> [ConvShape; 2] {
        [
            ConvShape::dense(3, self.width, 3, self.stem_stride),
            ConvShape {
                groups: self.width / self.stem_group,
                ..ConvShape::dense(self.width, self.width, 3, 1)
            },
        ]
        .map(|shape| shape.with_bias(self.folded))
    }

    /// The bottlenecks of the stage, 0 to 2: a strided one, then the residual ones.
    fn stage(&self, stage: usize) -> Vec<BottleneckShape> {
        let outputs = self.width * [1, 2, 2][stage];
        let inputs = self.width * [1, 1, 2][stage];
        let strided = BottleneckShape {
            inputs,
            expanded: self.width * self.expansion * [1, 2, 4][stage],
            outputs,
            stride: 2,
        };
        let residual = BottleneckShape {
            inputs: outputs,
            expanded: outputs * self.expansion,
            outputs,
            stride: 1,
        };
        std::iter::once(strided)
            .chain(std::iter::repeat_n(residual, self.blocks[stage]))
            .collect()
    }

    /// The 1×1 convolution before the global one.
    fn separate(&self) -> ConvShape {
        ConvShape::dense(2 * self.width, self.head_width, 1, 1).with_bias(self.folded)
    }

    /// The linear global depthwise convolution over the whole activation.
    fn global(&self, side: usize) -> ConvShape {
        ConvShape::depthwise(self.head_width, side, 1)
            .unpadded()
            .with_bias(self.folded)
    }

    /// The linear 1×1 convolution to the embedding.
    fn linear(&self) -> ConvShape {
        ConvShape::dense(self.head_width, self.embedding, 1, 1).with_bias(self.folded)
    }

    fn plan_unit(&self, plan: &mut Plan, name: &str, shape: &ConvShape, active: bool) {
        plan.conv(format!("{name}.conv"), shape);
        if !self.folded {
            plan.norm(format!("{name}.bn"));
        }
        if active {
            plan.prelu(format!("{name}.prelu"));
        }
    }

    /// The plan up to the head.
    fn plan_body(&self) -> Plan {
        let mut plan = Plan::new(self.input_size);
        plan.stage("stem");
        for (name, shape) in ["stem", "stem_depthwise"].iter().zip(self.stem()) {
            self.plan_unit(&mut plan, name, &shape, true);
        }
        for stage in 0..3 {
            let path = format!("layer{}", stage + 1);
            plan.stage(path.clone());
            for (index, block) in self.stage(stage).into_iter().enumerate() {
                let [expand, depthwise, project] = block.convs(self.folded);
                let unit = |part: &str| format!("{path}.{index}.{part}");
                self.plan_unit(&mut plan, &unit("expand"), &expand, true);
                self.plan_unit(&mut plan, &unit("depthwise"), &depthwise, true);
                self.plan_unit(&mut plan, &unit("project"), &project, false);
                if block.residual() {
                    plan.add(unit("add"));
                }
            }
        }
        plan
    }

    pub(crate) fn layers(&self) -> Vec<Layer> {
        let mut plan = self.plan_body();
        let side = plan.side();
        plan.stage("head");
        self.plan_unit(&mut plan, "separate", &self.separate(), true);
        self.plan_unit(&mut plan, "global", &self.global(side), false);
        self.plan_unit(&mut plan, "linear", &self.linear(), false);
        plan.into_layers()
    }

    /// The module with lazy weights, to be filled or loaded.
    pub(crate) fn skeleton(&self, device: &Device) -> MobileFaceNet {
        let unit = |shape: &ConvShape, active| ConvUnit::new(shape, !self.folded, active, device);
        let stage = |index: usize| {
            self.stage(index)
                .into_iter()
                .map(|block| {
                    let [expand, depthwise, project] = block.convs(self.folded);
                    Bottleneck {
                        expand: unit(&expand, true),
                        depthwise: unit(&depthwise, true),
                        project: unit(&project, false),
                        residual: block.residual(),
                    }
                })
                .collect::<Vec<_>>()
        };
        let [stem, stem_depthwise] = self.stem();
        MobileFaceNet {
            stem: unit(&stem, true),
            stem_depthwise: unit(&stem_depthwise, true),
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            separate: unit(&self.separate(), true),
            global: unit(&self.global(self.plan_body().side()), false),
            linear: unit(&self.linear(), false),
            input_size: self.input_size,
        }
    }

    /// The module with Kaiming's initial weights over each output's inputs; biases are 0.
    ///
    /// A convolution before a PReLU has variance 2/(1 + 0.25²) per input, a linear one 1. Without batch
    /// norms the residual branches are damped by √blocks, so that activations keep their size.
    pub(crate) fn init_seeded(&self, device: &Device, seed: u64) -> MobileFaceNet {
        let residuals = self.blocks.iter().sum::<usize>().max(1) as f64;
        let damped = |name: &str| {
            self.folded && name.ends_with(".project.conv.weight") && !name.contains(".0.project.")
        };
        let linear = |name: &str| {
            name.ends_with(".project.conv.weight")
                || name.starts_with("global.")
                || name.starts_with("linear.")
        };
        fill(self.skeleton(device), &mut |site: &Site<'_>| {
            if site.layer != "Conv2d" {
                return None;
            }
            if site.name.ends_with(".bias") {
                return Some(vec![0.0; site.len()]);
            }
            let gain = if linear(site.name) {
                1.0
            } else {
                2.0 / (1.0 + SLOPE * SLOPE)
            };
            let damping = if damped(site.name) { residuals } else { 1.0 };
            let std = (gain / (site.fan_in() as f64 * damping)).sqrt();
            Some(Draw::new(seed, site.name).normal(site.len(), std))
        })
    }
}

/// A convolution with what follows it: batch normalisation (or a bias instead), and a PReLU or nothing.
#[derive(Module, Debug)]
pub struct ConvUnit {
    conv: Conv2d,
    bn: Option<BatchNorm>,
    prelu: Option<PRelu>,
}

impl ConvUnit {
    fn new(shape: &ConvShape, norm: bool, active: bool, device: &Device) -> Self {
        let channels = shape.outputs;
        let prelu = PReluConfig::new()
            .with_num_parameters(channels)
            .with_alpha(SLOPE);
        Self {
            conv: shape.init(device),
            bn: norm.then(|| BatchNormConfig::new(channels).init(device)),
            prelu: active.then(|| prelu.init(device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = convolve(&self.conv, x);
        let x = match &self.bn {
            Some(norm) => norm.forward(x),
            None => x,
        };
        match &self.prelu {
            Some(layer) => prelu(layer, x),
            None => x,
        }
    }
}

/// An inverted bottleneck: 1×1 expansion, 3×3 depthwise, linear 1×1 projection; a shortcut at stride 1.
#[derive(Module, Debug)]
pub struct Bottleneck {
    expand: ConvUnit,
    depthwise: ConvUnit,
    project: ConvUnit,
    residual: bool,
}

impl Bottleneck {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = self.expand.forward(x.clone());
        let y = self.project.forward(self.depthwise.forward(y));
        if self.residual { y + x } else { y }
    }
}

/// MobileFaceNet; the output is not normalised.
///
/// The stem halves the image and is followed by a depthwise convolution; three stages of inverted
/// bottlenecks halve it once each; a linear global depthwise convolution, as large as what is left, replaces
/// average pooling; a linear 1×1 convolution gives the embedding.
///
/// Source: verbatim, from the table of the MobileFaceNets paper (arXiv:1804.07573); other widths, inputs and
/// strides are ours.
#[derive(Module, Debug)]
pub struct MobileFaceNet {
    stem: ConvUnit,
    stem_depthwise: ConvUnit,
    layer1: Vec<Bottleneck>,
    layer2: Vec<Bottleneck>,
    layer3: Vec<Bottleneck>,
    separate: ConvUnit,
    global: ConvUnit,
    linear: ConvUnit,
    input_size: usize,
}

impl MobileFaceNet {
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
        let mut x = self.stem_depthwise.forward(self.stem.forward(images));
        for block in [&self.layer1, &self.layer2, &self.layer3]
            .into_iter()
            .flatten()
        {
            x = block.forward(x);
        }
        let x = self.global.forward(self.separate.forward(x));
        self.linear.forward(x).flatten::<2>(1, 3)
    }
}
