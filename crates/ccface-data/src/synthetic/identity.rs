//! What makes a person: the parameters that all pictures of one identity share.
//!
//! Lengths are centimetres in a head whose eyes lie on `y = 0`; `x` runs to the image's right, `y` up
//! and `z` from the middle of the head to the camera.

use super::draw::{bell, range, wide};
use super::hair::Hair;
use super::math::{V3, linear, mix, smooth};
use super::skin::Skin;
use crate::rng::{Purpose, Stream};

/// Skull, jaw and outline.
#[derive(Debug, Clone)]
pub(super) struct Skull {
    pub(super) width: f32,
    pub(super) height: f32,
    pub(super) temple: f32,
    pub(super) face_width: f32,
    pub(super) jaw_width: f32,
    pub(super) jaw_level: f32,
    pub(super) chin_width: f32,
    pub(super) length: f32,
    pub(super) depth: f32,
    pub(super) flatness: f32,
    pub(super) forehead_slope: f32,
    pub(super) forehead_bulge: f32,
    pub(super) cheekbone: f32,
    pub(super) cheekbone_level: f32,
    pub(super) cheek: f32,
    pub(super) brow_ridge: f32,
    pub(super) chin: f32,
    pub(super) cleft: f32,
    pub(super) ear_size: f32,
    pub(super) ear_angle: f32,
}

/// Eyes and lids.
#[derive(Debug, Clone)]
pub(super) struct Eyes {
    pub(super) spacing: f32,
    pub(super) width: f32,
    pub(super) opening: f32,
    pub(super) tilt: f32,
    pub(super) depth: f32,
    pub(super) skew: f32,
    pub(super) crease: f32,
    pub(super) hood: f32,
    pub(super) bag: f32,
    pub(super) lash: f32,
    pub(super) iris: V3,
    pub(super) iris_radius: f32,
    pub(super) shadow: V3,
    pub(super) shadow_strength: f32,
}

/// Eyebrows.
#[derive(Debug, Clone)]
pub(super) struct Brows {
    pub(super) level: f32,
    pub(super) thickness: f32,
    pub(super) arch: f32,
    pub(super) slant: f32,
    pub(super) length: f32,
    pub(super) gap: f32,
    pub(super) density: f32,
    pub(super) taper: f32,
    pub(super) colour: V3,
}

/// Nose.
#[derive(Debug, Clone)]
pub(super) struct Nose {
    pub(super) length: f32,
    pub(super) width: f32,
    pub(super) bridge_width: f32,
    pub(super) bridge_height: f32,
    pub(super) protrusion: f32,
    pub(super) hump: f32,
    pub(super) tip: f32,
    pub(super) drop: f32,
    pub(super) nostril: f32,
    pub(super) bend: f32,
}

/// Mouth and lips.
#[derive(Debug, Clone)]
pub(super) struct Mouth {
    pub(super) level: f32,
    pub(super) width: f32,
    pub(super) upper: f32,
    pub(super) lower: f32,
    pub(super) cupid: f32,
    pub(super) fullness: f32,
    pub(super) corner: f32,
    pub(super) fold: f32,
    pub(super) colour: V3,
}

/// Beard and moustache: densities in `[0, 1]`.
#[derive(Debug, Clone)]
pub(super) struct Beard {
    pub(super) stubble: f32,
    pub(super) moustache: f32,
    pub(super) goatee: f32,
    pub(super) full: f32,
    pub(super) cheek_line: f32,
    pub(super) colour: V3,
}

/// Glasses of a person who owns some.
#[derive(Debug, Clone)]
pub(super) struct Glasses {
    pub(super) half_width: f32,
    pub(super) half_height: f32,
    pub(super) roundness: f32,
    pub(super) thickness: f32,
    pub(super) colour: V3,
    /// How often the person wears them.
    pub(super) habit: f32,
}

/// All parameters of one person.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// 0 is about 18 years, 1 about 80.
    pub(super) age: f32,
    pub(super) skull: Skull,
    pub(super) eyes: Eyes,
    pub(super) brows: Brows,
    pub(super) nose: Nose,
    pub(super) mouth: Mouth,
    pub(super) beard: Beard,
    pub(super) skin: Skin,
    pub(super) hair: Hair,
    pub(super) glasses: Option<Glasses>,
    /// Left-right differences: eye level, brow level, mouth slant, eye opening.
    pub(super) asymmetry: [f32; 4],
}

impl Identity {
    /// The person of a number: a pure function of (seed, identity).
    pub(super) fn new(seed: u64, identity: u64) -> Self {
        let s = &mut Stream::new(seed, 0, identity, Purpose::Synthetic(0));
        // Latent causes that several parameters share, as in people.
        let sex = if s.chance(0.5) {
            range(s, -1.0, -0.2)
        } else {
            range(s, 0.2, 1.0)
        };
        let male = smooth(-0.5, 0.5, sex);
        let age = s.uniform() as f32;
        let weight = bell(s).clamp(-2.0, 2.2);
        let tone = s.uniform() as f32;

        let skin = Skin::new(s, tone, age);
        let hair = Hair::new(s, male, age, tone);
        let skull = Skull::new(s, sex, age, weight);
        let eyes = Eyes::new(s, sex, age, tone, male);
        let brows = Brows::new(s, sex, age, &hair);
        let nose = Nose::new(s, sex, age);
        let mouth = Mouth::new(
            s,
            sex,
            age,
            &skin,
            male,
            skull.length,
            nose.length + nose.drop,
        );
        let beard = Beard::new(s, male, age, &hair);
        let glasses = Glasses::new(s, age);
        let asymmetry = [
            0.06 * bell(s),
            0.09 * bell(s),
            0.02 * bell(s),
            0.05 * bell(s),
        ];
        Self {
            age,
            skull,
            eyes,
            brows,
            nose,
            mouth,
            beard,
            skin,
            hair,
            glasses,
            asymmetry,
        }
    }
}

impl Skull {
    fn new(s: &mut Stream, sex: f32, age: f32, weight: f32) -> Self {
        let width = 7.5 + 0.35 * wide(s) + 0.1 * sex;
        let face_width = 6.85 + 0.38 * wide(s) + 0.12 * sex + 0.16 * weight;
        let jaw_width = face_width * (0.82 + 0.06 * wide(s) + 0.025 * sex + 0.03 * weight);
        Self {
            width,
            height: 12.0 + 0.5 * wide(s),
            temple: width.min(face_width + 0.4) * (0.96 + 0.02 * wide(s)),
            face_width,
            jaw_width,
            jaw_level: 6.8 + 0.5 * wide(s),
            chin_width: 2.75 + 0.45 * wide(s) + 0.25 * sex,
            length: 10.9 + 0.55 * wide(s) + 0.4 * sex,
            depth: 9.0 + 0.3 * wide(s),
            flatness: 0.28 + 0.16 * wide(s),
            forehead_slope: 0.45 + 0.3 * wide(s) + 0.15 * sex,
            forehead_bulge: 0.15 * wide(s),
            cheekbone: 0.45 + 0.28 * wide(s) - 0.08 * weight,
            cheekbone_level: -2.4 + 0.5 * wide(s),
            cheek: 0.1 + 0.16 * wide(s) + 0.24 * weight - 0.35 * age,
            brow_ridge: 0.32 + 0.2 * wide(s) + 0.22 * sex,
            chin: 0.45 + 0.3 * wide(s) + 0.1 * sex,
            cleft: if s.chance(0.25) {
                range(s, 0.1, 0.3)
            } else {
                0.0
            },
            ear_size: 1.0 + 0.12 * wide(s) + 0.15 * age,
            ear_angle: 0.5 + 0.17 * wide(s),
        }
    }
}

impl Eyes {
    fn new(s: &mut Stream, sex: f32, age: f32, tone: f32, male: f32) -> Self {
        // Light irises are rare in dark skin.
        let light = s.uniform() as f32 > 0.35 + 0.65 * smooth(0.25, 0.6, tone);
        let iris = if light {
            *s.choice(&[
                linear(0.36, 0.52, 0.66),
                linear(0.45, 0.55, 0.60),
                linear(0.38, 0.50, 0.36),
                linear(0.52, 0.46, 0.28),
            ])
        } else {
            *s.choice(&[
                linear(0.32, 0.20, 0.12),
                linear(0.22, 0.13, 0.08),
                linear(0.42, 0.28, 0.15),
            ])
        };
        let made_up = s.chance(f64::from(0.45 * (1.0 - male)));
        let shadow_strength = if made_up { range(s, 0.15, 0.6) } else { 0.0 };
        Self {
            spacing: 3.15 + 0.22 * wide(s),
            width: 1.52 + 0.14 * wide(s),
            opening: (1.2 + 0.2 * wide(s) - 0.08 * sex - 0.15 * age).max(0.45),
            tilt: 0.07 + 0.085 * wide(s) - 0.05 * age,
            depth: 0.55 + 0.25 * wide(s) + 0.12 * sex,
            skew: 0.25 * wide(s),
            crease: if s.chance(0.3) {
                0.0
            } else {
                range(s, 0.3, 1.0)
            },
            hood: range(s, 0.0, 1.0),
            bag: (0.15 + 0.2 * wide(s) + 0.6 * age).clamp(0.0, 1.0),
            lash: 0.35 + 0.25 * (1.0 - male) + 0.15 * wide(s) + if made_up { 0.35 } else { 0.0 },
            iris,
            iris_radius: 0.60 + 0.04 * wide(s),
            shadow: *s.choice(&[
                linear(0.35, 0.2, 0.2),
                linear(0.25, 0.2, 0.3),
                linear(0.3, 0.22, 0.12),
                linear(0.15, 0.13, 0.13),
            ]),
            shadow_strength,
        }
    }
}

impl Brows {
    fn new(s: &mut Stream, sex: f32, age: f32, hair: &Hair) -> Self {
        // Brows keep their colour longer than hair, and fair ones are darker than the hair above.
        let dark = hair.base.mix(hair.colour, range(s, 0.0, 0.8)) * range(s, 0.3, 0.75);
        let dark = dark * (0.16 / dark.luma().max(0.16)).sqrt();
        Self {
            level: 1.65 + 0.27 * wide(s) - 0.2 * sex,
            thickness: (0.66 + 0.2 * wide(s) + 0.12 * sex).max(0.2),
            arch: 0.25 + 0.2 * wide(s) - 0.12 * sex,
            slant: 0.1 + 0.22 * wide(s),
            length: 3.9 + 0.4 * wide(s),
            gap: (1.15 + 0.35 * wide(s) - 0.1 * sex).max(0.2),
            density: (0.82 + 0.18 * wide(s) + 0.1 * sex - 0.15 * age).clamp(0.15, 1.0),
            taper: range(s, 0.2, 0.9),
            colour: dark,
        }
    }
}

impl Nose {
    fn new(s: &mut Stream, sex: f32, age: f32) -> Self {
        Self {
            length: 3.35 + 0.36 * wide(s) + 0.12 * sex + 0.2 * age,
            width: 1.75 + 0.26 * wide(s) + 0.1 * sex + 0.1 * age,
            bridge_width: 1.0 + 0.2 * wide(s) + 0.08 * sex,
            bridge_height: 0.45 + 0.28 * wide(s) + 0.1 * sex,
            protrusion: 1.85 + 0.35 * wide(s) + 0.12 * sex,
            hump: 0.1 + 0.18 * wide(s) + 0.08 * sex,
            tip: 0.4 + 0.16 * wide(s) + 0.1 * age,
            drop: 0.8 + 0.2 * wide(s),
            nostril: 1.0 + 0.35 * wide(s),
            bend: 0.07 * wide(s),
        }
    }
}

impl Mouth {
    fn new(
        s: &mut Stream,
        sex: f32,
        age: f32,
        skin: &Skin,
        male: f32,
        length: f32,
        nose_base: f32,
    ) -> Self {
        let upper = (0.62 + 0.24 * wide(s) - 0.08 * sex - 0.28 * age).max(0.14);
        let lower = (0.92 + 0.26 * wide(s) - 0.08 * sex - 0.28 * age).max(0.25);
        let natural = skin.albedo.times(V3(0.92, 0.52, 0.55)).mix(
            linear(0.62, 0.25, 0.26),
            range(s, 0.1, 0.5) * mix(1.0, 0.5, skin.tone),
        );
        let colour = if s.chance(f64::from(0.5 * (1.0 - male))) {
            let paint = *s.choice(&[
                linear(0.66, 0.10, 0.16),
                linear(0.48, 0.10, 0.20),
                linear(0.80, 0.32, 0.36),
                linear(0.55, 0.25, 0.20),
            ]);
            natural.mix(paint, range(s, 0.3, 0.9))
        } else {
            natural.mix(skin.albedo, range(s, 0.0, 0.4))
        };
        Self {
            level: nose_base + 2.1 + 0.2 * wide(s) + 0.1 * (length - 10.9),
            width: 2.65 + 0.25 * wide(s) + 0.1 * sex,
            upper,
            lower,
            cupid: (0.4 + 0.28 * wide(s)).clamp(0.0, 0.95),
            fullness: 0.28 + 0.14 * wide(s),
            corner: 0.14 * wide(s) - 0.12 * age,
            fold: (0.12 + 0.16 * wide(s) + 0.55 * age).clamp(0.0, 1.0),
            colour,
        }
    }
}

impl Beard {
    fn new(s: &mut Stream, male: f32, age: f32, hair: &Hair) -> Self {
        let grows = male > 0.5;
        let style = if grows { s.uniform() as f32 } else { 0.0 };
        let dense = range(s, 0.55, 1.0);
        let stubble = if grows { range(s, 0.05, 0.5) } else { 0.0 };
        let (moustache, goatee, full) = match style {
            x if x < 0.5 => (0.0, 0.0, 0.0),
            x if x < 0.60 => (dense, 0.0, 0.0),
            x if x < 0.72 => (dense, dense, 0.0),
            x if x < 0.78 => (0.0, dense, 0.0),
            _ => (dense * range(s, 0.6, 1.0), dense, dense),
        };
        let grey = smooth(0.5, 0.9, age) * range(s, 0.2, 0.9);
        Self {
            stubble,
            moustache,
            goatee,
            full,
            cheek_line: range(s, -5.6, -3.4),
            colour: (hair.base * range(s, 0.6, 1.1)).mix(linear(0.72, 0.71, 0.70), grey),
        }
    }
}

impl Glasses {
    fn new(s: &mut Stream, age: f32) -> Option<Self> {
        let owns = s.chance(f64::from(0.16 + 0.2 * age));
        let habit = if s.chance(0.7) { 1.0 } else { 0.5 };
        let glasses = Self {
            half_width: range(s, 2.2, 2.75),
            half_height: range(s, 1.35, 2.2),
            roundness: range(s, 0.0, 1.0),
            thickness: range(s, 0.1, 0.34),
            colour: *s.choice(&[
                linear(0.06, 0.06, 0.07),
                linear(0.06, 0.06, 0.07),
                linear(0.30, 0.17, 0.09),
                linear(0.55, 0.52, 0.48),
                linear(0.35, 0.08, 0.10),
            ]),
            habit,
        };
        owns.then_some(glasses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_stay_within_human_bounds() {
        for i in 0..500 {
            let p = Identity::new(3, i);
            assert!((5.5..8.6).contains(&p.skull.face_width), "{:?}", p.skull);
            assert!(p.skull.jaw_width < p.skull.face_width * 1.06);
            assert!(
                p.nose.length + p.nose.drop < p.mouth.level - 0.5,
                "nose above mouth"
            );
            assert!(
                p.mouth.level + p.mouth.lower < p.skull.length - 0.8,
                "mouth above chin"
            );
            assert!(p.eyes.spacing > p.eyes.width + 0.3, "eyes apart");
            assert!((0.0..=1.0).contains(&p.age));
        }
    }

    #[test]
    fn an_identity_is_a_pure_function_of_seed_and_number() {
        let same = |a: &Identity, b: &Identity| format!("{a:?}") == format!("{b:?}");
        assert!(same(&Identity::new(1, 2), &Identity::new(1, 2)));
        assert!(!same(&Identity::new(1, 2), &Identity::new(1, 3)));
        assert!(!same(&Identity::new(1, 2), &Identity::new(2, 2)));
    }
}
