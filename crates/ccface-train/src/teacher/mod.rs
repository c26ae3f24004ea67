//! What a student takes from its teacher: embeddings, prototypes, HR scores.

mod cache;
mod prototypes;

pub use cache::{CacheOutcome, TeacherCache};
pub use prototypes::{InheritedHead, inherit};

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, PoisonError},
};

use ccface_data::{DataError, FaceImage, FaceSource};

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
/// `cache` is a directory; `None` computes everything. `progress(done, total)` counts image views. Up to `error_budget` of the
/// images may be unreadable: they are listed in the outcome, and the next readable image of the same person stands in for
/// each, as others do in the loader.
///
/// # Errors
/// The first unreadable image beyond the budget, a cache that cannot be written, or what the teacher reports.
pub fn embed_source(
    teacher: &dyn FaceEncoder,
    source: &dyn FaceSource,
    batch: usize,
    cache: Option<&Path>,
    error_budget: f64,
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
    let allowed = (error_budget * source.len() as f64).floor() as usize;
    let unreadable: Mutex<BTreeMap<usize, String>> = Mutex::default();
    let view = |position: usize| -> Result<FaceImage, TrainError> {
        let index = missing[position / 2];
        let face = match source.image(index) {
            Ok(picture) => FaceImage::from_rgb8(&picture),
            Err(error @ DataError::Image { .. }) => {
                let mut found = unreadable.lock().unwrap_or_else(PoisonError::into_inner);
                found.insert(index, error.to_string());
                if found.len() > allowed {
                    return Err(error.into());
                }
                FaceImage::new(8, 8, vec![128.0; 3 * 8 * 8])
            }
            Err(error) => return Err(error.into()),
        };
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
    let unreadable = unreadable
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    for (image, pair) in missing.iter().zip(rows.chunks_exact(2 * dim)) {
        if !unreadable.contains_key(image) {
            store.insert(hashes[*image], pair);
        }
    }
    let mut outcome = store.outcome(hashes.len() - missing.len(), missing.len());
    if !missing.is_empty() {
        store.save()?;
    }
    let mut embeddings = TeacherEmbeddings {
        dim,
        plain: Vec::new(),
        mirrored: Vec::new(),
    };
    for index in 0..hashes.len() {
        let hash = &hashes[stand_in(source, index, &unreadable)?];
        let pair = store.get(hash).ok_or_else(|| {
            TrainError::Training("the teacher cache lost a row that was just written".into())
        })?;
        embeddings.plain.extend_from_slice(&pair[..dim]);
        embeddings.mirrored.extend_from_slice(&pair[dim..]);
    }
    outcome.unreadable = unreadable.into_values().collect();
    Ok((embeddings, outcome))
}

/// The image itself, or where it cannot be read, the next of the same person that can.
fn stand_in(
    source: &dyn FaceSource,
    index: usize,
    unreadable: &BTreeMap<usize, String>,
) -> Result<usize, TrainError> {
    let Some(reason) = unreadable.get(&index) else {
        return Ok(index);
    };
    let person = source.identity(index);
    (index + 1..source.len())
        .chain(0..index)
        .find(|other| source.identity(*other) == person && !unreadable.contains_key(other))
        .ok_or_else(|| {
            TrainError::config(
                "data.path",
                format!(
                    "{reason}; and {} has no other image that could stand in: leave the person out with data.identities",
                    source.identities()[person]
                ),
            )
        })
}
