//! CosFace: an additive cosine margin.

use ccface_losses::CosFace;

use super::{check, labels, matrix};

const HEAD: CosFace = CosFace {
    scale: 16.0,
    margin: 0.3,
};

#[test]
fn to_the_embeddings() {
    check(matrix(4, 6, 0.3), |embeddings| {
        HEAD.forward_no_reduction(embeddings, matrix(5, 6, 0.7), labels(&[0, 4, 2, 2]))
            .loss
    });
}

#[test]
fn to_the_prototypes() {
    check(matrix(5, 6, 0.7), |prototypes| {
        HEAD.forward_no_reduction(matrix(4, 6, 0.3), prototypes, labels(&[0, 4, 2, 2]))
            .loss
    });
}
