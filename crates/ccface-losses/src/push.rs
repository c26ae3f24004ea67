//! Part 3: LR embeddings of different people push each other apart.

use burn::tensor::{Bool, Int, Tensor, assert_shape};
use serde::{Deserialize, Serialize};

use crate::{angular::normalise_rows, log_sum_exp::masked_log_sum_exp};

/// The LR–LR push as a term of its own, which a large queue cannot drown.
///
/// ```text
/// L_i = log Σ_{j: y_j≠y_i} e^{⟨z_i,z_j⟩/τ}        0 where the batch holds no other class
/// ```
///
/// The loss may be negative.
///
/// Source: reconstructed, from the paper's abstract: a contrastive term keeps LR samples from
/// collapsing into one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Push {
    /// The temperature τ, above 0.
    pub temperature: f64,
}

impl Push {
    /// The loss of each sample.
    ///
    /// # Shapes
    /// - student: `[batch, dim]`, any norm
    /// - labels: `[batch]`
    /// - output: `[batch]`
    ///
    /// # Gradients
    /// To both embeddings of a pair.
    ///
    /// # Panics
    /// Where shapes disagree.
    pub fn forward_no_reduction(&self, student: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let [batch, _] = student.dims();
        assert_shape!(labels, [batch]);
        self.of_unit_rows(normalise_rows(student), labels)
    }

    /// The mean loss over the batch, shape `[1]`.
    pub fn forward(&self, student: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.forward_no_reduction(student, labels).mean()
    }

    pub(crate) fn of_unit_rows(&self, unit: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let same = same_label(labels.clone(), labels);
        let alone = same.clone().all_dim(1).squeeze_dim::<1>(1);
        push_log_sum_exp(unit, same, self.temperature).mask_fill(alone, 0.0)
    }
}

/// `log Σ_{j: y_j≠y_i} e^{⟨z_i,z_j⟩/τ}`, about −1e9 where the batch holds no other class.
pub(crate) fn push_log_sum_exp(
    unit: Tensor<2>,
    same: Tensor<2, Bool>,
    temperature: f64,
) -> Tensor<1> {
    let logits = unit
        .clone()
        .div_scalar(temperature)
        .matmul(unit.transpose());
    masked_log_sum_exp(logits, same)
}

/// Where a row's label equals a column's; `[rows, columns]`.
pub(crate) fn same_label(rows: Tensor<1, Int>, columns: Tensor<1, Int>) -> Tensor<2, Bool> {
    let rows = rows.without_autodiff().unsqueeze_dim::<2>(1);
    let columns = columns.without_autodiff().unsqueeze_dim::<2>(0);
    rows.equal(columns)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{assert_close, assert_finite, autodiff, labels, matrix, values};

    const PUSH: Push = Push { temperature: 0.5 };

    #[test]
    fn it_falls_as_two_people_move_apart() {
        let device = autodiff();
        let at = |angle: f32| {
            let rows = Tensor::<2>::from_floats([[1.0, 0.0], [angle.cos(), angle.sin()]], &device);
            values(PUSH.forward(rows, labels(&[0, 1])))[0]
        };
        assert_close(&[at(0.0)], &[2.0], 1e-5);
        assert!(at(0.0) > at(0.5) && at(0.5) > at(2.0));
    }

    #[test]
    fn a_batch_of_one_person_costs_nothing_and_has_a_zero_gradient() {
        let device = autodiff();
        let student = matrix(3, 4, 0.3, &device).require_grad();
        let loss = PUSH.forward_no_reduction(student.clone(), labels(&[2, 2, 2]));
        assert_eq!(values(loss.clone()), vec![0.0; 3]);
        let grads = loss.sum().backward();
        assert_eq!(values(student.grad(&grads).unwrap()), vec![0.0; 12]);
        let single = PUSH.forward_no_reduction(matrix(1, 4, 0.3, &device), labels(&[0]));
        assert_eq!(values(single), vec![0.0]);
    }

    #[test]
    fn zero_vectors_stay_finite() {
        let device = autodiff();
        let student = Tensor::<2>::zeros([2, 4], &device).require_grad();
        let loss = PUSH.forward(student.clone(), labels(&[0, 1]));
        assert_finite("loss", loss.clone());
        let grads = loss.backward();
        assert_finite("gradient", student.grad(&grads).unwrap());
    }
}
