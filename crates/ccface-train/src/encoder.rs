//! Anything that turns faces into embeddings: the teacher, the student, a network under evaluation.

mod fusion;
mod module;
mod onnx;

pub use fusion::{FlipFusion, embed_faces};
pub use module::ModuleEncoder;
pub(crate) use module::read_rows;
pub use onnx::OnnxEncoder;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::tensor::{Device, Tensor, TensorData};
use ccface_data::{FaceImage, degrade::fit};
use ccface_model::{Colour, InputSpec, OnnxFile, mobilefacenet_from_onnx};

use crate::{TrainError, signals::RunSignals};

/// What an encoder is, apart from what runs it.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderFacts {
    /// A name for people.
    pub name: String,
    /// BLAKE3 of the weights, in hex: the encoder's identity in caches and cards.
    pub hash: String,
    /// The licence that goes with the weights.
    pub licence: String,
    /// The pixels it expects.
    pub input: InputSpec,
    /// Length of an embedding.
    pub dim: usize,
}

/// A face encoder, whatever runs it.
///
/// One trait stands over a burn module on any device and over an ONNX file in a pure-Rust engine, so that teacher, student
/// and strangers' networks go through the same code.
pub trait FaceEncoder: Send + Sync {
    /// What the encoder is.
    fn facts(&self) -> &EncoderFacts;

    /// Embeds a batch that [`prepare`] made.
    ///
    /// # Shapes
    /// - pixels: `[count, 3, size, size]`, row major, already in the encoder's colour order and scale
    /// - result: `[count, dim]`, row major, not normalised
    ///
    /// # Errors
    /// [`TrainError::Teacher`] where the engine refuses the network or a result is not finite.
    fn embed_prepared(&self, pixels: Vec<f32>, count: usize) -> Result<Vec<f32>, TrainError>;

    /// The pixels the encoder expects.
    fn input(&self) -> &InputSpec {
        &self.facts().input
    }

    /// Length of an embedding.
    fn dim(&self) -> usize {
        self.facts().dim
    }

    /// BLAKE3 of the weights, in hex.
    fn hash(&self) -> &str {
        &self.facts().hash
    }

    /// A name for people.
    fn name(&self) -> &str {
        &self.facts().name
    }

    /// The licence that goes with the weights.
    fn licence(&self) -> &str {
        &self.facts().licence
    }
}

/// Writes one RGB 0..255 face in the order and scale of `input` to `out`.
///
/// A face of another size is resized first: area when shrinking, bicubic when growing.
pub fn prepare(face: &FaceImage, input: &InputSpec, out: &mut Vec<f32>) {
    if face.width != input.size || face.height != input.size {
        let resized = fit(face.clone(), input.size);
        write_planes(&resized.data, input, out);
    } else {
        write_planes(&face.data, input, out);
    }
}

/// Appends planar RGB 0..255 pixels of one face, recoloured and scaled.
pub fn write_planes(rgb: &[f32], input: &InputSpec, out: &mut Vec<f32>) {
    let plane = rgb.len() / 3;
    let order = match input.colour {
        Colour::Rgb => [0, 1, 2],
        Colour::Bgr => [2, 1, 0],
    };
    for (position, channel) in order.into_iter().enumerate() {
        let (mean, std) = (input.mean[position], input.std[position]);
        out.extend(
            rgb[channel * plane..(channel + 1) * plane]
                .iter()
                .map(|v| (v - mean) / std),
        );
    }
}

/// Prepared pixels as a `[count, 3, size, size]` tensor.
pub fn to_tensor(pixels: Vec<f32>, count: usize, size: usize, device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(pixels, [count, 3, size, size]), device)
}

/// Embeds `count` faces in batches, each alone, and normalises each row to unit length: [`embed_joined`] without mirror images.
///
/// # Errors
/// As [`embed_joined`].
pub fn embed_unit(
    encoder: &dyn FaceEncoder,
    count: usize,
    batch: usize,
    face: &(dyn Fn(usize) -> Result<FaceImage, TrainError> + Sync),
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<f32>, TrainError> {
    embed_joined(encoder, count, batch, FlipFusion::None, face, progress)
}

/// Embeds `count` faces in batches, joins them with their mirror images as `flip` says, and normalises each row to unit length.
///
/// `face(i)` gives the pixels of face `i`; faces of a batch are fetched in order. `progress(done)` is called after each batch.
///
/// # Errors
/// What `face` reports, what the encoder reports, or [`TrainError::Evaluation`] for an embedding that is zero or not finite.
pub fn embed_joined(
    encoder: &dyn FaceEncoder,
    count: usize,
    batch: usize,
    flip: FlipFusion,
    face: &(dyn Fn(usize) -> Result<FaceImage, TrainError> + Sync),
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<f32>, TrainError> {
    use rayon::prelude::*;

    let dim = encoder.dim();
    let mut rows = Vec::with_capacity(count * dim);
    for start in (0..count).step_by(batch.max(1)) {
        let here = start..count.min(start + batch.max(1));
        let length = here.len();
        let faces = here
            .into_par_iter()
            .map(face)
            .collect::<Result<Vec<_>, TrainError>>()?;
        let mut embedded = embed_faces(encoder, &faces, flip)?;
        for (offset, row) in embedded.chunks_exact_mut(dim).enumerate() {
            normalise(row).ok_or_else(|| {
                TrainError::Evaluation(format!(
                    "{} gives an embedding that is zero or not finite for face {} of {count}: check its colour order and scale",
                    encoder.name(),
                    start + offset
                ))
            })?;
        }
        rows.append(&mut embedded);
        progress(start + length);
    }
    Ok(rows)
}

/// Scales a row to unit length; `None` where that is impossible.
pub(crate) fn normalise(row: &mut [f32]) -> Option<()> {
    let norm = row
        .iter()
        .map(|v| f64::from(*v) * f64::from(*v))
        .sum::<f64>()
        .sqrt();
    if !norm.is_finite() || norm < 1e-12 {
        return None;
    }
    for value in row {
        *value = (f64::from(*value) / norm) as f32;
    }
    Some(())
}

/// How to read a network whose file does not say what it expects (an ONNX file).
#[derive(Clone, Debug, PartialEq)]
pub struct Assumptions {
    /// Colour order and scale; the size comes from the file.
    pub input: InputSpec,
    /// Its licence.
    pub licence: String,
}

/// Opens an encoder: an ONNX file, a model directory or file, or a run directory (its model).
///
/// # Errors
/// A missing path, a file of another kind, or what the model or engine refuses.
pub fn open_encoder(
    path: &Path,
    assume: &Assumptions,
    device: &Device,
) -> Result<Arc<dyn FaceEncoder>, TrainError> {
    if is_onnx(path) {
        return Ok(Arc::new(OnnxEncoder::open(path, assume)?));
    }
    Ok(Arc::new(ModuleEncoder::open(
        &crate::run_dir::model_path(path),
        device,
    )?))
}

/// As [`open_encoder`], but an ONNX file whose structure is known runs as a burn module on the device, which is faster.
///
/// The embeddings are those of the ONNX engine to rounding.
///
/// # Errors
/// As [`open_encoder`].
pub fn open_fast_encoder(
    path: &Path,
    assume: &Assumptions,
    device: &Device,
) -> Result<Arc<dyn FaceEncoder>, TrainError> {
    if is_onnx(path) {
        let file = OnnxFile::read(path)?;
        if let Ok((backbone, architecture)) = mobilefacenet_from_onnx(&file, device) {
            let facts = onnx::facts(&file, assume, architecture.embedding())?;
            return Ok(Arc::new(ModuleEncoder::with_facts(
                &backbone, facts, device,
            )));
        }
    }
    open_encoder(path, assume, device)
}

/// An encoder that gives up between two batches where the run is to end.
pub(crate) struct Stoppable<'a> {
    inner: &'a dyn FaceEncoder,
    signals: &'a RunSignals,
}

/// Wraps an encoder for work that may take long.
pub(crate) fn stoppable<'a>(inner: &'a dyn FaceEncoder, signals: &'a RunSignals) -> Stoppable<'a> {
    Stoppable { inner, signals }
}

impl FaceEncoder for Stoppable<'_> {
    fn facts(&self) -> &EncoderFacts {
        self.inner.facts()
    }

    fn embed_prepared(&self, pixels: Vec<f32>, count: usize) -> Result<Vec<f32>, TrainError> {
        self.signals.check()?;
        self.inner.embed_prepared(pixels, count)
    }
}

/// An encoder and the file it came from.
pub(crate) type Opened = (PathBuf, Arc<dyn FaceEncoder>);

/// Whether a path names an ONNX file (by its ending).
pub fn is_onnx(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"))
}
