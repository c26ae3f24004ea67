//! What a student takes from its teacher: embeddings, prototypes, HR scores.

mod cache;
mod prototypes;

pub use cache::{CacheOutcome, TeacherCache};
pub use prototypes::{InheritedHead, inherit};

use std::path::Path;

use ccface_data::{FaceImage, FaceSource};

use crate::{TrainError, encoder::FaceEncoder};

/// The teacher's unit-norm embeddings of a data set: of each image and of its mirror image.
///
/// # Shapes
/// `plain` and `mirrored`: `[images, dim]`, row major.
#[derive(Clone, Debug, PartialEq)]
pub struct TeacherEmbeddings {
    /// Length of an embedding.
    pub dim: usize,
    /// Embeddings of the images as they are.
    pub plain: Vec<f32>,
    /// Embeddings of the mirrored images.
    pub mirrored: Vec<f32>,
}

impl TeacherEmbeddings {
    /// The embedding of image `index`, mirrored or not.
    ///
    /// # Panics
    /// If `index` is beyond the data set.
    pub fn row(&self, index: usize, mirrored: bool) -> &[f32] {
        let rows = if mirrored {
            &self.mirrored
        } else {
            &self.plain
        };
        &rows[index * self.dim..(index + 1) * self.dim]
    }
}

/// Embeds a source with the teacher, or takes from the cache what it holds of it.
///
/// `cache` is a directory; `None` computes everything. `progress(done, total)` counts image views.
///
/// # Errors
/// An unreadable image, a cache that cannot be written, or what the teacher reports.
pub fn embed_source(
    teacher: &dyn FaceEncoder,
    source: &dyn FaceSource,
    batch: usize,
    cache: Option<&Path>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(TeacherEmbeddings, CacheOutcome), TrainError> {
    let hashes = (0..source.len())
        .map(|i| Ok(source.image_hash(i)?))
        .collect::<Result<Vec<_>, TrainError>>()?;
    let mut store = match cache {
        Some(dir) => TeacherCache::open(dir, teacher)?,
        None => TeacherCache::in_memory(teacher),
    };
    let missing: Vec<usize> = (0..hashes.len())
        .filter(|&i| !store.holds(&hashes[i]))
        .collect();
    let total = 2 * missing.len();
    let view = |position: usize| -> Result<FaceImage, TrainError> {
        let face = FaceImage::from_rgb8(&source.image(missing[position / 2])?);
        Ok(if position % 2 == 1 {
            face.flip_horizontal()
        } else {
            face
        })
    };
    let rows = crate::encoder::embed_unit(teacher, total, batch, &view, &mut |done| {
        progress(done, total);
    })?;
    let dim = teacher.dim();
    for (image, pair) in missing.iter().zip(rows.chunks_exact(2 * dim)) {
        store.insert(hashes[*image], pair);
    }
    let outcome = store.outcome(hashes.len() - missing.len(), missing.len());
    if !missing.is_empty() {
        store.save()?;
    }
    let mut embeddings = TeacherEmbeddings {
        dim,
        plain: Vec::new(),
        mirrored: Vec::new(),
    };
    for hash in &hashes {
        let pair = store.get(hash).ok_or_else(|| {
            TrainError::Training("the teacher cache lost a row that was just written".into())
        })?;
        embeddings.plain.extend_from_slice(&pair[..dim]);
        embeddings.mirrored.extend_from_slice(&pair[dim..]);
    }
    Ok((embeddings, outcome))
}
