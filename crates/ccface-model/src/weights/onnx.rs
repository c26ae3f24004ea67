//! ONNX files: reading, checking, and freeing a fixed batch size.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prost::Message;

use super::export::CARD_KEY;
use super::file::{known_impostor, read_capped};
use super::onnx_proto::{
    AttributeProto, DimensionValue, GraphProto, ModelProto, NodeProto, StringStringEntryProto,
    TensorProto, ValueInfoProto,
};
use crate::card::field_error;
use crate::{ModelCard, ModelError};

/// Protobuf messages end at 2 GiB; larger networks keep their weights in a second file.
const MAX_BYTES: u64 = (1 << 31) - 1;

/// The name of the freed batch dimension.
const BATCH: &str = "batch";

/// An ONNX network, decoded, with the hash of the file that it came from.
///
/// It is data only: another crate runs it. [`mobilefacenet_from_onnx`](crate::mobilefacenet_from_onnx) turns
/// one into a trainable backbone where the structure is known.
#[derive(Debug, Clone)]
pub struct OnnxFile {
    path: PathBuf,
    model: ModelProto,
    hash: String,
}

/// The image input of an ONNX network, in NCHW order; `None` stands for a free dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxInput {
    /// The input's name.
    pub name: String,
    /// Images per call.
    pub batch: Option<usize>,
    /// Colour channels.
    pub channels: Option<usize>,
    /// Rows.
    pub height: Option<usize>,
    /// Columns.
    pub width: Option<usize>,
}

/// What [`OnnxFile::free_batch_dimension`] changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreedBatch {
    /// The batch size that the file was fixed to; `None` if it was free already.
    pub fixed_to: Option<usize>,
    /// The reshapes whose leading size now follows the input.
    pub reshapes: Vec<String>,
}

impl OnnxFile {
    /// Reads and decodes a file.
    ///
    /// # Errors
    ///
    /// [`ModelError::Io`] if it cannot be read; [`ModelError::Onnx`] if it is too large, truncated, a web page or
    /// an archive, no ONNX network, or keeps its weights in another file.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let bytes = match read_capped(path, MAX_BYTES) {
            Err(ModelError::WeightFile { path, reason }) => {
                return Err(ModelError::Onnx { path, reason });
            }
            other => other?,
        };
        Self::from_bytes(path, &bytes)
    }

    /// Decodes the bytes of a file; `path` is for messages.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, ModelError> {
        if let Some(impostor) = known_impostor(bytes) {
            return Err(ModelError::onnx(path, impostor));
        }
        let model = ModelProto::decode(bytes).map_err(|error| {
            // Field 1, a number, opens every ONNX file.
            let reason = if bytes.starts_with(&[0x08]) {
                format!("is a truncated or damaged ONNX file ({error}): copy or download it again")
            } else {
                "is no ONNX network".to_string()
            };
            ModelError::onnx(path, reason)
        })?;
        let file = Self {
            path: path.to_path_buf(),
            model,
            hash: blake3::hash(bytes).to_hex().to_string(),
        };
        file.check()?;
        Ok(file)
    }

    fn check(&self) -> Result<(), ModelError> {
        let graph = self.model.graph.as_ref();
        let Some(graph) = graph.filter(|g| !g.node.is_empty() && !g.output.is_empty()) else {
            return Err(self.error("holds no ONNX graph with nodes and an output"));
        };
        let external = |t: &&TensorProto| t.data_location == Some(1) || !t.external_data.is_empty();
        if let Some(tensor) = graph.initializer.iter().find(external) {
            return Err(self.error(format!(
                "keeps the weights of {:?} in a second file, which is not read: save the network as one file",
                tensor.label()
            )));
        }
        Ok(())
    }

    /// The file that it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// BLAKE3 of the original file, hexadecimal; later edits do not change it.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The image input.
    ///
    /// # Errors
    ///
    /// [`ModelError::Onnx`] if the network has several inputs, or one that is no batch of images.
    pub fn input(&self) -> Result<OnnxInput, ModelError> {
        let inputs = self.inputs();
        let [input] = inputs.as_slice() else {
            let names: Vec<&str> = inputs.iter().map(|v| v.label()).collect();
            return Err(self.error(format!(
                "has {} inputs {names:?}; a face network has one, the images",
                names.len()
            )));
        };
        let Some([batch, channels, height, width]) = input.dims() else {
            return Err(self.error(format!(
                "input {:?} has {} dimensions where [batch, 3, height, width] is expected",
                input.label(),
                input.dims().map_or(0, <[_]>::len)
            )));
        };
        Ok(OnnxInput {
            name: input.label().to_string(),
            batch: batch.size(),
            channels: channels.size(),
            height: height.size(),
            width: width.size(),
        })
    }

    /// The side of the square RGB input.
    ///
    /// # Errors
    ///
    /// [`ModelError::Onnx`] says what the input is instead.
    pub fn face_size(&self) -> Result<usize, ModelError> {
        let input = self.input()?;
        match (input.channels, input.height, input.width) {
            (Some(3), Some(height), Some(width)) if height == width => Ok(height),
            (channels, height, width) => {
                let show = |d: Option<usize>| d.map_or_else(|| "?".to_string(), |n| n.to_string());
                Err(self.error(format!(
                    "input {:?} is [batch, {}, {}, {}] where [batch, 3, side, side] is expected",
                    input.name,
                    show(channels),
                    show(height),
                    show(width)
                )))
            }
        }
    }

    /// The card that [`export_onnx`](crate::export_onnx) put into the metadata, if there is one.
    ///
    /// # Errors
    ///
    /// [`ModelError::Card`] names the field that is at fault, also where the card and the graph are of different sizes.
    pub fn card(&self) -> Result<Option<ModelCard>, ModelError> {
        let is_card = |p: &&StringStringEntryProto| p.key.as_deref() == Some(CARD_KEY);
        let Some(entry) = self.model.metadata_props.iter().find(is_card) else {
            return Ok(None);
        };
        let text = entry.value.as_deref().unwrap_or_default();
        let card = ModelCard::parse(&self.path, text.as_bytes())?;
        let (side, dim) = (self.face_size()?, self.embedding());
        if card.input.size != side {
            let reason = format!("is {}, but the graph takes {side}", card.input.size);
            return Err(field_error(&self.path, "input.size", reason));
        }
        match dim {
            Some(dim) if dim != card.embedding.dim => {
                let reason = format!("is {}, but the graph gives {dim}", card.embedding.dim);
                Err(field_error(&self.path, "embedding.dim", reason))
            }
            _ => Ok(Some(card)),
        }
    }

    /// The name of the first output.
    pub fn output_name(&self) -> &str {
        self.graph().output.first().map_or("", |v| v.label())
    }

    /// The length of the embedding, if the file states it.
    pub fn embedding(&self) -> Option<usize> {
        let dims = self.graph().output.first()?.dims()?;
        dims.last().filter(|_| dims.len() > 1)?.size()
    }

    /// How often each operator occurs, by name.
    pub fn operators(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for node in &self.graph().node {
            *counts.entry(node.operator().to_string()).or_default() += 1;
        }
        counts
    }

    /// Frees a batch dimension that the file fixes, so that an engine takes any number of images.
    ///
    /// The leading dimension of the input and of the outputs becomes symbolic. Every reshape of an activation to a
    /// constant shape whose leading size is the fixed batch (the usual end, `[1, -1]`) gets 0 there, which means
    /// "as the input has". Shape hints of intermediate values are dropped: they would contradict, and engines
    /// infer them. A file whose batch is free already is left as it is.
    ///
    /// # Errors
    ///
    /// As [`input`](Self::input); also if a reshape asks for a literal 0 (`allowzero`).
    pub fn free_batch_dimension(&mut self) -> Result<FreedBatch, ModelError> {
        let input = self.input()?;
        let Some(batch) = input.batch else {
            return Ok(FreedBatch {
                fixed_to: None,
                reshapes: Vec::new(),
            });
        };
        let constants = constant_names(self.graph());
        let nodes = &self.graph().node;
        let fixed: Vec<usize> = (0..nodes.len())
            .filter(|&index| {
                let node = &nodes[index];
                let reshapes_activation = node.operator() == "Reshape"
                    && node
                        .input
                        .first()
                        .is_some_and(|data| !constants.contains(data));
                reshapes_activation
                    && self
                        .constant_integers(node.input.get(1))
                        .is_some_and(|shape| shape.first() == i64::try_from(batch).ok().as_ref())
            })
            .collect();
        if let Some(&index) = fixed
            .iter()
            .find(|&&i| nodes[i].int("allowzero") == Some(1))
        {
            return Err(self.error(format!(
                "fixes the batch to {batch} in reshape {:?} with allowzero, which cannot be freed: export it with \
                 a dynamic batch",
                nodes[index].label()
            )));
        }
        let mut reshapes = Vec::new();
        for index in fixed {
            reshapes.push(self.graph().node[index].label().to_string());
            self.follow_input(index);
        }
        let graph = self.graph_mut();
        graph.value_info.clear();
        let is_input = |v: &&mut ValueInfoProto| v.label() == input.name;
        let inputs = graph.input.iter_mut().filter(is_input);
        for value in inputs.chain(graph.output.iter_mut()) {
            if let Some(first) = value.dims_mut().and_then(|dims| dims.first_mut())
                && first.size() == Some(batch)
            {
                first.value = Some(DimensionValue::Symbol(BATCH.into()));
            }
        }
        Ok(FreedBatch {
            fixed_to: Some(batch),
            reshapes,
        })
    }

    /// The network as the bytes of an ONNX file, for an engine.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.model.encode_to_vec()
    }

    /// Gives the reshape node a shape of its own whose leading size is "as the input has".
    fn follow_input(&mut self, node: usize) {
        let shape = self.graph().node[node].input.get(1).cloned();
        let Some(mut values) = self.constant_integers(shape.as_ref()) else {
            return;
        };
        if let Some(first) = values.first_mut() {
            *first = 0;
        }
        // A copy under a new name: other nodes may share the constant and mean the number.
        let name = format!("{}/free_batch_{node}", shape.unwrap_or_default());
        let mut tensor = TensorProto {
            dims: vec![i64::try_from(values.len()).unwrap_or(i64::MAX)],
            data_type: Some(super::onnx_proto::INT64),
            name: Some(name.clone()),
            raw_data: Some(Vec::new()),
            ..TensorProto::default()
        };
        tensor.set_integers(&values);
        let graph = self.graph_mut();
        graph.initializer.push(tensor);
        graph.node[node].input[1] = name;
    }

    /// The integers of an initializer or of a `Constant` node.
    fn constant_integers(&self, name: Option<&String>) -> Option<Vec<i64>> {
        let name = name?;
        let graph = self.graph();
        if let Some(tensor) = graph.initializer.iter().find(|t| t.label() == name) {
            return tensor.integers();
        }
        let produces = |node: &&NodeProto| node.output.first() == Some(name);
        let node = graph.node.iter().find(produces)?;
        if node.operator() != "Constant" {
            return None;
        }
        let by_name = |wanted: &str| -> Option<&AttributeProto> {
            node.attribute
                .iter()
                .find(|a| a.name.as_deref() == Some(wanted))
        };
        by_name("value")
            .and_then(|a| a.t.as_ref()?.integers())
            .or_else(|| by_name("value_ints").map(|a| a.ints.clone()))
    }

    /// Graph inputs that are not initializers.
    fn inputs(&self) -> Vec<&ValueInfoProto> {
        let graph = self.graph();
        let weight = |v: &ValueInfoProto| graph.initializer.iter().any(|t| t.label() == v.label());
        graph.input.iter().filter(|v| !weight(v)).collect()
    }

    /// The decoded network.
    pub(crate) fn model(&self) -> &ModelProto {
        &self.model
    }

    pub(crate) fn graph(&self) -> &GraphProto {
        static EMPTY: std::sync::LazyLock<GraphProto> =
            std::sync::LazyLock::new(GraphProto::default);
        self.model.graph.as_ref().unwrap_or(&EMPTY)
    }

    fn graph_mut(&mut self) -> &mut GraphProto {
        self.model.graph.get_or_insert_default()
    }

    pub(crate) fn error(&self, reason: impl Into<String>) -> ModelError {
        ModelError::onnx(&self.path, reason)
    }
}

/// Names of initializers and of the outputs of `Constant` nodes.
fn constant_names(graph: &GraphProto) -> std::collections::HashSet<String> {
    let constant = |node: &&NodeProto| node.operator() == "Constant";
    let nodes = graph.node.iter().filter(constant);
    graph
        .initializer
        .iter()
        .map(|t| t.label().to_string())
        .chain(nodes.flat_map(|node| node.output.iter().cloned()))
        .collect()
}

#[cfg(test)]
mod tests;
