//! Part 1: agreement of the logits, whose gradient is written by hand.

use ccface_losses::LogitConsistency;

use super::{check, matrix, unit};

#[test]
fn to_the_student() {
    for (scale, temperature) in [(1.0, 1.0), (30.0, 1.0), (30.0, 4.0)] {
        check(matrix(4, 6, 0.3), |student| {
            LogitConsistency { scale, temperature }.forward_no_reduction(
                student,
                unit(4, 6, 0.8),
                unit(5, 6, 0.7),
            )
        });
    }
}
