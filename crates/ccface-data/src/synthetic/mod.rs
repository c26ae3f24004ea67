//! Synthetic faces: a procedural 3-D head, rendered as an aligned crop.
//!
//! [`render`] is a pure function of (configuration, seed, identity, sample): the same bytes in any
//! order, on any number of threads. Its arithmetic uses only `+ − × ÷ √` in `f32`, which IEEE 754 fixes
//! exactly, so platforms agree as long as the compiler keeps to that standard.

mod camera;
mod draw;
mod features;
mod folder;
mod glasses;
mod groups;
mod hair;
mod head;
mod identity;
mod light;
mod math;
mod mesh;
mod noise;
mod raster;
mod renderer;
mod sample;
mod scene;
mod sheet;
mod skin;
mod source;

pub use folder::{PictureFormat, Written, write_folder};
pub use groups::Groups;
pub use sheet::contact_sheet;
pub use source::SyntheticSource;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// Rises whenever a change of the generator changes any picture.
pub const GENERATOR_VERSION: u32 = 2;

/// How synthetic faces are drawn; identities and their pictures follow from the seed alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyntheticConfig {
    /// Side of the picture in pixels, 16 to 1024; default 112, the size of ArcFace crops.
    pub size: usize,
    /// Samples per pixel along each axis, 1 to 4; default 1.5.
    pub supersample: f32,
    /// Largest yaw in radians, 0 to 0.79; default π/6 (30°).
    pub max_yaw: f32,
    /// Largest pitch in radians, 0 to 0.5; default 0.2618 (15°).
    pub max_pitch: f32,
    /// Largest roll in radians before alignment, 0 to 0.5; default 0.2094 (12°).
    pub max_roll: f32,
    /// Strength of expressions, 0 (at rest) to 1; default 1.
    pub expression: f32,
    /// Strength of the variation of light and exposure, 0 (studio) to 1; default 1.
    pub light: f32,
    /// Standard deviation of the sensor noise as a share of full scale, 0 to 0.1; default 0.02.
    pub noise: f32,
    /// Mean standard deviation of the blur in pixels of a 112 × 112 picture, 0 to 3; default 0.45.
    pub blur: f32,
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        Self {
            size: 112,
            supersample: 1.5,
            max_yaw: std::f32::consts::FRAC_PI_6,
            max_pitch: 0.2618,
            max_roll: 0.2094,
            expression: 1.0,
            light: 1.0,
            noise: 0.02,
            blur: 0.45,
        }
    }
}

impl SyntheticConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`DataError::Config`] naming the first field out of range.
    pub fn validate(&self) -> Result<(), DataError> {
        if !(16..=1024).contains(&self.size) {
            return Err(DataError::config(
                "size",
                self.size,
                "must lie between 16 and 1024 pixels",
            ));
        }
        for (key, value, low, high) in [
            ("supersample", self.supersample, 1.0, 4.0),
            ("max_yaw", self.max_yaw, 0.0, 0.79),
            ("max_pitch", self.max_pitch, 0.0, 0.5),
            ("max_roll", self.max_roll, 0.0, 0.5),
            ("expression", self.expression, 0.0, 1.0),
            ("light", self.light, 0.0, 1.0),
            ("noise", self.noise, 0.0, 0.1),
            ("blur", self.blur, 0.0, 3.0),
        ] {
            if !(low..=high).contains(&value) {
                return Err(DataError::config(
                    key,
                    value,
                    format!("must lie between {low} and {high}"),
                ));
            }
        }
        Ok(())
    }
}

/// A synthetic picture with what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct SyntheticFace {
    /// The aligned crop.
    pub image: RgbImage,
    /// Eye at the image's left, eye at its right, tip of the nose, corners of the mouth, in pixels whose
    /// centres lie at whole numbers.
    pub landmarks: [[f32; 2]; 5],
    /// The groups of the picture.
    pub groups: Groups,
}

/// Renders picture `sample` of person `identity` of the world `seed`.
///
/// ```text
/// image = camera(shade(project(head(identity, expression(sample)), pose(sample)), light(sample)))
/// ```
///
/// The projected landmarks are brought onto the ArcFace template
/// ([`ARCFACE_TEMPLATE_112`](crate::align::ARCFACE_TEMPLATE_112), scaled by `size / 112`) by the
/// least-squares similarity, and the picture is rendered in that frame.
///
/// ```
/// use ccface_data::synthetic::{SyntheticConfig, render};
/// let face = render(&SyntheticConfig::default(), 7, 0, 0);
/// assert_eq!(face.image.dimensions(), (112, 112));
/// ```
pub fn render(config: &SyntheticConfig, seed: u64, identity: u64, sample: u64) -> SyntheticFace {
    renderer::render(config, seed, identity, sample)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn distance(a: &RgbImage, b: &RgbImage) -> f64 {
        let sum: f64 = a
            .as_raw()
            .iter()
            .zip(b.as_raw())
            .map(|(a, b)| f64::from(a.abs_diff(*b)))
            .sum();
        sum / a.as_raw().len() as f64
    }

    #[test]
    fn a_picture_is_the_same_bytes_in_every_call() {
        let config = SyntheticConfig::default();
        let hash = |s| blake3::hash(render(&config, 11, 4, s).image.as_raw());
        assert_eq!(hash(2), hash(2));
        assert_ne!(hash(2), hash(3));
    }

    #[test]
    fn landmarks_lie_near_the_template_at_every_size() {
        for size in [48usize, 112, 150] {
            let config = SyntheticConfig {
                size,
                ..SyntheticConfig::default()
            };
            let scale = size as f32 / 112.0;
            for i in 0..300 {
                let (points, _) = renderer::describe(&config, 1, i, 0);
                for (p, t) in points.iter().zip(crate::align::ARCFACE_TEMPLATE_112) {
                    let (dx, dy) = (p[0] / scale - t[0] as f32, p[1] / scale - t[1] as f32);
                    assert!(
                        (dx * dx + dy * dy).sqrt() < 14.0,
                        "identity {i}: {points:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn groups_stay_in_range_and_all_occur() {
        let config = SyntheticConfig::default();
        let (mut tones, mut ages, mut poses) = ([0; 6], [0; 4], [0; 5]);
        for i in 0..300 {
            let (_, g) = renderer::describe(&config, 1, i, 0);
            tones[usize::from(g.skin_tone)] += 1;
            ages[usize::from(g.age)] += 1;
            poses[usize::from(g.pose)] += 1;
        }
        assert!(tones.iter().all(|&n| n > 20), "{tones:?}");
        assert!(ages.iter().all(|&n| n > 40), "{ages:?}");
        assert!(poses.iter().all(|&n| n > 5), "{poses:?}");
    }

    #[test]
    fn two_people_differ_more_than_two_pictures_of_one() {
        // Camera, light and background are held still, so that the person is what is left.
        let config = SyntheticConfig {
            light: 0.0,
            max_yaw: 0.1,
            max_pitch: 0.05,
            size: 48,
            ..SyntheticConfig::default()
        };
        let faces: Vec<[RgbImage; 2]> = (0..20)
            .map(|i| [0, 1].map(|s| middle(&render(&config, 2, i, s).image)))
            .collect();
        let same: f64 = faces.iter().map(|[a, b]| distance(a, b)).sum::<f64>() / 20.0;
        let other: f64 = (0..20)
            .map(|i| distance(&faces[i][0], &faces[(i + 1) % 20][1]))
            .sum::<f64>()
            / 20.0;
        assert!(other > 1.6 * same, "same {same}, other {other}");
    }

    fn middle(picture: &RgbImage) -> RgbImage {
        let side = picture.width();
        image::imageops::crop_imm(picture, side / 4, side / 4, side / 2, side / 2).to_image()
    }

    #[test]
    fn the_face_and_not_the_background_fills_the_middle() {
        // With the background out of the way the middle keeps its values; skin is redder than blue.
        for i in 0..20 {
            let face = render(&SyntheticConfig::default(), 3, i, 0).image;
            let (mut red, mut blue) = (0u32, 0u32);
            for p in middle(&face).pixels() {
                red += u32::from(p[0]);
                blue += u32::from(p[2]);
            }
            assert!(red > blue, "identity {i}");
        }
    }

    #[test]
    fn a_configuration_survives_serialisation_and_unknown_fields_are_refused() {
        let config = SyntheticConfig {
            size: 64,
            ..SyntheticConfig::default()
        };
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(
            serde_json::from_str::<SyntheticConfig>(&text).unwrap(),
            config
        );
        assert!(serde_json::from_str::<SyntheticConfig>("{\"sise\": 3}").is_err());
        assert!(
            serde_json::from_str::<SyntheticConfig>("{}")
                .unwrap()
                .validate()
                .is_ok()
        );
    }

    #[test]
    fn every_setting_out_of_range_is_named() {
        for text in [
            "{\"size\": 8}",
            "{\"max_yaw\": 2.0}",
            "{\"noise\": -1.0}",
            "{\"supersample\": 9.0}",
        ] {
            let config: SyntheticConfig = serde_json::from_str(text).unwrap();
            let said = config.validate().unwrap_err().to_string();
            let key = text.split('"').nth(1).unwrap();
            assert!(said.starts_with(key), "{said}");
        }
    }
}
