//! Section `[teacher]`: the HR network and its prototypes.

use ccface_model::{Colour, InputSpec};
use serde::{Deserialize, Serialize};

use super::PathChoice;
use super::check;

/// Which prototypes the student inherits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrototypeKind {
    /// Normalised means of the teacher's HR embeddings of each class.
    #[default]
    ClassMeans,
    /// Class means; the HR score of an image is taken against the mean of the class's *other* images.
    LeaveOneOut,
    /// A classifier trained on the teacher's cached HR embeddings.
    Refit,
    /// The head that lies beside the teacher (`prototypes.safetensors`), as `ccface train` writes it.
    Inherited,
}

/// Which view the teacher embeds when the student's view is flipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TeacherFlip {
    /// The same flip as the student's view.
    #[default]
    Shared,
    /// Always the unflipped image.
    Never,
}

/// The HR teacher and what is taken from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TeacherConfig {
    /// An ONNX network, or a model directory that `ccface train` or `ccface distill` wrote.
    pub path: PathChoice,
    /// Colour order that an ONNX teacher expects. Default `rgb`; AdaFace-type networks take `bgr`.
    pub colour: Colour,
    /// Subtracted from each 0..255 channel before an ONNX teacher. Default 127.5 each.
    pub mean: [f32; 3],
    /// Divisor of each channel before an ONNX teacher. Default 127.5 each.
    pub std: [f32; 3],
    /// Licence of an ONNX teacher, inherited by the student's card. Default `unstated`.
    pub licence: String,
    /// Which prototypes the student inherits. Default `class_means`.
    pub prototypes: PrototypeKind,
    /// Whether the teacher's view shares the student's flip. Default `shared`.
    pub flip: TeacherFlip,
    /// Directory of the embedding cache; empty puts it beside the run directory.
    pub cache: String,
    /// Images per teacher call. Default 32.
    pub batch: usize,
}

impl Default for TeacherConfig {
    fn default() -> Self {
        Self {
            path: PathChoice::default(),
            colour: Colour::Rgb,
            mean: [127.5; 3],
            std: [127.5; 3],
            licence: "unstated".into(),
            prototypes: PrototypeKind::default(),
            flip: TeacherFlip::default(),
            cache: String::new(),
            batch: 32,
        }
    }
}

impl TeacherConfig {
    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        check(
            mistakes,
            !self.path.is_empty(),
            "teacher.path is missing: name an ONNX file or a model directory",
        );
        check(mistakes, self.batch > 0, "teacher.batch must be at least 1");
        check(
            mistakes,
            self.std.iter().all(|s| s.is_finite() && *s > 0.0)
                && self.mean.iter().all(|m| m.is_finite()),
            "teacher.mean and teacher.std must be finite, std above 0",
        );
    }

    /// The input that an ONNX teacher of side `size` expects.
    pub fn input(&self, size: usize) -> InputSpec {
        InputSpec {
            colour: self.colour,
            mean: self.mean,
            std: self.std,
            ..InputSpec::arcface(size)
        }
    }
}
