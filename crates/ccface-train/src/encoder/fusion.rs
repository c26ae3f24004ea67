//! Joining the embeddings of an image and its mirror image.

use ccface_data::FaceImage;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{FaceEncoder, prepare};
use crate::TrainError;

/// How the embedding `f` of an image and `f′` of its mirror image become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlipFusion {
    /// The image alone.
    #[default]
    None,
    /// f + f′ (arcface_torch).
    Sum,
    /// f·‖f‖ + f′·‖f′‖ (AdaFace's TinyFace figures).
    Norm,
}

impl FlipFusion {
    /// The way in words, for a result.
    pub fn description(self) -> &'static str {
        match self {
            Self::None => "none: the image alone",
            Self::Sum => "sum: f + f′ of the image and its mirror image",
            Self::Norm => "norm: f·‖f‖ + f′·‖f′‖ of the image and its mirror image",
        }
    }
}

/// Embeds faces and joins them with their mirror images.
///
/// # Shapes
/// `[faces, dim]`, row major, not normalised
///
/// # Errors
/// What the encoder reports.
pub fn embed_faces(
    encoder: &dyn FaceEncoder,
    faces: &[FaceImage],
    flip: FlipFusion,
) -> Result<Vec<f32>, TrainError> {
    if faces.is_empty() {
        return Ok(Vec::new());
    }
    let once = |mirrored: bool| {
        let prepared: Vec<Vec<f32>> = faces
            .par_iter()
            .map(|face| {
                let mut pixels = Vec::new();
                if mirrored {
                    prepare(&face.flip_horizontal(), encoder.input(), &mut pixels);
                } else {
                    prepare(face, encoder.input(), &mut pixels);
                }
                pixels
            })
            .collect();
        encoder.embed_prepared(prepared.concat(), faces.len())
    };
    let mut rows = once(false)?;
    if flip == FlipFusion::None {
        return Ok(rows);
    }
    let mut mirrored = once(true)?;
    let dim = encoder.dim();
    if flip == FlipFusion::Norm {
        for row in rows.chunks_mut(dim).chain(mirrored.chunks_mut(dim)) {
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.iter_mut().for_each(|x| *x *= norm);
        }
    }
    for (x, y) in rows.iter_mut().zip(mirrored) {
        *x += y;
    }
    Ok(rows)
}
