//! Finite differences in f64 against the gradient of every term and head.
//!
//! Samples stay away from the border at θ + m = π, where the margin's value jumps by design.
#![allow(clippy::unwrap_used)]

mod adaface;
mod adaptive_penalty;
mod arcface;
mod classification_consistency;
mod cosface;
mod cross_resolution;
mod embedding_consistency;
mod logit_consistency;
mod objective;
mod push;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use ccface_losses::angular::normalise_rows;

/// The step of the central differences; their error is about h² for values of order 1.
const STEP: f64 = 1e-5;
/// The error allowed, relative to the gradient's largest entry (and to 1).
const TOLERANCE: f64 = 1e-6;

fn device() -> Device {
    Device::flex().autodiff()
}

/// An irregular f64 matrix with entries in (-1, 1).
fn matrix(rows: usize, columns: usize, seed: f64) -> Tensor<2> {
    let data: Vec<f64> = (0..rows * columns)
        .map(|index| ((index as f64 + 1.0) * (12.9898 + seed)).sin())
        .collect();
    from_numbers(data, [rows, columns])
}

fn from_numbers<const D: usize>(data: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(data, shape), (&device(), DType::F64))
}

fn unit(rows: usize, columns: usize, seed: f64) -> Tensor<2> {
    normalise_rows(matrix(rows, columns, seed))
}

fn labels(labels: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::from(labels), &device())
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// A scalar of per-sample losses in which no two samples weigh the same.
fn weigh(losses: Tensor<1>) -> Tensor<1> {
    assert_eq!(losses.dtype(), DType::F64);
    let weights = (0..losses.dims()[0])
        .map(|i| 1.0 + 0.37 * i as f64)
        .collect();
    let shape = losses.dims();
    (losses * from_numbers(weights, shape)).sum()
}

/// Checks the gradient of `losses` at `at`, entry by entry.
#[track_caller]
fn check(at: Tensor<2>, losses: impl Fn(Tensor<2>) -> Tensor<1>) {
    let [rows, columns] = at.dims();
    let variable = at.clone().detach().require_grad();
    let gradient = variable
        .grad(&weigh(losses(variable.clone())).backward())
        .unwrap();
    let gradient = numbers(gradient);
    let point = numbers(at);
    let largest = gradient.iter().fold(1.0f64, |m, g| m.max(g.abs()));
    let value = |entry: usize, step: f64| {
        let mut moved = point.clone();
        moved[entry] += step;
        numbers(weigh(losses(from_numbers(moved, [rows, columns]))))[0]
    };
    assert!(gradient.iter().any(|g| g.abs() > 1e-3), "nothing to check");
    for (entry, given) in gradient.iter().enumerate() {
        let wanted = (value(entry, STEP) - value(entry, -STEP)) / (2.0 * STEP);
        assert!(
            (given - wanted).abs() <= TOLERANCE * largest,
            "entry {entry}: {given} instead of {wanted}"
        );
    }
}
