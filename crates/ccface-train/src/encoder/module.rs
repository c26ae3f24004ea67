//! A burn module as an encoder.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use ccface_model::{Backbone, InputSpec, load_model};

use super::{EncoderFacts, FaceEncoder, to_tensor};
use crate::TrainError;

/// A backbone on a device, in evaluation mode.
#[derive(Debug)]
pub struct ModuleEncoder {
    backbone: Backbone,
    device: Device,
    facts: EncoderFacts,
}

impl ModuleEncoder {
    /// Wraps a backbone whose embedding has `dim` numbers; it is put into evaluation mode and off the autodiff graph.
    pub fn new(backbone: &Backbone, input: InputSpec, dim: usize, device: &Device) -> Self {
        let facts = EncoderFacts {
            name: "network in memory".into(),
            hash: String::new(),
            licence: "unstated".into(),
            input,
            dim,
        };
        Self::with_facts(backbone, facts, device)
    }

    /// As [`new`](Self::new), for a network that something is known of.
    pub(crate) fn with_facts(backbone: &Backbone, facts: EncoderFacts, device: &Device) -> Self {
        Self {
            backbone: backbone.frozen(),
            device: device.clone().inner(),
            facts,
        }
    }

    /// Loads a model directory or weights file with its card.
    ///
    /// # Errors
    /// What [`load_model`] reports.
    pub fn open(path: &Path, device: &Device) -> Result<Self, TrainError> {
        let (backbone, card) = load_model(path, &device.clone().inner())?;
        let mut encoder = Self::new(&backbone, card.input, card.embedding.dim, device);
        encoder.facts.name = path.display().to_string();
        encoder.facts.hash = card.weights.blake3;
        encoder.facts.licence = card.licence;
        Ok(encoder)
    }
}

impl FaceEncoder for ModuleEncoder {
    fn facts(&self) -> &EncoderFacts {
        &self.facts
    }

    fn embed_prepared(&self, pixels: Vec<f32>, count: usize) -> Result<Vec<f32>, TrainError> {
        let images = to_tensor(pixels, count, self.facts.input.size, &self.device);
        read_rows(self.backbone.forward(images))
    }
}

/// The values of a tensor on the host.
pub(crate) fn read_rows<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, TrainError> {
    tensor.try_into_vec_as::<f32>().map_err(|error| {
        TrainError::Training(format!("the device did not give its result back: {error}"))
    })
}
