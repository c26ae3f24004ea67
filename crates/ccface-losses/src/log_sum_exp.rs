//! Log-sum-exp and softplus that neither overflow nor turn masked entries into NaN.

use burn::tensor::{Bool, Tensor, activation};

use crate::numeric::constant;

/// The logit of an entry that is left out: its exponential is zero beside any real logit, and
/// differences of two such values stay finite (`-inf` would give NaN).
pub(crate) const MASKED: f64 = -1e9;

/// Beyond this argument softplus is the identity: `log(1 + e^-40)` is 4e-18.
const SOFTPLUS_LINEAR: f64 = 40.0;

/// `log Σ_j e^{x_ij}` of each row.
///
/// # Shapes
/// - logits: `[rows, columns]`
/// - output: `[rows]`
pub(crate) fn log_sum_exp(logits: Tensor<2>) -> Tensor<1> {
    let largest = constant(logits.clone()).max_dim(1);
    let sum = (logits - largest.clone()).exp().sum_dim(1);
    (sum.log() + largest).squeeze_dim(1)
}

/// `log Σ_{j kept} e^{x_ij}` of each row; about [`MASKED`] where the mask leaves nothing.
///
/// # Shapes
/// - logits, excluded: `[rows, columns]`
/// - output: `[rows]`
pub(crate) fn masked_log_sum_exp(logits: Tensor<2>, excluded: Tensor<2, Bool>) -> Tensor<1> {
    log_sum_exp(logits.mask_fill(excluded, MASKED))
}

/// `log(1 + e^{rest − target})`: the cross-entropy of a target logit against the log-sum-exp of the
/// other logits, accurate also where it is close to zero.
///
/// # Shapes
/// - rest, target, output: `[rows]`
pub(crate) fn cross_entropy(rest: Tensor<1>, target: Tensor<1>) -> Tensor<1> {
    activation::softplus_with_threshold(rest - target, 1.0, SOFTPLUS_LINEAR)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{assert_close, autodiff, values};
    use burn::tensor::TensorData;

    #[test]
    fn huge_logits_do_not_overflow() {
        let x = Tensor::<2>::from_floats([[1e4, 1e4], [-1e4, -1e4]], &autodiff());
        let two = 2f64.ln();
        assert_close(&values(log_sum_exp(x)), &[1e4 + two, -1e4 + two], 1e-6);
    }

    #[test]
    fn a_row_without_entries_is_finite_and_has_no_gradient() {
        let device = autodiff();
        let x = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &device).require_grad();
        let mask =
            Tensor::<2, Bool>::from_data(TensorData::from([[true, true], [false, true]]), &device);
        let out = masked_log_sum_exp(x.clone(), mask);
        let read = values(out.clone());
        assert!(read[0] < 0.5 * MASKED && read[0].is_finite());
        assert_close(&read[1..], &[3.0], 1e-6);
        let grads = out.sum().backward();
        assert_eq!(values(x.grad(&grads).unwrap()), vec![0.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn cross_entropy_keeps_small_losses_and_large_ones() {
        let device = autodiff();
        let rest = Tensor::<1>::from_floats([0.0, 0.0, 60.0, MASKED as f32], &device);
        let target = Tensor::<1>::from_floats([0.0, 20.0, 0.0, 1.0], &device);
        let expected = [2f64.ln(), (-20f64).exp().ln_1p(), 60.0, 0.0];
        let read = values(cross_entropy(rest, target));
        assert_close(&read, &expected, 1e-6);
        assert!((read[1] / expected[1] - 1.0).abs() < 1e-4);
    }
}
