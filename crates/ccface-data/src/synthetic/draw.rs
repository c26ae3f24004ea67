//! Draws of parameters in `f32` from a [`Stream`].

use super::math::V3;
use crate::rng::Stream;

/// A number of mean 0 and variance 0.9 within `[−2.9, 2.9]`, flatter than a normal one: people
/// near the average are the ones who look alike, so the middle is thinned out.
pub(super) fn wide(s: &mut Stream) -> f32 {
    let u = s.uniform() as f32 * 2.0 - 1.0;
    1.5 * u + 0.4 * bell(s)
}

/// A bell-shaped number of mean 0, variance 1 and range `[−3.5, 3.5]` (a scaled sum of four uniform
/// numbers).
pub(super) fn bell(s: &mut Stream) -> f32 {
    let sum: f32 = (0..4).map(|_| s.uniform() as f32).sum();
    (sum - 2.0) * 1.732_050_8
}

/// A number in `[a, b)`.
pub(super) fn range(s: &mut Stream, a: f32, b: f32) -> f32 {
    a + (b - a) * s.uniform() as f32
}

/// One of the colours, then shifted by up to `spread` of itself in brightness and a third of that in hue.
pub(super) fn near(s: &mut Stream, colours: &[V3], spread: f32) -> V3 {
    let c = *s.choice(colours);
    let k = 1.0 + spread * range(s, -1.0, 1.0);
    let mut jitter = || 1.0 + spread * 0.33 * range(s, -1.0, 1.0);
    V3(c.0 * k * jitter(), c.1 * k * jitter(), c.2 * k * jitter())
}
