//! The improved residual block of ArcFace's ResNets.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, BatchNormConfig, PRelu, PReluConfig};
use burn::tensor::{Device, Tensor};

use super::layers::{convolve, prelu};
use super::plan::{ConvShape, Plan};

/// One residual block: BN, 3×3 conv, BN, PReLU, 3×3 conv with the stride, BN, plus the shortcut.
///
/// ```text
/// y = bn3(conv2(prelu(bn2(conv1(bn1(x)))))) + shortcut(x)
/// ```
///
/// The shortcut is the identity, or a strided 1×1 convolution with batch normalisation
/// (`downsample.0`, `downsample.1`) in the first block of a stage. Field names are arcface_torch's.
#[derive(Module, Debug)]
pub struct IrBlock {
    bn1: BatchNorm,
    conv1: Conv2d,
    bn2: BatchNorm,
    prelu: PRelu,
    conv2: Conv2d,
    bn3: BatchNorm,
    downsample: Option<(Conv2d, BatchNorm)>,
}

/// The shape of a block: channels in and out, stride 2 with a shortcut convolution or stride 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IrBlockShape {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) downsample: bool,
}

impl IrBlockShape {
    fn stride(self) -> usize {
        if self.downsample { 2 } else { 1 }
    }

    fn conv1(self) -> ConvShape {
        ConvShape::dense(self.inputs, self.outputs, 3, 1)
    }

    fn conv2(self) -> ConvShape {
        ConvShape::dense(self.outputs, self.outputs, 3, self.stride())
    }

    fn shortcut(self) -> ConvShape {
        ConvShape::dense(self.inputs, self.outputs, 1, self.stride())
    }

    pub(crate) fn init(self, device: &Device) -> IrBlock {
        let norm = |channels| BatchNormConfig::new(channels).init(device);
        IrBlock {
            bn1: norm(self.inputs),
            conv1: self.conv1().init(device),
            bn2: norm(self.outputs),
            prelu: PReluConfig::new()
                .with_num_parameters(self.outputs)
                .init(device),
            conv2: self.conv2().init(device),
            bn3: norm(self.outputs),
            downsample: self
                .downsample
                .then(|| (self.shortcut().init(device), norm(self.outputs))),
        }
    }

    pub(crate) fn plan(self, plan: &mut Plan, name: &str) {
        plan.norm(format!("{name}.bn1"));
        plan.conv(format!("{name}.conv1"), &self.conv1());
        plan.norm(format!("{name}.bn2"));
        plan.prelu(format!("{name}.prelu"));
        plan.conv(format!("{name}.conv2"), &self.conv2());
        plan.norm(format!("{name}.bn3"));
        if self.downsample {
            let path = format!("{name}.downsample");
            plan.shortcut(format!("{path}.0"), format!("{path}.1"), &self.shortcut());
        }
        plan.add(format!("{name}.add"));
    }
}

impl IrBlock {
    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, inputs, side, side]`
    /// - output: `[batch, outputs, side', side']`, `side'` = `side`, or its half rounded up
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = convolve(&self.conv1, self.bn1.forward(x.clone()));
        let y = prelu(&self.prelu, self.bn2.forward(y));
        let y = self.bn3.forward(convolve(&self.conv2, y));
        let shortcut = match &self.downsample {
            Some((conv, norm)) => norm.forward(convolve(conv, x)),
            None => x,
        };
        y + shortcut
    }
}
