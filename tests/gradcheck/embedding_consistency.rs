//! Part 1: agreement of the embeddings.

use ccface_losses::EmbeddingConsistency;

use super::{check, matrix, unit};

#[test]
fn to_the_student() {
    check(matrix(4, 5, 0.3), |student| {
        EmbeddingConsistency.forward_no_reduction(student, unit(4, 5, 0.8))
    });
}
