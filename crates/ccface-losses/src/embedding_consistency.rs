//! Part 1: the student's embedding stays close to the teacher's.

use burn::tensor::Tensor;

use crate::{
    angular::{normalise_rows, paired_products},
    numeric::{constant, full_precision},
};

/// One minus the cosine between the student's and the teacher's embedding.
///
/// ```text
/// L_i = 1 − ⟨u_i/‖u_i‖, t_i⟩
/// ```
///
/// Source: reconstructed, from the paper's abstract: the student's embeddings are kept consistent
/// with the teacher's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmbeddingConsistency;

impl EmbeddingConsistency {
    /// The loss of each sample.
    ///
    /// # Shapes
    /// - student: `[batch, dim]`, any norm (where the dimensions differ: projected by the caller)
    /// - teacher: `[batch, dim]`, unit norm
    /// - output: `[batch]`
    ///
    /// # Gradients
    /// To the student alone.
    ///
    /// # Panics
    /// Where shapes disagree.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use ccface_losses::EmbeddingConsistency;
    /// let device = Device::default();
    /// let student = Tensor::<2>::from_floats([[0.0, 5.0]], &device);
    /// let teacher = Tensor::<2>::from_floats([[1.0, 0.0]], &device);
    /// let loss = EmbeddingConsistency.forward_no_reduction(student, teacher);
    /// assert_eq!(loss.into_scalar::<f32>(), 1.0);
    /// ```
    pub fn forward_no_reduction(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        self.of_unit_rows(normalise_rows(student), teacher)
    }

    /// The mean loss over the batch, shape `[1]`.
    pub fn forward(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        self.forward_no_reduction(student, teacher).mean()
    }

    pub(crate) fn of_unit_rows(&self, unit: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        paired_products(unit, full_precision(constant(teacher)))
            .neg()
            .add_scalar(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, autodiff, matrix, values};

    #[test]
    fn it_is_zero_for_the_teacher_itself_and_two_for_its_opposite() {
        let device = autodiff();
        let teacher = normalise_rows(matrix(3, 5, 0.2, &device));
        let same =
            EmbeddingConsistency.forward_no_reduction(teacher.clone() * 7.0, teacher.clone());
        assert_close(&values(same), &[0.0; 3], 1e-6);
        let opposite = EmbeddingConsistency.forward(teacher.clone().neg(), teacher);
        assert_close(&values(opposite), &[2.0], 1e-6);
    }

    #[test]
    fn the_teacher_takes_no_gradient() {
        let device = autodiff();
        let teacher = matrix(3, 5, 0.2, &device).require_grad();
        let student = matrix(3, 5, 0.8, &device).require_grad();
        let grads = EmbeddingConsistency
            .forward(student.clone(), teacher.clone())
            .backward();
        assert!(teacher.grad(&grads).is_none());
        assert!(student.grad(&grads).is_some());
    }
}
