//! One stage of a degradation.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::resize::{Kernel, resize};
use super::span::Span;
use super::{blur, crop, jpeg, misalign, noise, tone};
use crate::error::DataError;
use crate::face::FaceImage;
use crate::rng::Stream;

/// One step from the HR view to the LR view.
///
/// Stages run in the order of the recipe, each with probability `p` (1 where it is left out). In a config a stage is
/// a table with its `kind`, such as `{ kind = "jpeg", p = 0.5, quality = [40, 90] }`; ranges are `[low, high]` and
/// drawn uniformly unless said otherwise.
///
/// Lengths are in *face pixels*: pixels of the picture once it has the drawn face size. A blur of 0.5 before `down`
/// and one after it are equally strong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Stage {
    /// Shrinks to the drawn face size with one of the kernels, each equally likely; a face that is no larger stays as
    /// it is.
    Down {
        /// The kernels to draw from.
        kernels: Vec<Kernel>,
    },
    /// Grows to the output size with one of the kernels, each equally likely.
    Up {
        /// The kernels to draw from.
        kernels: Vec<Kernel>,
    },
    /// [`blur::gaussian`].
    GaussianBlur {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Standard deviation in face pixels (0..=8).
        sigma: Span,
    },
    /// [`blur::motion`] in a random direction.
    MotionBlur {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Length of the path in face pixels (0..=16).
        length: Span,
    },
    /// [`blur::defocus`].
    Defocus {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Radius in face pixels (0..=8).
        radius: Span,
    },
    /// [`noise::poisson_gaussian`].
    Noise {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Photons of a white pixel, drawn log-uniformly (1..=1e6).
        photons: Span,
        /// Standard deviation in the dark, in grey levels (0..=128).
        read: Span,
    },
    /// [`jpeg::jpeg`].
    Jpeg {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Quality (1..=100).
        quality: Span,
    },
    /// [`tone::tone`].
    Tone {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Exponent, drawn log-uniformly (0.1..=10; above 1 darkens).
        gamma: Span,
        /// Exposure in stops (−5..=5).
        stops: Span,
    },
    /// [`tone::color_jitter`].
    ColorJitter {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Brightness factor (0..=4; 1 = unchanged).
        brightness: Span,
        /// Contrast factor (0..=4).
        contrast: Span,
        /// Saturation factor (0..=4).
        saturation: Span,
    },
    /// [`crop::crop_on_black`].
    Crop {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Share of the area that stays (0.01..=1).
        share: Span,
        /// Width over height, drawn log-uniformly (0.1..=10).
        aspect: Span,
        /// Whether the HR view is cropped alike (default true). Shared crops come before every other stage, and
        /// teacher embeddings of the whole face do not fit them.
        #[serde(default = "yes")]
        shared: bool,
    },
    /// [`crop::erase`].
    Erase {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Share of the area that is painted over (0.01..=1).
        share: Span,
        /// Width over height, drawn log-uniformly (0.1..=10).
        aspect: Span,
    },
    /// [`tone::light_ramp`] in a random direction.
    LightRamp {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Gain at the bright edge minus 1 (0..=1).
        strength: Span,
    },
    /// [`misalign::landmark_jitter`].
    LandmarkJitter {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Standard deviation of each landmark in face pixels (0..=8).
        sigma: Span,
    },
    /// [`misalign::rotate`].
    Rotate {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Angle in radians (−π..=π).
        angle: Span,
    },
}

fn always() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

/// The sizes that a stage works towards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// The drawn face size: what `down` shrinks to.
    pub face: usize,
    /// The side of the LR view: what `up` grows to.
    pub out: usize,
}

impl Stage {
    /// The stage's probability.
    pub fn p(&self) -> f64 {
        match self {
            Stage::Down { .. } | Stage::Up { .. } => 1.0,
            Stage::GaussianBlur { p, .. }
            | Stage::MotionBlur { p, .. }
            | Stage::Defocus { p, .. }
            | Stage::Noise { p, .. }
            | Stage::Jpeg { p, .. }
            | Stage::Tone { p, .. }
            | Stage::ColorJitter { p, .. }
            | Stage::Crop { p, .. }
            | Stage::Erase { p, .. }
            | Stage::LightRamp { p, .. }
            | Stage::LandmarkJitter { p, .. }
            | Stage::Rotate { p, .. } => *p,
        }
    }

    /// The stage's name in a config.
    pub fn name(&self) -> &'static str {
        match self {
            Stage::Down { .. } => "down",
            Stage::Up { .. } => "up",
            Stage::GaussianBlur { .. } => "gaussian_blur",
            Stage::MotionBlur { .. } => "motion_blur",
            Stage::Defocus { .. } => "defocus",
            Stage::Noise { .. } => "noise",
            Stage::Jpeg { .. } => "jpeg",
            Stage::Tone { .. } => "tone",
            Stage::ColorJitter { .. } => "color_jitter",
            Stage::Crop { .. } => "crop",
            Stage::Erase { .. } => "erase",
            Stage::LightRamp { .. } => "light_ramp",
            Stage::LandmarkJitter { .. } => "landmark_jitter",
            Stage::Rotate { .. } => "rotate",
        }
    }

    /// Whether the stage is geometry that the HR view shares.
    pub fn is_shared(&self) -> bool {
        matches!(self, Stage::Crop { shared: true, .. })
    }

    /// Applies the stage, or not, by the random numbers of this stage and image.
    pub fn apply(&self, face: FaceImage, sizes: Sizes, stream: &mut Stream) -> FaceImage {
        if !stream.chance(self.p()) {
            return face;
        }
        let unit = face.side() as f64 / sizes.face.max(1) as f64;
        match self {
            Stage::Down { kernels } => {
                let kernel = *stream.choice(kernels);
                if sizes.face >= face.side() {
                    face
                } else {
                    resize(&face, sizes.face, sizes.face, kernel)
                }
            }
            Stage::Up { kernels } => {
                let kernel = *stream.choice(kernels);
                if (face.width, face.height) == (sizes.out, sizes.out) {
                    face
                } else if face.side() > sizes.out {
                    super::fit(face, sizes.out)
                } else {
                    resize(&face, sizes.out, sizes.out, kernel)
                }
            }
            Stage::GaussianBlur { sigma, .. } => blur::gaussian(&face, unit * sigma.draw(stream)),
            Stage::MotionBlur { length, .. } => {
                let length = unit * length.draw(stream);
                blur::motion(&face, length, stream.uniform_in(0.0..PI))
            }
            Stage::Defocus { radius, .. } => blur::defocus(&face, unit * radius.draw(stream)),
            Stage::Noise { photons, read, .. } => {
                let (photons, read) = (photons.draw_log(stream), read.draw(stream));
                noise::poisson_gaussian(face, photons, read, stream)
            }
            Stage::Jpeg { quality, .. } => jpeg::jpeg(&face, quality.draw(stream).round() as u8),
            Stage::Tone { gamma, stops, .. } => {
                let (gamma, stops) = (gamma.draw_log(stream), stops.draw(stream));
                tone::tone(face, gamma, stops)
            }
            Stage::ColorJitter {
                brightness,
                contrast,
                saturation,
                ..
            } => {
                let factors = [
                    brightness.draw(stream),
                    contrast.draw(stream),
                    saturation.draw(stream),
                ];
                tone::color_jitter(face, factors, stream)
            }
            Stage::Crop { share, aspect, .. } => crop::crop_on_black(face, *share, *aspect, stream),
            Stage::Erase { share, aspect, .. } => crop::erase(face, *share, *aspect, stream),
            Stage::LightRamp { strength, .. } => {
                let strength = strength.draw(stream);
                tone::light_ramp(face, strength, stream.uniform_in(-PI..PI))
            }
            Stage::LandmarkJitter { sigma, .. } => {
                misalign::landmark_jitter(&face, unit * sigma.draw(stream), stream)
            }
            Stage::Rotate { angle, .. } => misalign::rotate(&face, angle.draw(stream)),
        }
    }

    /// Everything that is wrong with the stage's settings; `key` names the stage in the messages.
    pub fn problems(&self, key: &str) -> Vec<DataError> {
        let mut problems = Vec::new();
        if !(0.0..=1.0).contains(&self.p()) {
            let text = "a probability lies between 0 and 1";
            problems.push(DataError::config(format!("{key}.p"), self.p(), text));
        }
        let mut check = |name: &str, span: &Span, least: f64, most: f64| {
            problems.extend(span.problem(&format!("{key}.{name}"), least, most));
        };
        match self {
            Stage::Down { kernels } | Stage::Up { kernels } => {
                if kernels.is_empty() {
                    let text = "give at least one kernel";
                    problems.push(DataError::config(format!("{key}.kernels"), "[]", text));
                }
            }
            Stage::GaussianBlur { sigma, .. } | Stage::LandmarkJitter { sigma, .. } => {
                check("sigma", sigma, 0.0, 8.0);
            }
            Stage::MotionBlur { length, .. } => check("length", length, 0.0, 16.0),
            Stage::Defocus { radius, .. } => check("radius", radius, 0.0, 8.0),
            Stage::Noise { photons, read, .. } => {
                check("photons", photons, 1.0, 1e6);
                check("read", read, 0.0, 128.0);
            }
            Stage::Jpeg { quality, .. } => check("quality", quality, 1.0, 100.0),
            Stage::Tone { gamma, stops, .. } => {
                check("gamma", gamma, 0.1, 10.0);
                check("stops", stops, -5.0, 5.0);
            }
            Stage::ColorJitter {
                brightness,
                contrast,
                saturation,
                ..
            } => {
                check("brightness", brightness, 0.0, 4.0);
                check("contrast", contrast, 0.0, 4.0);
                check("saturation", saturation, 0.0, 4.0);
            }
            Stage::Crop { share, aspect, .. } | Stage::Erase { share, aspect, .. } => {
                check("share", share, 0.01, 1.0);
                check("aspect", aspect, 0.1, 10.0);
            }
            Stage::LightRamp { strength, .. } => check("strength", strength, 0.0, 1.0),
            Stage::Rotate { angle, .. } => {
                check("angle", angle, -PI, PI);
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rng::Purpose;

    fn face() -> FaceImage {
        let data = (0..3 * 48 * 48).map(|i| ((i * 91) % 250) as f32).collect();
        FaceImage::new(48, 48, data)
    }

    fn run(text: &str, index: u64) -> FaceImage {
        let stage: Stage = serde_json::from_str(text).unwrap();
        assert!(stage.problems("s").is_empty(), "{text}");
        let mut stream = Stream::new(1, 0, index, Purpose::Stage(0));
        stage.apply(face(), Sizes { face: 12, out: 48 }, &mut stream)
    }

    const ALL: [&str; 14] = [
        r#"{"kind":"down","kernels":["area"]}"#,
        r#"{"kind":"up","kernels":["bicubic"]}"#,
        r#"{"kind":"gaussian_blur","sigma":[0.3,0.5]}"#,
        r#"{"kind":"motion_blur","length":[1,2]}"#,
        r#"{"kind":"defocus","radius":[0.5,1]}"#,
        r#"{"kind":"noise","photons":[50,100],"read":[1,2]}"#,
        r#"{"kind":"jpeg","quality":[50,60]}"#,
        r#"{"kind":"tone","gamma":[1.5,2],"stops":[0,0.5]}"#,
        r#"{"kind":"color_jitter","brightness":[0.5,0.6],"contrast":[0.5,0.6],"saturation":[0.5,0.6]}"#,
        r#"{"kind":"crop","share":[0.2,0.5],"aspect":[0.75,1.33]}"#,
        r#"{"kind":"erase","share":[0.1,0.2],"aspect":[0.5,2]}"#,
        r#"{"kind":"light_ramp","strength":[0.1,0.2]}"#,
        r#"{"kind":"landmark_jitter","sigma":[0.3,0.3]}"#,
        r#"{"kind":"rotate","angle":[0.1,0.2]}"#,
    ];

    #[test]
    fn every_stage_acts_follows_its_stream_and_stays_in_range() {
        for text in ALL {
            let out = run(text, 3);
            assert_eq!(out, run(text, 3), "{text}");
            assert!(
                out.data
                    .iter()
                    .all(|v| v.is_finite() && (-60.0..=320.0).contains(v)),
                "{text}"
            );
            assert_eq!(out != face(), !text.contains("up"), "{text}");
            let stage: Stage = serde_json::from_str(text).unwrap();
            assert!(text.contains(&format!("\"{}\"", stage.name())));
            let written = serde_json::to_string(&stage).unwrap();
            assert_eq!(serde_json::from_str::<Stage>(&written).unwrap(), stage);
        }
    }

    #[test]
    fn a_stage_acts_with_its_probability() {
        let text = r#"{"kind":"jpeg","p":0.25,"quality":[50,60]}"#;
        let acted = (0..200).filter(|i| run(text, *i) != face()).count();
        assert!((30..72).contains(&acted), "{acted}");
    }

    #[test]
    fn a_blur_in_face_pixels_grows_with_the_picture() {
        let stage: Stage =
            serde_json::from_str(r#"{"kind":"gaussian_blur","sigma":[0.5,0.5]}"#).unwrap();
        let mut stream = Stream::new(1, 0, 0, Purpose::Stage(0));
        let out = stage.apply(face(), Sizes { face: 12, out: 48 }, &mut stream);
        assert_eq!(out, blur::gaussian(&face(), 2.0));
    }

    #[test]
    fn every_setting_out_of_range_is_reported() {
        let bad = [
            r#"{"kind":"down","kernels":[]}"#,
            r#"{"kind":"jpeg","p":2,"quality":[50,60]}"#,
            r#"{"kind":"jpeg","quality":[60,50]}"#,
            r#"{"kind":"noise","photons":[0,5],"read":[0,1]}"#,
            r#"{"kind":"tone","gamma":[0,1],"stops":[0,0]}"#,
            r#"{"kind":"crop","share":[0,1],"aspect":[1,1]}"#,
            r#"{"kind":"erase","share":[0.1,0.2],"aspect":[0,2]}"#,
            r#"{"kind":"light_ramp","strength":[0,2]}"#,
        ];
        for text in bad {
            let stage: Stage = serde_json::from_str(text).unwrap();
            assert_eq!(stage.problems("s").len(), 1, "{text}");
        }
        assert!(serde_json::from_str::<Stage>(r#"{"kind":"jpeg","quality":[5,6],"q":1}"#).is_err());
    }
}
