//! Part 3: the LR–LR push, through both embeddings of a pair.

use ccface_losses::Push;

use super::{check, labels, matrix};

#[test]
fn to_the_student() {
    for temperature in [0.1, 0.5] {
        check(matrix(4, 5, 0.3), |student| {
            Push { temperature }.forward_no_reduction(student, labels(&[0, 1, 1, 2]))
        });
    }
}
