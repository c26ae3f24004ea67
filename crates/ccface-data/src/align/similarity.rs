//! The similarity between two sets of five points.

use super::{AlignError, Landmarks};

/// The largest coordinate taken for a pixel position.
pub(super) const MAX_COORDINATE: f64 = 1e6;
/// The smallest spread of the points around their centre (root mean square, in pixels).
const MIN_SPREAD: f64 = 1e-3;
/// The smallest scale.
const MIN_SCALE: f64 = 1e-3;
/// The smallest correlation of the two point sets after the turn: profile faces keep 0.9, mirrored ones 0.2.
const MIN_CORRELATION: f64 = 0.5;

/// A rotation, a uniform scale and a shift in the plane.
///
/// ```text
/// x' = a·x − b·y + tx
/// y' = b·x + a·y + ty
/// ```
///
/// with a = s·cos θ and b = s·sin θ for a scale s > 0 and an angle θ in radians (from x towards y).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    a: f64,
    b: f64,
    tx: f64,
    ty: f64,
}

impl Similarity {
    /// The similarity that changes nothing.
    pub const IDENTITY: Self = Self {
        a: 1.0,
        b: 0.0,
        tx: 0.0,
        ty: 0.0,
    };

    /// Scales by `scale` and turns by `angle` radians (from x towards y) about `centre`, then shifts by `shift`.
    pub fn about(centre: [f64; 2], scale: f64, angle: f64, shift: [f64; 2]) -> Self {
        let (sin, cos) = libm::sincos(angle);
        let (a, b) = (scale * cos, scale * sin);
        let [cx, cy] = centre;
        Self {
            a,
            b,
            tx: cx - a * cx + b * cy + shift[0],
            ty: cy - b * cx - a * cy + shift[1],
        }
    }

    /// The scale s.
    pub fn scale(&self) -> f64 {
        self.a.hypot(self.b)
    }

    /// The angle θ in radians, in (−π, π].
    pub fn angle(&self) -> f64 {
        self.b.atan2(self.a)
    }

    /// The two rows `[a, −b, tx]` and `[b, a, ty]` of the 2×3 matrix.
    pub fn matrix(&self) -> [[f64; 3]; 2] {
        [[self.a, -self.b, self.tx], [self.b, self.a, self.ty]]
    }

    /// Where the point `[x, y]` goes.
    pub fn apply(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [
            self.a * x - self.b * y + self.tx,
            self.b * x + self.a * y + self.ty,
        ]
    }

    /// The similarity that undoes this one.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let square = self.a * self.a + self.b * self.b;
        let (a, b) = (self.a / square, -self.b / square);
        Self {
            a,
            b,
            tx: b * self.ty - a * self.tx,
            ty: -b * self.tx - a * self.ty,
        }
    }
}

/// The similarity that takes `src` closest to `dst`.
///
/// ```text
/// argmin over s, θ, t of Σᵢ ‖ s·R(θ)·srcᵢ + t − dstᵢ ‖²
///
/// a = Σ (uᵢ·vᵢ) / Σ ‖uᵢ‖²,  b = Σ (uᵢ × vᵢ) / Σ ‖uᵢ‖²,  t = mean(dst) − s·R(θ)·mean(src)
/// ```
///
/// with uᵢ and vᵢ the points of `src` and `dst` minus their mean. In the plane, where R is a rotation and
/// never a reflection, this is Umeyama's solution without the singular value decomposition.
///
/// Source: reconstructed, from Umeyama 1991, "Least-squares estimation of transformation parameters between
/// two point patterns".
///
/// # Errors
/// [`AlignError::Degenerate`] when a coordinate is no finite number or beyond ±10⁶, when the points of `src` or
/// of `dst` coincide, or when no rotation brings one set near the other (mirrored points).
///
/// # Examples
/// ```
/// use ccface_data::align::{ARCFACE_TEMPLATE_112, similarity_from_landmarks};
///
/// let twice = ARCFACE_TEMPLATE_112.map(|[x, y]| [2.0 * x, 2.0 * y]);
/// let similarity = similarity_from_landmarks(&twice, &ARCFACE_TEMPLATE_112)?;
/// assert!((similarity.scale() - 0.5).abs() < 1e-12);
/// # Ok::<(), ccface_data::align::AlignError>(())
/// ```
pub fn similarity_from_landmarks(
    src: &Landmarks,
    dst: &Landmarks,
) -> Result<Similarity, AlignError> {
    let (from, to) = (centred(src)?, centred(dst)?);
    let mut dot = 0.0;
    let mut cross = 0.0;
    for (u, v) in from.points.iter().zip(&to.points) {
        dot += u[0] * v[0] + u[1] * v[1];
        cross += u[0] * v[1] - u[1] * v[0];
    }
    let (a, b) = (dot / from.square, cross / from.square);
    let scale = a.hypot(b);
    let correlation = scale * (from.square / to.square).sqrt();
    if scale < MIN_SCALE || correlation < MIN_CORRELATION {
        return Err(degenerate(
            "they cannot be turned onto the template (mirrored, in another order, or far too large); the order is left eye, right eye, nose, left and right mouth corner as seen in the picture",
        ));
    }
    let tx = to.mean[0] - (a * from.mean[0] - b * from.mean[1]);
    let ty = to.mean[1] - (b * from.mean[0] + a * from.mean[1]);
    Ok(Similarity { a, b, tx, ty })
}

/// Points around their mean, with the sum of their squared lengths.
struct Centred {
    points: Landmarks,
    mean: [f64; 2],
    square: f64,
}

fn centred(points: &Landmarks) -> Result<Centred, AlignError> {
    // `contains` is false for NaN too.
    let usable = |v: &f64| (-MAX_COORDINATE..=MAX_COORDINATE).contains(v);
    if let Some(bad) = points.iter().flatten().find(|v| !usable(v)) {
        return Err(degenerate(format!("{bad} is no position in a picture")));
    }
    let n = points.len() as f64;
    let sum = points
        .iter()
        .fold([0.0, 0.0], |s, p| [s[0] + p[0], s[1] + p[1]]);
    let mean = sum.map(|s| s / n);
    let points = points.map(|p| [p[0] - mean[0], p[1] - mean[1]]);
    let square: f64 = points.iter().flatten().map(|v| v * v).sum();
    if (square / n).sqrt() < MIN_SPREAD {
        return Err(degenerate("they all lie on one spot"));
    }
    Ok(Centred {
        points,
        mean,
        square,
    })
}

fn degenerate(problem: impl Into<String>) -> AlignError {
    AlignError::Degenerate {
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::align::ARCFACE_TEMPLATE_112 as TEMPLATE;

    fn close(p: [f64; 2], q: [f64; 2]) -> bool {
        (p[0] - q[0]).hypot(p[1] - q[1]) < 1e-9
    }

    #[test]
    fn equal_points_give_the_identity() {
        let s = similarity_from_landmarks(&TEMPLATE, &TEMPLATE).unwrap();
        assert!((s.scale() - 1.0).abs() < 1e-12 && s.angle().abs() < 1e-12);
        assert!(close(s.apply([3.0, 4.0]), [3.0, 4.0]));
    }

    #[test]
    fn a_known_rotation_scale_and_shift_are_found() {
        for (angle, scale) in [
            (0.3_f64, 1.7),
            (-2.9, 0.2),
            (std::f64::consts::FRAC_PI_2, 1.0),
        ] {
            let (a, b) = (scale * angle.cos(), scale * angle.sin());
            let known = Similarity {
                a,
                b,
                tx: 12.5,
                ty: -40.0,
            };
            let moved = TEMPLATE.map(|p| known.apply(p));
            let found = similarity_from_landmarks(&TEMPLATE, &moved).unwrap();
            assert!((found.scale() - scale).abs() < 1e-12, "{found:?}");
            assert!((found.angle() - angle).abs() < 1e-12, "{found:?}");
            assert!(close(found.apply([0.0, 0.0]), [12.5, -40.0]), "{found:?}");
        }
    }

    #[test]
    fn there_and_back_is_where_we_were() {
        let s = Similarity {
            a: 0.8,
            b: -0.35,
            tx: 5.0,
            ty: 77.0,
        };
        for point in TEMPLATE {
            assert!(close(s.inverse().apply(s.apply(point)), point));
            assert!(close(s.apply(s.inverse().apply(point)), point));
        }
        let [first, second] = s.matrix();
        let by_matrix = [
            first[0] * 9.0 + first[1] * 4.0 + first[2],
            second[0] * 9.0 + second[1] * 4.0 + second[2],
        ];
        assert!(close(by_matrix, s.apply([9.0, 4.0])));
    }

    #[test]
    fn the_fit_is_a_minimum_for_points_that_no_similarity_matches() {
        let mut noisy = TEMPLATE.map(|[x, y]| [1.2 * x + 3.0, 1.2 * y - 8.0]);
        noisy[0][0] += 4.0;
        noisy[3][1] -= 2.5;
        let cost = |s: &Similarity| -> f64 {
            let each = noisy.iter().zip(&TEMPLATE).map(|(p, q)| {
                let [x, y] = s.apply(*p);
                (x - q[0]).powi(2) + (y - q[1]).powi(2)
            });
            each.sum()
        };
        let best = similarity_from_landmarks(&noisy, &TEMPLATE).unwrap();
        for step in [-1e-3, 1e-3] {
            for other in [
                Similarity {
                    a: best.a + step,
                    ..best
                },
                Similarity {
                    b: best.b + step,
                    ..best
                },
                Similarity {
                    tx: best.tx + step,
                    ..best
                },
                Similarity {
                    ty: best.ty + step,
                    ..best
                },
            ] {
                assert!(cost(&other) > cost(&best), "{other:?}");
            }
        }
    }

    #[test]
    fn one_spot_mirrored_points_and_non_numbers_are_refused() {
        let spot = [[40.0, 40.0]; 5];
        let mirrored = TEMPLATE.map(|[x, y]| [x, -y]);
        let mut nan = TEMPLATE;
        nan[2][1] = f64::NAN;
        let mut far = TEMPLATE;
        far[4][0] = 1e9;
        for (points, word) in [
            (spot, "one spot"),
            (mirrored, "mirrored"),
            (nan, "NaN"),
            (far, "1000000000"),
        ] {
            let error = similarity_from_landmarks(&points, &TEMPLATE)
                .unwrap_err()
                .to_string();
            assert!(error.contains(word), "{error}");
            assert!(word == "mirrored" || similarity_from_landmarks(&TEMPLATE, &points).is_err());
        }
    }
}
