//! From an ONNX graph to a trainable MobileFaceNet with folded batch norms.

use std::collections::HashMap;

use burn::tensor::Device;

use super::onnx::OnnxFile;
use super::onnx_proto::{NodeProto, TensorProto};
use super::safetensors::shortened;
use crate::backbone::{Layer, Operator, fill};
use crate::{Backbone, BackboneConfig, MobileFaceNetConfig, ModelError};

/// Builds a folded [`MobileFaceNet`](crate::MobileFaceNet) with the weights of an ONNX network.
///
/// The graph is walked in order, convolution by convolution and slope by slope. Widths and block counts are read
/// from it; every shape, stride, padding, group and connection is then checked against ours.
///
/// # Errors
///
/// [`ModelError::OnnxMismatch`] lists every node that differs with the found and the expected shape;
/// [`ModelError::Onnx`] if the input is no RGB face or weights are damaged.
pub fn mobilefacenet_from_onnx(
    file: &OnnxFile,
    device: &Device,
) -> Result<(Backbone, BackboneConfig), ModelError> {
    let walk = Walk::new(file)?;
    let config = walk.infer()?;
    let architecture = BackboneConfig::MobileFaceNet(config.clone());
    architecture
        .validate()
        .map_err(|problems| walk.mismatch(problems))?;
    let mut weights = walk.weights(&config.layers())?;
    let skeleton = architecture.skeleton(device);
    let backbone = match skeleton {
        Backbone::MobileFaceNet(net) => {
            Backbone::MobileFaceNet(fill(net, &mut |site| weights.remove(site.name)))
        }
        other => other,
    };
    Ok((backbone, architecture))
}

/// The nodes that compute something, and the constants that they use.
struct Walk<'a> {
    file: &'a OnnxFile,
    nodes: Vec<&'a NodeProto>,
    constants: HashMap<&'a str, &'a TensorProto>,
    side: usize,
    input: String,
}

impl<'a> Walk<'a> {
    fn new(file: &'a OnnxFile) -> Result<Self, ModelError> {
        let graph = file.graph();
        Ok(Self {
            file,
            nodes: graph.node.iter().collect(),
            constants: graph.initializer.iter().map(|t| (t.label(), t)).collect(),
            side: file.face_size()?,
            input: file.input()?.name,
        })
    }

    fn mismatch(&self, problems: Vec<String>) -> ModelError {
        ModelError::OnnxMismatch {
            path: self.file.path().to_path_buf(),
            architecture: "MobileFaceNet with folded batch norms".into(),
            problems: shortened(problems),
        }
    }

    /// Reads widths and block counts from the graph; mistakes show in the comparison that follows.
    fn infer(&self) -> Result<MobileFaceNetConfig, ModelError> {
        const KNOWN: [&str; 5] = ["Conv", "PRelu", "Add", "Reshape", "Flatten"];
        let foreign: Vec<String> = self
            .nodes
            .iter()
            .filter(|node| !KNOWN.contains(&node.operator()))
            .map(|node| format!("{}: {} is not part of it", node.label(), node.operator()))
            .collect();
        if !foreign.is_empty() {
            return Err(self.mismatch(foreign));
        }
        let convs: Vec<&NodeProto> = self.of("Conv").collect();
        let outputs = |conv: &NodeProto| self.shape(conv, 1).first().copied().unwrap_or(0);
        let strided_depthwise = |node: &NodeProto| {
            node.operator() == "Conv" && node.int("group").unwrap_or(1) > 1 && stride(node) == 2
        };
        // Residual sums after each strided depthwise convolution.
        let mut blocks: Vec<usize> = Vec::new();
        for node in &self.nodes {
            if strided_depthwise(node) {
                blocks.push(0);
            } else if node.operator() == "Add"
                && let Some(count) = blocks.last_mut()
            {
                *count += 1;
            }
        }
        let found = blocks.len();
        let (Ok(blocks), true) = (<[usize; 3]>::try_from(blocks), convs.len() > 8) else {
            return Err(self.mismatch(vec![format!(
                "{} convolutions and {found} strided depthwise ones, expected at least 14 and 3",
                convs.len()
            )]));
        };
        let width = outputs(convs[0]);
        Ok(MobileFaceNetConfig {
            blocks,
            width,
            expansion: outputs(convs[2]).checked_div(width).unwrap_or(0),
            head_width: outputs(convs[convs.len() - 2]),
            input_size: self.side,
            stem_stride: stride(convs[0]),
            stem_group: self.shape(convs[1], 1).get(1).copied().unwrap_or(1),
            embedding: outputs(convs[convs.len() - 1]),
            folded: true,
        })
    }

    /// The weights by PyTorch name, after every node has been compared with its layer.
    fn weights(&self, layers: &[Layer]) -> Result<HashMap<String, Vec<f32>>, ModelError> {
        let mut problems = Vec::new();
        let mut weights = HashMap::new();
        // The value that flows into the next node, and the one that the block began with.
        let mut current = self.input.as_str();
        let mut block_input = current;
        let (body, tail) = self.nodes.split_at(layers.len().min(self.nodes.len()));
        for (layer, node) in layers.iter().zip(body) {
            if layer.name.ends_with(".expand.conv") {
                block_input = current;
            }
            let expected = expected_operator(&layer.operator);
            if node.operator() != expected {
                problems.push(format!(
                    "{}: {}, expected {expected} ({})",
                    node.label(),
                    node.operator(),
                    layer.name
                ));
                // From here on every node would be off by one.
                return Err(self.mismatch(problems));
            }
            let wired = match layer.operator {
                Operator::Add => {
                    let inputs = [current, block_input];
                    node.input.len() == 2
                        && inputs.iter().all(|i| node.input.iter().any(|n| n == i))
                }
                _ => node.input.first().is_some_and(|name| name == current),
            };
            if !wired {
                problems.push(format!(
                    "{}: reads {:?}, expected the output of the node before it ({})",
                    node.label(),
                    node.input,
                    layer.name
                ));
            }
            if let Some(problem) = attribute_problem(layer, node) {
                problems.push(problem);
            }
            self.take(layer, node, &mut weights, &mut problems)?;
            current = node.output.first().map_or("", String::as_str);
        }
        if self.nodes.len() < layers.len() {
            problems.push(format!(
                "{} nodes, expected at least {}",
                self.nodes.len(),
                layers.len()
            ));
        }
        self.check_tail(tail, current, &mut problems);
        if problems.is_empty() {
            Ok(weights)
        } else {
            Err(self.mismatch(problems))
        }
    }

    /// Copies the tensors of one layer, whose shapes must be as planned.
    fn take(
        &self,
        layer: &Layer,
        node: &NodeProto,
        weights: &mut HashMap<String, Vec<f32>>,
        problems: &mut Vec<String>,
    ) -> Result<(), ModelError> {
        for (index, (name, expected)) in layer.tensors().into_iter().enumerate() {
            let input = index + 1;
            let found = self.shape(node, input);
            let same = match layer.operator {
                // A slope per channel is stored as [channels, 1, 1].
                Operator::PRelu { .. } => {
                    found.first() == expected.first() && found.iter().skip(1).all(|&n| n == 1)
                }
                _ => found == expected,
            };
            let tensor = node.input.get(input).and_then(|name| self.constant(name));
            let (true, Some(tensor)) = (same, tensor) else {
                problems.push(format!(
                    "{}: found shape {found:?}, expected {expected:?} ({name})",
                    node.label()
                ));
                continue;
            };
            let values = tensor.floats().map_err(|reason| {
                self.file
                    .error(format!("tensor {:?} {reason}", tensor.label()))
            })?;
            if values.iter().any(|v| !v.is_finite()) {
                let reason = format!(
                    "tensor {:?} holds a number that is not finite",
                    tensor.label()
                );
                return Err(self.file.error(reason));
            }
            weights.insert(name, values);
        }
        Ok(())
    }

    /// After the last convolution only the flattening to a vector may follow, and its result is the output.
    fn check_tail(&self, tail: &[&NodeProto], current: &str, problems: &mut Vec<String>) {
        let output = self.file.output_name();
        match tail {
            [node]
                if matches!(node.operator(), "Reshape" | "Flatten")
                    && node.input.first().is_some_and(|name| name == current)
                    && node.output.first().is_some_and(|name| name == output) => {}
            _ => {
                let found: Vec<&str> = tail.iter().map(|node| node.operator()).collect();
                problems.push(format!(
                    "ends in {found:?}, expected one Reshape or Flatten from the last convolution to the output"
                ));
            }
        }
    }

    fn of(&self, operator: &'static str) -> impl Iterator<Item = &'a NodeProto> {
        let nodes = self.nodes.iter().copied();
        nodes.filter(move |node| node.operator() == operator)
    }

    fn constant(&self, name: &str) -> Option<&'a TensorProto> {
        self.constants.get(name).copied()
    }

    /// The shape of the node's constant input; empty if there is none.
    fn shape(&self, node: &NodeProto, input: usize) -> Vec<usize> {
        node.input
            .get(input)
            .and_then(|name| self.constant(name)?.shape())
            .unwrap_or_default()
    }
}

fn expected_operator(operator: &Operator) -> &'static str {
    match operator {
        Operator::Conv { .. } => "Conv",
        Operator::PRelu { .. } => "PRelu",
        Operator::Add => "Add",
        Operator::BatchNorm { .. } => "BatchNormalization",
        Operator::Linear { .. } => "Gemm",
    }
}

fn stride(node: &NodeProto) -> usize {
    let stride = node.ints("strides").and_then(<[i64]>::first).copied();
    usize::try_from(stride.unwrap_or(1)).unwrap_or(0)
}

/// Stride, padding, groups and dilation of a convolution, if they differ from the plan.
fn attribute_problem(layer: &Layer, node: &NodeProto) -> Option<String> {
    let Operator::Conv {
        stride,
        padding,
        groups,
        ..
    } = layer.operator
    else {
        return None;
    };
    let all = |name: &str, default: i64, wanted: usize| {
        let ints = node.ints(name).unwrap_or(&[]);
        let wanted = i64::try_from(wanted).unwrap_or(-1);
        if ints.is_empty() {
            default == wanted
        } else {
            ints.iter().all(|&v| v == wanted)
        }
    };
    let group = node.int("group").unwrap_or(1);
    let automatic = node
        .text("auto_pad")
        .is_some_and(|mode| mode != b"NOTSET" && !mode.is_empty());
    let same = all("strides", 1, stride)
        && all("pads", 0, padding)
        && all("dilations", 1, 1)
        && group == i64::try_from(groups).unwrap_or(-1)
        && !automatic;
    (!same).then(|| {
        format!(
            "{}: strides {:?}, pads {:?}, group {group}, expected stride {stride}, padding {padding}, group {groups} \
             ({})",
            node.label(),
            node.ints("strides").unwrap_or(&[]),
            node.ints("pads").unwrap_or(&[]),
            layer.name
        )
    })
}

#[cfg(test)]
mod tests;
