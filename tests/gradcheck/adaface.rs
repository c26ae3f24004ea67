//! AdaFace: a margin from the feature norm, through which no gradient passes.

use burn::tensor::Tensor;
use ccface_losses::{AdaFace, RunningStatistics};

use super::{check, from_numbers, labels, matrix};

fn losses(embeddings: Tensor<2>, prototypes: Tensor<2>) -> Tensor<1> {
    let head = AdaFace {
        scale: 16.0,
        margin: 0.3,
        rate: 0.0,
        ..AdaFace::default()
    };
    let statistics = RunningStatistics {
        mean: 20.0,
        std: 5.0,
    };
    // Norms on both sides of the mean, the last beyond the clamp.
    let norms = from_numbers(vec![12.0, 19.0, 26.0, 90.0], [4]);
    head.forward_no_reduction(
        embeddings,
        prototypes,
        labels(&[0, 4, 2, 2]),
        norms,
        statistics,
    )
    .loss
}

#[test]
fn to_the_embeddings() {
    check(matrix(4, 6, 0.3), |embeddings| {
        losses(embeddings, matrix(5, 6, 0.7))
    });
}

#[test]
fn to_the_prototypes() {
    check(matrix(5, 6, 0.7), |prototypes| {
        losses(matrix(4, 6, 0.3), prototypes)
    });
}
