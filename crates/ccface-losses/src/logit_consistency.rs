//! Part 1: the student's logits stay close to the teacher's.

use burn::tensor::{Tensor, activation::log_softmax, assert_shape};
use serde::{Deserialize, Serialize};

use crate::{
    angular::normalise_rows,
    numeric::{constant, full_precision, with_gradient},
};

/// Divergence of the student's class distribution from the teacher's, softened by a temperature.
///
/// ```text
/// L_i = T²·KL( softmax(s/T·W t_i) ‖ softmax(s/T·W z_i) ) ,   z_i = u_i/‖u_i‖
/// ∂L_i/∂z_i = T·s·Wᵀ( softmax(s/T·W z_i) − softmax(s/T·W t_i) )
/// ```
///
/// At T = 1 and a large scale the teacher's distribution is one-hot and this is plain
/// cross-entropy: use T ≥ 4.
///
/// Source: reconstructed, from the paper's abstract (the student's logits are kept consistent with
/// the teacher's), in the form of knowledge distillation with a temperature.
///
/// Two `[batch, classes]` matrices are held at a time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogitConsistency {
    /// The scale `s` of the cosines, above 0.
    pub scale: f64,
    /// The temperature `T`, above 0; 4 is common.
    pub temperature: f64,
}

impl LogitConsistency {
    /// The loss of each sample.
    ///
    /// # Shapes
    /// - student: `[batch, dim]`, any norm
    /// - teacher: `[batch, dim]`, unit norm
    /// - prototypes: `[classes, dim]`, unit norm
    /// - output: `[batch]`
    ///
    /// # Gradients
    /// To the student alone.
    ///
    /// # Panics
    /// Where shapes disagree.
    pub fn forward_no_reduction(
        &self,
        student: Tensor<2>,
        teacher: Tensor<2>,
        prototypes: Tensor<2>,
    ) -> Tensor<1> {
        self.of_unit_rows(normalise_rows(student), teacher, prototypes)
    }

    /// The mean loss over the batch, shape `[1]`.
    pub fn forward(
        &self,
        student: Tensor<2>,
        teacher: Tensor<2>,
        prototypes: Tensor<2>,
    ) -> Tensor<1> {
        self.forward_no_reduction(student, teacher, prototypes)
            .mean()
    }

    pub(crate) fn of_unit_rows(
        &self,
        unit: Tensor<2>,
        teacher: Tensor<2>,
        prototypes: Tensor<2>,
    ) -> Tensor<1> {
        let [batch, dim] = unit.dims();
        assert_shape!(teacher, [batch, dim]);
        assert_shape!(prototypes, [_, dim]);
        let teacher = full_precision(constant(teacher));
        let prototypes = full_precision(constant(prototypes));
        let log_probabilities = |rows: Tensor<2>| {
            let logits = rows
                .mul_scalar(self.scale / self.temperature)
                .matmul(prototypes.clone().transpose());
            log_softmax(logits, 1)
        };
        let wanted_log = log_probabilities(teacher);
        let wanted = wanted_log.clone().exp();
        let given_log = log_probabilities(constant(unit.clone()));
        let divergence: Tensor<1> = (wanted.clone() * (wanted_log - given_log.clone()))
            .sum_dim(1)
            .squeeze_dim(1);
        let value = divergence.mul_scalar(self.temperature * self.temperature);
        let slope = (given_log.exp() - wanted)
            .matmul(prototypes.clone())
            .mul_scalar(self.temperature * self.scale);
        with_gradient(value, unit, slope)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{assert_close, assert_finite, autodiff, matrix, values};

    #[test]
    fn it_is_zero_for_the_teacher_itself_and_positive_elsewhere() {
        let device = autodiff();
        let prototypes = normalise_rows(matrix(5, 6, 0.1, &device));
        let teacher = normalise_rows(matrix(3, 6, 0.2, &device));
        let loss = LogitConsistency {
            scale: 30.0,
            temperature: 4.0,
        };
        let same = loss.forward_no_reduction(teacher.clone(), teacher.clone(), prototypes.clone());
        assert_close(&values(same), &[0.0; 3], 1e-4);
        let other = loss.forward_no_reduction(matrix(3, 6, 0.7, &device), teacher, prototypes);
        assert!(values(other).iter().all(|l| *l > 1e-3));
    }

    #[test]
    fn sharp_distributions_stay_finite() {
        let device = autodiff();
        let prototypes = Tensor::<2>::eye(3, &device);
        let teacher = Tensor::<2>::from_floats([[1.0, 0.0, 0.0]], &device).require_grad();
        let student = Tensor::<2>::from_floats([[0.0, -1.0, 0.0]], &device).require_grad();
        let loss = LogitConsistency {
            scale: 1000.0,
            temperature: 1.0,
        }
        .forward(student.clone(), teacher.clone(), prototypes);
        assert_finite("loss", loss.clone());
        let grads = loss.backward();
        assert_finite("gradient", student.grad(&grads).unwrap());
        assert!(teacher.grad(&grads).is_none());
    }
}
