//! Resize kernels, blur, warp and JPEG against values that OpenCV and Pillow computed
//! (`scripts/degradation_golden.py`).
#![allow(clippy::unwrap_used)]

use ccface_data::FaceImage;
use ccface_data::degrade::{Kernel, blur, jpeg, misalign, resize};
use serde_json::Value;

/// The generator's picture.
fn picture(width: usize, height: usize) -> FaceImage {
    let mut face = FaceImage::filled(width, height, 0.0);
    for y in 0..height {
        for x in 0..width {
            let (fx, fy) = (x as f64, y as f64);
            let values = [
                128.0 + 90.0 * (fx / 3.1 + fy / 5.3).sin(),
                40.0 + 170.0 * ((x / 5 + y / 4) % 2) as f64,
                255.0 * (fx + fy) / (width + height - 2) as f64,
            ];
            for (c, value) in values.into_iter().enumerate() {
                face.data[(c * height + y) * width + x] = value.round_ties_even() as f32;
            }
        }
    }
    face
}

/// The picture with colours about as strong as a face's.
fn soft(face: &FaceImage) -> FaceImage {
    let mut soft = face.clone();
    let n = face.width * face.height;
    for (i, value) in soft.data.iter_mut().enumerate() {
        let mixed = 0.25 * f64::from(*value) + 0.75 * f64::from(face.data[n + i % n]);
        *value = mixed.round_ties_even() as f32;
    }
    soft
}

fn psnr(ours: &[f32], theirs: &Value) -> f64 {
    let theirs: Vec<f64> = theirs
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect();
    assert_eq!(ours.len(), theirs.len());
    let error: f64 = ours
        .iter()
        .zip(&theirs)
        .map(|(a, b)| (f64::from(*a) - b).powi(2))
        .sum();
    10.0 * (255.0 * 255.0 * ours.len() as f64 / error.max(1e-9)).log10()
}

#[test]
fn degradations_agree_with_opencv_and_pillow() {
    let golden: Value = serde_json::from_str(include_str!("fixtures/degradation.json")).unwrap();
    let side = |case: &Value, key: &str| case[key].as_u64().unwrap() as usize;
    let face = picture(side(&golden, "width"), side(&golden, "height"));
    let mut seen = Vec::new();
    for case in golden["cases"].as_array().unwrap() {
        let number = |key: &str| case[key].as_f64().unwrap();
        // Rounding inside two JPEG encoders and decoders differs, so they agree less closely than the filters do.
        let (name, out, least) = match case["what"].as_str().unwrap() {
            "resize" => {
                let kernel: Kernel = serde_json::from_value(case["kernel"].clone()).unwrap();
                let (w, h) = (side(case, "width"), side(case, "height"));
                (
                    format!("{kernel:?} {w}×{h}"),
                    resize(&face, w, h, kernel),
                    45.0,
                )
            }
            "gaussian" => (
                "gaussian".into(),
                blur::gaussian(&face, number("sigma")),
                45.0,
            ),
            "rotate" => (
                "rotate".into(),
                misalign::rotate(&face, number("angle")),
                45.0,
            ),
            "jpeg" => {
                let quality = number("quality") as u8;
                (
                    format!("jpeg {quality}"),
                    jpeg::jpeg(&soft(&face), quality),
                    40.0,
                )
            }
            other => panic!("unknown case {other}"),
        };
        for (plane, colour) in out.planes().zip(["red", "green", "blue"]) {
            if let Some(values) = case.get(colour) {
                let psnr = psnr(plane, values);
                assert!(psnr >= least, "{name} {colour}: {psnr:.1} dB");
            }
        }
        seen.push(name);
    }
    assert_eq!(seen.len(), 3 * Kernel::ALL.len() + 5);
}
