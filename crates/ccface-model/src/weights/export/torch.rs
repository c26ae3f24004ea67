//! safetensors with the names of arcface_torch, complete enough for `load_state_dict(strict=True)`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use super::super::container::header_bytes;
use super::super::file::write_atomic_with;
use super::super::import::arcface_mobilefacenet_layer;
use super::{CARD_KEY, take, weights};
use crate::backbone::Operator;
use crate::{Backbone, BackboneConfig, ModelCard, ModelError};

/// A variance that, with batch normalisation's 1e-5 added, is 1.
const UNIT_VARIANCE: f32 = 1.0 - 1e-5;

/// Writes the weights under arcface_torch's names, with the card in the metadata.
///
/// IResNets have these names anyway. A MobileFaceNet is renamed to arcface_torch's; where its batch norms are folded,
/// each convolution gets one back that only adds the bias, so that the published module loads it as it is. Every batch
/// norm also gets the counter that PyTorch keeps.
///
/// # Errors
///
/// [`ModelError::Export`] if the network is not that of the card; [`ModelError::Io`] if the file cannot be written.
pub fn export_safetensors(
    path: &Path,
    backbone: &Backbone,
    card: &ModelCard,
) -> Result<(), ModelError> {
    let tensors = renamed(backbone, &card.architecture)?;
    let mut entries = BTreeMap::new();
    let mut end = 0;
    for (name, (shape, data)) in &tensors {
        let bytes = match data {
            Data::Floats(values) => 4 * values.len() as u64,
            Data::Counter => 8,
        };
        entries.insert(
            name.as_str(),
            (data.dtype(), shape.as_slice(), [end, end + bytes]),
        );
        end += bytes;
    }
    let metadata = BTreeMap::from([
        (CARD_KEY.to_string(), card_text(card)),
        ("format".to_string(), "pt".to_string()),
    ]);
    let header = header_bytes(&entries, &metadata);
    write_atomic_with(path, |file| {
        file.write_all(&header)?;
        for (_, data) in tensors.values() {
            match data {
                Data::Floats(values) => values
                    .iter()
                    .try_for_each(|value| file.write_all(&value.to_le_bytes()))?,
                Data::Counter => file.write_all(&0i64.to_le_bytes())?,
            }
        }
        Ok(())
    })
}

/// The card as one line of JSON.
pub(super) fn card_text(card: &ModelCard) -> String {
    serde_json::to_string(card).unwrap_or_default()
}

enum Data {
    Floats(Vec<f32>),
    /// `num_batches_tracked`, one 64-bit integer.
    Counter,
}

impl Data {
    fn dtype(&self) -> &'static str {
        match self {
            Self::Floats(_) => "F32",
            Self::Counter => "I64",
        }
    }
}

type Tensors = BTreeMap<String, (Vec<usize>, Data)>;

fn renamed(backbone: &Backbone, architecture: &BackboneConfig) -> Result<Tensors, ModelError> {
    let mut weights = weights(backbone)?;
    let mobile = matches!(architecture, BackboneConfig::MobileFaceNet(_));
    let mut tensors = Tensors::new();
    for layer in architecture.layers() {
        let place = if mobile {
            arcface_mobilefacenet_layer(&layer.name).unwrap_or_else(|| layer.name.clone())
        } else {
            layer.name.clone()
        };
        for (name, mut shape) in layer.tensors() {
            let values = take(&mut weights, &name)?;
            let kind = name.rsplit('.').next().unwrap_or("");
            if mobile && layer.name == "linear.conv" {
                // A linear layer there, a 1×1 convolution here.
                shape.truncate(2);
            }
            if let (Operator::Conv { outputs, .. }, "bias") = (&layer.operator, kind) {
                let norm = layer
                    .name
                    .strip_suffix(".conv")
                    .and_then(|unit| arcface_mobilefacenet_layer(&format!("{unit}.bn")))
                    .unwrap_or_else(|| place.clone());
                let mut put = |kind: &str, values: Vec<f32>| {
                    tensors.insert(
                        format!("{norm}.{kind}"),
                        (vec![*outputs], Data::Floats(values)),
                    );
                };
                put("weight", vec![1.0; *outputs]);
                put("bias", values);
                put("running_mean", vec![0.0; *outputs]);
                put("running_var", vec![UNIT_VARIANCE; *outputs]);
                tensors.insert(
                    format!("{norm}.num_batches_tracked"),
                    (Vec::new(), Data::Counter),
                );
                continue;
            }
            tensors.insert(format!("{place}.{kind}"), (shape, Data::Floats(values)));
        }
        if matches!(layer.operator, Operator::BatchNorm { .. }) {
            tensors.insert(
                format!("{place}.num_batches_tracked"),
                (Vec::new(), Data::Counter),
            );
        }
    }
    Ok(tensors)
}
