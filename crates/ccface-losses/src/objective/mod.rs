//! The total: which terms are active, what they weigh, and their sum.

mod config;
mod term;

use burn::tensor::{Int, Tensor, assert_shape};

pub use config::ObjectiveConfig;
pub use term::Term;

use crate::{
    adaptive_penalty::{AdaptivePenalty, Difficulty, Scores, shuffled, standardise},
    angular::{normalise_rows, target_products},
    classification_consistency::ClassificationConsistency,
    cross_resolution::CrossResolution,
    embedding_consistency::EmbeddingConsistency,
    logit_consistency::LogitConsistency,
    numeric::constant,
    push::Push,
    running_statistics::RunningStatistics,
};

/// The weighted sum of the active terms.
///
/// ```text
/// L = λ_c·L_cc + λ_x·L_x + λ_p·L_p + λ_e·L_e + λ_l·L_l        mean over the batch
/// ```
///
/// Source: reconstructed; see each term.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// The settings.
    pub config: ObjectiveConfig,
}

/// What the objective looks at. Build it with [`ObjectiveInput::new`] and set what is optional.
///
/// Only `student` and `projected` receive gradients. Teacher embeddings and keys are normalised on
/// entry; prototypes and queue must have unit rows.
#[derive(Clone, Debug)]
pub struct ObjectiveInput {
    /// Student embeddings of the LR views, `[batch, dim]`, any norm.
    pub student: Tensor<2>,
    /// Teacher embeddings of the HR views, `[batch, teacher_dim]`.
    pub teacher_hr: Tensor<2>,
    /// Teacher embeddings of the LR views, `[batch, teacher_dim]`; for `teacher_lr` alone.
    pub teacher_lr: Option<Tensor<2>>,
    /// The HR score of each sample, `[batch]`, for instance against a leave-one-out class mean;
    /// `None`: `⟨t_i, w_y⟩`.
    pub teacher_score: Option<Tensor<1>>,
    /// Class prototypes, `[classes, dim]`, unit norm: in the student's dimension. They are the
    /// teacher's own where the dimensions agree.
    pub prototypes: Tensor<2>,
    /// Labels, `[batch]`, each in `0..classes` (not checked).
    pub labels: Tensor<1, Int>,
    /// HR keys of the contrast, `[batch, dim]`, in the student's dimension; `None`: `teacher_hr`.
    pub keys: Option<Tensor<2>>,
    /// Past keys `[length, dim]` and their labels `[length]`.
    pub queue: Option<(Tensor<2>, Tensor<1, Int>)>,
    /// Every index of the batch once, `[batch]`; for `shuffle_margins` alone.
    pub permutation: Option<Tensor<1, Int>>,
    /// The student's embeddings after a learned projector into the teacher's dimension,
    /// `[batch, teacher_dim]`; used by embedding consistency alone. `None`: `student`.
    pub projected: Option<Tensor<2>>,
    /// Running statistics of the HR score, for `standardise_score` alone; `None`: the batch's own.
    pub score_statistics: Option<RunningStatistics>,
}

impl ObjectiveInput {
    /// An input with the parts that are always needed.
    ///
    /// # Shapes
    /// - student: `[batch, dim]`, teacher_hr: `[batch, teacher_dim]`
    /// - prototypes: `[classes, dim]`, labels: `[batch]`
    pub fn new(
        student: Tensor<2>,
        teacher_hr: Tensor<2>,
        prototypes: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> Self {
        Self {
            student,
            teacher_hr,
            teacher_lr: None,
            teacher_score: None,
            prototypes,
            labels,
            keys: None,
            queue: None,
            permutation: None,
            projected: None,
            score_statistics: None,
        }
    }
}

/// What the objective computes.
#[derive(Clone, Debug)]
pub struct ObjectiveOutput {
    /// The active terms, unweighted, one loss per sample, `[batch]` each.
    pub terms: Vec<(Term, Tensor<1>)>,
    /// The weighted sum of the terms' means, `[1]`: what is differentiated.
    pub total: Tensor<1>,
    /// The margin of each sample, radians, `[batch]`, after shuffling; no gradient.
    pub margins: Tensor<1>,
    /// The student's cosine with each sample's own prototype, `[batch]`; no gradient.
    pub target_cosine: Tensor<1>,
    /// The HR score the margin was read from, `[batch]`, before any standardisation; no gradient.
    /// It feeds [`RunningStatistics::updated`].
    pub hr_score: Tensor<1>,
    /// The share of the contrast's denominator that is LR–LR push, `[batch]`; no gradient.
    pub push_share: Option<Tensor<1>>,
    /// 1 where the arg-max cosine is the label, else 0, `[batch]`.
    pub correct: Tensor<1>,
}

impl Objective {
    /// The active terms, their sum, and what a progress report shows.
    ///
    /// # Shapes
    /// See [`ObjectiveInput`] and [`ObjectiveOutput`].
    ///
    /// # Gradients
    /// To `student` and `projected`; never to teacher, prototypes, keys, queue or margins.
    ///
    /// # Panics
    /// Where shapes disagree, where the settings need an optional input that is missing
    /// (`teacher_lr`, `permutation`), or where no term has a weight.
    ///
    /// ```
    /// use burn::tensor::{Device, Int, Tensor};
    /// use ccface_losses::{ObjectiveConfig, ObjectiveInput, Term};
    /// let device = Device::default();
    /// let faces = Tensor::<2>::eye(3, &device);
    /// let labels = Tensor::<1, Int>::from_ints([0, 1, 2], &device);
    /// let input = ObjectiveInput::new(faces.clone(), faces.clone(), faces, labels);
    /// let output = ObjectiveConfig::ccface().init().forward(input);
    /// let names: Vec<_> = output.terms.iter().map(|(term, _)| term.name()).collect();
    /// assert_eq!(
    ///     names,
    ///     ["classification_consistency", "cross_resolution", "embedding_consistency"]
    /// );
    /// assert_eq!(output.correct.sum().into_scalar::<f32>(), 3.0);
    /// ```
    pub fn forward(&self, input: ObjectiveInput) -> ObjectiveOutput {
        let config = &self.config;
        let [batch, dim] = input.student.dims();
        assert_shape!(input.teacher_hr, [batch, _]);
        assert_shape!(input.prototypes, [_, dim]);
        assert_shape!(input.labels, [batch]);
        let labels = input.labels.clone();
        let prototypes = constant(input.prototypes.clone());
        let teacher = normalise_rows(constant(input.teacher_hr.clone()));
        let unit = normalise_rows(input.student.clone());
        let target = target_products(unit.clone(), prototypes.clone(), labels.clone());
        let target_cosine = constant(target.clone());

        let hr_score = match &input.teacher_score {
            Some(score) => {
                assert_shape!(score, [batch]);
                constant(score.clone())
            }
            None => target_products(teacher.clone(), prototypes.clone(), labels.clone()),
        };
        let margins = self.margins(&input, &prototypes, target_cosine.clone(), hr_score.clone());

        let mut terms = Vec::new();
        let classified = ClassificationConsistency {
            scale: config.scale,
        }
        .of_unit_rows(
            // Without a weight the classes are still ranked, for `correct`, but no gradient is made.
            if config.classification > 0.0 {
                unit.clone()
            } else {
                constant(unit.clone())
            },
            target,
            prototypes.clone(),
            labels.clone(),
            margins.clone(),
        );
        if config.classification > 0.0 {
            terms.push((Term::ClassificationConsistency, classified.loss));
        }
        let mut push_share = None;
        if config.cross_resolution > 0.0 {
            let keys = match input.keys {
                Some(keys) => normalise_rows(constant(keys)),
                None => teacher.clone(),
            };
            let contrast = CrossResolution {
                temperature: config.temperature,
                batch_keys: config.batch_keys,
                push: config.batch_push,
                normalise: config.normalise_contrast,
            }
            .of_unit_rows(unit.clone(), keys, labels.clone(), input.queue);
            push_share = contrast.push_share;
            terms.push((Term::CrossResolution, contrast.loss));
        }
        if config.push > 0.0 {
            let push = Push {
                temperature: config.push_temperature,
            };
            terms.push((Term::Push, push.of_unit_rows(unit.clone(), labels)));
        }
        if config.embedding > 0.0 {
            let own = match input.projected {
                Some(projected) => normalise_rows(projected),
                None => unit.clone(),
            };
            let loss = EmbeddingConsistency.of_unit_rows(own, teacher.clone());
            terms.push((Term::EmbeddingConsistency, loss));
        }
        if config.logit > 0.0 {
            let logit = LogitConsistency {
                scale: config.scale,
                temperature: config.logit_temperature,
            };
            terms.push((
                Term::LogitConsistency,
                logit.of_unit_rows(unit, teacher, prototypes),
            ));
        }

        ObjectiveOutput {
            total: self.sum(&terms),
            terms,
            margins,
            target_cosine,
            hr_score,
            push_share,
            correct: classified.correct,
        }
    }

    fn margins(
        &self,
        input: &ObjectiveInput,
        prototypes: &Tensor<2>,
        student: Tensor<1>,
        hr_score: Tensor<1>,
    ) -> Tensor<1> {
        let config = &self.config;
        let penalty = AdaptivePenalty::new(config.difficulty, config.margin_min, config.margin_max);
        let ease = if config.standardise_score && config.difficulty == Difficulty::TeacherHr {
            standardise(hr_score, input.score_statistics)
        } else {
            let teacher_lr = match &input.teacher_lr {
                Some(rows) if config.needs_teacher_lr() => Some(target_products(
                    normalise_rows(constant(rows.clone())),
                    prototypes.clone(),
                    input.labels.clone(),
                )),
                _ => None,
            };
            penalty.ease(Scores {
                student,
                teacher_hr: hr_score,
                teacher_lr,
            })
        };
        let margins = penalty.margins_of(ease);
        if !config.shuffle_margins {
            return margins;
        }
        let Some(permutation) = &input.permutation else {
            panic!("shuffle_margins needs a permutation of the batch in the input");
        };
        shuffled(margins, permutation.clone().without_autodiff())
    }

    fn sum(&self, terms: &[(Term, Tensor<1>)]) -> Tensor<1> {
        let weighted = terms
            .iter()
            .map(|(term, loss)| loss.clone().mean().mul_scalar(term.weight(&self.config)));
        match weighted.reduce(|total, next| total + next) {
            Some(total) => total,
            None => panic!("the objective has no term with a weight"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{assert_close, assert_finite, autodiff, labels, matrix, values};
    use burn::tensor::DType;

    fn everything() -> ObjectiveConfig {
        ObjectiveConfig {
            push: 0.7,
            logit: 0.3,
            ..ObjectiveConfig::ccface()
        }
    }

    fn input() -> ObjectiveInput {
        let device = autodiff();
        let mut input = ObjectiveInput::new(
            matrix(4, 6, 0.3, &device).require_grad(),
            matrix(4, 6, 0.5, &device).require_grad(),
            normalise_rows(matrix(5, 6, 0.7, &device))
                .detach()
                .require_grad(),
            labels(&[0, 4, 2, 2]),
        );
        input.teacher_lr = Some(matrix(4, 6, 0.9, &device).require_grad());
        input
    }

    #[test]
    fn the_total_is_the_weighted_sum_of_the_means() {
        let config = everything();
        let out = config.init().forward(input());
        assert_eq!(out.terms.len(), 5);
        let sum: f64 = out
            .terms
            .iter()
            .map(|(term, loss)| {
                term.weight(&config) * values(loss.clone()).iter().sum::<f64>() / 4.0
            })
            .sum();
        assert_eq!(out.total.dims(), [1]);
        assert_close(&values(out.total), &[sum], 1e-5);
        assert!(
            values(out.push_share.unwrap())
                .iter()
                .all(|share| (0.0..=1.0).contains(share))
        );
    }

    #[test]
    fn a_term_without_weight_is_left_out() {
        for term in Term::ALL {
            let mut config = everything();
            match term {
                Term::ClassificationConsistency => config.classification = 0.0,
                Term::CrossResolution => config.cross_resolution = 0.0,
                Term::Push => config.push = 0.0,
                Term::EmbeddingConsistency => config.embedding = 0.0,
                Term::LogitConsistency => config.logit = 0.0,
            }
            let out = config.init().forward(input());
            assert_eq!(out.terms.len(), 4);
            assert!(out.terms.iter().all(|(active, _)| *active != term));
        }
    }

    #[test]
    fn only_the_student_and_its_projection_take_gradients() {
        for difficulty in Difficulty::ALL {
            let config = ObjectiveConfig {
                difficulty,
                ..everything()
            };
            let mut given = input();
            given.keys = Some(matrix(4, 6, 1.1, &autodiff()).require_grad());
            given.projected = Some(matrix(4, 6, 1.3, &autodiff()).require_grad());
            let grads = config.init().forward(given.clone()).total.backward();
            assert!(given.student.grad(&grads).is_some());
            assert!(given.projected.unwrap().grad(&grads).is_some());
            for frozen in [
                given.teacher_hr,
                given.teacher_lr.unwrap(),
                given.prototypes,
                given.keys.unwrap(),
            ] {
                assert!(frozen.grad(&grads).is_none(), "{difficulty:?}");
            }
        }
    }

    #[test]
    fn a_given_hr_score_replaces_the_cosine() {
        let config = ObjectiveConfig {
            difficulty: Difficulty::TeacherHr,
            ..ObjectiveConfig::ccface()
        };
        let mut given = input();
        given.teacher_score = Some(Tensor::from_floats([0.0, 0.5, 1.0, 0.2], &autodiff()));
        let out = config.init().forward(given);
        assert_close(&values(out.margins), &[0.0, 0.25, 0.5, 0.1], 1e-6);
    }

    #[test]
    fn shuffled_margins_are_the_same_margins_elsewhere() {
        let config = ObjectiveConfig {
            difficulty: Difficulty::TeacherHr,
            shuffle_margins: true,
            ..ObjectiveConfig::ccface()
        };
        let mut given = input();
        given.teacher_score = Some(Tensor::from_floats([0.0, 0.5, 1.0, 0.2], &autodiff()));
        given.permutation = Some(labels(&[3, 2, 1, 0]));
        let out = config.init().forward(given);
        assert_close(&values(out.margins), &[0.1, 0.5, 0.25, 0.0], 1e-6);
    }

    #[test]
    fn edges_stay_finite_in_value_and_gradient() {
        let device = autodiff();
        let cases: [(Tensor<2>, Vec<i64>); 4] = [
            (Tensor::zeros([3, 4], &device), vec![0, 1, 0]),
            (matrix(1, 4, 0.1, &device), vec![1]),
            (matrix(3, 4, 0.1, &device), vec![1, 1, 1]),
            (matrix(3, 4, 0.1, &device) * 3e37, vec![0, 1, 0]),
        ];
        for (student, own) in cases {
            for classes in [1, 2] {
                let batch = own.len();
                let own: Vec<i64> = own.iter().map(|label| (*label).min(classes - 1)).collect();
                let student = student.clone().require_grad();
                let given = ObjectiveInput::new(
                    student.clone(),
                    student.clone().without_autodiff(),
                    normalise_rows(matrix(classes as usize, 4, 0.7, &device)),
                    labels(&own),
                );
                let out = everything().init().forward(given);
                assert_finite("total", out.total.clone());
                assert_eq!(out.correct.dims(), [batch]);
                let grads = out.total.backward();
                assert_finite("gradient", student.grad(&grads).unwrap());
            }
        }
    }

    #[test]
    fn a_half_precision_student_and_bank_are_computed_in_f32() {
        let device = autodiff();
        let student = matrix(4, 6, 0.3, &device)
            .cast(DType::BF16)
            .detach()
            .require_grad();
        let mut given = input();
        given.student = student.clone();
        given.prototypes = given.prototypes.without_autodiff().cast(DType::BF16);
        let out = everything().init().forward(given);
        assert_eq!(out.total.dtype(), DType::F32);
        let reference = values(everything().init().forward(input()).total)[0];
        assert!((values(out.total.clone())[0] / reference - 1.0).abs() < 0.02);
        let grads = out.total.backward();
        assert_finite("gradient", student.grad(&grads).unwrap());
    }
}
