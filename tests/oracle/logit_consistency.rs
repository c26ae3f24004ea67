//! Part 1: agreement of the logits.

use super::{Matrix, dot, log_sum_exp, unit};

fn log_softmax(row: &[f64], prototypes: &Matrix, sharpness: f64) -> Vec<f64> {
    let logits: Vec<f64> = prototypes.iter().map(|w| sharpness * dot(row, w)).collect();
    let total = log_sum_exp(&logits);
    logits.iter().map(|logit| logit - total).collect()
}

/// The loss of each sample.
pub(crate) fn per_sample(
    student: &Matrix,
    teacher: &Matrix,
    prototypes: &Matrix,
    scale: f64,
    temperature: f64,
) -> Vec<f64> {
    let mut losses = Vec::new();
    for i in 0..student.len() {
        let wanted = log_softmax(&teacher[i], prototypes, scale / temperature);
        let given = log_softmax(&unit(&student[i]), prototypes, scale / temperature);
        let mut divergence = 0.0;
        for (p, q) in wanted.iter().zip(&given) {
            divergence += p.exp() * (p - q);
        }
        losses.push(temperature * temperature * divergence);
    }
    losses
}
