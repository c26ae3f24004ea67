//! The layers of a backbone as numbers: names, shapes, parameters, MACs, without any tensor.

/// One operator of a backbone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operator {
    /// A square two-dimensional convolution with symmetric zero padding.
    Conv {
        inputs: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
        groups: usize,
        bias: bool,
    },
    /// Batch normalisation, over channels or over features.
    BatchNorm { channels: usize },
    /// A leaky slope per channel.
    PRelu { channels: usize },
    /// The sum with the block's own input.
    Add,
    /// A fully connected layer with a bias.
    Linear { inputs: usize, outputs: usize },
}

/// One operator with its place in the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layer {
    /// The part of the network that it belongs to: `stem`, `layer1` …, `head`.
    pub(crate) stage: String,
    /// The module's name in a PyTorch state dict.
    pub(crate) name: String,
    /// What it computes.
    pub(crate) operator: Operator,
    /// Channels and side of its output; a vector has side 1.
    pub(crate) output: (usize, usize),
}

impl Layer {
    /// The tensors of this layer as PyTorch names and lays them out.
    pub(crate) fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let named = |suffix: &str, shape: Vec<usize>| (format!("{}.{suffix}", self.name), shape);
        match self.operator {
            Operator::Conv {
                inputs,
                outputs,
                kernel,
                groups,
                bias,
                ..
            } => {
                let weight = named("weight", vec![outputs, inputs / groups, kernel, kernel]);
                let bias = bias.then(|| named("bias", vec![outputs]));
                std::iter::once(weight).chain(bias).collect()
            }
            Operator::BatchNorm { channels } => ["weight", "bias", "running_mean", "running_var"]
                .map(|suffix| named(suffix, vec![channels]))
                .to_vec(),
            Operator::PRelu { channels } => vec![named("weight", vec![channels])],
            Operator::Linear { inputs, outputs } => vec![
                named("weight", vec![outputs, inputs]),
                named("bias", vec![outputs]),
            ],
            Operator::Add => Vec::new(),
        }
    }

    /// Weights that a training step may change (running statistics are buffers).
    pub(crate) fn parameters(&self) -> u64 {
        match self.operator {
            Operator::BatchNorm { channels } => 2 * channels as u64,
            _ => self.elements(),
        }
    }

    /// Running statistics.
    pub(crate) fn buffers(&self) -> u64 {
        self.elements() - self.parameters()
    }

    /// Multiply-accumulate operations for one image; only convolutions and matrices count.
    pub(crate) fn macs(&self) -> u64 {
        let side = self.output.1 as u64;
        match self.operator {
            Operator::Conv {
                inputs,
                outputs,
                kernel,
                groups,
                ..
            } => (outputs * (inputs / groups) * kernel * kernel) as u64 * side * side,
            Operator::Linear { inputs, outputs } => (inputs * outputs) as u64,
            _ => 0,
        }
    }

    fn elements(&self) -> u64 {
        self.tensors()
            .iter()
            .map(|(_, shape)| shape.iter().map(|&n| n as u64).product::<u64>())
            .sum()
    }
}

/// Builds the list of layers while it tracks the size of the activation.
#[derive(Debug)]
pub(crate) struct Plan {
    layers: Vec<Layer>,
    stage: String,
    channels: usize,
    side: usize,
}

impl Plan {
    /// Starts with an RGB input of the given side.
    pub(crate) fn new(side: usize) -> Self {
        Self {
            layers: Vec::new(),
            stage: String::new(),
            channels: 3,
            side,
        }
    }

    /// Opens the next stage.
    pub(crate) fn stage(&mut self, stage: impl Into<String>) {
        self.stage = stage.into();
    }

    /// The side of the current activation.
    pub(crate) fn side(&self) -> usize {
        self.side
    }

    /// Channels of the current activation.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// Adds a convolution to the main path.
    pub(crate) fn conv(&mut self, name: String, shape: &ConvShape) {
        self.channels = shape.outputs;
        self.side = shape.output_side(self.side);
        self.push(name, shape.operator());
    }

    /// Adds a convolution and its batch normalisation beside the main path, which has ended already.
    pub(crate) fn shortcut(&mut self, conv: String, norm: String, shape: &ConvShape) {
        self.push(conv, shape.operator());
        self.norm(norm);
    }

    /// Adds a batch normalisation.
    pub(crate) fn norm(&mut self, name: String) {
        let channels = self.channels;
        self.push(name, Operator::BatchNorm { channels });
    }

    /// Adds a PReLU.
    pub(crate) fn prelu(&mut self, name: String) {
        let channels = self.channels;
        self.push(name, Operator::PRelu { channels });
    }

    /// Adds the residual sum.
    pub(crate) fn add(&mut self, name: String) {
        self.push(name, Operator::Add);
    }

    /// Adds a fully connected layer on the flattened activation.
    pub(crate) fn linear(&mut self, name: String, outputs: usize) {
        let inputs = self.channels * self.side * self.side;
        self.channels = outputs;
        self.side = 1;
        self.push(name, Operator::Linear { inputs, outputs });
    }

    /// The finished list.
    pub(crate) fn into_layers(self) -> Vec<Layer> {
        self.layers
    }

    fn push(&mut self, name: String, operator: Operator) {
        self.layers.push(Layer {
            stage: self.stage.clone(),
            name,
            operator,
            output: (self.channels, self.side),
        });
    }
}

/// The shape of one convolution: what both the plan and the module are built from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConvShape {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    pub(crate) groups: usize,
    pub(crate) bias: bool,
}

impl ConvShape {
    /// A dense convolution without bias that keeps the side at stride 1.
    pub(crate) fn dense(inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Self {
        Self {
            inputs,
            outputs,
            kernel,
            stride,
            padding: (kernel - 1) / 2,
            groups: 1,
            bias: false,
        }
    }

    /// A convolution of every channel on its own.
    pub(crate) fn depthwise(channels: usize, kernel: usize, stride: usize) -> Self {
        Self {
            groups: channels,
            ..Self::dense(channels, channels, kernel, stride)
        }
    }

    /// The same without padding.
    pub(crate) fn unpadded(self) -> Self {
        Self { padding: 0, ..self }
    }

    /// The same with or without a bias.
    pub(crate) fn with_bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// The side of the output.
    pub(crate) fn output_side(&self, side: usize) -> usize {
        (side + 2 * self.padding).saturating_sub(self.kernel) / self.stride + 1
    }

    fn operator(&self) -> Operator {
        Operator::Conv {
            inputs: self.inputs,
            outputs: self.outputs,
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
            groups: self.groups,
            bias: self.bias,
        }
    }

    /// The burn module of this shape; its weights are lazy and meant to be replaced.
    pub(crate) fn init(&self, device: &burn::tensor::Device) -> burn::nn::conv::Conv2d {
        let padding = self.padding;
        burn::nn::conv::Conv2dConfig::new([self.inputs, self.outputs], [self.kernel; 2])
            .with_stride([self.stride; 2])
            .with_padding(burn::nn::PaddingConfig2d::Explicit(
                padding, padding, padding, padding,
            ))
            .with_groups(self.groups)
            .with_bias(self.bias)
            .init(device)
    }
}
