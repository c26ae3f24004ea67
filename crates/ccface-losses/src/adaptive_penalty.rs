//! Part 2: how large a margin each sample gets.

use burn::tensor::{Int, Tensor, assert_shape};
use serde::{Deserialize, Serialize};

use crate::{
    numeric::{constant, full_precision},
    running_statistics::RunningStatistics,
};

/// The lowest HR score that `retention` divides by, so that a face which the teacher itself does
/// not recognise cannot get the full margin by a ratio of small numbers.
pub const RETENTION_FLOOR: f64 = 0.2;

/// How many standard deviations of the HR score span one half of the margin's range, as a
/// reciprocal: a third, so that ±3 standard deviations span it whole (AdaFace's `h`).
pub const STANDARDISED_SLOPE: f64 = 1.0 / 3.0;

/// What says how easy a sample is, and so how much of the margin's range it gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difficulty {
    /// `g = 1`: every sample gets the full margin.
    Fixed,
    /// `g = clamp(⟨t, w_y⟩, 0, 1)`: the HR score. It does not see how degraded the LR view is.
    TeacherHr,
    /// `g = clamp(⟨tL, w_y⟩, 0, 1)`: the teacher looking at the degraded view.
    TeacherLr,
    /// `g = clamp(clamp(c_y, 0, 1)/clamp(⟨t, w_y⟩, floor, 1), 0, 1)`: the share of the HR score that
    /// the student keeps.
    #[default]
    Retention,
    /// `g = clamp(min(c_y, ⟨t, w_y⟩), 0, 1)`.
    Minimum,
}

impl Difficulty {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 5] = [
        Self::Fixed,
        Self::TeacherHr,
        Self::TeacherLr,
        Self::Retention,
        Self::Minimum,
    ];

    /// The name in configurations and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::TeacherHr => "teacher_hr",
            Self::TeacherLr => "teacher_lr",
            Self::Retention => "retention",
            Self::Minimum => "minimum",
        }
    }
}

/// The target cosines a difficulty is read from; gradients on them are ignored.
#[derive(Clone, Debug)]
pub struct Scores {
    /// `c_iy`: the student's cosine with the sample's prototype, `[batch]`.
    pub student: Tensor<1>,
    /// The HR score, `⟨t_i, w_y⟩` or against a leave-one-out mean, `[batch]`.
    pub teacher_hr: Tensor<1>,
    /// `⟨tL_i, w_y⟩`, `[batch]`; needed by [`Difficulty::TeacherLr`] alone.
    pub teacher_lr: Option<Tensor<1>>,
}

/// An angular margin per sample.
///
/// ```text
/// m_i = m_min + (m_max − m_min)·g_i ,   g_i ∈ [0, 1], no gradient through g_i
/// ```
///
/// Source: reconstructed, from a published commentary: the HR classifier's output score indicates
/// difficulty and adapts the angular penalty. Its reading is [`Difficulty::TeacherHr`]; the other
/// kinds are this project's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdaptivePenalty {
    /// What `g` is read from.
    pub difficulty: Difficulty,
    /// The margin of the hardest sample, radians, `0 ≤ m_min ≤ m_max`.
    pub margin_min: f64,
    /// The margin of the easiest sample, radians, below π/2.
    pub margin_max: f64,
    /// The lowest HR score that `retention` divides by, in `(0, 1]`; [`RETENTION_FLOOR`] by default.
    pub floor: f64,
}

impl AdaptivePenalty {
    /// A penalty with the default floor.
    pub fn new(difficulty: Difficulty, margin_min: f64, margin_max: f64) -> Self {
        Self {
            difficulty,
            margin_min,
            margin_max,
            floor: RETENTION_FLOOR,
        }
    }

    /// The ease `g` of each sample, without a gradient.
    ///
    /// # Shapes
    /// - scores: `[batch]` each
    /// - output: `[batch]`, in `[0, 1]`
    ///
    /// # Panics
    /// Where shapes disagree, or [`Difficulty::TeacherLr`] finds no LR score.
    pub fn ease(&self, scores: Scores) -> Tensor<1> {
        let student = full_precision(constant(scores.student));
        let hr = full_precision(constant(scores.teacher_hr));
        let [batch] = student.dims();
        assert_shape!(hr, [batch]);
        match self.difficulty {
            Difficulty::Fixed => student.ones_like(),
            Difficulty::TeacherHr => hr.clamp(0.0, 1.0),
            Difficulty::TeacherLr => {
                let Some(lr) = scores.teacher_lr else {
                    panic!("the difficulty teacher_lr needs the teacher's scores of the LR views");
                };
                assert_shape!(lr, [batch]);
                full_precision(constant(lr)).clamp(0.0, 1.0)
            }
            Difficulty::Retention => {
                (student.clamp(0.0, 1.0) / hr.clamp(self.floor, 1.0)).clamp(0.0, 1.0)
            }
            Difficulty::Minimum => student.min_pair(hr).clamp(0.0, 1.0),
        }
    }

    /// The margin of each sample from its ease `g`, radians.
    ///
    /// # Shapes
    /// - ease, output: `[batch]`
    pub fn margins_of(&self, ease: Tensor<1>) -> Tensor<1> {
        constant(ease)
            .mul_scalar(self.margin_max - self.margin_min)
            .add_scalar(self.margin_min)
    }

    /// The margin of each sample, radians: [`Self::ease`] and [`Self::margins_of`] in one.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use ccface_losses::{AdaptivePenalty, Difficulty, Scores};
    /// let score = Tensor::<1>::from_floats([0.5], &Device::default());
    /// let scores = Scores { student: score.clone(), teacher_hr: score, teacher_lr: None };
    /// let margin = AdaptivePenalty::new(Difficulty::TeacherHr, 0.2, 0.4).margins(scores);
    /// assert!((margin.into_scalar::<f32>() - 0.3).abs() < 1e-6);
    /// ```
    pub fn margins(&self, scores: Scores) -> Tensor<1> {
        self.margins_of(self.ease(scores))
    }
}

/// A score standardised by running statistics and mapped onto `[0, 1]`.
///
/// ```text
/// g = ( 1 + clamp( h·(x − mean)/std , −1, 1 ) ) / 2 ,   h = 1/3
/// ```
///
/// A remedy for an HR score that hardly varies (prototypes that are class means): the margin's
/// whole range is used again. `None` takes the batch's own statistics.
///
/// Source: reconstructed, after AdaFace's standardisation of the feature norm.
///
/// # Shapes
/// - score, output: `[batch]`; no gradient
pub fn standardise(score: Tensor<1>, statistics: Option<RunningStatistics>) -> Tensor<1> {
    /// Keeps the quotient finite where all scores are equal.
    const STD_FLOOR: f64 = 1e-3;
    let score = full_precision(constant(score));
    let standard = match statistics {
        Some(running) => score
            .sub_scalar(running.mean)
            .div_scalar(running.std.max(STD_FLOOR)),
        None => {
            let centred = score.clone() - score.mean();
            let variance = (centred.clone() * centred.clone()).mean();
            centred / variance.sqrt().clamp_min(STD_FLOOR)
        }
    };
    standard
        .mul_scalar(STANDARDISED_SLOPE)
        .clamp(-1.0, 1.0)
        .add_scalar(1.0)
        .mul_scalar(0.5)
}

/// The control of any adaptive penalty: the same margins, given to other samples of the batch.
///
/// # Shapes
/// - margins: `[batch]`
/// - permutation: `[batch]`, every index of the batch once (drawn by the caller)
/// - output: `[batch]`
pub fn shuffled(margins: Tensor<1>, permutation: Tensor<1, Int>) -> Tensor<1> {
    let [batch] = margins.dims();
    assert_shape!(permutation, [batch]);
    margins.select(0, permutation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, autodiff, labels, values};

    fn scores(student: [f32; 4], hr: [f32; 4], lr: [f32; 4]) -> Scores {
        let device = autodiff();
        Scores {
            student: Tensor::<1>::from_floats(student, &device).require_grad(),
            teacher_hr: Tensor::from_floats(hr, &device),
            teacher_lr: Some(Tensor::from_floats(lr, &device)),
        }
    }

    #[test]
    fn every_kind_gives_its_formula() {
        let given = scores(
            [0.3, -0.2, 0.9, 0.1],
            [0.6, 0.5, 0.3, 0.05],
            [0.4, -0.1, 1.2, 0.0],
        );
        let expected = [
            (Difficulty::Fixed, [1.0, 1.0, 1.0, 1.0]),
            (Difficulty::TeacherHr, [0.6, 0.5, 0.3, 0.05]),
            (Difficulty::TeacherLr, [0.4, 0.0, 1.0, 0.0]),
            (Difficulty::Retention, [0.5, 0.0, 1.0, 0.5]),
            (Difficulty::Minimum, [0.3, 0.0, 0.3, 0.05]),
        ];
        for (difficulty, ease) in expected {
            let penalty = AdaptivePenalty::new(difficulty, 0.1, 0.5);
            assert_close(&values(penalty.ease(given.clone())), &ease, 1e-6);
            let margins = ease.map(|g| 0.1 + 0.4 * g);
            assert_close(&values(penalty.margins(given.clone())), &margins, 1e-6);
        }
    }

    #[test]
    fn no_gradient_passes_through_the_margin() {
        let given = scores([0.3, 0.2, 0.1, 0.4], [0.5; 4], [0.5; 4]);
        let margins = AdaptivePenalty::new(Difficulty::Retention, 0.0, 0.5).margins(given);
        assert!(!margins.is_autodiff());
    }

    #[test]
    fn standardising_spreads_a_narrow_score_and_stands_equal_ones() {
        let device = autodiff();
        let narrow = Tensor::<1>::from_floats([0.47, 0.48, 0.49], &device);
        let running = RunningStatistics {
            mean: 0.48,
            std: 0.01,
        };
        let g = standardise(narrow.clone(), Some(running));
        assert_close(&values(g), &[1.0 / 3.0, 0.5, 2.0 / 3.0], 1e-4);
        let own = values(standardise(narrow, None));
        assert!(own[0] < 0.35 && own[2] > 0.65);
        let equal = Tensor::<1>::from_floats([0.4, 0.4, 0.4], &device);
        assert_close(&values(standardise(equal, None)), &[0.5; 3], 1e-4);
    }

    #[test]
    fn shuffling_keeps_the_margins_and_moves_them() {
        let margins = Tensor::<1>::from_floats([0.1, 0.2, 0.3], &autodiff());
        let moved = values(shuffled(margins, labels(&[2, 0, 1])));
        assert_close(&moved, &[0.3, 0.1, 0.2], 1e-6);
    }

    #[test]
    #[should_panic(expected = "teacher_lr")]
    fn a_missing_lr_score_is_named() {
        let mut given = scores([0.3; 4], [0.5; 4], [0.5; 4]);
        given.teacher_lr = None;
        AdaptivePenalty::new(Difficulty::TeacherLr, 0.0, 0.5).margins(given);
    }
}
