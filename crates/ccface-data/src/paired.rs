//! HR/LR pairs: one face, seen near and far.

use serde::{Deserialize, Serialize};

use crate::degrade::{Key, Plan, Recipe, SizeDistribution, Sizes, fit};
use crate::error::DataError;
use crate::face::FaceImage;
use crate::rng::{Purpose, Stream};
use crate::source::FaceSource;

/// How pairs are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PairConfig {
    /// Face sizes of the LR view; `None` takes the recipe's own, or else the default list 7, 8, 10, 12, 14, 16, 20,
    /// 24, 32, 56, 112.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sizes: Option<SizeDistribution>,
    /// Epochs over which the smallest face falls from the largest size to the smallest, fractions allowed (default 0: all sizes
    /// from the start). Sizes that are drawn below the floor are raised to it.
    ///
    /// ```text
    /// floor(epoch) = r_max^(1 − t) · r_min^t,   t = min(1, epoch / curriculum_epochs), epoch from 0
    /// ```
    pub curriculum_epochs: f64,
    /// Probability that both views are mirrored (0..=1, default 0.5).
    pub flip: f64,
    /// Probability that the student sees the HR view instead of an LR one (0..=1, default 0).
    pub p_hr: f64,
    /// Side of the student's view in pixels (default 112).
    pub student_size: usize,
    /// Side of the HR view in pixels, the teacher's input (default 112).
    pub teacher_size: usize,
    /// How the LR view is made (default `area-bicubic`).
    pub degradation: Recipe,
}

impl Default for PairConfig {
    fn default() -> Self {
        Self {
            sizes: None,
            curriculum_epochs: 0.0,
            flip: 0.5,
            p_hr: 0.0,
            student_size: 112,
            teacher_size: 112,
            degradation: Recipe::default(),
        }
    }
}

impl PairConfig {
    /// Everything that is wrong with the settings.
    pub fn problems(&self) -> Vec<DataError> {
        let mut problems = Vec::new();
        for (key, p) in [("flip", self.flip), ("p_hr", self.p_hr)] {
            if !(0.0..=1.0).contains(&p) {
                problems.push(DataError::config(
                    key,
                    p,
                    "a probability lies between 0 and 1",
                ));
            }
        }
        for (key, side) in [
            ("student_size", self.student_size),
            ("teacher_size", self.teacher_size),
        ] {
            if !(8..=1024).contains(&side) {
                problems.push(DataError::config(
                    key,
                    side,
                    "a network's input side lies between 8 and 1024 pixels",
                ));
            }
        }
        if !(self.curriculum_epochs.is_finite() && self.curriculum_epochs >= 0.0) {
            problems.push(DataError::config(
                "curriculum_epochs",
                self.curriculum_epochs,
                "must be 0 (all sizes from the start) or more",
            ));
        }
        if let Some(sizes) = &self.sizes {
            problems.extend(sizes.problem("sizes"));
        }
        problems.extend(self.degradation.plan().problems());
        problems
    }
}

/// One face, seen by the student and by the teacher.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The image's index in the source.
    pub index: usize,
    /// Its label.
    pub label: usize,
    /// Whether both views are mirrored.
    pub flipped: bool,
    /// The side in pixels that the face had when it was smallest: the drawn size, or the source picture's shorter
    /// side where nothing was shrunk.
    pub face_size: f32,
    /// Whether the student sees the HR view.
    pub is_hr: bool,
    /// The student's view, `student_size` on each side.
    pub student: FaceImage,
    /// The same face without degradation, `teacher_size` on each side.
    pub hr: FaceImage,
}

/// Makes the pair of image `index` in an epoch; every draw is a pure function of (seed, epoch, index).
///
/// # Errors
/// The source's error for this image, or an invalid setting.
pub fn pair(
    source: &dyn FaceSource,
    config: &PairConfig,
    seed: u64,
    epoch: u64,
    index: usize,
) -> Result<Pair, DataError> {
    let (mut hr, size) = (Vec::new(), config.teacher_size);
    let draw = Draw {
        seed,
        epoch,
        index,
        repeat: 0,
    };
    let views = Pairer::new(config.clone())?.views(source, draw, Some(&mut hr))?;
    Ok(Pair {
        index,
        label: source.identity(index),
        flipped: views.flipped,
        face_size: views.face_size,
        is_hr: views.is_hr,
        student: views.student,
        hr: FaceImage::new(size, size, hr),
    })
}

/// What decides every draw of one pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Draw {
    pub(crate) seed: u64,
    pub(crate) epoch: u64,
    pub(crate) index: usize,
    /// How often the image came earlier in this epoch (balanced samplers repeat images).
    pub(crate) repeat: u32,
}

impl Draw {
    fn key(self) -> u64 {
        self.index as u64 | (u64::from(self.repeat) << 40)
    }

    fn stream(self, purpose: Purpose) -> Stream {
        Stream::new(self.seed, self.epoch, self.key(), purpose)
    }
}

/// One pair without its HR view.
pub(crate) struct Views {
    pub(crate) flipped: bool,
    pub(crate) face_size: f32,
    pub(crate) is_hr: bool,
    pub(crate) student: FaceImage,
}

/// A checked config with its recipe written out.
#[derive(Debug, Clone)]
pub(crate) struct Pairer {
    pub(crate) config: PairConfig,
    plan: Plan,
    sizes: SizeDistribution,
}

impl Pairer {
    pub(crate) fn new(config: PairConfig) -> Result<Self, DataError> {
        if let Some(problem) = config.problems().into_iter().next() {
            return Err(problem);
        }
        let plan = config.degradation.plan();
        let sizes = config
            .sizes
            .clone()
            .or_else(|| plan.sizes.clone())
            .unwrap_or_default();
        Ok(Self {
            config,
            plan,
            sizes,
        })
    }

    /// The smallest face of an epoch.
    fn floor(&self, epoch: u64) -> usize {
        let length = self.config.curriculum_epochs;
        let t = epoch as f64 / length;
        match self.sizes.bounds() {
            Some((min, max)) if length > 0.0 && t < 1.0 => {
                let log = |r: u32| libm::log(f64::from(r));
                libm::exp(log(max) * (1.0 - t) + log(min) * t).round() as usize
            }
            _ => 0,
        }
    }

    /// Makes a pair; the HR view's numbers are appended to `hr`, which an error leaves as it was.
    pub(crate) fn views(
        &self,
        source: &dyn FaceSource,
        draw: Draw,
        hr: Option<&mut Vec<f32>>,
    ) -> Result<Views, DataError> {
        let picture = source.image(draw.index)?;
        let mut face = FaceImage::from_rgb8(&picture);
        let flipped = draw.stream(Purpose::Flip).chance(self.config.flip);
        if flipped {
            face.mirror();
        }
        let is_hr = draw.stream(Purpose::HrView).chance(self.config.p_hr);
        let key = Key {
            seed: draw.seed,
            epoch: draw.epoch,
            index: draw.key(),
        };
        face = self.plan.share_geometry(face, key);
        let side = face.side();
        let mut size = draw.stream(Purpose::Size);
        let full = is_hr || !size.chance(self.plan.p_resize);
        let face_size = if full {
            side
        } else {
            self.sizes
                .draw(&mut size)
                .max(self.floor(draw.epoch))
                .min(side)
        };
        if let Some(hr) = hr {
            let size = self.config.teacher_size;
            if (face.width, face.height) == (size, size) {
                hr.extend_from_slice(&face.data);
            } else {
                hr.extend_from_slice(&fit(face.clone(), size).data);
            }
        }
        let out = self.config.student_size;
        let student = if is_hr {
            fit(face, out)
        } else {
            self.plan.apply(
                face,
                Sizes {
                    face: face_size,
                    out,
                },
                key,
            )
        };
        Ok(Views {
            flipped,
            face_size: face_size as f32,
            is_hr,
            student,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::degrade::lr_view;
    use crate::source::testing::people;

    fn config(text: &str) -> PairConfig {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_default_pair_is_the_reference_view_of_the_shared_flip() {
        let source = people(3, 2, 112);
        let config = PairConfig {
            student_size: 112,
            ..PairConfig::default()
        };
        let mut flips = 0;
        for i in 0..source.len() {
            let pair = pair(&source, &config, 1, 0, i).unwrap();
            let original = FaceImage::from_rgb8(&source.image(i).unwrap());
            let expected = if pair.flipped {
                original.flip_horizontal()
            } else {
                original
            };
            flips += usize::from(pair.flipped);
            assert_eq!(pair.hr, expected);
            assert_eq!(
                pair.student,
                lr_view(&expected, pair.face_size as usize, 112)
            );
            assert_eq!(pair.label, source.identity(i));
        }
        assert!(flips > 0 && flips < source.len());
    }

    #[test]
    fn draws_follow_seed_epoch_and_index_alone() {
        let source = people(2, 3, 40);
        let config = config(r#"{"student_size":24}"#);
        let make = |seed, epoch, i| pair(&source, &config, seed, epoch, i).unwrap();
        assert_eq!(make(1, 0, 2), make(1, 0, 2));
        let sizes = |seed, epoch| {
            (0..7)
                .map(|i| make(seed, epoch, i).face_size as u32)
                .collect::<Vec<_>>()
        };
        assert_ne!(sizes(1, 0), sizes(1, 1));
        assert_ne!(sizes(1, 0), sizes(2, 0));
    }

    #[test]
    fn the_hr_view_comes_with_its_probability_and_without_degradation() {
        let source = people(1, 1, 40);
        let config =
            config(r#"{"student_size":40,"teacher_size":20,"p_hr":0.25,"sizes":[8],"flip":0}"#);
        let pairs: Vec<Pair> = (0..400)
            .map(|e| pair(&source, &config, 1, e, 0).unwrap())
            .collect();
        let hr = pairs.iter().filter(|p| p.is_hr).count();
        assert!((70..130).contains(&hr), "{hr}");
        for p in pairs {
            assert_eq!(p.face_size, if p.is_hr { 40.0 } else { 8.0 });
            assert_eq!(
                p.student == FaceImage::from_rgb8(&source.image(0).unwrap()),
                p.is_hr
            );
            assert_eq!((p.hr.width, p.student.width), (20, 40));
        }
    }

    #[test]
    fn a_curriculum_goes_from_the_largest_size_to_all_of_them() {
        let source = people(1, 1, 64);
        let config = config(
            r#"{"student_size":32,"teacher_size":32,"sizes":[8,16,32,64],"curriculum_epochs":3,"flip":0}"#,
        );
        let smallest = |epoch| {
            (0..200)
                .map(|seed| pair(&source, &config, seed, epoch, 0).unwrap().face_size)
                .fold(f32::INFINITY, f32::min)
        };
        let floors: Vec<f32> = (0..5).map(smallest).collect();
        assert_eq!(floors, [64.0, 32.0, 16.0, 8.0, 8.0]);
        let mut bad = config.clone();
        bad.curriculum_epochs = -1.0;
        assert_eq!(bad.problems().len(), 1);
    }

    #[test]
    fn a_size_beyond_the_source_is_no_degradation() {
        let source = people(1, 1, 30);
        let config = config(r#"{"student_size":30,"sizes":[56],"flip":0}"#);
        let p = pair(&source, &config, 1, 0, 0).unwrap();
        assert_eq!((p.face_size, p.is_hr), (30.0, false));
        assert_eq!(p.student, FaceImage::from_rgb8(&source.image(0).unwrap()));
    }

    #[test]
    fn a_shared_crop_is_in_both_views_and_one_of_the_lr_view_alone_is_not() {
        let source = people(1, 1, 40);
        for shared in [true, false] {
            let text = format!(
                r#"{{"student_size":40,"teacher_size":40,"degradation":{{"stages":[
                    {{"kind":"crop","share":[0.3,0.5],"aspect":[1,1],"shared":{shared}}}]}}}}"#
            );
            let config = config(&text);
            assert_eq!(config.degradation.plan().has_shared_geometry(), shared);
            let p = pair(&source, &config, 1, 0, 0).unwrap();
            let black = p.student.data.iter().filter(|v| **v == 0.0).count();
            assert!(black > 40 * 40);
            assert_eq!(p.student == p.hr, shared);
        }
    }

    #[test]
    fn every_impossible_setting_is_reported_and_unknown_keys_are_refused() {
        let bad = config(r#"{"flip":2,"p_hr":-1,"student_size":1,"teacher_size":9999,"sizes":[]}"#);
        assert_eq!(bad.problems().len(), 5);
        assert!(pair(&people(1, 1, 9), &bad, 1, 0, 0).is_err());
        assert!(serde_json::from_str::<PairConfig>(r#"{"flop":0.5}"#).is_err());
        assert!(PairConfig::default().problems().is_empty());
    }
}
