//! Properties of the objective over many drawn inputs, against the plain-loop oracles.
#![allow(clippy::unwrap_used)]

use burn::tensor::{Device, Int, Tensor, TensorData};
use ccface_losses::{
    AdaFace, AdaptivePenalty, ArcFace, ClassificationConsistency, CosFace, CrossResolution,
    Difficulty, EmbeddingConsistency, KeyQueue, LogitConsistency, ObjectiveConfig, ObjectiveInput,
    Push, RunningStatistics, Scores, Term,
    angular::{normalise_rows, row_norms, target_products},
};

use crate::oracle::{self, Matrix};

/// A small linear congruential generator: the draws are the same on every machine.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Roughly normal numbers.
    fn matrix(&mut self, rows: usize, columns: usize) -> Matrix {
        (0..rows)
            .map(|_| {
                (0..columns)
                    .map(|_| (0..4).map(|_| self.next()).sum::<f64>() - 2.0)
                    .collect()
            })
            .collect()
    }

    fn labels(&mut self, count: usize, classes: usize) -> Vec<usize> {
        (0..count)
            .map(|_| (self.next() * classes as f64) as usize)
            .collect()
    }

    fn permutation(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, (self.next() * (last + 1) as f64) as usize);
        }
        order
    }
}

fn tensor(rows: &Matrix) -> Tensor<2> {
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(
        TensorData::new(rows.concat(), shape),
        &Device::flex().autodiff(),
    )
}

fn vector(values: &[f64]) -> Tensor<1> {
    Tensor::from_data(TensorData::from(values), &Device::flex().autodiff())
}

fn integers(labels: &[usize]) -> Tensor<1, Int> {
    let labels: Vec<i64> = labels.iter().map(|label| *label as i64).collect();
    Tensor::from_data(TensorData::from(labels.as_slice()), &Device::flex())
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

#[track_caller]
fn assert_close(what: &str, given: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(given.len(), wanted.len(), "{what}");
    for (index, (g, w)) in given.iter().zip(wanted).enumerate() {
        assert!(
            (g - w).abs() <= tolerance * w.abs().max(1.0),
            "{what}, entry {index}: {g} instead of {w}"
        );
    }
}

/// One drawn batch: about as many classes as samples, so that labels repeat.
struct Batch {
    student: Matrix,
    teacher: Matrix,
    prototypes: Matrix,
    labels: Vec<usize>,
}

fn batches() -> impl Iterator<Item = (Draws, Batch)> {
    (1..13u64).map(|seed| {
        let mut draws = Draws(seed);
        let (count, dim, classes) = (seed as usize, 3 + seed as usize % 5, 1 + seed as usize % 7);
        let batch = Batch {
            student: draws.matrix(count, dim),
            teacher: oracle::unit_rows(&draws.matrix(count, dim)),
            prototypes: oracle::unit_rows(&draws.matrix(classes, dim)),
            labels: draws.labels(count, classes),
        };
        (draws, batch)
    })
}

#[test]
fn classification_consistency_equals_its_oracle_over_angles_margins_and_scales() {
    let prototypes = vec![vec![1.0, 0.0], vec![0.6, 0.8], vec![-0.8, 0.6]];
    for scale in [1.0, 30.0, 64.0] {
        for margin in [0.0, 0.2, 0.5, 1.3] {
            let mut student = Vec::new();
            for degrees in (1..360).step_by(7) {
                let angle = f64::from(degrees).to_radians();
                student.push(vec![3.0 * angle.cos(), 3.0 * angle.sin()]);
            }
            let labels = vec![0; student.len()];
            let margins = vec![margin; student.len()];
            let wanted = oracle::classification_consistency::per_sample(
                &student,
                &prototypes,
                &labels,
                &margins,
                scale,
            );
            let given = ClassificationConsistency { scale }.forward_no_reduction(
                tensor(&student),
                tensor(&prototypes),
                integers(&labels),
                vector(&margins),
            );
            assert_close(
                &format!("s {scale}, m {margin}"),
                &read(given),
                &wanted,
                1e-4,
            );
        }
    }
}

#[test]
fn classification_consistency_equals_its_oracle_over_more_classes_than_one_block_holds() {
    let mut draws = Draws(99);
    let prototypes = oracle::unit_rows(&draws.matrix(40_000, 4));
    let student = draws.matrix(3, 4);
    let labels = vec![0, 20_000, 39_999];
    let margins = vec![0.5, 0.1, 0.3];
    let wanted = oracle::classification_consistency::per_sample(
        &student,
        &prototypes,
        &labels,
        &margins,
        64.0,
    );
    let given = ClassificationConsistency { scale: 64.0 }.forward_no_reduction(
        tensor(&student),
        tensor(&prototypes),
        integers(&labels),
        vector(&margins),
    );
    assert_close("40,000 classes", &read(given), &wanted, 1e-4);
}

#[test]
fn every_margin_equals_its_oracle_and_stays_in_range() {
    for (mut draws, batch) in batches() {
        let lr = oracle::unit_rows(&draws.matrix(batch.labels.len(), batch.teacher[0].len()));
        let score = |rows: &Matrix| {
            target_products(
                normalise_rows(tensor(rows)),
                tensor(&batch.prototypes),
                integers(&batch.labels),
            )
        };
        for difficulty in Difficulty::ALL {
            let wanted = oracle::adaptive_penalty::margins(
                difficulty.name(),
                &batch.student,
                &batch.teacher,
                &lr,
                &batch.prototypes,
                &batch.labels,
                (0.1, 0.6),
            );
            let given = read(AdaptivePenalty::new(difficulty, 0.1, 0.6).margins(Scores {
                student: score(&batch.student),
                teacher_hr: score(&batch.teacher),
                teacher_lr: Some(score(&lr)),
            }));
            assert_close(difficulty.name(), &given, &wanted, 1e-5);
            assert!(given.iter().all(|m| (0.1 - 1e-6..=0.6 + 1e-6).contains(m)));
        }
    }
}

#[test]
fn cross_resolution_equals_its_oracle_with_every_option() {
    for (mut draws, batch) in batches() {
        let past = oracle::unit_rows(&draws.matrix(9, batch.student[0].len()));
        let past_labels = draws.labels(9, batch.prototypes.len());
        for option in 0..16 {
            let [batch_keys, push, queue, normalise] = [1, 2, 4, 8].map(|bit| option & bit != 0);
            let wanted = oracle::cross_resolution::denominators(
                &batch.student,
                &batch.teacher,
                &batch.labels,
                queue.then_some((&past, past_labels.as_slice())),
                0.2,
                batch_keys,
                push,
            );
            let given = CrossResolution {
                temperature: 0.2,
                batch_keys,
                push,
                normalise,
            }
            .forward_no_reduction(
                tensor(&batch.student),
                tensor(&batch.teacher),
                integers(&batch.labels),
                queue.then(|| (tensor(&past), integers(&past_labels))),
            );
            let losses: Vec<f64> = wanted
                .iter()
                .map(|one| {
                    if normalise && one.negatives() > 0 {
                        one.loss() / (1.0 + one.negatives() as f64).ln()
                    } else {
                        one.loss()
                    }
                })
                .collect();
            let what = format!("options {option:04b}");
            assert_close(&what, &read(given.loss), &losses, 1e-4);
            assert_eq!(given.push_share.is_some(), push, "{what}");
            if let Some(share) = given.push_share {
                let shares: Vec<f64> = wanted
                    .iter()
                    .map(oracle::cross_resolution::Denominator::push_share)
                    .collect();
                assert_close(&what, &read(share), &shares, 1e-4);
            }
        }
    }
}

#[test]
fn push_and_the_consistency_terms_equal_their_oracles() {
    for (_, batch) in batches() {
        let student = tensor(&batch.student);
        let teacher = tensor(&batch.teacher);
        for temperature in [0.07, 0.5] {
            assert_close(
                "push",
                &read(
                    Push { temperature }
                        .forward_no_reduction(student.clone(), integers(&batch.labels)),
                ),
                &oracle::push::per_sample(&batch.student, &batch.labels, temperature),
                1e-4,
            );
        }
        assert_close(
            "embedding",
            &read(EmbeddingConsistency.forward_no_reduction(student.clone(), teacher.clone())),
            &oracle::embedding_consistency::per_sample(&batch.student, &batch.teacher),
            1e-5,
        );
        for (scale, temperature) in [(30.0, 1.0), (30.0, 4.0), (64.0, 8.0)] {
            assert_close(
                "logit",
                &read(
                    LogitConsistency { scale, temperature }.forward_no_reduction(
                        student.clone(),
                        teacher.clone(),
                        tensor(&batch.prototypes),
                    ),
                ),
                &oracle::logit_consistency::per_sample(
                    &batch.student,
                    &batch.teacher,
                    &batch.prototypes,
                    scale,
                    temperature,
                ),
                1e-4,
            );
        }
    }
}

#[test]
fn every_head_equals_its_oracle() {
    for (mut draws, batch) in batches().skip(1) {
        let classes = batch.prototypes.len();
        let free = draws.matrix(classes, batch.student[0].len());
        let (embeddings, labels) = (tensor(&batch.student), integers(&batch.labels));
        for margin in [0.1, 0.5] {
            let scale = 32.0;
            assert_close(
                "arcface",
                &read(
                    ArcFace { scale, margin }
                        .forward_no_reduction(embeddings.clone(), tensor(&free), labels.clone())
                        .loss,
                ),
                &oracle::arcface::per_sample(&batch.student, &free, &batch.labels, scale, margin),
                1e-4,
            );
            assert_close(
                "cosface",
                &read(
                    CosFace { scale, margin }
                        .forward_no_reduction(embeddings.clone(), tensor(&free), labels.clone())
                        .loss,
                ),
                &oracle::cosface::per_sample(&batch.student, &free, &batch.labels, scale, margin),
                1e-4,
            );
            let settings = oracle::adaface::Settings {
                scale,
                margin,
                concentration: 0.333,
                rate: 0.7,
                mean: 2.0,
                std: 0.5,
            };
            let (losses, mean, std) =
                oracle::adaface::per_sample(&batch.student, &free, &batch.labels, &settings);
            let out = AdaFace {
                scale,
                margin,
                concentration: 0.333,
                rate: 0.7,
            }
            .forward_no_reduction(
                embeddings.clone(),
                tensor(&free),
                labels.clone(),
                row_norms(embeddings.clone()),
                RunningStatistics {
                    mean: 2.0,
                    std: 0.5,
                },
            );
            assert_close("adaface", &read(out.loss), &losses, 1e-4);
            let state = out.norms.unwrap();
            assert_close(
                "adaface's state",
                &[state.mean, state.std],
                &[mean, std],
                1e-5,
            );
        }
    }
}

fn everything() -> ObjectiveConfig {
    ObjectiveConfig {
        push: 0.5,
        logit: 0.25,
        ..ObjectiveConfig::ccface()
    }
}

fn input(batch: &Batch, student: Tensor<2>) -> ObjectiveInput {
    ObjectiveInput::new(
        student,
        tensor(&batch.teacher),
        tensor(&batch.prototypes),
        integers(&batch.labels),
    )
}

#[test]
fn the_order_of_the_batch_does_not_matter() {
    for (mut draws, batch) in batches() {
        let order = draws.permutation(batch.labels.len());
        let moved = |rows: &Matrix| order.iter().map(|from| rows[*from].clone()).collect();
        let other = Batch {
            student: moved(&batch.student),
            teacher: moved(&batch.teacher),
            prototypes: batch.prototypes.clone(),
            labels: order.iter().map(|from| batch.labels[*from]).collect(),
        };
        let objective = everything().init();
        let here = objective.forward(input(&batch, tensor(&batch.student)));
        let there = objective.forward(input(&other, tensor(&other.student)));
        for ((term, a), (_, b)) in here.terms.into_iter().zip(there.terms) {
            let a = read(a);
            let wanted: Vec<f64> = order.iter().map(|from| a[*from]).collect();
            assert_close(term.name(), &read(b), &wanted, 1e-4);
        }
        assert_close("total", &read(there.total), &read(here.total), 1e-4);
    }
}

#[test]
fn the_length_of_an_embedding_does_not_matter_and_no_gradient_pulls_on_it() {
    for (_, batch) in batches() {
        let objective = everything().init();
        let student = tensor(&batch.student).require_grad();
        let out = objective.forward(input(&batch, student.clone()));
        let longer = objective.forward(input(&batch, tensor(&batch.student) * 1000.0));
        assert_close("total", &read(longer.total), &read(out.total.clone()), 1e-4);
        let gradient = student.grad(&out.total.backward()).unwrap();
        let norm = read(row_norms(gradient.clone()));
        let along = read((gradient * student.without_autodiff()).sum_dim(1));
        for (along, norm) in along.iter().zip(norm) {
            assert!(along.abs() <= 1e-4 * norm.max(1.0), "{along} of {norm}");
        }
    }
}

#[test]
fn correct_counts_what_the_arg_max_of_the_cosines_says() {
    for (_, batch) in batches() {
        let out = everything()
            .init()
            .forward(input(&batch, tensor(&batch.student)));
        let wanted: Vec<f64> = oracle::unit_rows(&batch.student)
            .iter()
            .zip(&batch.labels)
            .map(|(z, label)| {
                let own = oracle::dot(z, &batch.prototypes[*label]);
                let best = batch
                    .prototypes
                    .iter()
                    .enumerate()
                    .all(|(class, w)| class == *label || oracle::dot(z, w) < own);
                f64::from(u8::from(best))
            })
            .collect();
        assert_eq!(read(out.correct), wanted);
    }
}

#[test]
fn a_queue_of_several_pushes_acts_like_its_keys_at_once() {
    for (mut draws, batch) in batches() {
        let past = oracle::unit_rows(&draws.matrix(8, batch.student[0].len()));
        let past_labels = draws.labels(8, batch.prototypes.len());
        let mut queue = KeyQueue::new(5);
        for (rows, labels) in past.chunks(2).zip(past_labels.chunks(2)) {
            queue.push(tensor(&rows.to_vec()), integers(labels));
        }
        let contrast = CrossResolution {
            temperature: 0.1,
            batch_keys: false,
            push: false,
            normalise: false,
        };
        let loss = |queue| {
            read(
                contrast
                    .forward_no_reduction(
                        tensor(&batch.student),
                        tensor(&batch.teacher),
                        integers(&batch.labels),
                        queue,
                    )
                    .loss,
            )
        };
        let newest = (tensor(&past[3..].to_vec()), integers(&past_labels[3..]));
        assert_close("queue", &loss(queue.contents()), &loss(Some(newest)), 1e-5);
    }
}

#[test]
fn a_configuration_survives_serialisation_and_refuses_unknown_keys() {
    let config = everything();
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(
        serde_json::from_str::<ObjectiveConfig>(&text).unwrap(),
        config
    );
    let partial: ObjectiveConfig =
        serde_json::from_str(r#"{"difficulty": "teacher_hr", "margin_min": 0.2}"#).unwrap();
    let wanted = ObjectiveConfig {
        difficulty: Difficulty::TeacherHr,
        margin_min: 0.2,
        ..ObjectiveConfig::ccface()
    };
    assert_eq!(partial, wanted);
    for unknown in [r#"{"scales": 30.0}"#, r#"{"difficulty": "teacher"}"#] {
        assert!(serde_json::from_str::<ObjectiveConfig>(unknown).is_err());
    }
    let head: ccface_losses::MarginHead =
        serde_json::from_str(r#"{"kind": "cosface", "margin": 0.2}"#).unwrap();
    let wanted = CosFace {
        margin: 0.2,
        ..CosFace::default()
    };
    assert_eq!(head, ccface_losses::MarginHead::CosFace(wanted));
    let unknown = r#"{"kind": "cosface", "margins": 0.2}"#;
    assert!(serde_json::from_str::<ccface_losses::MarginHead>(unknown).is_err());
}

#[test]
fn names_of_terms_and_difficulties_are_those_of_the_configuration() {
    for difficulty in Difficulty::ALL {
        let text = serde_json::to_string(&difficulty).unwrap();
        assert_eq!(text, format!("{:?}", difficulty.name()));
    }
    for term in Term::ALL {
        let text = serde_json::to_string(&term).unwrap();
        assert_eq!(text, format!("{:?}", term.name()));
    }
}
