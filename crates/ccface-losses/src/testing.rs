//! Helpers of this crate's unit tests.
#![allow(clippy::unwrap_used)]

use burn::tensor::{Device, Int, Tensor, TensorData};

/// The flex device with autodiff.
pub(crate) fn autodiff() -> Device {
    Device::flex().autodiff()
}

/// All values of a tensor, in row-major order.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// Labels on the flex device.
pub(crate) fn labels(labels: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::from(labels), &Device::flex())
}

/// A fixed, irregular matrix with entries in (-1, 1).
pub(crate) fn matrix(rows: usize, columns: usize, seed: f64, device: &Device) -> Tensor<2> {
    let data: Vec<f32> = (0..rows * columns)
        .map(|index| ((index as f64 + 1.0) * (12.9898 + seed)).sin() as f32)
        .collect();
    Tensor::from_data(TensorData::new(data, [rows, columns]), device)
}

/// Asserts that a tensor holds no NaN and no infinity.
#[track_caller]
pub(crate) fn assert_finite<const D: usize>(what: &str, tensor: Tensor<D>) {
    let values = values(tensor);
    assert!(values.iter().all(|v| v.is_finite()), "{what}: {values:?}");
}

/// Asserts that two lists agree to `tolerance`.
#[track_caller]
pub(crate) fn assert_close(left: &[f64], right: &[f64], tolerance: f64) {
    assert_eq!(left.len(), right.len());
    for (index, (a, b)) in left.iter().zip(right).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * b.abs().max(1.0),
            "entry {index}: {a} against {b}"
        );
    }
}
