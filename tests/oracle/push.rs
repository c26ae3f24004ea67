//! Part 3: the LR–LR push as a term of its own.

use super::{Matrix, dot, log_sum_exp, unit_rows};

/// The loss of each sample.
pub(crate) fn per_sample(student: &Matrix, labels: &[usize], temperature: f64) -> Vec<f64> {
    let z = unit_rows(student);
    let mut losses = Vec::new();
    for i in 0..z.len() {
        let mut others = Vec::new();
        for j in 0..z.len() {
            if labels[j] != labels[i] {
                others.push(dot(&z[i], &z[j]) / temperature);
            }
        }
        losses.push(if others.is_empty() {
            0.0
        } else {
            log_sum_exp(&others)
        });
    }
    losses
}
