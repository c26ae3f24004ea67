//! Sampling a picture through a similarity.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::Similarity;

/// Steps per pixel of the sampling grid.
const GRID: i64 = 32;

/// What lies beyond a picture's edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Border {
    /// Black.
    #[default]
    Zero,
    /// The nearest pixel of the picture, over and over.
    Replicate,
}

/// A read-only look at a picture that extends beyond its edges.
pub(super) struct Extended<'a> {
    pub(super) picture: &'a RgbImage,
    pub(super) border: Border,
}

impl Extended<'_> {
    /// The pixel at (x, y), anywhere.
    pub(super) fn get(&self, x: i64, y: i64) -> [u8; 3] {
        let (width, height) = (
            i64::from(self.picture.width()),
            i64::from(self.picture.height()),
        );
        let inside = (0..width).contains(&x) && (0..height).contains(&y);
        if width == 0 || height == 0 || (self.border == Border::Zero && !inside) {
            return [0; 3];
        }
        let (x, y) = (x.clamp(0, width - 1), y.clamp(0, height - 1));
        self.picture.get_pixel(x as u32, y as u32).0
    }
}

/// Samples `size`×`size` pixels through `similarity`, which leads from `picture` to the result.
///
/// ```text
/// result(p) = bilinear(picture, similarity⁻¹(p))
/// ```
///
/// with whole numbers at the centres of pixels. Positions in `picture` are rounded to 1/32 pixel, computed and
/// rounded as OpenCV's 8-bit `warpAffine` did up to version 4.10, so that faces equal those of data sets
/// aligned with it.
///
/// Source: reconstructed, from OpenCV's documentation and results (equal on every pixel tried).
///
/// # Examples
/// ```
/// use ccface_data::align::{Border, Similarity, warp};
///
/// let picture = image::RgbImage::from_pixel(4, 4, image::Rgb([9, 8, 7]));
/// let same = warp(&picture, &Similarity::IDENTITY, 5, Border::Zero);
/// assert_eq!(same.get_pixel(3, 3).0, [9, 8, 7]);
/// assert_eq!(same.get_pixel(4, 4).0, [0, 0, 0]);
/// ```
pub fn warp(picture: &RgbImage, similarity: &Similarity, size: u32, border: Border) -> RgbImage {
    let source = Extended { picture, border };
    sample(|x, y| source.get(x, y), similarity, size)
}

/// As [`warp`], from any plane of pixels.
pub(super) fn sample(
    get: impl Fn(i64, i64) -> [u8; 3],
    similarity: &Similarity,
    size: u32,
) -> RgbImage {
    let back = similarity.inverse().matrix();
    // 1/1024 pixel; the limit only keeps sums of far-away positions from overflowing.
    let fine = |v: f64| (v * 1024.0).round_ties_even().clamp(-1e15, 1e15) as i64;
    RgbImage::from_fn(size, size, |x, y| {
        let [column, row] = back.map(|[mx, my, shift]| {
            let start = fine(my * f64::from(y) + shift);
            (start + fine(mx * f64::from(x)) + GRID / 2) >> 5
        });
        let (left, top) = (column.div_euclid(GRID), row.div_euclid(GRID));
        let (right_part, lower_part) = (column.rem_euclid(GRID), row.rem_euclid(GRID));
        let mut sums = [GRID * GRID / 2; 3];
        for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let across = if dx == 0 {
                GRID - right_part
            } else {
                right_part
            };
            let down = if dy == 0 {
                GRID - lower_part
            } else {
                lower_part
            };
            let pixel = get(left + dx, top + dy);
            for (sum, value) in sums.iter_mut().zip(pixel) {
                *sum += across * down * i64::from(value);
            }
        }
        image::Rgb(sums.map(|sum| (sum / (GRID * GRID)) as u8))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::align::{ARCFACE_TEMPLATE_112, similarity_from_landmarks};

    fn ramp(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([(3 * x) as u8, (3 * y) as u8, 77])
        })
    }

    /// The similarity with scale `s`, angle `angle` and the picture's point `centre` going to (56, 56).
    fn around(s: f64, angle: f64, centre: [f64; 2]) -> Similarity {
        let (a, b) = (s * angle.cos(), s * angle.sin());
        let from = ARCFACE_TEMPLATE_112;
        let to = from.map(|[x, y]| {
            let (dx, dy) = (x - centre[0], y - centre[1]);
            [a * dx - b * dy + 56.0, b * dx + a * dy + 56.0]
        });
        similarity_from_landmarks(&from, &to).unwrap()
    }

    #[test]
    fn the_identity_copies_every_pixel() {
        let picture = ramp(60, 60);
        assert_eq!(
            warp(&picture, &Similarity::IDENTITY, 60, Border::Zero),
            picture
        );
    }

    #[test]
    fn a_quarter_turn_moves_rows_to_columns() {
        let picture = ramp(80, 80);
        let turned = warp(
            &picture,
            &around(1.0, std::f64::consts::FRAC_PI_2, [40.0, 40.0]),
            112,
            Border::Zero,
        );
        // (x, y) goes to (56 − (y − 40), 56 + (x − 40)).
        for (x, y) in [(0, 0), (10, 70), (79, 3)] {
            assert_eq!(
                turned.get_pixel(96 - y, 16 + x),
                picture.get_pixel(x, y),
                "{x} {y}"
            );
        }
    }

    #[test]
    fn halving_and_doubling_keep_a_ramp_a_ramp() {
        let picture = ramp(80, 80);
        for scale in [0.5, 2.0] {
            let scaled = warp(
                &picture,
                &around(scale, 0.0, [40.0, 40.0]),
                112,
                Border::Zero,
            );
            for x in 46..66 {
                let expected = 3.0 * ((f64::from(x) - 56.0) / scale + 40.0);
                let found = f64::from(scaled.get_pixel(x, 56)[0]);
                assert!(
                    (found - expected).abs() <= 0.55,
                    "{scale} {x}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn there_and_back_returns_the_picture_within_interpolation_error() {
        let picture = ramp(80, 80);
        let there = around(1.3, 0.4, [40.0, 40.0]);
        let back = warp(
            &warp(&picture, &there, 112, Border::Zero),
            &there.inverse(),
            80,
            Border::Zero,
        );
        for (x, y) in [(40, 40), (25, 50), (60, 30)] {
            for c in 0..3 {
                let (p, q) = (picture.get_pixel(x, y)[c], back.get_pixel(x, y)[c]);
                assert!(p.abs_diff(q) <= 1, "{x} {y} {c}: {p} {q}");
            }
        }
    }

    #[test]
    fn borders_are_black_or_replicated_and_an_empty_picture_is_black() {
        let picture = RgbImage::from_fn(4, 4, |x, y| image::Rgb([(10 + x + 4 * y) as u8; 3]));
        let shift = around(1.0, 0.0, [54.0, 54.0]);
        let zero = warp(&picture, &shift, 8, Border::Zero);
        let replicated = warp(&picture, &shift, 8, Border::Replicate);
        assert_eq!(
            (zero.get_pixel(0, 0)[0], replicated.get_pixel(0, 0)[0]),
            (0, 10)
        );
        assert_eq!(
            (zero.get_pixel(2, 2)[0], replicated.get_pixel(2, 2)[0]),
            (10, 10)
        );
        assert_eq!(
            (zero.get_pixel(7, 7)[0], replicated.get_pixel(7, 7)[0]),
            (0, 25)
        );
        for border in [Border::Zero, Border::Replicate] {
            let black = warp(&RgbImage::new(0, 0), &shift, 8, border);
            assert!(black.iter().all(|v| *v == 0));
        }
    }

    #[test]
    fn positions_far_outside_the_picture_do_not_overflow() {
        let far = around(2e-3, 0.1, [4e8, -4e8]);
        let black = warp(&ramp(8, 8), &far, 16, Border::Zero);
        assert!(black.iter().all(|v| *v == 0));
    }
}
