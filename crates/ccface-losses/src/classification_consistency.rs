//! Part 1: the student is classified by the teacher's frozen prototypes, under an angular margin.

use burn::tensor::{Int, Tensor, assert_shape};
use serde::{Deserialize, Serialize};

use crate::{
    angular::{margin_cosine, normalise_rows, target_products},
    log_sum_exp::cross_entropy,
    non_target::{CLASS_BLOCK, NonTarget, correct},
    numeric::constant,
};

/// Margin softmax against frozen prototypes, with a margin of its own for each sample.
///
/// ```text
/// L_i  = -log softmax_j(s·ψ_ij)[y_i]
/// ψ_ij = c_ij                    j ≠ y_i ,   c_ij = ⟨u_i/‖u_i‖, w_j⟩
/// ψ_iy = cos(θ_iy + m_i)         see angular::margin_cosine
/// ```
///
/// Source: reconstructed, from the paper's abstract and a published commentary: HR and LR share the
/// teacher's class prototypes.
///
/// The classes are walked in blocks outside the autodiff graph (value and gradient at once), so
/// memory does not grow with `batch × classes`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassificationConsistency {
    /// The scale `s` of the cosines, above 0. 64 suits 10⁵ classes; `√2·ln(C−1)` is a lower bound
    /// for C classes.
    pub scale: f64,
}

/// The loss with what a progress report wants to know beside it.
pub(crate) struct Classified {
    /// Per-sample loss.
    pub(crate) loss: Tensor<1>,
    /// 1 where the arg-max cosine is the label.
    pub(crate) correct: Tensor<1>,
}

impl ClassificationConsistency {
    /// The loss of each sample.
    ///
    /// # Shapes
    /// - student: `[batch, dim]`, any norm
    /// - prototypes: `[classes, dim]`, unit norm
    /// - labels: `[batch]`, each in `0..classes` (not checked)
    /// - margins: `[batch]`, radians, in `[0, π/2)`
    /// - output: `[batch]`
    ///
    /// # Gradients
    /// To the student alone.
    ///
    /// # Panics
    /// Where shapes disagree.
    ///
    /// ```
    /// use burn::tensor::{Device, Int, Tensor};
    /// use ccface_losses::ClassificationConsistency;
    /// let device = Device::default();
    /// let prototypes = Tensor::<2>::eye(2, &device);
    /// let student = Tensor::<2>::from_floats([[2.0, 2.0]], &device);
    /// let labels = Tensor::<1, Int>::from_ints([0], &device);
    /// let margins = Tensor::<1>::zeros([1], &device);
    /// let loss = ClassificationConsistency { scale: 30.0 }
    ///     .forward_no_reduction(student, prototypes, labels, margins)
    ///     .into_scalar::<f32>();
    /// assert!((loss - 2f32.ln()).abs() < 1e-5);
    /// ```
    pub fn forward_no_reduction(
        &self,
        student: Tensor<2>,
        prototypes: Tensor<2>,
        labels: Tensor<1, Int>,
        margins: Tensor<1>,
    ) -> Tensor<1> {
        let [batch, dim] = student.dims();
        assert_shape!(prototypes, [_, dim]);
        assert_shape!(labels, [batch]);
        let unit = normalise_rows(student);
        let prototypes = constant(prototypes);
        let target = target_products(unit.clone(), prototypes.clone(), labels.clone());
        self.of_unit_rows(unit, target, prototypes, labels, margins)
            .loss
    }

    /// The mean loss over the batch, shape `[1]`; arguments as [`Self::forward_no_reduction`].
    pub fn forward(
        &self,
        student: Tensor<2>,
        prototypes: Tensor<2>,
        labels: Tensor<1, Int>,
        margins: Tensor<1>,
    ) -> Tensor<1> {
        self.forward_no_reduction(student, prototypes, labels, margins)
            .mean()
    }

    /// The loss of unit rows whose cosine with their own prototype (`target`) is at hand.
    pub(crate) fn of_unit_rows(
        &self,
        unit: Tensor<2>,
        target: Tensor<1>,
        prototypes: Tensor<2>,
        labels: Tensor<1, Int>,
        margins: Tensor<1>,
    ) -> Classified {
        let rest = NonTarget::frozen(unit, prototypes, labels, self.scale, CLASS_BLOCK);
        let correct = correct(target.clone().mul_scalar(self.scale), rest.largest);
        let target_logit = margin_cosine(target, margins).mul_scalar(self.scale);
        Classified {
            loss: cross_entropy(rest.log_sum_exp, target_logit),
            correct,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{assert_close, assert_finite, autodiff, labels, matrix, values};

    const LOSS: ClassificationConsistency = ClassificationConsistency { scale: 30.0 };

    #[test]
    fn without_a_margin_it_is_the_cross_entropy_of_the_scaled_cosines() {
        let device = autodiff();
        let prototypes = normalise_rows(matrix(3, 4, 0.2, &device));
        let student = matrix(2, 4, 0.4, &device);
        let cosines = values(crate::angular::cosine_logits(
            student.clone(),
            prototypes.clone(),
        ));
        let own = [2usize, 0];
        let expected: Vec<f64> = (0..2)
            .map(|row| {
                let row_logits: Vec<f64> = (0..3).map(|j| 30.0 * cosines[row * 3 + j]).collect();
                let sum: f64 = row_logits.iter().map(|x| x.exp()).sum();
                sum.ln() - row_logits[own[row]]
            })
            .collect();
        let loss = LOSS.forward_no_reduction(
            student,
            prototypes,
            labels(&[2, 0]),
            Tensor::zeros([2], &device),
        );
        assert_close(&values(loss), &expected, 1e-4);
    }

    #[test]
    fn a_larger_margin_never_lowers_the_loss() {
        let device = autodiff();
        let prototypes = normalise_rows(matrix(5, 6, 0.2, &device));
        let student = matrix(5, 6, 0.9, &device);
        let mut last = vec![0.0; 5];
        for step in 0..15 {
            let margins = Tensor::full([5], 0.1 * f64::from(step), &device);
            let loss = values(LOSS.forward_no_reduction(
                student.clone(),
                prototypes.clone(),
                labels(&[0, 1, 2, 3, 4]),
                margins,
            ));
            for (now, before) in loss.iter().zip(&last) {
                assert!(now + 1e-4 >= *before, "{now} after {before}");
            }
            last = loss;
        }
    }

    #[test]
    fn prototypes_take_no_gradient() {
        let device = autodiff();
        let prototypes = normalise_rows(matrix(3, 4, 0.2, &device))
            .detach()
            .require_grad();
        let student = matrix(2, 4, 0.4, &device).require_grad();
        let grads = LOSS
            .forward(
                student.clone(),
                prototypes.clone(),
                labels(&[0, 1]),
                Tensor::full([2], 0.5, &device),
            )
            .backward();
        assert!(prototypes.grad(&grads).is_none());
        assert!(student.grad(&grads).is_some());
    }

    #[test]
    fn edges_stay_finite_in_value_and_gradient() {
        let device = autodiff();
        let prototypes = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &device);
        let students = [
            [[1.0, 0.0], [-1.0, 0.0]],
            [[0.0, 0.0], [0.0, 0.0]],
            [[1e-20, 1e-20], [1e30, 1e30]],
            [[3e38, 0.0], [1e-38, 3e38]],
        ];
        for scale in [1.0, 64.0, 1e4] {
            for student in students {
                let student = Tensor::<2>::from_floats(student, &device).require_grad();
                let loss = ClassificationConsistency { scale }.forward_no_reduction(
                    student.clone(),
                    prototypes.clone(),
                    labels(&[0, 0]),
                    Tensor::full([2], 0.5, &device),
                );
                assert_finite("loss", loss.clone());
                let grads = loss.mean().backward();
                assert_finite("gradient", student.grad(&grads).unwrap());
            }
        }
    }

    #[test]
    fn one_class_costs_nothing() {
        let device = autodiff();
        let student = matrix(1, 2, 0.4, &device).require_grad();
        let loss = LOSS.forward(
            student.clone(),
            Tensor::from_floats([[1.0, 0.0]], &device),
            labels(&[0]),
            Tensor::full([1], 0.5, &device),
        );
        assert_eq!(values(loss.clone()), vec![0.0]);
        let grads = loss.backward();
        assert_eq!(values(student.grad(&grads).unwrap()), vec![0.0, 0.0]);
    }
}
