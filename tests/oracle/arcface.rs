//! ArcFace with trainable prototypes.

use super::{Matrix, classification_consistency, unit_rows};

/// The loss of each sample.
pub(crate) fn per_sample(
    embeddings: &Matrix,
    prototypes: &Matrix,
    labels: &[usize],
    scale: f64,
    margin: f64,
) -> Vec<f64> {
    let margins = vec![margin; embeddings.len()];
    let prototypes = unit_rows(prototypes);
    classification_consistency::per_sample(embeddings, &prototypes, labels, &margins, scale)
}
