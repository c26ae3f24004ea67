//! Models for other programs: PyTorch's names, ONNX.

mod onnx;
mod quantise;
mod torch;

use std::collections::HashMap;

use burn::store::{FloatCastAdapter, ModuleAdapter, ModuleSnapshot};
use burn::tensor::DType;

pub use onnx::{OnnxExport, export_onnx, onnx_bytes};
pub use quantise::{quantise_onnx, quantised_values};
pub use torch::export_safetensors;

use super::torch_names::TorchNames;
use crate::{Backbone, ModelError};

/// The metadata entry that holds the card.
pub(super) const CARD_KEY: &str = "ccface_card";

/// The weights of a backbone by PyTorch name, in PyTorch's layout; running statistics are up to date.
fn weights(backbone: &Backbone) -> Result<HashMap<String, Vec<f32>>, ModelError> {
    let adapter = TorchNames::Save.chain(FloatCastAdapter::to(DType::F32));
    backbone
        .frozen()
        .collect(None, Some(Box::new(adapter)), true)
        .into_iter()
        .map(|tensor| {
            let bytes = tensor
                .to_bytes()
                .map_err(|e| ModelError::Export(format!("{}: {e}", tensor.name)))?;
            let (chunks, _) = bytes.as_chunks::<4>();
            let values = chunks.iter().map(|&b| f32::from_le_bytes(b)).collect();
            Ok((tensor.name, values))
        })
        .collect()
}

/// Takes one tensor out of the weights.
fn take(weights: &mut HashMap<String, Vec<f32>>, name: &str) -> Result<Vec<f32>, ModelError> {
    weights.remove(name).ok_or_else(|| {
        ModelError::Export(format!(
            "{name} is missing: the network is not of the architecture that its card names"
        ))
    })
}

#[cfg(test)]
mod tests;
