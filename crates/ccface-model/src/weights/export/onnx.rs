//! A backbone as an ONNX graph with a free batch dimension.

use std::collections::HashMap;
use std::path::Path;

use prost::Message;

use super::super::file::write_atomic;
use super::super::onnx_proto::{
    AttributeProto, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, ValueInfoProto,
};
use super::torch::card_text;
use super::{CARD_KEY, take, weights};
use crate::backbone::{Layer, Operator};
use crate::{Backbone, Colour, ModelCard, ModelError};

/// Operators as of ONNX 1.12, which every runtime of the last years knows.
const OPSET: i64 = 17;
/// The file format that goes with it.
const IR_VERSION: i64 = 8;
/// Batch normalisation's ε, the same in burn, PyTorch and ONNX.
const EPSILON: f64 = 1e-5;

const INPUT: &str = "image";
const OUTPUT: &str = "embedding";

/// What an export did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxExport {
    /// Nodes of the graph.
    pub nodes: usize,
    /// Batch norms that went into the weights beside them.
    pub folded: usize,
    /// Batch norms that stay: before a padded convolution, or because nobody asked.
    pub kept: usize,
    /// Bytes of the file.
    pub bytes: usize,
}

/// Writes the network as ONNX: input `image` `[batch, 3, size, size]`, output `embedding` `[batch, dim]`, not
/// normalised, as the network itself gives it. The card goes into the metadata.
///
/// ```text
/// fold after a convolution    W' = W·s, b' = (b − μ)·s + β     s = γ/√(σ² + ε)
/// fold before the last matrix W' = W·s(channel of the column), b' = b + Σ W·(β − μ·s)
/// ```
///
/// With `fold`, batch norms behind a convolution or a matrix go into it, and so does the one in front of the last
/// matrix. The norm that opens a block of an IResNet stays: its shift would be wrong under the padding.
///
/// # Errors
///
/// [`ModelError::Export`] if the network is not that of the card, or larger than an ONNX file can be;
/// [`ModelError::Io`] if the file cannot be written.
pub fn export_onnx(
    path: &Path,
    backbone: &Backbone,
    card: &ModelCard,
    fold: bool,
) -> Result<OnnxExport, ModelError> {
    let (bytes, report) = onnx_bytes(backbone, card, fold)?;
    write_atomic(path, &bytes)?;
    Ok(report)
}

/// As [`export_onnx`], without a file.
///
/// # Errors
///
/// [`ModelError::Export`] if the network is not that of the card, or larger than an ONNX file can be.
pub fn onnx_bytes(
    backbone: &Backbone,
    card: &ModelCard,
    fold: bool,
) -> Result<(Vec<u8>, OnnxExport), ModelError> {
    let mut weights = weights(backbone)?;
    let layers = card.architecture.layers();
    let mut graph = Graph::default();
    let mut position = 0;
    while let Some(layer) = layers.get(position) {
        let next = layers.get(position + 1);
        position += 1 + graph.push(layer, next.filter(|_| fold), &mut weights)?;
    }
    if graph.spatial {
        graph.flatten();
    }
    graph.rename_output();
    let norm = |n: &&NodeProto| n.operator() == "BatchNormalization";
    let (nodes, folded) = (graph.nodes.len(), graph.folded);
    let kept = graph.nodes.iter().filter(norm).count();
    let bytes = graph.into_model(card).encode_to_vec();
    if bytes.len() >= 1 << 31 {
        return Err(ModelError::Export(format!(
            "the network needs {} bytes, and an ONNX file holds at most 2 GiB",
            bytes.len()
        )));
    }
    let report = OnnxExport {
        nodes,
        folded,
        kept,
        bytes: bytes.len(),
    };
    Ok((bytes, report))
}

/// Scale and shift of a batch norm at inference: y = s·x + t.
struct Affine {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Affine {
    fn take(layer: &Layer, weights: &mut HashMap<String, Vec<f32>>) -> Result<Self, ModelError> {
        let mut get = |kind: &str| take(weights, &format!("{}.{kind}", layer.name));
        let (gamma, beta) = (get("weight")?, get("bias")?);
        let (mean, var) = (get("running_mean")?, get("running_var")?);
        let scale: Vec<f64> = gamma
            .iter()
            .zip(&var)
            .map(|(&g, &v)| f64::from(g) / (f64::from(v) + EPSILON).sqrt())
            .collect();
        let shift = beta
            .iter()
            .zip(&mean)
            .zip(&scale)
            .map(|((&b, &m), s)| f64::from(b) - f64::from(m) * s)
            .collect();
        Ok(Self { scale, shift })
    }

    /// Applies it behind a layer: rows of `weight` belong to outputs.
    fn behind(&self, weight: &mut [f32], bias: &mut [f32]) {
        let row = weight.len() / self.scale.len().max(1);
        for (output, values) in weight.chunks_mut(row.max(1)).enumerate() {
            let (scale, shift) = (self.scale[output], self.shift[output]);
            values
                .iter_mut()
                .for_each(|v| *v = (f64::from(*v) * scale) as f32);
            bias[output] = (f64::from(bias[output]) * scale + shift) as f32;
        }
    }

    /// Applies it before a matrix whose columns are channels of `area` pixels each.
    fn before(&self, weight: &mut [f32], bias: &mut [f32], columns: usize) {
        let area = (columns / self.scale.len().max(1)).max(1);
        for (values, bias) in weight.chunks_mut(columns).zip(bias) {
            let mut sum = f64::from(*bias);
            for (column, value) in values.iter_mut().enumerate() {
                let channel = column / area;
                let old = f64::from(*value);
                sum += old * self.shift[channel];
                *value = (old * self.scale[channel]) as f32;
            }
            *bias = sum as f32;
        }
    }
}

/// The graph as it grows, and the values that flow.
struct Graph {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    /// The value that the next layer reads.
    current: String,
    /// What the block began with, and its shortcut where that is not the same.
    block: String,
    shortcut: Option<String>,
    /// Whether the value is `[batch, channels, side, side]` rather than a row.
    spatial: bool,
    folded: usize,
    dim: usize,
    /// A batch norm that goes into the matrix after it.
    pending: Option<Affine>,
}

impl Default for Graph {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            constants: Vec::new(),
            current: INPUT.into(),
            block: INPUT.into(),
            shortcut: None,
            spatial: true,
            folded: 0,
            dim: 0,
            pending: None,
        }
    }
}

impl Graph {
    /// Adds a layer; `next` is looked at for what can be folded, and the number of layers it used up is returned.
    fn push(
        &mut self,
        layer: &Layer,
        next: Option<&Layer>,
        weights: &mut HashMap<String, Vec<f32>>,
    ) -> Result<usize, ModelError> {
        let name = layer.name.as_str();
        let opens =
            name.ends_with(".expand.conv") || name.starts_with("layer") && name.ends_with(".bn1");
        if opens {
            self.block.clone_from(&self.current);
        }
        let beside = name.contains(".downsample.");
        let source = if name.ends_with(".downsample.0") {
            self.block.clone()
        } else if beside {
            self.shortcut.clone().unwrap_or_else(|| self.block.clone())
        } else {
            self.current.clone()
        };
        let norm_after = next.filter(|n| matches!(n.operator, Operator::BatchNorm { .. }));
        let mut used = 0;
        let output = match layer.operator {
            Operator::Conv {
                inputs,
                outputs,
                kernel,
                stride,
                padding,
                groups,
                bias,
                ..
            } => {
                let mut weight = take(weights, &format!("{name}.weight"))?;
                let mut shift = bias
                    .then(|| take(weights, &format!("{name}.bias")))
                    .transpose()?;
                if let Some(norm) = norm_after {
                    let shift = shift.get_or_insert_with(|| vec![0.0; outputs]);
                    Affine::take(norm, weights)?.behind(&mut weight, shift);
                    used = 1;
                }
                let shape = [outputs, inputs / groups, kernel, kernel];
                let mut inputs = vec![source, self.constant(name, "weight", &shape, &weight)];
                if let Some(shift) = shift {
                    inputs.push(self.constant(name, "bias", &[outputs], &shift));
                }
                self.node(
                    name,
                    "Conv",
                    inputs,
                    vec![
                        ints("dilations", &[1, 1]),
                        int("group", groups),
                        ints("kernel_shape", &[kernel; 2]),
                        ints("pads", &[padding; 4]),
                        ints("strides", &[stride; 2]),
                    ],
                )
            }
            Operator::BatchNorm { channels } => {
                let linear = next.is_some_and(|n| matches!(n.operator, Operator::Linear { .. }));
                if linear {
                    self.pending = Some(Affine::take(layer, weights)?);
                    self.folded += 1;
                    return Ok(0);
                }
                let mut inputs = vec![source];
                for kind in ["weight", "bias", "running_mean", "running_var"] {
                    let values = take(weights, &format!("{name}.{kind}"))?;
                    inputs.push(self.constant(name, kind, &[channels], &values));
                }
                self.node(
                    name,
                    "BatchNormalization",
                    inputs,
                    vec![float("epsilon", EPSILON as f32)],
                )
            }
            Operator::PRelu { channels } => {
                let slope = take(weights, &format!("{name}.weight"))?;
                let slope = self.constant(name, "weight", &[channels, 1, 1], &slope);
                self.node(name, "PRelu", vec![source, slope], Vec::new())
            }
            Operator::Add => {
                let other = self.shortcut.take().unwrap_or_else(|| self.block.clone());
                self.node(name, "Add", vec![source, other], Vec::new())
            }
            Operator::Linear { inputs, outputs } => {
                self.flatten();
                let source = self.current.clone();
                let mut weight = take(weights, &format!("{name}.weight"))?;
                let mut shift = take(weights, &format!("{name}.bias"))?;
                if let Some(affine) = self.pending.take() {
                    affine.before(&mut weight, &mut shift, inputs);
                }
                if let Some(norm) = norm_after {
                    Affine::take(norm, weights)?.behind(&mut weight, &mut shift);
                    used = 1;
                }
                let weight = self.constant(name, "weight", &[outputs, inputs], &weight);
                let shift = self.constant(name, "bias", &[outputs], &shift);
                self.node(
                    name,
                    "Gemm",
                    vec![source, weight, shift],
                    vec![int("transB", 1)],
                )
            }
        };
        self.folded += used;
        self.dim = layer.output.0;
        if beside {
            self.shortcut = Some(output);
        } else {
            self.current = output;
        }
        Ok(used)
    }

    fn flatten(&mut self) {
        if self.spatial {
            let source = vec![self.current.clone()];
            self.current = self.node("flatten", "Flatten", source, vec![int("axis", 1)]);
            self.spatial = false;
        }
    }

    /// Adds a node and gives its output.
    fn node(
        &mut self,
        name: &str,
        operator: &str,
        inputs: Vec<String>,
        attributes: Vec<AttributeProto>,
    ) -> String {
        let output = format!("{name}/out");
        self.nodes.push(NodeProto {
            input: inputs,
            output: vec![output.clone()],
            name: Some(name.into()),
            op_type: Some(operator.into()),
            attribute: attributes,
            ..NodeProto::default()
        });
        output
    }

    /// Adds weights and gives their name.
    fn constant(&mut self, layer: &str, kind: &str, shape: &[usize], values: &[f32]) -> String {
        let name = format!("{layer}.{kind}");
        self.constants
            .push(TensorProto::of_floats(&name, shape, values));
        name
    }

    fn rename_output(&mut self) {
        if let Some(last) = self.nodes.last_mut() {
            last.output = vec![OUTPUT.into()];
        }
    }

    fn into_model(self, card: &ModelCard) -> ModelProto {
        let side = card.input.size as i64;
        let batch = || DimensionValue::Symbol("batch".into());
        let value = |name: &str, dims: Vec<DimensionValue>| ValueInfoProto::of_floats(name, dims);
        let image = vec![
            batch(),
            DimensionValue::Value(3),
            DimensionValue::Value(side),
            DimensionValue::Value(side),
        ];
        let embedding = vec![batch(), DimensionValue::Value(self.dim as i64)];
        ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some("ccface".into()),
            producer_version: Some(env!("CARGO_PKG_VERSION").into()),
            doc_string: Some(card.to_string()),
            opset_import: vec![OperatorSetIdProto {
                domain: Some(String::new()),
                version: Some(OPSET),
            }],
            metadata_props: metadata(card),
            graph: Some(GraphProto {
                node: self.nodes,
                name: Some(card.architecture.describe()),
                initializer: self.constants,
                input: vec![value(INPUT, image)],
                output: vec![value(OUTPUT, embedding)],
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        }
    }
}

/// What a program that only knows ONNX needs, and the whole card.
fn metadata(card: &ModelCard) -> Vec<StringStringEntryProto> {
    let colour = match card.input.colour {
        Colour::Rgb => "RGB",
        Colour::Bgr => "BGR",
    };
    let three = |values: [f32; 3]| values.map(|v| v.to_string()).join(",");
    [
        ("colour", colour.to_string()),
        ("mean", three(card.input.mean)),
        ("std", three(card.input.std)),
        ("licence", card.licence.clone()),
        (CARD_KEY, card_text(card)),
    ]
    .into_iter()
    .map(|(key, value)| StringStringEntryProto {
        key: Some(key.into()),
        value: Some(value),
    })
    .collect()
}

pub(super) fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        i: Some(value as i64),
        r#type: Some(2),
        ..AttributeProto::default()
    }
}

fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        ints: values.iter().map(|&v| v as i64).collect(),
        r#type: Some(7),
        ..AttributeProto::default()
    }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        f: Some(value),
        r#type: Some(1),
        ..AttributeProto::default()
    }
}

impl TensorProto {
    fn of_floats(name: &str, shape: &[usize], values: &[f32]) -> Self {
        Self {
            dims: shape.iter().map(|&d| d as i64).collect(),
            data_type: Some(1),
            name: Some(name.into()),
            raw_data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
            ..Self::default()
        }
    }
}

impl ValueInfoProto {
    fn of_floats(name: &str, dims: Vec<DimensionValue>) -> Self {
        use super::super::onnx_proto::{TensorShapeProto, TensorType, TypeProto, TypeValue};
        let dim = dims
            .into_iter()
            .map(|value| Dimension {
                value: Some(value),
                denotation: None,
            })
            .collect();
        Self {
            name: Some(name.into()),
            r#type: Some(TypeProto {
                value: Some(TypeValue::Tensor(TensorType {
                    elem_type: Some(1),
                    shape: Some(TensorShapeProto { dim }),
                })),
                denotation: None,
            }),
            ..Self::default()
        }
    }
}
