//! Small vectors and elementary functions that give the same bits on every platform.
//!
//! Only `+ − × ÷` and `sqrt` are used, which IEEE 754 fixes exactly; the platform's `sin`, `exp` and
//! `pow` are never called.

use std::ops::{Add, Mul, Neg, Sub};

/// Three numbers: a point, a direction or a linear RGB colour.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct V3(pub(super) f32, pub(super) f32, pub(super) f32);

impl V3 {
    pub(super) fn dot(self, o: V3) -> f32 {
        self.0 * o.0 + self.1 * o.1 + self.2 * o.2
    }

    pub(super) fn cross(self, o: V3) -> V3 {
        V3(
            self.1 * o.2 - self.2 * o.1,
            self.2 * o.0 - self.0 * o.2,
            self.0 * o.1 - self.1 * o.0,
        )
    }

    /// The direction of this vector; the z axis where its length is zero.
    pub(super) fn unit(self) -> V3 {
        let n = self.dot(self).sqrt();
        if n > 1e-12 {
            self * (1.0 / n)
        } else {
            V3(0.0, 0.0, 1.0)
        }
    }

    /// The product, number by number (a colour under coloured light).
    pub(super) fn times(self, o: V3) -> V3 {
        V3(self.0 * o.0, self.1 * o.1, self.2 * o.2)
    }

    /// `self` at `t = 0`, `o` at `t = 1`.
    pub(super) fn mix(self, o: V3, t: f32) -> V3 {
        self + (o - self) * t
    }

    /// Relative luminance of a linear colour (Rec. 709).
    pub(super) fn luma(self) -> f32 {
        0.2126 * self.0 + 0.7152 * self.1 + 0.0722 * self.2
    }
}

impl Add for V3 {
    type Output = V3;
    fn add(self, o: V3) -> V3 {
        V3(self.0 + o.0, self.1 + o.1, self.2 + o.2)
    }
}

impl Sub for V3 {
    type Output = V3;
    fn sub(self, o: V3) -> V3 {
        V3(self.0 - o.0, self.1 - o.1, self.2 - o.2)
    }
}

impl Mul<f32> for V3 {
    type Output = V3;
    fn mul(self, k: f32) -> V3 {
        V3(self.0 * k, self.1 * k, self.2 * k)
    }
}

impl Neg for V3 {
    type Output = V3;
    fn neg(self) -> V3 {
        V3(-self.0, -self.1, -self.2)
    }
}

/// `a` at `t = 0`, `b` at `t = 1`.
pub(super) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// The cubic step from 0 at `a` to 1 at `b`; `a > b` steps down.
pub(super) fn smooth(a: f32, b: f32, x: f32) -> f32 {
    let t = ((x - a) / (b - a)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// The compact bump `(1 − r²)²`, 0 from `r² = 1`.
pub(super) fn bump(r2: f32) -> f32 {
    if r2 < 1.0 {
        (1.0 - r2) * (1.0 - r2)
    } else {
        0.0
    }
}

/// The compact bump around `(cx, cy)` with half-widths `rx`, `ry`.
pub(super) fn bump2(x: f32, y: f32, cx: f32, cy: f32, rx: f32, ry: f32) -> f32 {
    let (u, v) = ((x - cx) / rx, (y - cy) / ry);
    bump(u * u + v * v)
}

/// Sine and cosine of an angle in radians (absolute error below 1e-5 for |angle| ≤ 100).
pub(super) fn sin_cos(angle: f32) -> (f32, f32) {
    use std::f32::consts::{FRAC_PI_2, PI, TAU};
    let wrap = |x: f32| x - TAU * ((x + PI) / TAU).floor();
    let half = |x: f32| {
        let x = wrap(x);
        let x = if x > FRAC_PI_2 {
            PI - x
        } else if x < -FRAC_PI_2 {
            -PI - x
        } else {
            x
        };
        let x2 = x * x;
        x * (1.0
            + x2 * (-1.0 / 6.0
                + x2 * (1.0 / 120.0
                    + x2 * (-1.0 / 5040.0 + x2 * (1.0 / 362_880.0 - x2 / 39_916_800.0)))))
    };
    (half(angle), half(angle + FRAC_PI_2))
}

/// The sRGB value in `[0, 1]` of a linear value: three square roots in place of a power.
///
/// Absolute error below 0.003.
pub(super) fn srgb(linear: f32) -> f32 {
    let x = linear.clamp(0.0, 1.0);
    if x < 0.003_130_8 {
        return 12.92 * x;
    }
    let a = x.sqrt();
    let b = a.sqrt();
    let c = b.sqrt();
    (0.585_122_4 * a + 0.783_140_36 * b - 0.368_262_74 * c).clamp(0.0, 1.0)
}

/// The linear colour of three sRGB values in `[0, 1]`: a cubic in place of a power, for constants that
/// name colours (below 0.15 it gives somewhat darker ones).
pub(super) fn linear(r: f32, g: f32, b: f32) -> V3 {
    let f = |s: f32| s * (s * (s * 0.305_306_01 + 0.682_171_1) + 0.012_522_878);
    V3(f(r), f(g), f(b))
}

/// The largest whole number not above `x`, for `|x| < 2³¹` (one instruction where `floor` is a call).
pub(super) fn floor(x: f32) -> i32 {
    let i = x as i32;
    i - i32::from((i as f32) > x)
}

/// A rotation matrix, row by row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rotation(pub(super) [V3; 3]);

impl Rotation {
    /// Yaw (to the image's right), then pitch (up), then roll, of a head that looks at the camera.
    pub(super) fn new(yaw: f32, pitch: f32, roll: f32) -> Self {
        let ((sy, cy), (sp, cp), (sr, cr)) = (sin_cos(yaw), sin_cos(pitch), sin_cos(roll));
        let turn = |p: V3| {
            let p = V3(cy * p.0 + sy * p.2, p.1, cy * p.2 - sy * p.0);
            let p = V3(p.0, cp * p.1 + sp * p.2, cp * p.2 - sp * p.1);
            V3(cr * p.0 - sr * p.1, sr * p.0 + cr * p.1, p.2)
        };
        let (a, b, c) = (
            turn(V3(1.0, 0.0, 0.0)),
            turn(V3(0.0, 1.0, 0.0)),
            turn(V3(0.0, 0.0, 1.0)),
        );
        Self([V3(a.0, b.0, c.0), V3(a.1, b.1, c.1), V3(a.2, b.2, c.2)])
    }

    /// The rotated point.
    pub(super) fn apply(&self, p: V3) -> V3 {
        V3(self.0[0].dot(p), self.0[1].dot(p), self.0[2].dot(p))
    }

    /// The point that [`apply`](Self::apply) takes to `p`.
    pub(super) fn undo(&self, p: V3) -> V3 {
        self.0[0] * p.0 + self.0[1] * p.1 + self.0[2] * p.2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_and_cosine_agree_with_the_standard_library() {
        for i in -400..400 {
            let x = i as f32 * 0.05;
            let (s, c) = sin_cos(x);
            assert!(
                (s - x.sin()).abs() < 1e-5 && (c - x.cos()).abs() < 1e-5,
                "{x}: {s} {c}"
            );
        }
    }

    #[test]
    fn srgb_follows_its_definition() {
        for i in 0..=2000 {
            let x = i as f32 * 0.0005;
            let exact = if x <= 0.003_130_8 {
                12.92 * x
            } else {
                1.055 * x.powf(1.0 / 2.4) - 0.055
            };
            assert!((srgb(x) - exact).abs() < 0.003, "{x}");
        }
    }

    #[test]
    fn srgb_and_linear_undo_each_other_to_two_eight_bit_steps() {
        for i in 38..=255 {
            let s = i as f32 / 255.0;
            let back = srgb(linear(s, s, s).0);
            assert!((back - s).abs() < 2.0 / 255.0, "{s} {back}");
        }
    }

    #[test]
    fn floor_is_the_standard_one() {
        for x in [-2.5f32, -2.0, -0.1, 0.0, 0.9, 7.0, 7.5] {
            assert_eq!(floor(x) as f32, x.floor());
        }
    }

    #[test]
    fn a_rotation_is_undone() {
        let r = Rotation::new(0.4, -0.2, 0.1);
        let p = V3(1.0, 2.0, 3.0);
        let q = r.undo(r.apply(p));
        assert!((q - p).dot(q - p) < 1e-9);
    }

    #[test]
    fn positive_yaw_turns_the_nose_to_the_right_and_positive_pitch_up() {
        let nose = V3(0.0, 0.0, 1.0);
        assert!(Rotation::new(0.3, 0.0, 0.0).apply(nose).0 > 0.2);
        assert!(Rotation::new(0.0, 0.3, 0.0).apply(nose).1 > 0.2);
    }
}
