//! Part 1: agreement of the embeddings.

use super::{Matrix, dot, unit};

/// The loss of each sample.
pub(crate) fn per_sample(student: &Matrix, teacher: &Matrix) -> Vec<f64> {
    let mut losses = Vec::new();
    for i in 0..student.len() {
        losses.push(1.0 - dot(&unit(&student[i]), &teacher[i]));
    }
    losses
}
