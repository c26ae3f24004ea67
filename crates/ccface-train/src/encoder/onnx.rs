//! An ONNX file as a frozen encoder, run by a pure-Rust engine (rten).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ccface_model::{InputSpec, OnnxFile};
use rten::{Model, ModelOptions, RunOptions, ThreadPool, ValueOrView};
use rten_tensor::{NdTensor, prelude::*};

use super::{Assumptions, EncoderFacts, FaceEncoder};
use crate::TrainError;

/// An ONNX network with one image input `[N, 3, S, S]` and one output `[N, D]`, at any batch size.
pub struct OnnxEncoder {
    model: Model,
    path: PathBuf,
    facts: EncoderFacts,
}

impl std::fmt::Debug for OnnxEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnnxEncoder")
            .field("path", &self.path)
            .field("facts", &self.facts)
            .finish()
    }
}

impl OnnxEncoder {
    /// Reads a file, frees its batch dimension and runs it once to learn the embedding's length.
    ///
    /// `assume` is for files without a card of ours inside.
    ///
    /// # Errors
    /// [`TrainError::Model`] for a file that is no ONNX network, [`TrainError::Teacher`] for one whose input is not
    /// `[N, 3, S, S]`, whose operators the engine does not know, or whose output is not `[N, D]`.
    pub fn open(path: &Path, assume: &Assumptions) -> Result<Self, TrainError> {
        let mut file = OnnxFile::read(path)?;
        let facts = facts(&file, assume, 0)?;
        let size = facts.input.size;
        file.free_batch_dimension()?;
        let model = ModelOptions::with_all_ops()
            .load(file.to_bytes())
            .map_err(|e| refuse(path, format!("the engine does not run it: {e}. Export it with opset 11 to 18 and standard operators")))?;
        let mut encoder = Self {
            model,
            path: path.to_path_buf(),
            facts,
        };
        // Two images at once: the probe also shows that the batch dimension is free.
        let probe = encoder.run(vec![0.0; 2 * 3 * size * size], 2)?;
        encoder.facts.dim = probe.len() / 2;
        Ok(encoder)
    }

    fn run(&self, pixels: Vec<f32>, count: usize) -> Result<Vec<f32>, TrainError> {
        let size = self.facts.input.size;
        let images = NdTensor::from_data([count, 3, size, size], pixels);
        let output = self
            .model
            .run_one(ValueOrView::from(images), on_this_thread())
            .map_err(|e| {
                refuse(
                    &self.path,
                    format!("it fails on a batch of {count} images of {size}×{size}: {e}"),
                )
            })?;
        let output: rten_tensor::Tensor<f32> = output
            .try_into()
            .map_err(|e| refuse(&self.path, format!("its output is not a float tensor: {e}")))?;
        match output.shape() {
            [rows, dim] if *rows == count && *dim > 0 => Ok(output.to_vec()),
            other => Err(refuse(
                &self.path,
                format!("its output for {count} images is {other:?}; a face network gives [N, D]"),
            )),
        }
    }
}

/// What is known of an ONNX file: by the card inside where ccface exported it, as assumed otherwise.
pub(super) fn facts(
    file: &OnnxFile,
    assume: &Assumptions,
    dim: usize,
) -> Result<EncoderFacts, TrainError> {
    let (input, licence) = match file.card()? {
        Some(card) => (card.input, card.licence),
        None => (assume.input.clone(), assume.licence.clone()),
    };
    let size = file.face_size()?;
    Ok(EncoderFacts {
        name: file.path().display().to_string(),
        hash: file.hash().to_string(),
        licence,
        input: InputSpec { size, ..input },
        dim,
    })
}

/// Inside a pool of one thread the engine computes there and nowhere else, so that workers do not share its pool.
fn on_this_thread() -> Option<RunOptions> {
    thread_local! {
        static ALONE: Arc<ThreadPool> = Arc::new(ThreadPool::with_num_threads(1));
    }
    (rayon::current_num_threads() == 1)
        .then(|| RunOptions::default().with_thread_pool(Some(ALONE.with(Arc::clone))))
}

fn refuse(path: &Path, message: String) -> TrainError {
    TrainError::Teacher {
        path: path.to_path_buf(),
        message,
    }
}

impl FaceEncoder for OnnxEncoder {
    fn facts(&self) -> &EncoderFacts {
        &self.facts
    }

    fn embed_prepared(&self, pixels: Vec<f32>, count: usize) -> Result<Vec<f32>, TrainError> {
        self.run(pixels, count)
    }
}
