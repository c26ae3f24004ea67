//! CosFace: an additive cosine margin.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{HeadOutput, margin_softmax};

/// Margin softmax whose target cosine falls by a constant.
///
/// ```text
/// target logit = s·(cos θ − m)
/// ```
///
/// Source: verbatim, Wang et al., CosFace (CVPR 2018).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CosFace {
    /// The scale `s`, above 0. Default and the paper's: 64.
    pub scale: f64,
    /// The margin `m`, a cosine, in `[0, 1)`. Default and the paper's: 0.35.
    pub margin: f64,
}

impl Default for CosFace {
    fn default() -> Self {
        Self {
            scale: 64.0,
            margin: 0.35,
        }
    }
}

impl CosFace {
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
            cosines.sub_scalar(self.margin)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, autodiff, labels, values};

    #[test]
    fn two_orthogonal_classes_give_the_formula() {
        let device = autodiff();
        let head = CosFace {
            scale: 2.0,
            margin: 0.25,
        };
        let out = head.forward_no_reduction(
            Tensor::from_floats([[5.0, 0.0]], &device),
            Tensor::eye(2, &device),
            labels(&[0]),
        );
        // other logit 0, target logit 2·(1 − 0.25)
        assert_close(&values(out.loss), &[(-1.5f64).exp().ln_1p()], 1e-5);
    }
}
