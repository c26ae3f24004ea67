//! AdaFace with trainable prototypes.

use std::f64::consts::PI;

use super::{Matrix, dot, margin_softmax, mean, unit_rows};

/// The margin's settings and the running statistics before the batch.
pub(crate) struct Settings {
    pub(crate) scale: f64,
    pub(crate) margin: f64,
    pub(crate) concentration: f64,
    pub(crate) rate: f64,
    pub(crate) mean: f64,
    pub(crate) std: f64,
}

/// The loss of each sample, and the running mean and standard deviation after the batch.
pub(crate) fn per_sample(
    embeddings: &Matrix,
    prototypes: &Matrix,
    labels: &[usize],
    settings: &Settings,
) -> (Vec<f64>, f64, f64) {
    const EPSILON: f64 = 1e-3;
    let norms: Vec<f64> = embeddings
        .iter()
        .map(|row| dot(row, row).sqrt().clamp(1e-3, 100.0))
        .collect();
    let batch_mean = mean(&norms);
    let squares: f64 = norms.iter().map(|norm| (norm - batch_mean).powi(2)).sum();
    let batch_std = (squares / (norms.len() as f64 - 1.0)).sqrt();
    let running_mean = settings.rate * batch_mean + (1.0 - settings.rate) * settings.mean;
    let running_std = settings.rate * batch_std + (1.0 - settings.rate) * settings.std;

    let prototypes = unit_rows(prototypes);
    let mut losses = Vec::new();
    for i in 0..embeddings.len() {
        let standard = (norms[i] - running_mean) / (running_std + EPSILON);
        let quality = (settings.concentration * standard).clamp(-1.0, 1.0);
        let loss = margin_softmax(
            &embeddings[i],
            &prototypes,
            labels[i],
            settings.scale,
            |cosine| {
                let theta = cosine.acos() - settings.margin * quality;
                theta.clamp(EPSILON, PI - EPSILON).cos() - settings.margin * (1.0 + quality)
            },
        );
        losses.push(loss);
    }
    (losses, running_mean, running_std)
}
