//! Moving a picture by fractions of a pixel.

use crate::align::Similarity;
use crate::face::FaceImage;

/// Moves a picture by `transform` on a canvas of its own size, bilinear, border replicated.
///
/// ```text
/// out(p) = in(transform⁻¹(p))        pixel centres at whole coordinates, as OpenCV's warpAffine
/// ```
pub fn warp(face: &FaceImage, transform: &Similarity) -> FaceImage {
    let back = transform.inverse();
    let (width, height) = (face.width, face.height);
    let n = width * height;
    let mut out = FaceImage::filled(width, height, 0.0);
    for y in 0..height {
        for x in 0..width {
            let [sx, sy] = back.apply([x as f64, y as f64]);
            let (x0, x1, fx) = neighbours(sx, width);
            let (y0, y1, fy) = neighbours(sy, height);
            let weights = [
                (1.0 - fx) * (1.0 - fy),
                fx * (1.0 - fy),
                (1.0 - fx) * fy,
                fx * fy,
            ];
            let places = [
                y0 * width + x0,
                y0 * width + x1,
                y1 * width + x0,
                y1 * width + x1,
            ];
            for c in 0..3 {
                let plane = &face.data[c * n..(c + 1) * n];
                let value = weights
                    .iter()
                    .zip(places)
                    .map(|(w, at)| w * plane[at])
                    .sum();
                out.data[c * n + y * width + x] = value;
            }
        }
    }
    out
}

/// The pixels on both sides of a position along an axis of `n` pixels, and the weight of the second.
fn neighbours(at: f64, n: usize) -> (usize, usize, f32) {
    let at = at.clamp(0.0, (n - 1) as f64);
    let low = at.floor() as usize;
    (low, (low + 1).min(n - 1), (at - low as f64) as f32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::align::{ARCFACE_TEMPLATE_112, similarity_from_landmarks};

    #[test]
    fn shifts_by_whole_and_half_pixels_replicate_the_border() {
        let face = FaceImage::new(3, 1, [[1.0, 2.0, 3.0]; 3].concat());
        let moved = |dx: f64| {
            let target = ARCFACE_TEMPLATE_112.map(|[x, y]| [x + dx, y]);
            let shift = similarity_from_landmarks(&ARCFACE_TEMPLATE_112, &target).unwrap();
            warp(&face, &shift).data[..3].to_vec()
        };
        for (dx, expected) in [
            (1.0, [1.0, 1.0, 2.0]),
            (0.5, [1.0, 1.5, 2.5]),
            (-1.0, [2.0, 3.0, 3.0]),
        ] {
            assert!(
                moved(dx)
                    .iter()
                    .zip(expected)
                    .all(|(a, b)| (a - b).abs() < 1e-5),
                "{dx}"
            );
        }
    }
}
