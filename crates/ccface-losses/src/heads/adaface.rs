//! AdaFace: a margin that follows the feature norm, a sign of image quality.

use burn::tensor::{Int, Tensor, assert_shape};
use serde::{Deserialize, Serialize};

use super::{HeadOutput, margin_softmax};
use crate::{
    angular::{clamp_cosines, sine_of},
    numeric::{constant, full_precision},
    running_statistics::RunningStatistics,
};

/// The published code's ε: keeps the angle within `[ε, π−ε]` and the quotient of the norm finite.
const EPSILON: f64 = 1e-3;
/// The published code's bounds on a feature norm.
const NORM_RANGE: (f64, f64) = (1e-3, 100.0);

/// Margin softmax that emphasises hard samples where the feature norm is high, easy ones where it
/// is low.
///
/// ```text
/// n̂ = clamp( h·(‖u‖ − mean)/(std + ε) , −1, 1 )        mean, std: running, of the feature norm
/// target logit = s·( cos(θ + g_angle) − g_add ) ,   g_angle = −m·n̂ ,   g_add = m + m·n̂
/// ```
///
/// Source: verbatim, Kim et al., AdaFace (CVPR 2022), with the constants of its published code: ε
/// 1e-3, norms clipped to 0.001..100, the running statistics updated before they are used. One
/// difference: cosines are clamped by this crate's ε and on the target alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdaFace {
    /// The scale `s`, above 0. Default and the paper's: 64.
    pub scale: f64,
    /// The margin `m`, in `[0, 1)`. Default and the paper's: 0.4.
    pub margin: f64,
    /// The concentration `h`, above 0: 1/h standard deviations of the norm use the whole margin.
    /// Default and the paper's: 0.333.
    pub concentration: f64,
    /// The weight of the new batch in the running statistics, in `[0, 1]`. Default and that of the
    /// published training command: 0.01.
    pub rate: f64,
}

impl Default for AdaFace {
    fn default() -> Self {
        Self {
            scale: 64.0,
            margin: 0.4,
            concentration: 0.333,
            rate: 0.01,
        }
    }
}

impl AdaFace {
    /// The statistics of the feature norm before the first batch, as in the published code.
    pub const INITIAL_NORMS: RunningStatistics = RunningStatistics {
        mean: 20.0,
        std: 100.0,
    };

    /// The loss of each sample, and the statistics after this batch in
    /// [`HeadOutput::norms`](HeadOutput). Reads the batch's norms back from the device.
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`, prototypes: `[classes, dim]`, any norm
    /// - labels: `[batch]`
    /// - norms: `[batch]`, feature norms, no gradient through them
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
        norms: Tensor<1>,
        statistics: RunningStatistics,
    ) -> HeadOutput {
        let [batch, _] = embeddings.dims();
        assert_shape!(norms, [batch]);
        let norms = full_precision(constant(norms)).clamp(NORM_RANGE.0, NORM_RANGE.1);
        let read: Vec<f64> = norms.clone().into_data().iter::<f64>().collect();
        let statistics = statistics.updated(&read, self.rate);
        let quality = norms
            .sub_scalar(statistics.mean)
            .mul_scalar(self.concentration / (statistics.std + EPSILON))
            .clamp(-1.0, 1.0);
        let angular = quality.clone().mul_scalar(-self.margin);
        let additive = quality.mul_scalar(self.margin).add_scalar(self.margin);
        let mut out = margin_softmax(self.scale, embeddings, prototypes, labels, |cosines| {
            shifted_cosine(clamp_cosines(cosines), angular) - additive
        });
        out.norms = Some(statistics);
        out
    }
}

/// `cos(clamp(θ + g, ε, π − ε))` for a shift `g` of either sign, without an arc cosine.
///
/// # Gradients
/// `sin(θ+g)/sin θ` to the cosine; zero where the angle was clamped.
fn shifted_cosine(cosines: Tensor<1>, shift: Tensor<1>) -> Tensor<1> {
    let fixed = constant(cosines.clone());
    // θ + g > π − ε  ⟺  c < cos(π − ε − g), and θ + g < ε  ⟺  c > cos(ε − g), each while the
    // border lies within [0, π].
    let upper = shift.clone().add_scalar(EPSILON);
    let lower = shift.clone().neg().add_scalar(EPSILON);
    let past_pi = fixed
        .clone()
        .lower(upper.clone().cos().neg())
        .bool_and(upper.greater_elem(0.0));
    let below_zero = fixed
        .greater(lower.clone().cos())
        .bool_and(lower.greater_elem(0.0));
    let moved = cosines.clone() * shift.clone().cos() - sine_of(cosines) * shift.sin();
    moved
        .mask_fill(past_pi, -EPSILON.cos())
        .mask_fill(below_zero, EPSILON.cos())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{assert_close, autodiff, labels, matrix, values};

    #[test]
    fn the_angle_moves_either_way_and_stops_at_the_poles() {
        let device = autodiff();
        let pi = std::f64::consts::PI;
        for shift in [-0.4, -0.05, 0.0, 0.05, 0.4] {
            for step in 1..100 {
                let theta = pi * f64::from(step) / 100.0;
                let expected = (theta + shift).clamp(EPSILON, pi - EPSILON).cos();
                let out = shifted_cosine(
                    Tensor::from_floats([theta.cos() as f32], &device),
                    Tensor::from_floats([shift as f32], &device),
                );
                assert_close(&values(out), &[expected], 1e-5);
            }
        }
    }

    #[test]
    fn the_state_goes_in_and_comes_out_changed() {
        let device = autodiff();
        let head = AdaFace {
            rate: 0.5,
            ..AdaFace::default()
        };
        let out = head.forward_no_reduction(
            matrix(2, 4, 0.3, &device),
            matrix(5, 4, 0.8, &device),
            labels(&[0, 4]),
            Tensor::from_floats([10.0, 20.0], &device),
            AdaFace::INITIAL_NORMS,
        );
        let state = out.norms.unwrap();
        assert!((state.mean - 17.5).abs() < 1e-9);
        assert!((state.std - 0.5 * (50f64.sqrt() + 100.0)).abs() < 1e-9);
    }

    #[test]
    fn a_high_norm_makes_the_additive_margin_large_and_a_low_one_the_angular() {
        let device = autodiff();
        let head = AdaFace {
            scale: 1.0,
            rate: 0.0,
            ..AdaFace::default()
        };
        let state = RunningStatistics {
            mean: 20.0,
            std: 1.0,
        };
        let loss = |norm: f32| {
            let out = head.forward_no_reduction(
                Tensor::from_floats([[1.0, 1.0]], &device),
                Tensor::eye(2, &device),
                labels(&[0]),
                Tensor::from_floats([norm], &device),
                state,
            );
            values(out.loss)[0]
        };
        let theta = std::f64::consts::FRAC_PI_4;
        let other = theta.cos();
        let expected = |target: f64| (other - target).exp().ln_1p();
        // n̂ = 1: θ − m, minus 2m; n̂ = −1: θ + m, minus 0.
        assert_close(&[loss(100.0)], &[expected((theta - 0.4).cos() - 0.8)], 1e-5);
        assert_close(&[loss(0.1)], &[expected((theta + 0.4).cos())], 1e-5);
    }
}
