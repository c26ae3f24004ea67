//! Every term and head once more, in f64 and plain loops, without tensors: what the tensor code is
//! compared with. Formulas are written as in the documentation, arc cosines included.

pub(crate) mod adaface;
pub(crate) mod adaptive_penalty;
pub(crate) mod arcface;
pub(crate) mod classification_consistency;
pub(crate) mod cosface;
pub(crate) mod cross_resolution;
pub(crate) mod embedding_consistency;
pub(crate) mod logit_consistency;
pub(crate) mod push;

/// Rows of numbers.
pub(crate) type Matrix = Vec<Vec<f64>>;

/// The distance from ±1 at which f64 cosines are clamped.
pub(crate) const EPSILON: f64 = 1e-7;

/// The inner product.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let mut sum = 0.0;
    for index in 0..a.len() {
        sum += a[index] * b[index];
    }
    sum
}

/// The vector at unit length; a zero vector stays zero.
pub(crate) fn unit(row: &[f64]) -> Vec<f64> {
    let norm = dot(row, row).sqrt();
    if norm == 0.0 {
        return row.to_vec();
    }
    row.iter().map(|value| value / norm).collect()
}

/// Every row at unit length.
pub(crate) fn unit_rows(rows: &[Vec<f64>]) -> Matrix {
    rows.iter().map(|row| unit(row)).collect()
}

/// The cosine kept within `[-1+ε, 1-ε]`.
pub(crate) fn clamp_cosine(cosine: f64) -> f64 {
    cosine.clamp(-1.0 + EPSILON, 1.0 - EPSILON)
}

/// `log Σ e^x`; minus infinity for an empty list.
pub(crate) fn log_sum_exp(values: &[f64]) -> f64 {
    let mut largest = f64::NEG_INFINITY;
    for value in values {
        largest = largest.max(*value);
    }
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    let mut sum = 0.0;
    for value in values {
        sum += (value - largest).exp();
    }
    largest + sum.ln()
}

/// The mean.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Margin softmax: `-log softmax(s·ψ)[y]` where the margin changes the target's cosine alone.
pub(crate) fn margin_softmax(
    embedding: &[f64],
    prototypes: &[Vec<f64>],
    label: usize,
    scale: f64,
    margin: impl Fn(f64) -> f64,
) -> f64 {
    let z = unit(embedding);
    let mut logits = Vec::new();
    for (class, prototype) in prototypes.iter().enumerate() {
        let cosine = clamp_cosine(dot(&z, prototype));
        let penalised = if class == label {
            margin(cosine)
        } else {
            cosine
        };
        logits.push(scale * penalised);
    }
    log_sum_exp(&logits) - logits[label]
}
