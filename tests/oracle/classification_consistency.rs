//! Part 1: margin softmax against frozen prototypes.

use std::f64::consts::PI;

use super::{Matrix, margin_softmax};

/// The target's cosine after an angular margin.
pub(crate) fn psi(cosine: f64, margin: f64) -> f64 {
    let theta = cosine.acos();
    if theta + margin <= PI {
        (theta + margin).cos()
    } else {
        cosine - margin * margin.sin()
    }
}

/// The loss of each sample.
pub(crate) fn per_sample(
    student: &Matrix,
    prototypes: &Matrix,
    labels: &[usize],
    margins: &[f64],
    scale: f64,
) -> Vec<f64> {
    let mut losses = Vec::new();
    for i in 0..student.len() {
        losses.push(margin_softmax(
            &student[i],
            prototypes,
            labels[i],
            scale,
            |cosine| psi(cosine, margins[i]),
        ));
    }
    losses
}
