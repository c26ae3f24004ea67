//! The sum of all terms, to the student and to its projection. The margin follows the HR score: a
//! margin that follows the student is a constant of the gradient but not of finite differences.

use burn::tensor::Tensor;
use ccface_losses::{Difficulty, ObjectiveConfig, ObjectiveInput};

use super::{check, labels, matrix, unit};

fn total(student: Tensor<2>, projected: Tensor<2>) -> Tensor<1> {
    let config = ObjectiveConfig {
        difficulty: Difficulty::TeacherHr,
        push: 0.7,
        logit: 0.3,
        normalise_contrast: true,
        ..ObjectiveConfig::ccface()
    };
    let mut input = ObjectiveInput::new(
        student,
        unit(4, 6, 0.9),
        unit(5, 6, 0.7),
        labels(&[0, 4, 2, 2]),
    );
    input.queue = Some((unit(3, 6, 1.4), labels(&[0, 2, 1])));
    input.projected = Some(projected);
    config.init().forward(input).total
}

#[test]
fn to_the_student() {
    check(matrix(4, 6, 0.3), |student| {
        total(student, matrix(4, 6, 1.7))
    });
}

#[test]
fn to_the_projection() {
    check(matrix(4, 6, 1.7), |projected| {
        total(matrix(4, 6, 0.3), projected)
    });
}
