//! What changes between two pictures of one person: pose, expression, light, camera, background.

use super::draw::{bell, range};
use super::math::{Rotation, V3, linear, mix, sin_cos, smooth};
use super::{SyntheticConfig, identity::Identity};
use crate::rng::{Purpose, Stream};

/// Head rotation in radians.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pose {
    pub(super) yaw: f32,
    pub(super) pitch: f32,
    pub(super) roll: f32,
}

/// Expression, each part 0 where the face is at rest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expression {
    pub(super) smile: f32,
    pub(super) open: f32,
    pub(super) brow: f32,
    pub(super) frown: f32,
    pub(super) close: f32,
    pub(super) gaze: [f32; 2],
}

/// Light in camera space: one key light, one fill light, and a sky-to-ground ambient term.
#[derive(Debug, Clone, Copy)]
pub(super) struct Light {
    pub(super) key: V3,
    pub(super) key_colour: V3,
    pub(super) fill: V3,
    pub(super) fill_colour: V3,
    pub(super) sky: V3,
    pub(super) ground: V3,
}

/// Lens, sensor and development.
#[derive(Debug, Clone, Copy)]
pub(super) struct Camera {
    /// Distance to the middle of the head in centimetres.
    pub(super) distance: f32,
    pub(super) exposure: f32,
    pub(super) white: V3,
    pub(super) contrast: f32,
    pub(super) saturation: f32,
    pub(super) noise: f32,
    /// Standard deviation of the blur, in pixels of a 112 × 112 picture.
    pub(super) blur: f32,
}

/// A soft background: two colours and three blobs.
#[derive(Debug, Clone)]
pub(super) struct Background {
    pub(super) top: V3,
    pub(super) bottom: V3,
    pub(super) blobs: [(f32, f32, f32, V3); 3],
    pub(super) texture: f32,
}

/// What is worn below the face.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clothes {
    pub(super) colour: V3,
    /// The colour of every second stripe.
    pub(super) second: V3,
    /// Stripes in a centimetre, across and down; 0 and 0 is plain.
    pub(super) stripes: [f32; 2],
    /// Where they begin beside the neck, in centimetres above the chin.
    pub(super) level: f32,
    /// Half their width one centimetre below that.
    pub(super) shoulder: f32,
}

/// All that one picture adds to its person.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) pose: Pose,
    pub(super) expression: Expression,
    pub(super) light: Light,
    pub(super) camera: Camera,
    pub(super) background: Background,
    pub(super) clothes: Clothes,
    pub(super) glasses: bool,
    pub(super) hair_shift: f32,
}

impl Sample {
    /// The circumstances of a picture: a pure function of (seed, identity, sample).
    pub(super) fn new(
        config: &SyntheticConfig,
        seed: u64,
        identity: u64,
        sample: u64,
        who: &Identity,
    ) -> Self {
        let s = &mut Stream::new(seed, sample, identity, Purpose::Synthetic(1));
        let pose = Pose::new(s, config);
        let expression = Expression::new(s, config.expression);
        let light = Light::new(s, config.light);
        let camera = Camera::new(s, config, who.skin.albedo.luma());
        let background = Background::new(s);
        let cloth = colour(s, 0.02, 0.7);
        let glasses = who
            .glasses
            .as_ref()
            .is_some_and(|g| s.chance(f64::from(g.habit)));
        let hair_shift = 0.12 * bell(s);
        Self {
            pose,
            expression,
            light,
            camera,
            background,
            clothes: Clothes::new(s, cloth),
            glasses,
            hair_shift,
        }
    }
}

/// A random colour of moderate saturation.
fn colour(s: &mut Stream, low: f32, high: f32) -> V3 {
    // Most of what stands behind people and what they wear is rather dark.
    let v = range(s, low.sqrt(), high.sqrt());
    let v = v * v * mix(v, 1.0, 0.3);
    V3(
        v * range(s, 0.6, 1.3),
        v * range(s, 0.7, 1.2),
        v * range(s, 0.6, 1.4),
    )
}

impl Clothes {
    fn new(s: &mut Stream, plain: V3) -> Self {
        let striped = s.chance(0.3);
        let (across, down) = (range(s, -1.2, 1.2), range(s, -1.2, 1.2));
        Self {
            colour: plain,
            second: colour(s, 0.02, 0.9),
            stripes: if striped { [across, down] } else { [0.0; 2] },
            level: range(s, -3.6, 3.6),
            shoulder: range(s, 7.5, 13.0),
        }
    }

    /// The colour at a place of the cloth.
    pub(super) fn paint(&self, p: V3) -> V3 {
        let [across, down] = self.stripes;
        if across == 0.0 && down == 0.0 {
            return self.colour;
        }
        let (wave, _) = sin_cos(std::f32::consts::TAU * (across * p.0 + down * p.1));
        self.colour.mix(self.second, smooth(-0.2, 0.2, wave))
    }
}

impl Pose {
    fn new(s: &mut Stream, config: &SyntheticConfig) -> Self {
        let part = |s: &mut Stream, share: f32, limit: f32| {
            // A bell whose standard deviation is a share of the limit, cut at the limit.
            (bell(s) * share * limit).clamp(-limit, limit)
        };
        Self {
            yaw: part(s, 0.44, config.max_yaw),
            pitch: part(s, 0.42, config.max_pitch),
            roll: part(s, 0.42, config.max_roll),
        }
    }

    pub(super) fn rotation(&self) -> Rotation {
        Rotation::new(self.yaw, self.pitch, self.roll)
    }
}

impl Expression {
    fn new(s: &mut Stream, strength: f32) -> Self {
        let sometimes = |s: &mut Stream, p: f64, high: f32| {
            let on = s.chance(p);
            let v = range(s, 0.1, high);
            if on { v * strength } else { 0.0 }
        };
        Self {
            smile: sometimes(s, 0.5, 1.0),
            open: sometimes(s, 0.22, 1.0),
            brow: range(s, -0.3, 0.3) * strength + sometimes(s, 0.15, 0.8),
            frown: sometimes(s, 0.15, 0.9),
            close: if s.chance(0.03 * f64::from(strength)) {
                1.0
            } else {
                range(s, 0.0, 0.3) * strength
            },
            gaze: [0.11 * bell(s), 0.06 * bell(s)],
        }
    }
}

impl Light {
    fn new(s: &mut Stream, strength: f32) -> Self {
        let direction = |azimuth: f32, elevation: f32| {
            let ((sa, ca), (se, ce)) = (sin_cos(azimuth), sin_cos(elevation));
            V3(sa * ce, se, ca * ce)
        };
        let azimuth = (0.55 * bell(s) * strength).clamp(-1.25, 1.25);
        let key = direction(azimuth, 0.5 + range(s, -0.45, 0.5) * strength);
        let fill = direction(-azimuth * range(s, 0.3, 1.5), range(s, -0.3, 0.5));
        // Colour temperature: from tungsten to shade.
        let temperature = |s: &mut Stream| {
            let t = 0.26 * bell(s) * strength;
            V3(1.0 + 0.24 * t, 1.0 + 0.03 * t, 1.0 - 0.26 * t)
        };
        let key_share = 0.66 + range(s, -0.3, 0.28) * strength;
        let key_colour = temperature(s) * (1.25 * key_share);
        let fill_colour = temperature(s) * (0.45 * (1.0 - key_share) * range(s, 0.4, 1.6));
        let ambient = temperature(s) * (0.8 * (1.0 - key_share) + 0.08);
        let top = range(s, 0.9, 1.3);
        Self {
            key,
            key_colour,
            fill,
            fill_colour,
            sky: ambient * top,
            ground: ambient * range(s, 0.45, 0.9),
        }
    }
}

impl Camera {
    fn new(s: &mut Stream, config: &SyntheticConfig, skin: f32) -> Self {
        let white = V3(1.0 + 0.05 * bell(s), 1.0, 1.0 + 0.06 * bell(s));
        // Cameras expose partly for the face: dark skin gets a little more light.
        let metering = 1.0 + 0.55 * (0.35 - skin).max(0.0) / 0.35 - 0.9 * (skin - 0.38).max(0.0);
        Self {
            distance: range(s, 55.0, 180.0),
            exposure: (1.0 + 0.17 * bell(s) * config.light) * metering,
            white,
            contrast: 1.0 + 0.1 * bell(s),
            saturation: 1.0 + 0.10 * bell(s),
            noise: config.noise * range(s, 0.3, 1.7),
            blur: config.blur * range(s, 0.0, 2.0),
        }
    }
}

impl Background {
    fn new(s: &mut Stream) -> Self {
        let mut blob = || {
            (
                range(s, -0.2, 1.2),
                range(s, -0.2, 1.2),
                range(s, 0.1, 0.5),
                colour(s, 0.01, 0.9),
            )
        };
        let blobs = [blob(), blob(), blob()];
        let top = colour(s, 0.02, 0.9);
        let bottom = top.mix(colour(s, 0.02, 0.8), range(s, 0.0, 1.0));
        let plain = s.chance(0.35);
        let blobs = if plain {
            blobs.map(|(x, y, _, c)| (x, y, 0.0, c))
        } else {
            blobs
        };
        Self {
            top,
            bottom,
            blobs,
            texture: range(s, 0.0, 0.25),
        }
    }
}

/// The colour of teeth, before light.
pub(super) fn teeth() -> V3 {
    linear(0.90, 0.87, 0.80)
}
