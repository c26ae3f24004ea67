//! The log-sum-exp over all classes but the sample's own, with frozen or trainable prototypes.

use burn::tensor::{Bool, Int, Tensor};

use crate::{
    log_sum_exp::{MASKED, masked_log_sum_exp},
    numeric::{constant, full_precision, with_gradient},
};

/// How many prototypes the frozen path multiplies at once. A batch of 512 against one block holds
/// 32 MiB of f32 logits, whatever the number of classes.
pub(crate) const CLASS_BLOCK: usize = 16_384;

/// What a margin loss must know of the other classes.
pub(crate) struct NonTarget {
    /// `log Σ_{j≠y_i} e^{s·c_ij}`, about [`MASKED`] where there is one class only; `[batch]`.
    pub(crate) log_sum_exp: Tensor<1>,
    /// `max_{j≠y_i} s·c_ij` without a gradient; `[batch]`.
    pub(crate) largest: Tensor<1>,
}

impl NonTarget {
    /// Against frozen prototypes: block by block, outside the autodiff graph, gradient included.
    ///
    /// ```text
    /// ∂/∂z_i log Σ_{j≠y_i} e^{s·⟨z_i,w_j⟩} = s·Σ_{j≠y_i} p_ij w_j ,   p_ij = e^{s·c_ij} / Σ_{k≠y_i} e^{s·c_ik}
    /// ```
    ///
    /// Maximum, sum and weighted sum of prototypes are carried from block to block and rescaled
    /// when the maximum grows, so that no `[batch, classes]` matrix is ever stored.
    ///
    /// # Shapes
    /// - unit: `[batch, dim]`, unit rows
    /// - prototypes: `[classes, dim]`
    /// - labels: `[batch]`
    pub(crate) fn frozen(
        unit: Tensor<2>,
        prototypes: Tensor<2>,
        labels: Tensor<1, Int>,
        scale: f64,
        block: usize,
    ) -> Self {
        let prototypes = constant(prototypes);
        let query = constant(unit.clone()).mul_scalar(scale);
        let [classes, dim] = prototypes.dims();
        let track = unit.is_autodiff();

        let mut largest = query.clone().narrow(1, 0, 1).full_like(MASKED);
        let mut sum = largest.zeros_like();
        let mut weighted = query.zeros_like();
        for start in (0..classes).step_by(block) {
            let end = (start + block).min(classes);
            let rows = full_precision(prototypes.clone().slice([start..end, 0..dim]));
            let logits = query
                .clone()
                .matmul(rows.clone().transpose())
                .mask_fill(own_class(labels.clone(), start, end), MASKED);
            let larger = largest.clone().max_pair(logits.clone().max_dim(1));
            let shrink = (largest - larger.clone()).exp();
            let exponentials = (logits - larger.clone()).exp();
            sum = sum * shrink.clone() + exponentials.clone().sum_dim(1);
            if track {
                weighted = weighted * shrink + exponentials.matmul(rows);
            }
            largest = larger;
        }
        let value = (sum.clone().log() + largest.clone()).squeeze_dim(1);
        let log_sum_exp = if track {
            with_gradient(value, unit, (weighted / sum).mul_scalar(scale))
        } else {
            value
        };
        Self {
            log_sum_exp,
            largest: largest.squeeze_dim(1),
        }
    }

    /// Against trainable prototypes, through the autodiff graph.
    ///
    /// # Shapes
    /// As [`NonTarget::frozen`]; prototypes with unit rows.
    pub(crate) fn trainable(
        unit: Tensor<2>,
        prototypes: Tensor<2>,
        labels: Tensor<1, Int>,
        scale: f64,
    ) -> Self {
        let [classes, _] = prototypes.dims();
        let own = own_class(labels, 0, classes);
        let logits = unit.mul_scalar(scale).matmul(prototypes.transpose());
        let largest = constant(logits.clone())
            .mask_fill(own.clone(), MASKED)
            .max_dim(1)
            .squeeze_dim(1);
        Self {
            log_sum_exp: masked_log_sum_exp(logits, own),
            largest,
        }
    }
}

/// 1 where the target's logit exceeds every other class's, else 0; no gradient.
pub(crate) fn correct(target_logit: Tensor<1>, largest_other: Tensor<1>) -> Tensor<1> {
    let target_logit = constant(target_logit);
    let right = target_logit.clone().greater(largest_other);
    target_logit.zeros_like().mask_fill(right, 1.0)
}

/// Where the class `start + column` is the sample's own; `[batch, end − start]`.
fn own_class(labels: Tensor<1, Int>, start: usize, end: usize) -> Tensor<2, Bool> {
    let labels = labels.without_autodiff();
    let options = (&labels.device(), labels.dtype());
    let classes = Tensor::<1, Int>::arange(start as i64..end as i64, options);
    labels
        .unsqueeze_dim::<2>(1)
        .equal(classes.unsqueeze_dim::<2>(0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{
        angular::normalise_rows,
        testing::{assert_close, autodiff, labels, matrix, values},
    };

    #[test]
    fn every_block_size_gives_the_value_and_gradient_of_the_graph() {
        let device = autodiff();
        let prototypes = normalise_rows(matrix(11, 6, 0.3, &device));
        let own = [0, 10, 5, 5];
        let rows = matrix(4, 6, 0.7, &device).require_grad();
        let whole = NonTarget::trainable(
            normalise_rows(rows.clone()),
            prototypes.clone(),
            labels(&own),
            30.0,
        );
        let weights = Tensor::<1>::from_floats([1.0, -2.0, 0.5, 3.0], &device);
        let expected = values(whole.log_sum_exp.clone());
        let grads = (whole.log_sum_exp * weights.clone()).sum().backward();
        let slope = values(rows.grad(&grads).unwrap());
        for block in [1, 2, 3, 5, 11, 100] {
            let blocked = NonTarget::frozen(
                normalise_rows(rows.clone()),
                prototypes.clone(),
                labels(&own),
                30.0,
                block,
            );
            assert_close(&values(blocked.log_sum_exp.clone()), &expected, 1e-5);
            assert_close(
                &values(blocked.largest),
                &values(whole.largest.clone()),
                1e-5,
            );
            let grads = (blocked.log_sum_exp * weights.clone()).sum().backward();
            assert_close(&values(rows.grad(&grads).unwrap()), &slope, 1e-4);
        }
    }

    #[test]
    fn one_class_has_no_others() {
        let device = autodiff();
        let unit = normalise_rows(matrix(2, 3, 0.1, &device));
        let rest = NonTarget::frozen(
            unit.clone(),
            unit.clone().narrow(0, 0, 1),
            labels(&[0, 0]),
            30.0,
            4,
        );
        for value in values(rest.log_sum_exp) {
            assert!(value.is_finite() && value < 0.5 * MASKED);
        }
        let target = Tensor::<1>::from_floats([-30.0, 0.0], &device);
        assert_eq!(values(correct(target, rest.largest)), vec![1.0, 1.0]);
    }
}
