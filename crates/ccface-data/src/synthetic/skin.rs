//! Skin: its colour, its regions, and its marks.

use super::draw::{bell, range, wide};
use super::identity::Identity;
use super::math::{V3, bump, bump2, floor, linear, mix, smooth};
use super::noise::Noise;
use crate::rng::Stream;

/// A mole or spot, in head coordinates of the face's front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    x: f32,
    y: f32,
    radius: f32,
    dark: f32,
}

/// Colour and texture of one person's skin.
#[derive(Debug, Clone)]
pub(super) struct Skin {
    /// 0 is the lightest tone, 1 the darkest; uniform over people.
    pub(super) tone: f32,
    /// Linear albedo without regional changes.
    pub(super) albedo: V3,
    pub(super) ruddy: f32,
    pub(super) blotch: f32,
    pub(super) freckles: f32,
    pub(super) pores: f32,
    pub(super) gloss: f32,
    pub(super) wrinkles: f32,
    pub(super) circles: f32,
    pub(super) spots: Vec<Spot>,
    pub(super) offset: (f32, f32),
}

/// Anchors of the tone scale, from light to dark, in sRGB.
const TONES: [(f32, f32, f32); 7] = [
    (0.960, 0.840, 0.775),
    (0.925, 0.770, 0.680),
    (0.870, 0.690, 0.570),
    (0.770, 0.575, 0.440),
    (0.620, 0.430, 0.320),
    (0.450, 0.300, 0.220),
    (0.300, 0.200, 0.155),
];

impl Skin {
    pub(super) fn new(s: &mut Stream, tone: f32, age: f32) -> Self {
        let place = (tone * 6.0).min(5.999);
        let k = place as usize;
        let anchor = |i: usize| linear(TONES[i].0, TONES[i].1, TONES[i].2);
        let base = anchor(k).mix(anchor(k + 1), place - k as f32);
        // Undertone: rosy to olive.
        let u = wide(s);
        let v = wide(s);
        let albedo = V3(
            base.0 * (1.0 + 0.02 * v),
            base.1 * (1.0 - 0.045 * u),
            base.2 * (1.0 - 0.06 * u - 0.06 * v),
        );
        let count = s.below(6).saturating_sub(2);
        let spots = (0..count)
            .map(|_| Spot {
                x: range(s, -5.5, 5.5),
                y: range(s, -9.5, 5.5),
                radius: range(s, 0.07, 0.17),
                dark: range(s, 0.3, 0.8),
            })
            .collect();
        let freckled = s.chance(f64::from(0.35 * (1.0 - smooth(0.3, 0.6, tone))));
        Self {
            tone,
            albedo,
            ruddy: (0.35 + 0.3 * wide(s)).max(0.0) * mix(1.0, 0.45, tone),
            blotch: range(s, 0.03, 0.14) + 0.08 * age,
            freckles: if freckled { range(s, 0.3, 1.0) } else { 0.0 },
            pores: range(s, 0.02, 0.10),
            gloss: range(s, 0.08, 0.42),
            wrinkles: (smooth(0.25, 0.95, age) * range(s, 0.5, 1.2)).min(1.0),
            circles: (0.25 + 0.2 * bell(s) + 0.3 * age).clamp(0.0, 0.8),
            spots,
            offset: (range(s, 0.0, 64.0), range(s, 0.0, 64.0)),
        }
    }
}

/// What the light meets at one place: albedo and how shiny it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surface {
    pub(super) albedo: V3,
    pub(super) gloss: f32,
    /// Extra light that no shading touches, such as the glint of an eye.
    pub(super) glint: f32,
}

/// The bare skin at a place of the head; `front` is 1 where the surface faces forward.
pub(super) fn paint(who: &Identity, noise: &Noise, grain: &Noise, p: V3, front: f32) -> Surface {
    let skin = &who.skin;
    let (x, y) = (p.0, p.1);
    let ax = x.abs();
    let (ox, oy) = skin.offset;
    // Around the side of the head, depth takes the place of x.
    let side = x + (9.0 - p.2) * 0.4 * x.signum();

    let coarse = noise.fractal(side * 0.55 + ox, y * 0.55 + oy);
    let fine = noise.fractal(side * 2.6 + oy, y * 2.6 + ox);
    let mut c = skin.albedo * (1.0 + skin.blotch * (0.7 * coarse + 0.5 * fine));
    if skin.pores > 0.03 {
        c = c * (1.0 + skin.pores * (grain.at(side * 6.0, y * 6.0) * 2.0 - 1.0));
    }

    // Blood: cheeks, nose, ears and chin.
    let level = who.skull.cheekbone_level - 0.6;
    let red = bump2(ax, y, 4.2, level, 3.2, 2.8)
        + 0.8 * bump2(x, y, 0.0, -who.nose.length, 1.9, 1.6)
        + 0.35 * bump2(x, y, 0.0, 1.0 - who.skull.length, 2.2, 1.6);
    let r = skin.ruddy * (red * 0.6 + 0.15 * coarse).max(0.0) * front;
    c = V3(
        c.0 * (1.0 + 0.10 * r),
        c.1 * (1.0 - 0.30 * r),
        c.2 * (1.0 - 0.24 * r),
    );

    // Dark circles and bags under the eyes.
    let e = &who.eyes;
    let circle = bump2(ax, y, e.spacing - 0.25, -0.75, 1.9, 1.15)
        + 0.5 * bump2(ax, y, e.spacing - 1.3, 0.1, 0.9, 1.2);
    let d = skin.circles * circle.min(1.0) * front;
    c = V3(
        c.0 * (1.0 - 0.32 * d),
        c.1 * (1.0 - 0.38 * d),
        c.2 * (1.0 - 0.30 * d),
    );

    if skin.freckles > 0.0 && front > 0.2 {
        let zone = bump2(x, y, 0.0, -2.2, 7.5, 4.5) + 0.3 * bump2(x, y, 0.0, 4.5, 6.0, 3.5);
        let f = smooth(0.60, 0.82, grain.at(side * 5.3 + ox, y * 5.3 + oy));
        c = c.mix(
            c.times(V3(0.62, 0.45, 0.36)),
            (f * zone * 1.3 * skin.freckles).min(0.85),
        );
    }
    if front > 0.1 {
        for spot in &skin.spots {
            let (dx, dy) = (x - spot.x, y - spot.y);
            let d2 = dx * dx + dy * dy;
            if d2 < 0.25 {
                let d = d2.sqrt();
                let m = smooth(spot.radius + 0.07, spot.radius - 0.05, d) * spot.dark;
                c = c.mix(c.times(V3(0.32, 0.22, 0.18)), m);
            }
        }
    }
    if skin.wrinkles > 0.02 && front > 0.1 {
        c = c * (1.0 - wrinkle(who, noise, x, y) * skin.wrinkles * front);
    }
    Surface {
        albedo: c,
        gloss: skin.gloss
            * (0.7
                + 0.6 * bump2(x, y, 0.0, -who.nose.length + 1.0, 1.2, 4.0)
                + 0.3 * bump2(x, y, 0.0, 4.5, 4.0, 3.0)),
        glint: 0.0,
    }
}

/// Darkness of forehead lines, frown lines and crow's feet.
fn wrinkle(who: &Identity, noise: &Noise, x: f32, y: f32) -> f32 {
    let ax = x.abs();
    let (ox, oy) = who.skin.offset;
    let line = |v: f32| {
        let f = v - floor(v) as f32 - 0.5;
        bump((f / 0.30) * (f / 0.30))
    };
    let mut w = 0.0;
    let top = who.brows.level + 0.9;
    if y > top && y < 7.5 && ax < 5.5 {
        let zone = smooth(0.0, 0.6, y - top) * smooth(7.5, 5.8, y) * smooth(5.5, 2.5, ax);
        let bend = noise.fractal(x * 0.4 + ox, y * 0.2 + oy) * 0.6;
        w += 0.30 * zone * line(y * 0.95 + bend + 0.012 * x * x);
    }
    // Between the brows.
    if ax < 1.0 && (y - 1.6).abs() < 1.5 {
        w += 0.28 * bump2(ax, y, 0.55, 1.7, 0.2, 1.3);
    }
    // Crow's feet.
    let corner = who.eyes.spacing + who.eyes.width;
    let dx = ax - corner;
    if dx > 0.1 && dx < 2.0 && y.abs() < 1.6 {
        let fan = y / (dx + 0.9);
        w += 0.26
            * smooth(0.1, 0.5, dx)
            * smooth(2.0, 1.0, dx)
            * line(fan * 2.6 + 0.3)
            * bump(fan * fan);
    }
    w
}
