//! Golden values: every `objective_*.json` in the folder that `CCFACE_GOLDEN` names (by default
//! `../shared/golden` beside the workspace) against the tensor code on each backend and against the
//! plain-loop oracles.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
};

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use ccface_losses::{
    AdaptivePenalty, ClassificationConsistency, CrossResolution, Difficulty, EmbeddingConsistency,
    LogitConsistency, Push, Scores,
    angular::{normalise_rows, target_products},
};
use serde::Deserialize;

use crate::oracle::{self, Matrix};

#[derive(Deserialize)]
struct Golden {
    scale: f64,
    margin_min: f64,
    margin_max: f64,
    temperature: f64,
    prototypes: Matrix,
    labels: Vec<usize>,
    student: Matrix,
    teacher_hr: Matrix,
    teacher_lr: Matrix,
    queue: Matrix,
    queue_labels: Vec<usize>,
    terms: BTreeMap<String, GoldenTerm>,
    margins: BTreeMap<String, Vec<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenTerm {
    per_sample: Vec<f64>,
    loss: f64,
    grad_student: Matrix,
}

/// A golden file's term name, understood.
#[derive(Debug)]
enum Case {
    Classification(Difficulty),
    Contrast {
        batch_keys: bool,
        queue: bool,
        push: bool,
    },
    Embedding,
    Logit {
        temperature: f64,
    },
    Push,
}

impl Case {
    /// A name that is not understood fails the test: a term must never go unchecked.
    fn parse(name: &str) -> Self {
        let mut parts = name.split('/');
        let case = match parts.next() {
            Some("classification_consistency") => {
                Self::Classification(difficulty(parts.next().unwrap_or_default()))
            }
            Some("cross_resolution") => {
                let mut flag = |key: &str| {
                    let part = parts.next().unwrap_or_default();
                    match part.split_once('=') {
                        Some((k, "True")) if k == key => true,
                        Some((k, "False")) if k == key => false,
                        _ => panic!("{name}: {part:?} is not {key}=True or {key}=False"),
                    }
                };
                Self::Contrast {
                    batch_keys: flag("batch_keys"),
                    queue: flag("queue"),
                    push: flag("push"),
                }
            }
            Some("embedding_consistency") => Self::Embedding,
            Some("logit_consistency") => {
                let part = parts.next().unwrap_or_default();
                let temperature = part.strip_prefix("T=").and_then(|t| t.parse().ok());
                Self::Logit {
                    temperature: temperature
                        .unwrap_or_else(|| panic!("{name}: {part:?} is not T=NUMBER")),
                }
            }
            Some("push_separate") => Self::Push,
            _ => panic!("the golden term {name:?} is unknown to this test"),
        };
        assert_eq!(parts.next(), None, "{name}: more parts than expected");
        case
    }
}

fn difficulty(name: &str) -> Difficulty {
    Difficulty::ALL
        .into_iter()
        .find(|difficulty| difficulty.name() == name)
        .unwrap_or_else(|| panic!("the golden margin {name:?} is unknown to this test"))
}

/// How far values and gradients may be off.
#[derive(Clone, Copy)]
struct Tolerance {
    /// Of a value `v`, times `max(1, |v|)`.
    value: f64,
    /// Of a gradient, relative to its norm.
    gradient: f64,
}

const F32: Tolerance = Tolerance {
    value: 1e-4,
    gradient: 1e-3,
};
const F64: Tolerance = Tolerance {
    value: 1e-9,
    gradient: 1e-7,
};

impl Tolerance {
    #[track_caller]
    fn check_values(self, what: &str, given: &[f64], wanted: &[f64]) {
        assert_eq!(given.len(), wanted.len(), "{what}");
        for (index, (g, w)) in given.iter().zip(wanted).enumerate() {
            assert!(
                (g - w).abs() <= self.value * w.abs().max(1.0),
                "{what}, sample {index}: {g} instead of {w}"
            );
        }
    }

    #[track_caller]
    fn check_gradient(self, what: &str, given: &[f64], wanted: &[f64]) {
        assert_eq!(given.len(), wanted.len(), "{what}");
        let norm = oracle::dot(wanted, wanted).sqrt();
        let difference: f64 = given
            .iter()
            .zip(wanted)
            .map(|(g, w)| (g - w).powi(2))
            .sum::<f64>()
            .sqrt();
        assert!(
            difference <= self.gradient * norm.max(1e-6),
            "{what}: the gradient is off by {difference:e} at a norm of {norm:e}"
        );
    }
}

/// The golden files, or `None` with a line that says so.
fn files() -> Option<Vec<(String, Golden)>> {
    let folder = match std::env::var_os("CCFACE_GOLDEN") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden"),
    };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("objective_") && name.ends_with(".json")
        })
        .collect();
    paths.sort();
    if paths.is_empty() {
        skipped(&format!("no objective_*.json in {}", folder.display()));
        return None;
    }
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let golden = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.display().to_string(), golden)
    };
    Some(paths.iter().map(read).collect())
}

/// Says on the terminal, past the test harness's capture, that a check did not run.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "golden values: skipped, {why}");
}

fn matrix(rows: &Matrix, device: &Device, dtype: DType) -> Tensor<2> {
    let shape = [rows.len(), rows.first().map_or(0, Vec::len)];
    Tensor::from_data(TensorData::new(rows.concat(), shape), (device, dtype))
}

fn integers(labels: &[usize], device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i64> = labels.iter().map(|label| *label as i64).collect();
    let shape = [labels.len()];
    Tensor::from_data(TensorData::new(labels, shape), device)
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// A golden file's inputs as tensors.
struct Inputs<'a> {
    golden: &'a Golden,
    prototypes: Tensor<2>,
    labels: Tensor<1, Int>,
    student: Tensor<2>,
    teacher_hr: Tensor<2>,
    teacher_lr: Tensor<2>,
    queue: (Tensor<2>, Tensor<1, Int>),
}

impl<'a> Inputs<'a> {
    fn new(golden: &'a Golden, device: &Device, dtype: DType) -> Self {
        Self {
            golden,
            prototypes: matrix(&golden.prototypes, device, dtype),
            labels: integers(&golden.labels, device),
            student: matrix(&golden.student, device, dtype),
            teacher_hr: matrix(&golden.teacher_hr, device, dtype),
            teacher_lr: matrix(&golden.teacher_lr, device, dtype),
            queue: (
                matrix(&golden.queue, device, dtype),
                integers(&golden.queue_labels, device),
            ),
        }
    }

    fn margins(&self, difficulty: Difficulty, student: Tensor<2>) -> Tensor<1> {
        let score =
            |rows: Tensor<2>| target_products(rows, self.prototypes.clone(), self.labels.clone());
        AdaptivePenalty::new(difficulty, self.golden.margin_min, self.golden.margin_max).margins(
            Scores {
                student: score(normalise_rows(student)),
                teacher_hr: score(self.teacher_hr.clone()),
                teacher_lr: Some(score(self.teacher_lr.clone())),
            },
        )
    }

    fn per_sample(&self, case: &Case, student: Tensor<2>) -> Tensor<1> {
        let scale = self.golden.scale;
        match *case {
            Case::Classification(difficulty) => ClassificationConsistency { scale }
                .forward_no_reduction(
                    student.clone(),
                    self.prototypes.clone(),
                    self.labels.clone(),
                    self.margins(difficulty, student),
                ),
            Case::Contrast {
                batch_keys,
                queue,
                push,
            } => {
                CrossResolution {
                    temperature: self.golden.temperature,
                    batch_keys,
                    push,
                    normalise: false,
                }
                .forward_no_reduction(
                    student,
                    self.teacher_hr.clone(),
                    self.labels.clone(),
                    queue.then(|| self.queue.clone()),
                )
                .loss
            }
            Case::Embedding => {
                EmbeddingConsistency.forward_no_reduction(student, self.teacher_hr.clone())
            }
            Case::Logit { temperature } => LogitConsistency { scale, temperature }
                .forward_no_reduction(student, self.teacher_hr.clone(), self.prototypes.clone()),
            Case::Push => Push {
                temperature: self.golden.temperature,
            }
            .forward_no_reduction(student, self.labels.clone()),
        }
    }
}

fn check_device(device: &Device, dtype: DType, tolerance: Tolerance) {
    let device = device.clone().autodiff();
    for (file, golden) in files().into_iter().flatten() {
        let inputs = Inputs::new(&golden, &device, dtype);
        assert!(
            !golden.terms.is_empty() && !golden.margins.is_empty(),
            "{file} is empty"
        );
        for (name, wanted) in &golden.terms {
            let what = format!("{file}: {name}");
            let student = inputs.student.clone().require_grad();
            let losses = inputs.per_sample(&Case::parse(name), student.clone());
            tolerance.check_values(&what, &read(losses.clone()), &wanted.per_sample);
            let loss = losses.mean();
            tolerance.check_values(&what, &read(loss.clone()), &[wanted.loss]);
            let gradient = student.grad(&loss.backward()).unwrap();
            tolerance.check_gradient(&what, &read(gradient), &wanted.grad_student.concat());
        }
        for (name, wanted) in &golden.margins {
            let margins = inputs.margins(difficulty(name), inputs.student.clone());
            tolerance.check_values(&format!("{file}: margin {name}"), &read(margins), wanted);
        }
    }
}

#[test]
fn flex_agrees() {
    check_device(&Device::flex(), DType::F32, F32);
}

#[test]
fn flex_in_f64_agrees_far_more_closely() {
    check_device(&Device::flex(), DType::F64, F64);
}

#[cfg(feature = "ndarray")]
#[test]
fn ndarray_agrees() {
    #[allow(deprecated)]
    let device = Device::ndarray();
    check_device(&device, DType::F32, F32);
}

#[cfg(feature = "wgpu")]
#[test]
fn wgpu_agrees() {
    let device = Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    let probe =
        std::panic::catch_unwind(|| read(Tensor::<1>::from_floats([1.0, 2.0], &device) * 2.0));
    match probe {
        Ok(values) => assert_eq!(values, [2.0, 4.0], "the wgpu device computes wrongly"),
        Err(_) => return skipped("wgpu finds no adapter here"),
    }
    check_device(&device, DType::F32, F32);
}

#[test]
fn the_oracles_agree() {
    for (file, golden) in files().into_iter().flatten() {
        let margins = |kind: &str| {
            oracle::adaptive_penalty::margins(
                kind,
                &golden.student,
                &golden.teacher_hr,
                &golden.teacher_lr,
                &golden.prototypes,
                &golden.labels,
                (golden.margin_min, golden.margin_max),
            )
        };
        for (name, wanted) in &golden.margins {
            F64.check_values(&format!("{file}: margin {name}"), &margins(name), wanted);
        }
        for (name, wanted) in &golden.terms {
            let losses = match Case::parse(name) {
                Case::Classification(difficulty) => oracle::classification_consistency::per_sample(
                    &golden.student,
                    &golden.prototypes,
                    &golden.labels,
                    &margins(difficulty.name()),
                    golden.scale,
                ),
                Case::Contrast {
                    batch_keys,
                    queue,
                    push,
                } => oracle::cross_resolution::denominators(
                    &golden.student,
                    &golden.teacher_hr,
                    &golden.labels,
                    queue.then_some((&golden.queue, golden.queue_labels.as_slice())),
                    golden.temperature,
                    batch_keys,
                    push,
                )
                .iter()
                .map(oracle::cross_resolution::Denominator::loss)
                .collect(),
                Case::Embedding => {
                    oracle::embedding_consistency::per_sample(&golden.student, &golden.teacher_hr)
                }
                Case::Logit { temperature } => oracle::logit_consistency::per_sample(
                    &golden.student,
                    &golden.teacher_hr,
                    &golden.prototypes,
                    golden.scale,
                    temperature,
                ),
                Case::Push => {
                    oracle::push::per_sample(&golden.student, &golden.labels, golden.temperature)
                }
            };
            let what = format!("{file}: {name}");
            F64.check_values(&what, &losses, &wanted.per_sample);
            F64.check_values(&what, &[oracle::mean(&losses)], &[wanted.loss]);
        }
    }
}

#[test]
#[should_panic(expected = "unknown to this test")]
fn a_golden_term_of_an_unknown_name_is_not_passed_over() {
    Case::parse("classification_consistency_v2/fixed");
}

#[test]
#[should_panic(expected = "unknown to this test")]
fn a_golden_margin_of_an_unknown_name_is_not_passed_over() {
    Case::parse("classification_consistency/feature_norm");
}
