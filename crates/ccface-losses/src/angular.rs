//! Cosines and angles that stay finite: row normalisation, cosine logits, the angular margin.

use burn::tensor::{DType, Int, Tensor, assert_shape};

use crate::numeric::{constant, full_precision};

/// How far f32 cosines are kept from ±1.
///
/// Rounding gives an f32 cosine an error of about 6e-8, and the factor `sin(θ+m)/sin θ` of the
/// margin's gradient is at most `1/√(2ε)`, 707 here: this ε is the cap on that factor.
pub const COSINE_EPSILON_F32: f64 = 1e-6;

/// How far f64 cosines are kept from ±1; the cap on the margin's gradient factor is 2,236.
pub const COSINE_EPSILON_F64: f64 = 1e-7;

/// Rows whose largest magnitude lies below this count as zero.
pub const ROW_FLOOR: f64 = 1e-12;

/// The distance from ±1 at which cosines of this float type are clamped.
///
/// ```
/// use burn::tensor::DType;
/// use ccface_losses::angular::{COSINE_EPSILON_F64, cosine_epsilon};
/// assert_eq!(cosine_epsilon(DType::F64), COSINE_EPSILON_F64);
/// ```
pub fn cosine_epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => COSINE_EPSILON_F64,
        _ => COSINE_EPSILON_F32,
    }
}

/// Divides each row by its Euclidean norm.
///
/// ```text
/// z_i = u_i / ‖u_i‖      and z_i = 0 where max_j |u_ij| < ROW_FLOOR
/// ```
///
/// Rows are divided by their largest magnitude before they are squared, so that values up to the
/// type's maximum neither overflow nor vanish.
///
/// # Shapes
/// - rows: `[batch, dim]`
/// - output: `[batch, dim]`, f32 or f64
///
/// # Gradients
/// `(I − z zᵀ)/‖u‖`; zero for a row that counts as zero.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ccface_losses::angular::normalise_rows;
/// let rows = Tensor::<2>::from_floats([[3.0, 4.0], [0.0, 0.0]], &Device::default());
/// let unit: Vec<f32> = normalise_rows(rows).into_data().iter::<f32>().collect();
/// assert_eq!(unit, [0.6, 0.8, 0.0, 0.0]);
/// ```
pub fn normalise_rows(rows: Tensor<2>) -> Tensor<2> {
    let rows = full_precision(rows);
    let largest = constant(rows.clone()).abs().max_dim(1);
    let vanishing = largest.clone().lower_elem(ROW_FLOOR);
    let kept = largest.ones_like().mask_fill(vanishing.clone(), 0.0);
    // The result does not depend on this divisor, so it may be a constant.
    let scaled = rows / largest.mask_fill(vanishing.clone(), 1.0);
    let square = (scaled.clone() * scaled.clone())
        .sum_dim(1)
        .mask_fill(vanishing, 1.0);
    scaled * (kept / square.sqrt())
}

/// The Euclidean norm of each row, without a gradient and without overflow.
///
/// # Shapes
/// - rows: `[batch, dim]`
/// - output: `[batch]`
pub fn row_norms(rows: Tensor<2>) -> Tensor<1> {
    let rows = full_precision(constant(rows));
    let largest = rows.clone().abs().max_dim(1);
    let vanishing = largest.clone().lower_elem(ROW_FLOOR);
    let divisor = largest.mask_fill(vanishing, 1.0);
    let scaled = rows / divisor.clone();
    let square = (scaled.clone() * scaled).sum_dim(1);
    (square.sqrt() * divisor).squeeze_dim(1)
}

/// The cosine of every embedding with every prototype.
///
/// ```text
/// c_ij = ⟨u_i / ‖u_i‖, w_j⟩
/// ```
///
/// # Shapes
/// - embeddings: `[batch, dim]`, any norm
/// - prototypes: `[classes, dim]`, unit norm (not normalised again: that would copy the matrix)
/// - output: `[batch, classes]`
///
/// # Gradients
/// To both arguments, as far as they carry one.
///
/// # Panics
/// Where the two dimensions differ.
pub fn cosine_logits(embeddings: Tensor<2>, prototypes: Tensor<2>) -> Tensor<2> {
    let [_, dim] = embeddings.dims();
    assert_shape!(prototypes, [_, dim]);
    normalise_rows(embeddings).matmul(full_precision(prototypes).transpose())
}

/// The inner product of each row with the row of the same index.
///
/// # Shapes
/// - left, right: `[batch, dim]`
/// - output: `[batch]`
pub fn paired_products(left: Tensor<2>, right: Tensor<2>) -> Tensor<1> {
    let [batch, dim] = left.dims();
    assert_shape!(right, [batch, dim]);
    (left * right).sum_dim(1).squeeze_dim(1)
}

/// `⟨z_i, w_{y_i}⟩`: the inner product of each row with its own class's prototype.
///
/// # Shapes
/// - rows: `[batch, dim]`
/// - prototypes: `[classes, dim]`
/// - labels: `[batch]`, each in `0..classes` (not checked)
/// - output: `[batch]`
pub fn target_products(
    rows: Tensor<2>,
    prototypes: Tensor<2>,
    labels: Tensor<1, Int>,
) -> Tensor<1> {
    paired_products(rows, full_precision(prototypes.select(0, labels)))
}

/// Keeps cosines within `[-1+ε, 1-ε]`, with ε by float type ([`cosine_epsilon`]).
///
/// # Gradients
/// Zero where a value was clamped.
pub fn clamp_cosines<const D: usize>(cosines: Tensor<D>) -> Tensor<D> {
    let limit = 1.0 - cosine_epsilon(cosines.dtype());
    cosines.clamp(-limit, limit)
}

/// The sine of the angle in `[0, π]` whose cosine is given; the cosine must be clamped.
pub(crate) fn sine_of(cosines: Tensor<1>) -> Tensor<1> {
    // (1−c)(1+c) loses less than 1−c² close to ±1.
    let below = cosines.clone().neg().add_scalar(1.0);
    let above = cosines.add_scalar(1.0);
    (below * above).sqrt()
}

/// The cosine of an angle after an angular margin was added to it.
///
/// ```text
/// ψ = c·cos m − √(1−c²)·sin m     = cos(θ + m)    while θ + m ≤ π, that is c ≥ −cos m
/// ψ = c − m·sin m                                 otherwise
/// ```
///
/// with `θ = arccos c` and the margin `m` in radians, `0 ≤ m < π/2`. The second line keeps ψ
/// decreasing in θ; the value jumps at the border. The cosine is clamped first
/// ([`clamp_cosines`]), and no arc cosine is taken.
///
/// Source: verbatim, the additive angular margin of ArcFace, with its fallback past π.
///
/// # Shapes
/// - cosines, margins, output: `[batch]`
///
/// # Gradients
/// `dψ/dc = sin(θ+m)/sin θ`, at most `1/√(2ε)` in magnitude; zero where `c` was clamped. None to
/// the margins.
pub fn margin_cosine(cosines: Tensor<1>, margins: Tensor<1>) -> Tensor<1> {
    let [batch] = cosines.dims();
    assert_shape!(margins, [batch]);
    let cosines = clamp_cosines(full_precision(cosines));
    let margins = constant(margins);
    let cos_margin = margins.clone().cos();
    let sin_margin = margins.clone().sin();
    let past_pi = constant(cosines.clone()).lower(cos_margin.clone().neg());
    let shifted = cosines.clone() * cos_margin - sine_of(cosines.clone()) * sin_margin.clone();
    shifted.mask_where(past_pi, cosines - margins * sin_margin)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{assert_close, assert_finite, autodiff, matrix, values};

    #[test]
    fn rows_of_any_magnitude_get_unit_norm() {
        let device = autodiff();
        for magnitude in [1e-11, 1e-3, 1.0, 1e20, 3e37] {
            let rows = (matrix(4, 7, 0.0, &device) * magnitude).require_grad();
            let unit = normalise_rows(rows.clone());
            assert_close(&values(row_norms(unit.clone())), &[1.0; 4], 1e-6);
            let grads = (unit * matrix(4, 7, 1.0, &device)).sum().backward();
            assert_finite("gradient", rows.grad(&grads).unwrap());
        }
    }

    #[test]
    fn a_zero_row_stays_zero_and_takes_no_gradient() {
        let device = autodiff();
        let rows = Tensor::<2>::from_floats([[0.0, 0.0], [1e-20, 0.0], [0.0, 2.0]], &device)
            .require_grad();
        let unit = normalise_rows(rows.clone());
        assert_close(&values(unit.clone()), &[0.0, 0.0, 0.0, 0.0, 0.0, 1.0], 1e-6);
        let grads = (unit * matrix(3, 2, 1.0, &device)).sum().backward();
        let gradient = values(rows.grad(&grads).unwrap());
        assert_eq!(gradient[..4], [0.0; 4]);
        assert!(gradient[4] != 0.0);
    }

    #[test]
    fn norms_neither_overflow_nor_vanish() {
        let rows =
            Tensor::<2>::from_floats([[3e30, 4e30], [3e-10, 4e-10], [0.0, 0.0]], &autodiff());
        let norms = values(row_norms(rows));
        assert!((norms[0] / 5e30 - 1.0).abs() < 1e-6);
        assert!((norms[1] / 5e-10 - 1.0).abs() < 1e-6);
        assert_eq!(norms[2], 0.0);
    }

    #[test]
    fn the_margin_adds_to_the_angle_until_pi_and_falls_back_beyond() {
        let device = autodiff();
        for margin in [0.0, 0.1, 0.5, 1.2] {
            for step in 1..100 {
                let theta = std::f64::consts::PI * f64::from(step) / 100.0;
                if (theta + margin - std::f64::consts::PI).abs() < 1e-3 {
                    continue;
                }
                let expected = if theta + margin < std::f64::consts::PI {
                    (theta + margin).cos()
                } else {
                    theta.cos() - margin * margin.sin()
                };
                let out = margin_cosine(
                    Tensor::from_floats([theta.cos() as f32], &device),
                    Tensor::from_floats([margin as f32], &device),
                );
                assert_close(&values(out), &[expected], 1e-5);
            }
        }
    }

    #[test]
    fn the_gradient_is_finite_and_capped_everywhere_up_to_the_poles() {
        let device = autodiff();
        let cosines: [f32; 8] = [
            1.0, 1.000_001, 0.999_999, 0.999_99, 0.0, -0.999, -1.0, -1.01,
        ];
        let c = Tensor::<1>::from_floats(cosines, &device).require_grad();
        let m = Tensor::<1>::from_floats([0.5; 8], &device);
        let out = margin_cosine(c.clone(), m);
        assert_finite("value", out.clone());
        let grads = out.sum().backward();
        let cap = 1.0 / (2.0 * COSINE_EPSILON_F32).sqrt();
        for slope in values(c.grad(&grads).unwrap()) {
            assert!(slope.is_finite() && slope.abs() <= 1.1 * cap, "{slope}");
        }
    }
}
