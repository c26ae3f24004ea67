//! Hair: a shell around the skull with an opening for the face.

use super::draw::{near, range, wide};
use super::head::{DOME, Face};
use super::math::{V3, bump, linear, mix, sin_cos, smooth};
use super::mesh::Grid;
use super::noise::Noise;
use crate::rng::Stream;
use std::f32::consts::PI;

/// A hair style as continuous parameters.
#[derive(Debug, Clone)]
pub(super) struct Hair {
    /// `false` where the head is bald.
    pub(super) present: bool,
    /// The colour before any grey.
    pub(super) base: V3,
    pub(super) colour: V3,
    pub(super) top: f32,
    pub(super) side: f32,
    pub(super) hairline: f32,
    pub(super) recession: f32,
    pub(super) peak: f32,
    pub(super) opening: f32,
    pub(super) opening_low: f32,
    /// Lowest level beside the face, and behind it.
    pub(super) bottom: f32,
    pub(super) nape: f32,
    pub(super) fringe: f32,
    pub(super) sweep: f32,
    pub(super) wave: f32,
    pub(super) curl: f32,
    pub(super) streak: f32,
    pub(super) shine: f32,
    pub(super) ragged: f32,
    pub(super) cover: f32,
    /// Bald above the sides.
    pub(super) crown_bald: bool,
}

impl Hair {
    pub(super) fn new(s: &mut Stream, male: f32, age: f32, tone: f32) -> Self {
        let dark = smooth(0.2, 0.65, tone);
        let natural: &[V3] = if s.chance(f64::from(0.35 + 0.65 * dark)) {
            &[
                linear(0.10, 0.08, 0.07),
                linear(0.16, 0.11, 0.08),
                linear(0.22, 0.15, 0.10),
            ]
        } else {
            &[
                linear(0.33, 0.22, 0.14),
                linear(0.45, 0.31, 0.18),
                linear(0.56, 0.42, 0.26),
                linear(0.70, 0.57, 0.38),
                linear(0.52, 0.24, 0.12),
            ]
        };
        let base = near(s, natural, 0.25);
        let grey = smooth(0.5, 0.95, age) * range(s, 0.0, 1.3);
        let dyed = s.chance(f64::from(0.4 * (1.0 - male)));
        let grey = if dyed { 0.1 * grey } else { grey.min(1.0) };
        let colour = base.mix(linear(0.66, 0.65, 0.64), grey);
        let loss = male * smooth(0.2, 0.9, age);
        let style = if male > 0.5 {
            let u = s.uniform() as f32;
            if u < 0.06 + 0.16 * loss {
                Style::Bald
            } else if u < 0.08 + 0.40 * loss {
                Style::Horseshoe
            } else {
                *s.choice(&[
                    Style::Buzz,
                    Style::Short,
                    Style::Short,
                    Style::Short,
                    Style::Quiff,
                    Style::Fringe,
                    Style::Curly,
                    Style::Medium,
                ])
            }
        } else {
            *s.choice(&[
                Style::Long,
                Style::Long,
                Style::Long,
                Style::Bob,
                Style::Bob,
                Style::Tied,
                Style::Tied,
                Style::Curly,
                Style::Short,
                Style::Medium,
            ])
        };
        let mut hair = Self {
            present: true,
            base,
            colour,
            top: 1.3,
            side: 0.5,
            hairline: 7.2 + 0.55 * wide(s) + 1.1 * loss,
            recession: (0.4 + 0.5 * wide(s)).max(0.0) * male + 1.6 * loss,
            peak: range(s, -0.2, 0.6),
            opening: range(s, 0.86, 1.12),
            opening_low: 1.35,
            bottom: -1.8,
            nape: -6.0,
            fringe: 0.0,
            sweep: range(s, -1.0, 1.0),
            wave: 0.0,
            curl: 0.0,
            streak: range(s, 0.3, 0.9),
            shine: range(s, 0.1, 0.5),
            ragged: range(s, 0.2, 0.8),
            cover: 1.0,
            crown_bald: false,
        };
        hair.cut(style, s);
        hair
    }

    fn cut(&mut self, style: Style, s: &mut Stream) {
        let long = |h: &mut Self, s: &mut Stream| {
            h.top = range(s, 0.6, 1.6);
            h.side = range(s, 0.5, 1.6);
            h.opening = range(s, 0.78, 1.1);
            h.opening_low = range(s, 0.85, 1.3);
            h.fringe = if s.chance(0.4) {
                range(s, 0.3, 1.0)
            } else {
                0.0
            };
            h.wave = if s.chance(0.5) {
                range(s, 0.1, 0.5)
            } else {
                0.0
            };
        };
        match style {
            Style::Bald => self.present = false,
            Style::Horseshoe => {
                self.crown_bald = true;
                self.side = range(s, 0.15, 0.6);
                self.top = 0.1;
            }
            Style::Buzz => {
                self.top = 0.12;
                self.side = 0.06;
                self.cover = range(s, 0.55, 0.9);
            }
            Style::Short => {
                self.top = range(s, 0.5, 1.6);
                self.side = range(s, 0.15, 0.6);
                self.fringe = if s.chance(0.4) {
                    range(s, 0.1, 0.45)
                } else {
                    0.0
                };
            }
            Style::Quiff => {
                self.top = range(s, 1.6, 2.8);
                self.side = range(s, 0.1, 0.4);
            }
            Style::Fringe => {
                self.top = range(s, 0.8, 1.6);
                self.side = range(s, 0.4, 0.9);
                self.fringe = range(s, 0.6, 1.0);
                self.bottom = range(s, -3.0, -1.8);
            }
            Style::Medium => {
                long(self, s);
                self.bottom = range(s, -6.5, -3.5);
                self.nape = -9.0;
            }
            Style::Bob => {
                long(self, s);
                self.bottom = range(s, -11.0, -7.0);
                self.nape = self.bottom;
            }
            Style::Long => {
                long(self, s);
                self.bottom = -17.0;
                self.nape = -17.0;
            }
            Style::Tied => {
                self.top = range(s, 0.3, 0.9);
                self.side = range(s, 0.15, 0.4);
                self.opening = range(s, 0.98, 1.2);
                self.peak = range(s, -0.1, 0.3);
                self.shine = range(s, 0.3, 0.6);
            }
            Style::Curly => {
                self.top = range(s, 1.2, 3.2);
                self.side = range(s, 0.8, 3.0);
                self.curl = range(s, 0.4, 1.0);
                self.bottom = range(s, -8.0, -2.0);
                self.nape = self.bottom.min(-6.0);
                self.shine *= 0.4;
                self.ragged = range(s, 0.5, 1.0);
            }
        }
    }

    /// How far a place lies outside the face's opening, in centimetres (negative inside it).
    fn outside(&self, angle: f32, y: f32) -> f32 {
        let a = angle.abs() / mix(self.opening, self.opening_low, smooth(-0.5, -5.0, y));
        if y < 1.0 {
            return (a - 1.06) * 6.0;
        }
        let d = (a - 0.55) / 0.4;
        let mut top = self.hairline + self.recession * bump(d * d) - self.peak * bump(a * a * 9.0);
        if self.fringe > 0.0 {
            // Fringe: hangs lower, and more on one side.
            let lean = 1.0 + 0.45 * self.sweep * (angle / self.opening).clamp(-1.0, 1.0);
            top -= self.fringe * 3.6 * lean * smooth(1.1, 0.7, a);
            top = top.max(2.6);
        }
        let b = (y - 1.0) / (top - 1.0);
        let (a2, b2) = (a * a, b * b);
        // Between a rounded box and an ellipse.
        (0.3 * (a2 * a2 + b2 * b2).sqrt().sqrt() + 0.7 * (a2 + b2).sqrt() - 1.06) * 6.0
    }

    /// Whether a place of the shell lies so far inside the opening that no strand reaches it.
    pub(super) fn is_clear(&self, (angle, y): (f32, f32)) -> bool {
        self.outside(angle, y) < -0.8 * (self.ragged + 0.6) - 1.0
    }

    /// Opacity of the shell at an angle and level.
    pub(super) fn alpha(&self, noise: &Noise, angle: f32, y: f32, soft: f32) -> f32 {
        let rough = noise.fractal(angle * 9.0, y * 1.1 + 3.0) * self.ragged
            + 0.6 * noise.fractal(angle * 1.9 + 7.0, y * 0.28);
        let edge = 0.28 + soft + 0.25 * (1.0 - self.cover);
        let open = smooth(-edge, edge, self.outside(angle, y) + rough * 0.8);
        let side = smooth(2.2, 1.8, angle.abs());
        let bottom = mix(self.nape, self.bottom, side) + 1.2 * rough;
        let below = smooth(bottom - 0.25 - soft, bottom + 0.25 + soft, y);
        let bald = if self.crown_bald {
            smooth(4.6, 3.4, y + 1.5 * rough)
        } else {
            1.0
        };
        open * below * bald * self.cover
    }

    /// The shell's mesh coordinates: `uv` holds angle and level.
    pub(super) fn shell(&self, face: &Face, noise: &Noise, shift: f32) -> Grid {
        let columns = 65;
        let mut levels = Vec::new();
        for i in 0..14 {
            let (_, c) = sin_cos(i as f32 / 14.0 * PI * 0.5);
            levels.push(DOME + (face.crown - DOME) * c);
        }
        let low = self.bottom.min(self.nape) - 0.8;
        let n = ((DOME - low) / 0.55).ceil() as usize;
        levels.extend((0..=n).map(|i| DOME + (low - DOME) * i as f32 / n as f32));
        let angles: Vec<(f32, f32, f32)> = (0..columns)
            .map(|c| {
                let a = (c as f32 / (columns - 1) as f32 * 2.0 - 1.0) * PI;
                let (s, c) = sin_cos(a);
                (a, s, c)
            })
            .collect();
        let mut points = Vec::with_capacity(columns * levels.len());
        let widest = face.section(1.0);
        for &y in &levels {
            let mut section = face.section(y);
            if y < 1.0 {
                // Hair hangs; it does not follow the jaw in.
                let t = smooth(1.0, -4.0, y);
                section.0 = mix(section.0, section.0.max(widest.0 - 0.4), t);
                section.1 = mix(section.1, section.1.max(widest.1 - 1.0), t);
                section.2 = mix(section.2, section.2.max(7.0), t);
            }
            let up = ((y - DOME) / (face.crown - DOME)).clamp(0.0, 1.0);
            let out = (1.0 - up * up).sqrt();
            let volume = mix(self.side, self.top, smooth(2.0, 8.5, y)) * (1.0 + shift);
            for &(angle, sin, cos) in &angles {
                let (x, z) = face.bare(sin, cos, section);
                let f = self.outside(angle, y);
                let mut v = 0.14 + volume * smooth(-0.8, 2.2, f);
                if self.fringe > 0.0 && cos > 0.0 && y > 1.5 {
                    v = v.max(0.45 * self.fringe.min(0.8));
                }
                let lock = noise.fractal(angle * 2.3 + 11.0, y * 0.18 + 5.0);
                v += volume * 0.5 * lock * smooth(0.0, 2.0, f);
                if self.curl > 0.0 {
                    v += self.curl
                        * 0.9
                        * noise.fractal(angle * 3.0, y * 0.55)
                        * smooth(-0.3, 1.5, f);
                }
                if self.wave > 0.0 {
                    let (w, _) = sin_cos(y * 1.1 + 4.0 * noise.at(angle * 1.5, y * 0.1));
                    v += self.wave * w * smooth(3.0, -3.0, y);
                }
                let p = V3(x + sin * v * out, y + v * up, z + cos * v * out);
                points.push((p, (angle, y)));
            }
        }
        Grid {
            rows: levels.len(),
            columns,
            closed: true,
            points,
        }
    }

    /// The colour of the hair at a place of the shell.
    pub(super) fn paint(&self, noise: &Noise, angle: f32, y: f32) -> V3 {
        let bend = self.wave * noise.fractal(angle * 2.0, y * 0.4) * 2.0;
        let strand = if self.curl > 0.0 {
            noise.fractal(angle * 8.0, y * 1.3)
        } else {
            // On the crown strands run to the parting.
            noise.fractal(angle * 11.0 + bend, y * 0.22) * 0.8
                + 0.3 * noise.fractal(angle * 5.0, y * 0.1)
        };
        self.colour * (1.0 + self.streak * 1.3 * strand).max(0.15)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Bald,
    Horseshoe,
    Buzz,
    Short,
    Quiff,
    Fringe,
    Medium,
    Bob,
    Long,
    Tied,
    Curly,
}
