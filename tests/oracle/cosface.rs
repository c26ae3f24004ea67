//! CosFace with trainable prototypes.

use super::{Matrix, margin_softmax, unit_rows};

/// The loss of each sample.
pub(crate) fn per_sample(
    embeddings: &Matrix,
    prototypes: &Matrix,
    labels: &[usize],
    scale: f64,
    margin: f64,
) -> Vec<f64> {
    let prototypes = unit_rows(prototypes);
    let mut losses = Vec::new();
    for (row, label) in embeddings.iter().zip(labels) {
        losses.push(margin_softmax(row, &prototypes, *label, scale, |c| {
            c - margin
        }));
    }
    losses
}
