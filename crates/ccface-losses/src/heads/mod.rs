//! Margin softmax heads with trainable prototypes, for teachers and controls.

mod adaface;
mod arcface;
mod cosface;

use burn::tensor::{Int, Tensor, assert_shape};
use serde::{Deserialize, Serialize};

pub use adaface::AdaFace;
pub use arcface::ArcFace;
pub use cosface::CosFace;

use crate::{
    angular::{normalise_rows, target_products},
    log_sum_exp::cross_entropy,
    non_target::{NonTarget, correct},
    numeric::constant,
    running_statistics::RunningStatistics,
};

/// A head by name: `kind = "arcface" | "cosface" | "adaface"` with that head's settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum MarginHead {
    /// An additive angular margin.
    ArcFace(ArcFace),
    /// An additive cosine margin.
    CosFace(CosFace),
    /// A margin from the feature norm.
    AdaFace(AdaFace),
}

/// What a head computes.
#[derive(Clone, Debug)]
pub struct HeadOutput {
    /// The loss of each sample, `[batch]`.
    pub loss: Tensor<1>,
    /// The cosine of each sample with its own prototype, `[batch]`, without a gradient.
    pub target_cosine: Tensor<1>,
    /// 1 where the arg-max cosine is the label, else 0, `[batch]`.
    pub correct: Tensor<1>,
    /// AdaFace's statistics of the feature norm after this batch; `None` for the other heads.
    pub norms: Option<RunningStatistics>,
}

impl Default for MarginHead {
    fn default() -> Self {
        Self::ArcFace(ArcFace::default())
    }
}

impl MarginHead {
    /// The name in configurations and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ArcFace(_) => "arcface",
            Self::CosFace(_) => "cosface",
            Self::AdaFace(_) => "adaface",
        }
    }

    /// The scale of the cosines.
    pub fn scale(&self) -> f64 {
        match self {
            Self::ArcFace(head) => head.scale,
            Self::CosFace(head) => head.scale,
            Self::AdaFace(head) => head.scale,
        }
    }

    /// The same head with its margin multiplied by `share`, for a warm-up of the margin.
    ///
    /// ```
    /// use ccface_losses::{ArcFace, MarginHead};
    /// let head = MarginHead::ArcFace(ArcFace { scale: 64.0, margin: 0.5 }).with_margin_share(0.5);
    /// assert_eq!(head, MarginHead::ArcFace(ArcFace { scale: 64.0, margin: 0.25 }));
    /// ```
    #[must_use]
    pub fn with_margin_share(mut self, share: f64) -> Self {
        match &mut self {
            Self::ArcFace(head) => head.margin *= share,
            Self::CosFace(head) => head.margin *= share,
            Self::AdaFace(head) => head.margin *= share,
        }
        self
    }

    /// The loss of each sample.
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`, any norm
    /// - prototypes: `[classes, dim]`, any norm
    /// - labels: `[batch]`, each in `0..classes` (not checked)
    /// - norms: AdaFace's statistics before this batch (`None`: its initial ones)
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
        norms: Option<RunningStatistics>,
    ) -> HeadOutput {
        match self {
            Self::ArcFace(head) => head.forward_no_reduction(embeddings, prototypes, labels),
            Self::CosFace(head) => head.forward_no_reduction(embeddings, prototypes, labels),
            Self::AdaFace(head) => {
                let feature_norms = crate::angular::row_norms(embeddings.clone());
                let norms = norms.unwrap_or(AdaFace::INITIAL_NORMS);
                head.forward_no_reduction(embeddings, prototypes, labels, feature_norms, norms)
            }
        }
    }

    /// Checks the settings; all mistakes at once.
    ///
    /// # Errors
    /// One sentence for each setting out of range.
    pub fn validate(&self) -> Result<(), Vec<String>> {
        let (scale, margin, limit) = match self {
            Self::ArcFace(head) => (head.scale, head.margin, std::f64::consts::FRAC_PI_2),
            Self::CosFace(head) => (head.scale, head.margin, 1.0),
            Self::AdaFace(head) => (head.scale, head.margin, 1.0),
        };
        let mut mistakes = Vec::new();
        if !(scale.is_finite() && scale > 0.0) {
            mistakes.push(format!("scale is {scale}, but must be above 0"));
        }
        if !(0.0..limit).contains(&margin) {
            mistakes.push(format!(
                "margin is {margin}, but must be at least 0 and below {limit:.4}"
            ));
        }
        if let Self::AdaFace(head) = self {
            if !(head.concentration.is_finite() && head.concentration > 0.0) {
                mistakes.push(format!(
                    "concentration is {}, but must be above 0",
                    head.concentration
                ));
            }
            if !(0.0..=1.0).contains(&head.rate) {
                mistakes.push(format!("rate is {}, but must lie in 0..1", head.rate));
            }
        }
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(mistakes)
        }
    }
}

/// Margin softmax with trainable prototypes, where `margin` maps the target cosine to its
/// penalised value.
fn margin_softmax(
    scale: f64,
    embeddings: Tensor<2>,
    prototypes: Tensor<2>,
    labels: Tensor<1, Int>,
    margin: impl FnOnce(Tensor<1>) -> Tensor<1>,
) -> HeadOutput {
    let [batch, dim] = embeddings.dims();
    assert_shape!(prototypes, [_, dim]);
    assert_shape!(labels, [batch]);
    let unit = normalise_rows(embeddings);
    let prototypes = normalise_rows(prototypes);
    let target = target_products(unit.clone(), prototypes.clone(), labels.clone());
    let rest = NonTarget::trainable(unit, prototypes, labels, scale);
    let target_cosine = constant(target.clone());
    HeadOutput {
        loss: cross_entropy(rest.log_sum_exp, margin(target).mul_scalar(scale)),
        correct: correct(target_cosine.clone().mul_scalar(scale), rest.largest),
        target_cosine,
        norms: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{assert_close, assert_finite, autodiff, labels, matrix, values};

    fn heads() -> [MarginHead; 3] {
        [
            MarginHead::ArcFace(ArcFace::default()),
            MarginHead::CosFace(CosFace::default()),
            MarginHead::AdaFace(AdaFace::default()),
        ]
    }

    #[test]
    fn gradients_reach_embeddings_and_prototypes() {
        let device = autodiff();
        for head in heads() {
            let embeddings = matrix(3, 4, 0.3, &device).require_grad();
            let prototypes = matrix(5, 4, 0.8, &device).require_grad();
            let out = head.forward_no_reduction(
                embeddings.clone(),
                prototypes.clone(),
                labels(&[0, 4, 2]),
                None,
            );
            let grads = out.loss.mean().backward();
            for gradient in [embeddings.grad(&grads), prototypes.grad(&grads)] {
                let gradient = values(gradient.unwrap());
                assert!(gradient.iter().all(|g| g.is_finite()));
                assert!(gradient.iter().any(|g| *g != 0.0), "{}", head.name());
            }
        }
    }

    #[test]
    fn without_margins_all_heads_agree() {
        let device = autodiff();
        let losses: Vec<Vec<f64>> = heads()
            .into_iter()
            .map(|head| {
                values(
                    head.with_margin_share(0.0)
                        .forward_no_reduction(
                            matrix(3, 4, 0.3, &device),
                            matrix(5, 4, 0.8, &device),
                            labels(&[0, 4, 2]),
                            None,
                        )
                        .loss,
                )
            })
            .collect();
        assert_close(&losses[1], &losses[0], 1e-4);
        assert_close(&losses[2], &losses[0], 1e-4);
    }

    #[test]
    fn edges_stay_finite() {
        let device = autodiff();
        for head in heads() {
            for rows in [
                [[1.0, 0.0], [-1.0, 0.0]],
                [[0.0, 0.0], [0.0, 0.0]],
                [[3e38, 1.0], [1e-30, 0.0]],
            ] {
                let embeddings = Tensor::<2>::from_floats(rows, &device).require_grad();
                let prototypes =
                    Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 0.0]], &device).require_grad();
                let out = head.forward_no_reduction(
                    embeddings.clone(),
                    prototypes.clone(),
                    labels(&[0, 0]),
                    None,
                );
                assert_finite("loss", out.loss.clone());
                let grads = out.loss.mean().backward();
                assert_finite("gradient", embeddings.grad(&grads).unwrap());
                assert_finite("gradient", prototypes.grad(&grads).unwrap());
            }
            let single = head.forward_no_reduction(
                matrix(1, 2, 0.1, &device),
                matrix(1, 2, 0.1, &device),
                labels(&[0]),
                None,
            );
            assert_eq!(values(single.loss), vec![0.0]);
        }
    }

    #[test]
    fn all_mistakes_of_a_head_are_named() {
        let bad = MarginHead::AdaFace(AdaFace {
            scale: 0.0,
            margin: -1.0,
            concentration: f64::NAN,
            rate: 2.0,
        });
        assert_eq!(bad.validate().unwrap_err().len(), 4);
        for head in heads() {
            assert!(head.validate().is_ok());
        }
    }
}
