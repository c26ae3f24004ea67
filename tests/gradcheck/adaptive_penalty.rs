//! Part 2: the margins are constants of the gradient, so the loss's gradient under an adaptive
//! margin is that under the same margins given as numbers.

use ccface_losses::{
    AdaptivePenalty, ClassificationConsistency, Difficulty, Scores,
    angular::{normalise_rows, target_products},
};

use super::{from_numbers, labels, matrix, numbers, unit, weigh};

#[test]
fn nothing_passes_through_the_margins() {
    let own = [0, 4, 2, 2];
    let prototypes = unit(5, 6, 0.7);
    for difficulty in Difficulty::ALL {
        let student = matrix(4, 6, 0.3).require_grad();
        let score = |rows| target_products(normalise_rows(rows), prototypes.clone(), labels(&own));
        let margins = AdaptivePenalty::new(difficulty, 0.1, 0.5).margins(Scores {
            student: score(student.clone()),
            teacher_hr: score(matrix(4, 6, 0.9)),
            teacher_lr: Some(score(matrix(4, 6, 1.1))),
        });
        let fixed = from_numbers(numbers(margins.clone()), [4]);
        let gradients = [margins, fixed].map(|margins| {
            let losses = ClassificationConsistency { scale: 32.0 }.forward_no_reduction(
                student.clone(),
                prototypes.clone(),
                labels(&own),
                margins,
            );
            numbers(student.grad(&weigh(losses).backward()).unwrap())
        });
        assert_eq!(gradients[0], gradients[1], "{difficulty:?}");
    }
}
