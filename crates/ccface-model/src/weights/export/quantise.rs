//! An ONNX network with 8-bit weights and activations, in the QuantizeLinear/DequantizeLinear form.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use super::super::onnx::OnnxFile;
use super::super::onnx_proto::{NodeProto, TensorProto};
use super::onnx::int;
use crate::ModelError;

/// `TensorProto.DataType` of the types that quantisation uses.
const FLOAT: i32 = 1;
const UINT8: i32 = 2;
const INT8: i32 = 3;
const INT32: i32 = 6;

/// The values whose range quantisation needs: what convolutions and matrices read and give, without the output.
pub fn quantised_values(file: &OnnxFile) -> Vec<String> {
    let mut values = BTreeSet::new();
    for node in file.graph().node.iter().filter(|n| is_heavy(n)) {
        values.extend(node.input.first().cloned());
        values.extend(node.output.first().cloned());
    }
    values.remove(file.output_name());
    values.into_iter().collect()
}

/// Writes the network with 8-bit weights and activations.
///
/// ```text
/// activation   q = round(x/s) + z   in 0..255    s = (max − min)/255, z = round(−min/s), 0 always inside
/// weight       q = round(w/s_c)     in ±127      s_c = max |w_c|/127 for each output c
/// bias         q = round(b/(s·s_c)) 32 bits
/// ```
///
/// Weights are stored in 8 bits; each value of [`quantised_values`] passes through QuantizeLinear and DequantizeLinear. A
/// runtime that knows the pattern computes in integers, any other simulates it. `ranges` holds the minimum and maximum of
/// each value. Batch norms should be folded before.
///
/// # Errors
///
/// [`ModelError::Export`] if a range is missing or not finite; [`ModelError::Onnx`] for weights that are no floats.
pub fn quantise_onnx(
    file: &OnnxFile,
    ranges: &BTreeMap<String, (f32, f32)>,
) -> Result<Vec<u8>, ModelError> {
    let mut scales = BTreeMap::new();
    for name in quantised_values(file) {
        scales.insert(name.clone(), scale_of(&name, ranges)?);
    }
    let mut model = file.model().clone();
    let mut graph = model.graph.take().unwrap_or_default();
    let mut out = Quantised::default();
    for value in &graph.input {
        if let Some(scale) = scales.get(value.label()) {
            out.activation(value.label(), *scale);
        }
    }
    for mut node in std::mem::take(&mut graph.node) {
        let heavy = is_heavy(&node);
        if heavy {
            let input_scale = node
                .input
                .first()
                .and_then(|name| scales.get(name))
                .map_or(1.0, |s| s.0);
            out.weights(&mut node, &graph.initializer, input_scale)
                .map_err(|reason| file.error(reason))?;
        }
        for input in &mut node.input {
            if scales.contains_key(input) {
                *input = dequantised(input);
            }
        }
        let output = node.output.first().cloned().unwrap_or_default();
        out.nodes.push(node);
        if let Some(scale) = scales.get(&output) {
            out.activation(&output, *scale);
        }
    }
    graph.node = out.nodes;
    graph
        .initializer
        .retain(|tensor| !out.replaced.contains(tensor.label()));
    graph.initializer.extend(out.constants);
    graph.value_info.clear();
    model.graph = Some(graph);
    Ok(model.encode_to_vec())
}

fn is_heavy(node: &NodeProto) -> bool {
    matches!(node.operator(), "Conv" | "Gemm")
}

fn dequantised(name: &str) -> String {
    format!("{name}/dequantised")
}

/// Scale and zero point of an activation.
fn scale_of(name: &str, ranges: &BTreeMap<String, (f32, f32)>) -> Result<(f32, u8), ModelError> {
    let (low, high) = ranges
        .get(name)
        .copied()
        .filter(|(low, high)| low.is_finite() && high.is_finite())
        .ok_or_else(|| ModelError::Export(format!("the range of {name} was not measured")))?;
    let (low, high) = (low.min(0.0), high.max(0.0));
    let scale = ((high - low) / 255.0).max(1e-12);
    Ok((scale, (-low / scale).round().clamp(0.0, 255.0) as u8))
}

/// What the quantised graph is made of.
#[derive(Default)]
struct Quantised {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    replaced: BTreeSet<String>,
}

impl Quantised {
    /// Lets an activation pass through 8 bits.
    fn activation(&mut self, name: &str, (scale, zero): (f32, u8)) {
        let (s, z) = (format!("{name}/scale"), format!("{name}/zero"));
        self.constant(&s, FLOAT, &[], scale.to_le_bytes().to_vec());
        self.constant(&z, UINT8, &[], vec![zero]);
        let quantised = format!("{name}/quantised");
        self.node("QuantizeLinear", [name, &s, &z], &quantised, false);
        self.node(
            "DequantizeLinear",
            [&quantised, &s, &z],
            &dequantised(name),
            false,
        );
    }

    /// Stores weights in 8 bits and the bias in 32.
    fn weights(
        &mut self,
        node: &mut NodeProto,
        constants: &[TensorProto],
        input_scale: f32,
    ) -> Result<(), String> {
        let find = |name: &String| constants.iter().find(|t| t.label() == name);
        let Some(weight) = node.input.get(1).and_then(find) else {
            return Err(format!("{}: its weights are no constant", node.label()));
        };
        let shape = weight.shape().unwrap_or_default();
        let values = weight
            .floats()
            .map_err(|e| format!("tensor {:?} {e}", weight.label()))?;
        let outputs = shape.first().copied().unwrap_or(0).max(1);
        let row = (values.len() / outputs).max(1);
        let mut scales = Vec::with_capacity(outputs);
        let mut bytes = Vec::with_capacity(values.len());
        for row in values.chunks(row) {
            let largest = row.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let scale = (largest / 127.0).max(1e-12);
            scales.push(scale);
            bytes.extend(
                row.iter()
                    .map(|v| (v / scale).round().clamp(-127.0, 127.0) as i8 as u8),
            );
        }
        let name = weight.label().to_string();
        let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
        node.input[1] = self.stored(
            &name,
            INT8,
            &shape,
            bytes,
            floats(&scales),
            vec![0; outputs],
        );
        if let Some(bias) = node.input.get(2).and_then(find) {
            let values = bias
                .floats()
                .map_err(|e| format!("tensor {:?} {e}", bias.label()))?;
            let scales: Vec<f32> = scales.iter().map(|s| s * input_scale).collect();
            let whole = |(v, s): (&f32, &f32)| (f64::from(*v) / f64::from(*s)).round() as i32;
            let bytes = values
                .iter()
                .zip(&scales)
                .flat_map(|pair| whole(pair).to_le_bytes())
                .collect();
            let name = bias.label().to_string();
            let zeros = vec![0; 4 * outputs];
            node.input[2] = self.stored(&name, INT32, &[outputs], bytes, floats(&scales), zeros);
        }
        Ok(())
    }

    /// Stores integers with their scales and gives the name of their floats.
    fn stored(
        &mut self,
        name: &str,
        kind: i32,
        shape: &[usize],
        bytes: Vec<u8>,
        scales: Vec<u8>,
        zeros: Vec<u8>,
    ) -> String {
        let (q, s, z) = (
            format!("{name}/quantised"),
            format!("{name}/scale"),
            format!("{name}/zero"),
        );
        let outputs = [scales.len() / 4];
        self.constant(&q, kind, shape, bytes);
        self.constant(&s, FLOAT, &outputs, scales);
        self.constant(&z, kind, &outputs, zeros);
        self.node("DequantizeLinear", [&q, &s, &z], &dequantised(name), true);
        self.replaced.insert(name.to_string());
        dequantised(name)
    }

    fn constant(&mut self, name: &str, kind: i32, shape: &[usize], bytes: Vec<u8>) {
        self.constants.push(TensorProto {
            dims: shape.iter().map(|&d| d as i64).collect(),
            data_type: Some(kind),
            name: Some(name.into()),
            raw_data: Some(bytes),
            ..TensorProto::default()
        });
    }

    fn node(&mut self, operator: &str, inputs: [&str; 3], output: &str, per_row: bool) {
        self.nodes.push(NodeProto {
            input: inputs.map(str::to_string).to_vec(),
            output: vec![output.into()],
            name: Some(output.into()),
            op_type: Some(operator.into()),
            attribute: if per_row {
                vec![int("axis", 0)]
            } else {
                Vec::new()
            },
            ..NodeProto::default()
        });
    }
}
