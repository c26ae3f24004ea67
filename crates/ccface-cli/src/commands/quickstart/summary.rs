//! What came of a quickstart: for machines, for a terminal, for people.

use std::{fmt::Write, ops::Range};

use ccface_eval::{PairedOutcome, PairingResult};
use ccface_train::faces::{FacesEvaluation, paired_true_accepts};
use serde_json::{Map, Value, json};

use super::plan::{HELD_OUT, PICTURES, SIZES};
use crate::{CliError, report::PlainWords};

/// Version of `report.json`.
const SCHEMA: u32 = 1;

/// Sizes at which the student is tested against the control.
const TESTED: [usize; 2] = [12, 16];

pub(super) struct Summary {
    pub(super) json: Value,
    pub(super) table: String,
    pub(super) words: PlainWords,
}

/// Full resolution by its name, any other size by its pixels.
fn key(size: usize) -> String {
    if Some(&size) == SIZES.last() {
        "hr".into()
    } else {
        size.to_string()
    }
}

fn result(evaluation: &FacesEvaluation, size: usize) -> Option<&PairingResult> {
    evaluation.result.pairing("student-student", size)
}

impl Summary {
    pub(super) fn new(
        seed: u64,
        people: &Range<u64>,
        evaluations: &[(&str, FacesEvaluation)],
    ) -> Result<Self, CliError> {
        let find = |name: &str| {
            evaluations
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, e)| e)
        };
        let mut tests = Vec::new();
        if let (Some(control), Some(student)) = (find("control"), find("student")) {
            for size in TESTED {
                tests.push((size, paired_true_accepts(control, student, size)?));
            }
        }
        let mut models = Map::new();
        for (name, evaluation) in evaluations {
            let mut sizes = Map::new();
            for size in SIZES {
                let lr = evaluation.result.collapse("lr-lr", size);
                if let Some(found) = result(evaluation, size) {
                    sizes.insert(
                        key(size),
                        json!({
                            "eer": found.eer,
                            "tar@far=0.01": found.tar_1e2,
                            "tar@far=0.001": found.tar_1e3,
                            "rank1": found.rank1,
                            "genuine": found.genuine,
                            "impostor": found.impostor,
                            "lr_lr_fmr_at_hr_threshold": lr.map(|r| r.fmr_at_hr_threshold),
                        }),
                    );
                }
            }
            models.insert((*name).into(), json!({ "sizes": sizes }));
        }
        let comparison: Map<String, Value> = tests
            .iter()
            .map(|(size, outcome)| (key(*size), json!(outcome)))
            .collect();
        let json = json!({
            "schema_version": SCHEMA,
            "ccface_version": env!("CARGO_PKG_VERSION"),
            "seed": seed,
            "train_identities": [people.start, people.end],
            "test_identities": [people.end, people.end + HELD_OUT],
            "images_per_identity": PICTURES,
            "models": models,
            "student_minus_control": {
                "what": "share of genuine comparisons accepted at FMR 1 %, paired, people drawn anew",
                "sizes": comparison,
            },
        });
        Ok(Self {
            json,
            table: table(evaluations, &tests),
            words: words(find("teacher"), find("student"), &tests),
        })
    }
}

fn table(evaluations: &[(&str, FacesEvaluation)], tests: &[(usize, PairedOutcome)]) -> String {
    let mut text = format!(
        "\nEER in %, {HELD_OUT} people nobody was trained on\n\n{:<10}",
        ""
    );
    for size in SIZES {
        let _ = write!(
            text,
            "{:>8}",
            if key(size) == "hr" {
                "HR".into()
            } else {
                format!("{size} px")
            }
        );
    }
    text.push('\n');
    for (name, evaluation) in evaluations {
        let _ = write!(text, "{name:<10}");
        for size in SIZES {
            let eer = result(evaluation, size).map_or(f64::NAN, |r| 100.0 * r.eer);
            let _ = write!(text, "{eer:>8.2}");
        }
        text.push('\n');
    }
    text.push('\n');
    for (size, outcome) in tests {
        let _ = writeln!(text, "{}", against_control(*size, outcome));
    }
    text
}

fn against_control(size: usize, outcome: &PairedOutcome) -> String {
    let verdict = if outcome.low > 0.0 {
        "the student accepts more"
    } else if outcome.high < 0.0 {
        "the control accepts more"
    } else {
        "no difference that this sample can show"
    };
    format!(
        "Student against control at {size} px: {:+.1} points of genuine pairs accepted at FMR 1 % (95 % interval {:+.1} to {:+.1}): {verdict}.",
        100.0 * outcome.difference,
        100.0 * outcome.low,
        100.0 * outcome.high
    )
}

fn words(
    teacher: Option<&FacesEvaluation>,
    student: Option<&FacesEvaluation>,
    tests: &[(usize, PairedOutcome)],
) -> PlainWords {
    let mut findings: Vec<String> = tests
        .iter()
        .map(|(size, outcome)| against_control(*size, outcome))
        .collect();
    if let (Some(teacher), Some(student)) = (teacher, student)
        && let (Some(before), Some(after)) = (result(teacher, 112), result(student, 112))
    {
        findings.push(format!(
            "At full resolution the teacher's EER is {:.2} %, the student's {:.2} %.",
            100.0 * before.eer,
            100.0 * after.eer
        ));
    }
    PlainWords {
        title: "CCFace quickstart".into(),
        headline: None,
        paragraphs: vec![
            "A face recogniser is trained on sharp faces and then meets a camera far away: a face of 16 pixels instead of 112. This page shows what happens to it, and what training for such faces changes.".into(),
            "Three networks of the same size are compared. The teacher saw sharp faces only. The control is the teacher trained on with small faces by the usual method (ArcFace). The student is the teacher trained on with the same small faces for the same time by CCFace: the teacher's class prototypes stay frozen, the penalty adapts to how hard a face is, and small faces of different people are pushed apart.".into(),
            "All faces are synthetic: nobody on this page exists. The figures tell how the method behaves, not how well it recognises real people.".into(),
        ],
        findings,
    }
}
