//! ArcFace: an additive angular margin.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{HeadOutput, margin_softmax};
use crate::angular::margin_cosine;

/// Margin softmax whose target angle grows by a constant.
///
/// ```text
/// target logit = s·cos(θ + m) ,   s·(cos θ − m·sin m) past θ + m = π
/// ```
///
/// Source: verbatim, Deng et al., ArcFace (CVPR 2019), with the fallback of its published code.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArcFace {
    /// The scale `s`, above 0. Default and the paper's: 64, for 10⁵ classes.
    pub scale: f64,
    /// The margin `m`, radians, in `[0, π/2)`. Default and the paper's: 0.5.
    pub margin: f64,
}

impl Default for ArcFace {
    fn default() -> Self {
        Self {
            scale: 64.0,
            margin: 0.5,
        }
    }
}

impl ArcFace {
    /// The loss of each sample.
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`, prototypes: `[classes, dim]`, any norm
    /// - labels: `[batch]`
    ///
    /// # Gradients
    /// To embeddings and prototypes.
    ///
    /// # Panics
    /// Where shapes disagree.
    pub fn forward_no_reduction(
        &self,
        embeddings: Tensor<2>,
        prototypes: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> HeadOutput {
        margin_softmax(self.scale, embeddings, prototypes, labels, |cosines| {
            let margins = cosines.clone().without_autodiff().full_like(self.margin);
            margin_cosine(cosines, margins)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ClassificationConsistency,
        angular::normalise_rows,
        testing::{assert_close, autodiff, labels, matrix, values},
    };

    #[test]
    fn on_unit_prototypes_it_equals_the_frozen_classifier() {
        let device = autodiff();
        let prototypes = normalise_rows(matrix(5, 4, 0.8, &device));
        let head = ArcFace::default().forward_no_reduction(
            matrix(3, 4, 0.3, &device),
            prototypes.clone() * 3.0,
            labels(&[0, 4, 2]),
        );
        let frozen = ClassificationConsistency { scale: 64.0 }.forward_no_reduction(
            matrix(3, 4, 0.3, &device),
            prototypes,
            labels(&[0, 4, 2]),
            Tensor::full([3], 0.5, &device),
        );
        assert_close(&values(head.loss), &values(frozen), 1e-4);
    }
}
