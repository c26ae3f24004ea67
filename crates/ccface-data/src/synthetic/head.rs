//! The head's shape: a skull of smooth cross-sections plus a relief of features on its front.

use super::identity::Identity;
use super::math::{V3, bump, bump2, mix, smooth};
use super::mesh::Curve;
use super::sample::Expression;

/// Where the dome of the skull begins.
pub(super) const DOME: f32 = 4.6;

/// The outline of the lips above and below one place of the mouth, relative to the mouth's level.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lips {
    /// −1 and 1 at the corners.
    pub(super) u: f32,
    pub(super) top: f32,
    pub(super) gap_top: f32,
    pub(super) gap_bottom: f32,
    pub(super) bottom: f32,
}

/// A round part of the relief, on both sides where `cx > 0`.
#[derive(Debug, Clone, Copy)]
struct Hill {
    cx: f32,
    cy: f32,
    rx: f32,
    ry: f32,
    height: f32,
}

/// One person's face in one expression.
#[derive(Debug, Clone)]
pub(super) struct Face {
    width: Curve,
    front: Curve,
    back: Curve,
    flatness: f32,
    pub(super) crown: f32,
    pub(super) chin_level: f32,
    hills: Vec<Hill>,
    pub(super) eye_level: [f32; 2],
    pub(super) eye_tilt: f32,
    pub(super) eye_upper: [f32; 2],
    pub(super) eye_lower: [f32; 2],
    eye_spacing: f32,
    pub(super) gaze: [f32; 2],
    pub(super) glint: [f32; 2],
    pub(super) brow_level: [f32; 2],
    pub(super) frown: f32,
    nose_root: f32,
    nose_length: f32,
    pub(super) nose_base: f32,
    pub(super) nose_width: f32,
    pub(super) nostril: f32,
    nose_bridge: (f32, f32),
    nose_protrusion: f32,
    nose_hump: f32,
    nose_tip: f32,
    nose_bend: f32,
    pub(super) mouth_level: f32,
    pub(super) mouth_width: f32,
    upper: f32,
    lower: f32,
    cupid: f32,
    corner: f32,
    slant: f32,
    gap: f32,
    fullness: f32,
    pub(super) fold: f32,
    pub(super) teeth: f32,
}

impl Face {
    pub(super) fn new(who: &Identity, e: &Expression) -> Self {
        let (k, m, n, y) = (&who.skull, &who.mouth, &who.nose, &who.eyes);
        let gap = 1.15 * e.open + 0.28 * smooth(0.35, 0.9, e.smile);
        let length = k.length + 0.6 * gap;
        let mouth_level = m.level - 0.12 * e.smile;
        let mouth_width = m.width * (1.0 + 0.17 * e.smile - 0.07 * e.open);
        let width = Curve::new(vec![
            (DOME + 0.5, k.width),
            (1.6, k.temple),
            (k.cheekbone_level, k.face_width),
            (-5.0, mix(k.face_width, k.jaw_width, 0.45)),
            (-k.jaw_level - 0.5 * gap, k.jaw_width),
            (-length + 1.5, k.chin_width + 1.15),
            (-length + 0.5, k.chin_width + 0.15),
            (-length, k.chin_width * 0.82),
            (-length - 0.5, k.chin_width * 0.4),
        ]);
        let d = k.depth;
        let front = Curve::new(vec![
            (DOME + 1.5, d - k.forehead_slope - 0.15),
            (3.5, d - 0.35 * k.forehead_slope),
            (1.5, d + 0.1),
            (-2.0, d),
            (-5.0, d + 0.15),
            (-mouth_level, d + 0.1),
            (-mouth_level - 1.8, d - 0.25),
            (-length + 1.0, d - 0.3 + k.chin),
            (-length, d - 0.9 + k.chin),
            (-length - 0.5, d - 2.2 + k.chin),
        ]);
        let back = Curve::new(vec![
            (6.0, 9.0),
            (2.0, 9.6),
            (-3.0, 8.0),
            (-7.0, 5.0),
            (-length - 0.5, 1.0),
        ]);
        let squint = 1.0 - 0.25 * e.smile;
        let closing = 1.0 - e.close;
        let opening = y.opening * closing * squint + 0.12 * e.brow.max(0.0);
        let side = |s: f32| opening * (1.0 + s * who.asymmetry[3]);
        let brow = who.brows.level + 0.38 * e.brow - 0.25 * e.frown;
        let mut face = Self {
            width,
            front,
            back,
            flatness: k.flatness.clamp(0.0, 0.7),
            crown: k.height,
            chin_level: -length,
            hills: Vec::with_capacity(20),
            eye_level: [-who.asymmetry[0], who.asymmetry[0]],
            eye_tilt: y.tilt,
            eye_upper: [
                0.58 * side(-1.0) - 0.05 * e.close,
                0.58 * side(1.0) - 0.05 * e.close,
            ],
            eye_lower: [
                0.42 * y.opening * mix(1.0, 0.3, e.close) * squint,
                0.42 * y.opening * mix(1.0, 0.3, e.close) * squint,
            ],
            eye_spacing: y.spacing,
            gaze: e.gaze,
            glint: [0.2, 0.2],
            brow_level: [brow - who.asymmetry[1], brow + who.asymmetry[1]],
            frown: e.frown,
            nose_root: 0.35,
            nose_length: n.length,
            nose_base: -n.length - n.drop,
            nose_width: n.width * (1.0 + 0.07 * e.smile),
            nostril: n.nostril,
            nose_bridge: (n.bridge_width, n.bridge_height),
            nose_protrusion: n.protrusion,
            nose_hump: n.hump,
            nose_tip: n.tip,
            nose_bend: n.bend,
            mouth_level,
            mouth_width,
            upper: m.upper * (1.0 - 0.22 * e.smile),
            lower: m.lower * (1.0 - 0.15 * e.smile),
            cupid: m.cupid,
            corner: m.corner + 0.42 * e.smile - 0.08 * e.frown,
            slant: who.asymmetry[2],
            gap,
            fullness: m.fullness,
            fold: (m.fold + 0.5 * e.smile).min(1.2),
            teeth: smooth(0.08, 0.3, gap) * mix(0.55, 1.0, e.smile.min(1.0)),
        };
        face.raise_hills(who, e);
        face
    }

    fn raise_hills(&mut self, who: &Identity, e: &Expression) {
        let (k, y) = (&who.skull, &who.eyes);
        let mouth = self.mouth_level;
        let puff = 0.35 * e.smile;
        let mut hill = |cx: f32, cy: f32, rx: f32, ry: f32, height: f32| {
            self.hills.push(Hill {
                cx,
                cy,
                rx,
                ry,
                height,
            });
        };
        // Forehead and brow ridge.
        hill(2.6, 5.0, 3.6, 2.8, k.forehead_bulge + 0.1);
        hill(2.4, 1.75, 3.2, 1.35, k.brow_ridge);
        hill(0.0, 1.4, 1.8, 1.2, 0.5 * k.brow_ridge);
        hill(6.2, 2.4, 2.0, 2.6, -0.3);
        // Sockets, inner corners and eyeballs.
        hill(y.spacing - 0.1, 0.1, 2.6, 1.75, -1.25 * y.depth);
        hill(y.spacing - 1.7, 0.2, 1.1, 1.4, -0.5 * y.depth);
        hill(y.spacing, 0.0, 1.5, 1.05, 0.32 + 0.3 * y.depth);
        hill(y.spacing - 0.1, -1.15, 1.5, 0.7, 0.18 * y.bag);
        // Cheekbones and cheeks.
        hill(4.7, k.cheekbone_level, 2.9, 2.2, k.cheekbone + 0.1);
        hill(4.2, -4.6, 3.0, 2.6, k.cheek + 0.05);
        hill(3.7, -3.4, 2.2, 2.0, puff);
        hill(5.4, -5.6, 2.2, 2.4, 0.5 * k.cheek - 0.1);
        hill(5.6, -k.jaw_level, 2.4, 2.2, 0.25);
        // Mouth and chin.
        hill(0.0, -mouth + 0.1, 3.4, 2.6, 0.42);
        hill(0.0, -mouth - self.lower - 0.75, 2.6, 0.95, -0.28);
        hill(0.0, self.chin_level + 1.3, 2.1, 1.7, 0.35 + 0.4 * k.chin);
        hill(0.0, self.chin_level + 1.1, 0.5, 1.0, -k.cleft);
        // The groove between nose and upper lip.
        hill(
            0.0,
            0.5 * (self.nose_base - mouth + self.upper),
            0.5,
            1.1,
            -0.16,
        );
        hill(
            self.mouth_width + 0.35,
            -mouth + self.corner,
            0.9,
            0.9,
            -0.14,
        );
    }

    /// Half the skull's width, the depth of its front and of its back, at a level.
    pub(super) fn section(&self, y: f32) -> (f32, f32, f32) {
        let dome = if y > DOME {
            let t = ((y - DOME) / (self.crown - DOME)).min(1.0);
            (1.0 - t * t).max(0.0).sqrt()
        } else {
            1.0
        };
        (
            self.width.at(y) * dome,
            self.front.at(y) * dome,
            self.back.at(y) * dome,
        )
    }

    /// The front of the bare skull at `x`, given its section.
    fn base(&self, x: f32, w: f32, d: f32) -> f32 {
        let u = if w > 1e-4 { (x / w) * (x / w) } else { 1.0 };
        let u = u.min(1.0);
        d * (1.0 - u * ((1.0 - self.flatness) + self.flatness * u))
            .max(0.0)
            .sqrt()
    }

    /// The point of the surface at `x` on the face's front, relief included.
    pub(super) fn front_at(&self, x: f32, y: f32) -> V3 {
        let (w, d, _) = self.section(y);
        let fade = smooth(0.98, 0.85, x.abs() / w.max(1e-4));
        V3(x, y, self.base(x, w, d) + self.relief(x, y) * fade)
    }

    /// The point at an angle around the head: 0 is the front, positive to the image's right.
    pub(super) fn around(&self, sin: f32, cos: f32, y: f32, section: (f32, f32, f32)) -> V3 {
        let (w, d, b) = section;
        let x = w * sin;
        if cos <= 0.0 {
            return V3(x, y, b * cos);
        }
        let fade = smooth(0.2, 0.5, cos);
        let relief = if fade > 0.0 {
            self.relief(x, y) * fade
        } else {
            0.0
        };
        V3(x, y, self.base(x, w, d) + relief)
    }

    /// The bare skull at an angle around the head.
    pub(super) fn bare(&self, sin: f32, cos: f32, section: (f32, f32, f32)) -> (f32, f32) {
        let (w, d, b) = section;
        let x = w * sin;
        (
            x,
            if cos <= 0.0 {
                b * cos
            } else {
                self.base(x, w, d)
            },
        )
    }

    /// Sideways shift of the nose at a level.
    pub(super) fn bend_at(&self, y: f32) -> f32 {
        self.nose_bend * smooth(0.0, self.nose_base, y)
    }

    /// The lips above and below `x`.
    pub(super) fn lips_at(&self, x: f32) -> Lips {
        let u = x / self.mouth_width;
        let u2 = (u * u).min(1.6);
        let arc = (1.0 - u2).max(0.0);
        let line = self.corner * u2 + self.slant * x - 0.06 * bump(u2 * 9.0);
        let gap_top = line + 0.15 * self.gap * arc;
        let gap_bottom = line - 0.85 * self.gap * arc;
        let dip = 1.0 - 0.5 * self.cupid * bump(u2 * 16.0);
        Lips {
            u,
            top: gap_top + self.upper * arc * (1.15 - 0.3 * u2) * dip,
            gap_top,
            gap_bottom,
            bottom: gap_bottom - self.lower * arc,
        }
    }

    /// 0 at the upper end of the fold beside the nose, 1 at its lower end.
    pub(super) fn fold_along(&self, y: f32) -> f32 {
        let (a, b) = (self.nose_base + 0.9, -self.mouth_level - 0.5);
        (a - y) / (a - b)
    }

    /// Distance of that fold from the middle.
    pub(super) fn fold_at(&self, t: f32) -> f32 {
        mix(self.nose_width + 0.25, self.mouth_width + 0.75, t) + 0.9 * t * (1.0 - t)
    }

    /// The height of the features over the skull.
    fn relief(&self, x: f32, y: f32) -> f32 {
        let ax = x.abs();
        let mut z = 0.0;
        for h in &self.hills {
            let v = (y - h.cy) / h.ry;
            if v * v < 1.0 {
                let u = (ax - h.cx) / h.rx;
                z += h.height * bump(u * u + v * v);
                // A hill that crosses the middle counts once from either side.
                if h.cx > 0.0 && h.cx < h.rx {
                    let u = (ax + h.cx) / h.rx;
                    z += h.height * bump(u * u + v * v);
                }
            }
        }
        z += self.nose(x - self.bend_at(y), y);
        let v = y + self.mouth_level;
        if v.abs() < 2.8 && ax < self.mouth_width * 1.05 {
            z += self.lip_relief(x, v);
        }
        let t = self.fold_along(y);
        if self.fold > 0.02 && (0.0..=1.0).contains(&t) {
            let d = (ax - self.fold_at(t)) / 0.6;
            z -= 0.13 * self.fold * bump(d * d) * smooth(0.0, 0.25, t) * smooth(1.0, 0.7, t);
        }
        z
    }

    fn lip_relief(&self, x: f32, v: f32) -> f32 {
        let l = self.lips_at(x);
        let lump = |a: f32, b: f32| {
            if b - a < 0.02 || v <= a || v >= b {
                return 0.0;
            }
            let t = (2.0 * v - a - b) / (b - a);
            (1.0 - t * t) * (b - a).min(1.0)
        };
        let grow = self.fullness * 1.5;
        let hole = if self.gap > 0.1 {
            -0.5 * lump(l.gap_bottom, l.gap_top)
        } else {
            0.0
        };
        grow * (lump(l.gap_top, l.top) + 1.15 * lump(l.bottom, l.gap_bottom)) + hole
    }

    fn nose(&self, x: f32, y: f32) -> f32 {
        let ax = x.abs();
        let reach = self.nose_width + 0.6;
        if ax > reach.max(3.2) || y > self.nose_root + 1.6 || y < self.nose_base - 0.5 {
            return 0.0;
        }
        let (bridge_width, bridge_height) = self.nose_bridge;
        let tip = -self.nose_length;
        let along = (self.nose_root - y) / (self.nose_root - tip);
        let ball = 0.22 * self.nose_protrusion + 0.6 * self.nose_tip;
        let back = self.nose_protrusion + 0.4 * self.nose_tip - 0.75 * ball;
        let width = 1.15 * bridge_width + 0.55;
        let (height, width) = if along < 0.0 {
            let up = smooth(self.nose_root + 1.6, self.nose_root, y);
            (bridge_height * up, width)
        } else if along <= 1.0 {
            let t = along * (0.55 + 0.45 * along);
            let h = (along - 0.42) / 0.4;
            let height = mix(bridge_height, back, t) + self.nose_hump * bump(h * h);
            (height, width + 0.25 * along * along)
        } else {
            // Below the tip the nose turns under, ever more steeply.
            let t = ((tip - y) / (tip - self.nose_base + 0.45)).min(1.0);
            (back * (1.0 - t * t) * (1.0 - 0.35 * t), width + 0.25)
        };
        let c = (ax / width).min(1.0);
        let ridge = height * bump(c * c) * (1.0 + 0.1 * c * c);
        let ball = ball * bump2(x, y, 0.0, tip + 0.05, 1.25, 1.15);
        let wing = 1.05 * bump2(ax, y, self.nose_width - 0.5, tip - 0.25, 0.95, 0.95);
        ridge.max(0.0) + ball + wing * smooth(self.nose_base - 0.35, self.nose_base + 0.25, y)
    }

    /// The five landmarks in head coordinates: the eye at the image's left, the eye at its right, the
    /// tip of the nose, and the corners of the mouth.
    pub(super) fn landmarks(&self) -> [V3; 5] {
        let eye =
            |side: usize, sign: f32| self.front_at(sign * self.eye_spacing, self.eye_level[side]);
        let corner = |sign: f32| {
            let x = sign * self.mouth_width * 0.97;
            let l = self.lips_at(x);
            self.front_at(x, 0.5 * (l.gap_top + l.gap_bottom) - self.mouth_level)
        };
        let tip = -self.nose_length;
        [
            eye(0, -1.0),
            eye(1, 1.0),
            self.front_at(self.bend_at(tip), tip),
            corner(-1.0),
            corner(1.0),
        ]
    }

    /// Rows of the head's mesh, from the crown to below the chin.
    pub(super) fn levels(&self) -> Vec<f32> {
        let mut rows = Vec::with_capacity(96);
        let dome = 12;
        for i in 0..dome {
            // Equal steps of angle from the crown down.
            let (_, c) = super::math::sin_cos(i as f32 / dome as f32 * std::f32::consts::FRAC_PI_2);
            rows.push(DOME + (self.crown - DOME) * c);
        }
        let mut span = |from: f32, to: f32, step: f32| {
            let n = ((from - to) / step).ceil().max(1.0) as usize;
            rows.extend((0..n).map(|i| from + (to - from) * i as f32 / n as f32));
        };
        span(DOME, 2.8, 0.45);
        span(2.8, -9.2, 0.19);
        span(-9.2, self.chin_level - 0.5, 0.3);
        rows.push(self.chin_level - 0.5);
        rows
    }
}
