//! Made-up evaluations: real metrics of made-up embeddings.
#![allow(clippy::unwrap_used)]

use ccface_data::FaceImage;
use ccface_eval::{Embeddings, Stream, Subject, evaluate_collapse, evaluate_pairing, hr_threshold};
use ccface_model::InputSpec;
use ccface_train::faces::{
    FacesEvaluation, FacesResult, NetworkFacts, Pairings, ProtocolFacts, SizeResult, Views,
};

const DIM: usize = 16;

/// Unit vectors around one direction a person; `noise` is the spread.
pub(super) fn vectors(labels: &[Subject], noise: f64, seed: u64) -> Vec<Vec<f32>> {
    let person = |label: Subject| gaussians(u64::from(label));
    labels
        .iter()
        .enumerate()
        .map(|(i, label)| {
            let own = gaussians(1000 + seed * 10_007 + i as u64);
            let v: Vec<f64> = person(*label)
                .iter()
                .zip(own)
                .map(|(p, o)| p + noise * o)
                .collect();
            let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
            v.iter().map(|x| (x / norm) as f32).collect()
        })
        .collect()
}

fn gaussians(seed: u64) -> Vec<f64> {
    let mut stream = Stream::new(seed, 0);
    (0..DIM)
        .map(|_| (0..6).map(|_| stream.uniform()).sum::<f64>() - 3.0)
        .collect()
}

fn views(labels: &[Subject], sizes: &[usize], weakness: f64, seed: u64) -> Views {
    let at = |noise: f64, seed| Embeddings::from_rows(&vectors(labels, noise, seed)).unwrap();
    let lr = sizes.iter().map(|size| {
        (
            *size,
            at(0.35 + weakness / *size as f64, seed + *size as u64),
        )
    });
    Views {
        hr: at(0.35, seed),
        lr: lr.collect(),
    }
}

fn network(name: &str) -> NetworkFacts {
    NetworkFacts {
        path: format!("models/{name}"),
        hash: format!("{name}-0123456789abcdef0123456789abcdef"),
        input: InputSpec::arcface(32),
        embedding: DIM,
        licence: format!("licence of the {name}"),
    }
}

/// Small noisy pictures of five people, four each, 32 pixels.
pub(super) fn evaluation(sizes: &[usize], teacher: bool) -> FacesEvaluation {
    build(5, 4, 32, sizes, teacher)
}

/// 200 coloured pictures of 112 pixels.
pub(super) fn large() -> FacesEvaluation {
    build(20, 10, 112, &[8, 12, 16, 24, 112], true)
}

fn build(
    people: usize,
    images: usize,
    side: usize,
    sizes: &[usize],
    with_teacher: bool,
) -> FacesEvaluation {
    let labels: Vec<Subject> = (0..people * images)
        .map(|i| (i / images) as Subject)
        .collect();
    let student = views(&labels, sizes, 8.0, 1);
    let teacher = with_teacher.then(|| views(&labels, sizes, 24.0, 2));
    let mut pairings = Pairings::new();
    let mut add = |name: &str, size: usize, result| {
        pairings
            .entry(name.into())
            .or_default()
            .insert(size.to_string(), result);
    };
    let encoders = [
        Some(("student-student", "lr-lr", &student)),
        teacher
            .as_ref()
            .map(|t| ("teacher-teacher", "lr-lr-teacher", t)),
    ];
    for (pairing, collapse, views) in encoders.into_iter().flatten() {
        let threshold = hr_threshold(&views.hr, &labels, 0.01).unwrap().threshold;
        for size in sizes {
            let lr = &views.lr[size];
            add(
                pairing,
                *size,
                SizeResult::Pairing(Box::new(evaluate_pairing(lr, &views.hr, &labels).unwrap())),
            );
            add(
                collapse,
                *size,
                SizeResult::Collapse(Box::new(evaluate_collapse(lr, &labels, threshold).unwrap())),
            );
        }
    }
    if let Some(teacher) = &teacher {
        for size in sizes {
            let result = evaluate_pairing(&student.lr[size], &teacher.hr, &labels).unwrap();
            add(
                "student-teacher",
                *size,
                SizeResult::Pairing(Box::new(result)),
            );
        }
    }
    let faces = (0..labels.len()).map(|i| noise(side, i as u64)).collect();
    let result = FacesResult {
        schema_version: 1,
        ccface_version: "0.0.0-test".into(),
        model: network("small-net"),
        teacher: with_teacher.then(|| network("large-net")),
        protocol: ProtocolFacts {
            name: "faces by size".into(),
            data: "data/made-up".into(),
            data_hash: "feedfacefeedfacefeedface".into(),
            identities: people,
            identity_names: (0..people).map(|p| format!("p{p:02}")).collect(),
            images: labels.len(),
            degradation: "area average, bicubic back".into(),
            alignment: "as in the folder".into(),
            fusion: "one view".into(),
            threshold_rule: "conservative".into(),
            hr_fmr: 0.01,
        },
        sizes: sizes.to_vec(),
        pairings,
    };
    let names = (0..labels.len())
        .map(|i| format!("p{:02}/{}.png", i / images, i % images))
        .collect();
    FacesEvaluation {
        result,
        faces,
        labels,
        names,
        student,
        teacher,
    }
}

/// A coloured picture with noise, which compresses no better than a photograph.
fn noise(side: usize, seed: u64) -> FaceImage {
    let mut stream = Stream::new(seed, 0);
    let data = (0..3 * side * side)
        .map(|i| ((i % side) as f32 + 40.0 + 12.0 * stream.uniform() as f32).round())
        .collect();
    FaceImage::new(side, side, data)
}
