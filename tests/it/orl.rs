//! Real faces and a real network: pre-processing, engine and metrics together, against an independent reference.

use std::path::PathBuf;

use ccface_data::{FaceImage, FaceSource, ImageFolder, Selection};
use ccface_eval::read_npy;
use ccface_model::InputSpec;
use ccface_train::{
    DeviceSpec,
    encoder::{Assumptions, FaceEncoder, FlipFusion, OnnxEncoder, embed_joined, embed_unit},
    faces::{FacesRequest, evaluate_faces},
};

use crate::support::shared;

/// The network and the aligned photographs, where the reference files are there.
fn teacher_and_faces() -> Option<(PathBuf, PathBuf)> {
    Some((
        shared("teachers/mobilefacenet.onnx")?,
        shared("data/orl_aligned112")?,
    ))
}

fn assumptions() -> Assumptions {
    let input = InputSpec {
        mean: [127.0; 3],
        std: [128.0; 3],
        ..InputSpec::arcface(112)
    };
    Assumptions {
        input,
        licence: "unstated".into(),
    }
}

#[test]
fn the_onnx_teacher_gives_the_reference_embeddings_at_any_batch_size() {
    let (Some((teacher, data)), Some(golden)) =
        (teacher_and_faces(), shared("golden/orl_mobilefacenet.npy"))
    else {
        return;
    };
    let encoder = OnnxEncoder::open(&teacher, &assumptions()).unwrap();
    let source = ImageFolder::open(&data, &Selection::All).unwrap();
    let golden = read_npy(&golden).unwrap();
    let every = 25;
    let count = source.len() / every;
    let face = |i: usize| Ok(FaceImage::from_rgb8(&source.image(i * every)?));
    let embed = |batch| embed_unit(&encoder, count, batch, &face, &mut |_| {}).unwrap();
    let (by_sixteen, one_by_one) = (embed(16), embed(1));
    let dim = encoder.dim();
    for i in 0..count {
        let row = &by_sixteen[i * dim..(i + 1) * dim];
        let cosine = |other: &[f32]| {
            row.iter()
                .zip(other)
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum::<f64>()
        };
        let place = i * every * dim;
        assert!(
            cosine(&golden.data[place..place + dim]) > 0.9999,
            "image {i}"
        );
        assert!(
            cosine(&one_by_one[i * dim..(i + 1) * dim]) > 0.999_999,
            "image {i}"
        );
    }
}

#[test]
fn joined_with_its_mirror_image_a_face_is_what_its_mirror_image_is() {
    let Some((teacher, data)) = teacher_and_faces() else {
        return;
    };
    let encoder = OnnxEncoder::open(&teacher, &assumptions()).unwrap();
    let source = ImageFolder::open(&data, &Selection::All).unwrap();
    let cosine = |flip: FlipFusion| {
        // The face of 0 and of 1 are mirror images of each other.
        let face = |i: usize| {
            let face = FaceImage::from_rgb8(&source.image(0)?);
            Ok(if i == 0 { face } else { face.flip_horizontal() })
        };
        let rows = embed_joined(&encoder, 2, 2, flip, &face, &mut |_| {}).unwrap();
        let (a, b) = rows.split_at(encoder.dim());
        a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>()
    };
    assert!(cosine(FlipFusion::None) < 0.999);
    assert!(cosine(FlipFusion::Sum) > 0.999_999);
    assert!(cosine(FlipFusion::Norm) > 0.999_999);
}

#[test]
fn the_teachers_eer_by_face_size_equals_the_reference() {
    let Some((teacher, data)) = teacher_and_faces() else {
        return;
    };
    let mut request = FacesRequest::new(teacher, data, DeviceSpec::default().resolve().unwrap());
    request.identities = "s21..s40".parse().unwrap();
    request.assume = assumptions();
    let result = evaluate_faces(&request, &mut |_, _, _| {}).unwrap().result;
    // Measured independently in PyTorch, f32, same views: EER in percent.
    for (size, reference) in [
        (8, 40.68),
        (12, 28.61),
        (16, 13.89),
        (24, 1.89),
        (112, 0.02),
    ] {
        let found = result.pairing("student-student", size).unwrap();
        assert_eq!((found.genuine, found.impostor), (1_800, 38_000));
        let eer = 100.0 * found.eer;
        assert!(
            (eer - reference).abs() < 0.3,
            "{size} px: {eer:.2} against {reference}"
        );
    }
    // The collapse that the contrast exists for.
    for (size, reference) in [(8, 97.0), (12, 81.0), (16, 33.0)] {
        let fmr = 100.0 * result.collapse("lr-lr", size).unwrap().fmr_at_hr_threshold;
        assert!(
            (fmr - reference).abs() < 1.5,
            "{size} px: {fmr:.1} against {reference}"
        );
    }
}
