//! Section `[student]`: the LR network and where it starts.

use ccface_model::{BackboneConfig, Colour, InputSpec};
use serde::{Deserialize, Serialize};

use super::check;

/// The network that is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StudentConfig {
    /// `teacher` (the teacher's own weights), `scratch`, or a model directory to go on from. Default `teacher`.
    pub start: String,
    /// Share of the starting weights in the network that is validated and saved, 0..1. Needs a start with weights. Default 0:
    /// the trained weights alone.
    ///
    /// ```text
    /// θ_saved = start_share·θ_start + (1 − start_share)·θ_trained
    /// ```
    ///
    /// Weights between the start and what fine-tuning made of them forget less of the start and overfit less; batch norm's
    /// running statistics are mixed alike. Source: verbatim, WiSE-FT (Wortsman et al., CVPR 2022), with α = 1 − start_share.
    pub start_share: f64,
    /// Parts of the network that stay as they are during the first `freeze_epochs`, by the names of their parameters (`layer1`,
    /// `conv1`, …): every parameter whose name contains one of them, batch norms included. Default none.
    pub freeze: Vec<String>,
    /// Epochs for which `freeze` holds. Default 0.
    pub freeze_epochs: usize,
    /// Architecture of a student from `scratch`. Default: the paper's MobileFaceNet.
    pub backbone: BackboneConfig,
    /// Colour order of a student from `scratch`. Default `rgb`.
    pub colour: Colour,
    /// Channel mean of a student from `scratch`, 0..255 scale. Default 127.5 each.
    pub mean: [f32; 3],
    /// Channel divisor of a student from `scratch`. Default 127.5 each.
    pub std: [f32; 3],
}

impl Default for StudentConfig {
    fn default() -> Self {
        Self {
            start: "teacher".into(),
            start_share: 0.0,
            freeze: Vec::new(),
            freeze_epochs: 0,
            backbone: BackboneConfig::MobileFaceNet(Default::default()),
            colour: Colour::Rgb,
            mean: [127.5; 3],
            std: [127.5; 3],
        }
    }
}

impl StudentConfig {
    /// Whether the student's first weights are the teacher's.
    pub fn starts_from_teacher(&self) -> bool {
        self.start == "teacher"
    }

    /// Whether the student's first weights are drawn.
    pub fn starts_from_scratch(&self) -> bool {
        self.start == "scratch"
    }

    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        check(
            mistakes,
            !self.start.is_empty(),
            "student.start is empty: write teacher, scratch or a model directory",
        );
        check(
            mistakes,
            (0.0..1.0).contains(&self.start_share),
            format!(
                "student.start_share is {}, must be 0 (the trained weights alone) or a share below 1",
                self.start_share
            ),
        );
        check(
            mistakes,
            self.start_share == 0.0 || !self.starts_from_scratch(),
            "student.start_share mixes the starting weights in, but a student from scratch has none worth keeping",
        );
        check(
            mistakes,
            self.freeze.is_empty() == (self.freeze_epochs == 0),
            "student.freeze and student.freeze_epochs belong together: which parts, and for how many epochs",
        );
        if self.starts_from_scratch()
            && let Err(found) = self.backbone.validate()
        {
            mistakes.extend(found.into_iter().map(|m| format!("student.backbone: {m}")));
        }
        check(
            mistakes,
            self.std.iter().all(|s| s.is_finite() && *s > 0.0)
                && self.mean.iter().all(|m| m.is_finite()),
            "student.mean and student.std must be finite, std above 0",
        );
    }

    /// The input of a student from `scratch`.
    pub fn input(&self) -> InputSpec {
        InputSpec {
            colour: self.colour,
            mean: self.mean,
            std: self.std,
            ..InputSpec::arcface(self.backbone.input_size())
        }
    }
}
