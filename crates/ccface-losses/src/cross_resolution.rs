//! Part 3: asymmetric contrast between the LR view of a face and HR keys.

use burn::tensor::{Bool, Int, Tensor, assert_shape};
use serde::{Deserialize, Serialize};

use crate::{
    angular::{normalise_rows, paired_products},
    log_sum_exp::{MASKED, cross_entropy, log_sum_exp, masked_log_sum_exp},
    numeric::{constant, full_precision},
    push::{push_log_sum_exp, same_label},
};

/// Contrast of LR queries with gradient-free HR keys, and of LR queries with each other.
///
/// ```text
/// L_i = −log e^{⟨z_i,k_i⟩/τ} / ( e^{⟨z_i,k_i⟩/τ} + Σ_{q∈Q, y_q≠y_i} e^{⟨z_i,q⟩/τ} + Σ_{y_j≠y_i} e^{⟨z_i,z_j⟩/τ} )
/// ```
///
/// `k_i` is the HR view of the same image through a gradient-free encoder; `Q` is the batch's other
/// keys (`batch_keys`) and a queue of past keys (`queue`); the last sum is the LR–LR push (`push`).
/// Entries of the query's own class are left out. Without any negative the loss is zero.
///
/// Source: reconstructed, from the paper's abstract (an asymmetric cross-resolution contrastive
/// term in the manner of recent semi-supervised representation learning), in the form of MoCo's
/// InfoNCE with the strongly degraded view as the query.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrossResolution {
    /// The temperature τ, above 0. MoCo: 0.07 (v1), 0.2 (v2).
    pub temperature: f64,
    /// Whether the batch's other keys are negatives.
    pub batch_keys: bool,
    /// Whether the batch's other queries are negatives, gradient through both.
    pub push: bool,
    /// Whether each loss is divided by `ln(1 + number of its negatives)`, which makes weights
    /// comparable between batch and queue sizes.
    pub normalise: bool,
}

/// What [`CrossResolution`] computes.
#[derive(Clone, Debug)]
pub struct CrossResolutionOutput {
    /// The loss of each sample, `[batch]`.
    pub loss: Tensor<1>,
    /// The share of each sample's denominator that is LR–LR push, `[batch]`, in `[0, 1]`, without a
    /// gradient; `None` where the push is off.
    pub push_share: Option<Tensor<1>>,
}

impl CrossResolution {
    /// The loss of each sample.
    ///
    /// # Shapes
    /// - student: `[batch, dim]`, any norm
    /// - keys: `[batch, dim]`, unit norm
    /// - labels: `[batch]`
    /// - queue: keys `[length, dim]`, unit norm, and their labels `[length]`
    ///
    /// # Gradients
    /// To the student alone.
    ///
    /// # Panics
    /// Where shapes disagree.
    pub fn forward_no_reduction(
        &self,
        student: Tensor<2>,
        keys: Tensor<2>,
        labels: Tensor<1, Int>,
        queue: Option<(Tensor<2>, Tensor<1, Int>)>,
    ) -> CrossResolutionOutput {
        self.of_unit_rows(normalise_rows(student), keys, labels, queue)
    }

    /// The mean loss over the batch, shape `[1]`; arguments as [`Self::forward_no_reduction`].
    pub fn forward(
        &self,
        student: Tensor<2>,
        keys: Tensor<2>,
        labels: Tensor<1, Int>,
        queue: Option<(Tensor<2>, Tensor<1, Int>)>,
    ) -> Tensor<1> {
        self.forward_no_reduction(student, keys, labels, queue)
            .loss
            .mean()
    }

    pub(crate) fn of_unit_rows(
        &self,
        unit: Tensor<2>,
        keys: Tensor<2>,
        labels: Tensor<1, Int>,
        queue: Option<(Tensor<2>, Tensor<1, Int>)>,
    ) -> CrossResolutionOutput {
        let [batch, dim] = unit.dims();
        assert_shape!(keys, [batch, dim]);
        assert_shape!(labels, [batch]);
        let keys = full_precision(constant(keys));
        let positive = paired_products(unit.clone(), keys.clone()).div_scalar(self.temperature);

        let mut negatives = Negatives::default();
        let same = same_label(labels.clone(), labels.clone());
        if self.batch_keys {
            negatives.add(self.against(unit.clone(), keys, same.clone()), same.clone());
        }
        if let Some((queue_keys, queue_labels)) = queue {
            let [length, _] = queue_keys.dims();
            assert_shape!(queue_keys, [_, dim]);
            assert_shape!(queue_labels, [length]);
            if length > 0 {
                let same = same_label(labels, queue_labels);
                let queue_keys = full_precision(constant(queue_keys));
                negatives.add(self.against(unit.clone(), queue_keys, same.clone()), same);
            }
        }
        let mut push = None;
        if self.push {
            let sum = push_log_sum_exp(unit, same.clone(), self.temperature);
            negatives.add(sum.clone(), same);
            push = Some(constant(sum));
        }

        let rest = negatives.log_sum_exp(&positive);
        let loss = cross_entropy(rest, positive.clone());
        // loss = log(denominator) − positive
        let log_denominator = constant(loss.clone()) + constant(positive);
        let push_share = push.map(|sum| (sum - log_denominator).exp());
        let loss = if self.normalise {
            negatives.normalised(loss)
        } else {
            loss
        };
        CrossResolutionOutput { loss, push_share }
    }

    fn against(&self, unit: Tensor<2>, keys: Tensor<2>, same: Tensor<2, Bool>) -> Tensor<1> {
        let logits = unit.div_scalar(self.temperature).matmul(keys.transpose());
        masked_log_sum_exp(logits, same)
    }
}

/// The log-sum-exp of each source of negatives, with the mask of the entries it leaves out.
#[derive(Default)]
struct Negatives {
    sums: Vec<Tensor<1>>,
    excluded: Vec<Tensor<2, Bool>>,
}

impl Negatives {
    fn add(&mut self, sum: Tensor<1>, excluded: Tensor<2, Bool>) {
        self.sums.push(sum);
        self.excluded.push(excluded);
    }

    /// `log Σ` over all sources; about [`MASKED`] without any negative.
    fn log_sum_exp(&self, like: &Tensor<1>) -> Tensor<1> {
        match self.sums.as_slice() {
            [] => constant(like.clone()).full_like(MASKED),
            [single] => single.clone(),
            several => log_sum_exp(Tensor::stack(several.to_vec(), 1)),
        }
    }

    /// The loss over `ln(1 + number of negatives)`; where there are none the loss is zero anyway.
    fn normalised(&self, loss: Tensor<1>) -> Tensor<1> {
        let counts = self.excluded.iter().map(|excluded| {
            excluded
                .clone()
                .bool_not()
                .int()
                .sum_dim(1)
                .squeeze_dim::<1>(1)
        });
        let Some(count) = counts.reduce(|a, b| a + b) else {
            return loss;
        };
        let none = count.clone().equal_elem(0);
        let divisor = count
            .float()
            .cast(loss.dtype())
            .log1p()
            .mask_fill(none, 1.0);
        loss / divisor
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{assert_close, assert_finite, autodiff, labels, matrix, values};

    const ALL: CrossResolution = CrossResolution {
        temperature: 0.1,
        batch_keys: true,
        push: true,
        normalise: false,
    };

    #[test]
    fn equal_logits_give_the_log_of_their_number() {
        // All embeddings and keys agree: 1 positive, 2 keys, 2 queries, 3 queue entries.
        let device = autodiff();
        let rows = Tensor::<2>::ones([3, 4], &device) * 0.5;
        let queue = (
            Tensor::<2>::ones([4, 4], &device) * 0.5,
            labels(&[7, 8, 9, 0]),
        );
        let loss = ALL.forward_no_reduction(
            rows.clone(),
            rows.clone(),
            labels(&[0, 1, 2]),
            Some(queue.clone()),
        );
        let expected = [8f64.ln(), 9f64.ln(), 9f64.ln()];
        assert_close(&values(loss.loss), &expected, 1e-5);
        assert_close(
            &values(loss.push_share.unwrap()),
            &[2.0 / 8.0, 2.0 / 9.0, 2.0 / 9.0],
            1e-5,
        );
        let normalised = CrossResolution {
            normalise: true,
            ..ALL
        }
        .forward_no_reduction(rows.clone(), rows, labels(&[0, 1, 2]), Some(queue));
        assert_close(&values(normalised.loss), &[1.0; 3], 1e-5);
    }

    #[test]
    fn without_negatives_there_is_no_loss() {
        let device = autodiff();
        let off = CrossResolution {
            batch_keys: false,
            push: false,
            normalise: true,
            ..ALL
        };
        for (loss, own) in [(off, [0, 1]), (ALL, [3, 3])] {
            let student = matrix(2, 4, 0.3, &device).require_grad();
            let keys = normalise_rows(matrix(2, 4, 0.6, &device));
            let out = loss.forward(student.clone(), keys, labels(&own), None);
            assert_eq!(values(out.clone()), vec![0.0]);
            let grads = out.backward();
            assert_eq!(values(student.grad(&grads).unwrap()), vec![0.0; 8]);
        }
    }

    #[test]
    fn keys_and_queue_take_no_gradient() {
        let device = autodiff();
        let student = matrix(3, 4, 0.3, &device).require_grad();
        let keys = matrix(3, 4, 0.6, &device).require_grad();
        let queue = matrix(5, 4, 0.9, &device).require_grad();
        let grads = ALL
            .forward(
                student.clone(),
                keys.clone(),
                labels(&[0, 1, 2]),
                Some((queue.clone(), labels(&[0, 1, 2, 3, 4]))),
            )
            .backward();
        assert!(keys.grad(&grads).is_none());
        assert!(queue.grad(&grads).is_none());
        assert!(student.grad(&grads).is_some());
    }

    #[test]
    fn edges_stay_finite() {
        let device = autodiff();
        let keys = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &device);
        for rows in [
            [[1.0, 0.0], [-1.0, 0.0]],
            [[0.0, 0.0], [0.0, 0.0]],
            [[3e38, 0.0], [1e-38, 1e-38]],
        ] {
            let student = Tensor::<2>::from_floats(rows, &device).require_grad();
            let sharp = CrossResolution {
                temperature: 1e-3,
                ..ALL
            };
            let out = sharp.forward(student.clone(), keys.clone(), labels(&[0, 1]), None);
            assert_finite("loss", out.clone());
            let grads = out.backward();
            assert_finite("gradient", student.grad(&grads).unwrap());
        }
    }
}
