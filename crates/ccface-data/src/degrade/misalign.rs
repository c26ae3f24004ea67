//! Misalignment: landmarks that were found a little off, and a head that is turned in the plane.

use super::warp::warp;
use crate::align::{ARCFACE_TEMPLATE_112, Landmarks, Similarity, similarity_from_landmarks};
use crate::face::FaceImage;
use crate::rng::Stream;

/// Aligns the face again from landmarks that are each off by a normal error of `sigma` pixels of this picture.
///
/// ```text
/// p̂_k = p_k + σ·n_k;   out = warp(face, similarity p̂ → p)        k = five template landmarks, border replicated
/// ```
///
/// Source: reconstructed, from how detectors err on small faces.
pub fn landmark_jitter(face: &FaceImage, sigma: f64, stream: &mut Stream) -> FaceImage {
    let truth = landmarks(face);
    let found = truth.map(|[x, y]| {
        let (nx, ny) = stream.normal_pair();
        [x + sigma * nx, y + sigma * ny]
    });
    // Unmoved where the errors are too large for any fit.
    similarity_from_landmarks(&found, &truth).map_or_else(|_| face.clone(), |t| warp(face, &t))
}

/// Turns the face by `angle` radians (from x towards y) about its centre, border replicated.
pub fn rotate(face: &FaceImage, angle: f64) -> FaceImage {
    warp(
        face,
        &Similarity::about(face.centre(), 1.0, angle, [0.0; 2]),
    )
}

/// The template's landmarks in a picture of this size.
fn landmarks(face: &FaceImage) -> Landmarks {
    let (sx, sy) = (face.width as f64 / 112.0, face.height as f64 / 112.0);
    ARCFACE_TEMPLATE_112.map(|[x, y]| [x * sx, y * sy])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    fn ramp() -> FaceImage {
        let data = (0..3 * 56 * 56).map(|i| (i % 56) as f32).collect();
        FaceImage::new(56, 56, data)
    }

    #[test]
    fn the_shift_has_the_size_of_the_landmark_error() {
        // On a horizontal ramp of slope 1 the mean change is the shift in pixels: σ/√5 for the mean of five errors.
        let mut shifts = Vec::new();
        for i in 0..200 {
            let mut stream = Stream::new(1, 0, i, Purpose::Stage(0));
            let out = landmark_jitter(&ramp(), 1.0, &mut stream);
            shifts.push(f64::from(out.get(0, 28, 35)) - 28.0);
        }
        let rms = (shifts.iter().map(|s| s * s).sum::<f64>() / 200.0).sqrt();
        assert!((rms - 1.0 / 5.0f64.sqrt()).abs() < 0.1, "{rms}");
        let mut stream = Stream::new(1, 0, 0, Purpose::Stage(0));
        let still = landmark_jitter(&ramp(), 0.0, &mut stream);
        assert!(
            still
                .data
                .iter()
                .zip(&ramp().data)
                .all(|(a, b)| (a - b).abs() < 1e-3)
        );
    }

    #[test]
    fn a_quarter_turn_makes_columns_rows() {
        let turned = rotate(&ramp(), std::f64::consts::FRAC_PI_2);
        assert!((turned.get(0, 10, 40) - 40.0).abs() < 1e-3);
    }
}
