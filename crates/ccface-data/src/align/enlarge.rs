//! A picture seen through a magnifying glass.

use super::warp::Extended;

/// The bicubic kernel's free parameter.
const A: f64 = -0.75;

/// A picture enlarged by a whole factor, each pixel computed when it is asked for.
///
/// ```text
/// E(x, y) = Σⱼ Σᵢ k(u − i) k(v − j) I(i, j),   u = (x + 1/2)/n − 1/2,   v = (y + 1/2)/n − 1/2
/// ```
///
/// with the bicubic kernel k (a = −0.75), the picture I extended by its border, and the result rounded to 8 bits.
/// No memory is taken, however large the picture.
///
/// Source: reconstructed, from OpenCV's bicubic `resize` (for n = 2 equal on every pixel tried).
pub(super) struct Enlarged<'a> {
    source: Extended<'a>,
    factor: i64,
    /// The kernel's four weights, for each of the positions between two pixels.
    weights: Vec<[f64; 4]>,
}

impl<'a> Enlarged<'a> {
    /// `source`, `factor` times as wide and high.
    pub(super) fn new(source: Extended<'a>, factor: u32) -> Self {
        let factor = i64::from(factor.max(1));
        let weights = |rest: i64| {
            let t = rest as f64 / (2 * factor) as f64;
            [kernel(t + 1.0), kernel(t), kernel(1.0 - t), kernel(2.0 - t)]
        };
        Self {
            source,
            factor,
            weights: (0..2 * factor).map(weights).collect(),
        }
    }

    /// The pixel at (x, y) of the enlarged picture, anywhere.
    pub(super) fn get(&self, x: i64, y: i64) -> [u8; 3] {
        let ((left, across), (top, down)) = (self.taps(x), self.taps(y));
        let mut sum = [0.0; 3];
        for (y, wy) in (top..).zip(down) {
            for (x, wx) in (left..).zip(across) {
                let pixel = self.source.get(x, y);
                for (s, value) in sum.iter_mut().zip(pixel) {
                    *s += wx * wy * f64::from(value);
                }
            }
        }
        sum.map(|s| s.round_ties_even().clamp(0.0, 255.0) as u8)
    }

    /// The first of the four pixels that position `i` reads, and their weights.
    fn taps(&self, i: i64) -> (i64, &[f64; 4]) {
        // In units of 1/(2n) pixel.
        let position = 2 * i + 1 - self.factor;
        let rest = position.rem_euclid(2 * self.factor);
        (
            position.div_euclid(2 * self.factor) - 1,
            &self.weights[rest as usize],
        )
    }
}

/// The bicubic kernel k at distance `t`.
fn kernel(t: f64) -> f64 {
    let t = t.abs();
    if t <= 1.0 {
        ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0
    } else if t < 2.0 {
        ((A * t - 5.0 * A) * t + 8.0 * A) * t - 4.0 * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::align::Border;
    use image::{Rgb, RgbImage};

    #[test]
    fn the_kernel_has_its_known_values_and_the_weights_sum_to_one() {
        let quarter = [1.25, 0.25, 0.75, 1.75].map(|t| 256.0 * kernel(t));
        assert_eq!(quarter, [-27.0, 225.0, 67.0, -9.0]);
        let picture = RgbImage::new(1, 1);
        for factor in 1..=8 {
            let source = Extended {
                picture: &picture,
                border: Border::Zero,
            };
            for weights in Enlarged::new(source, factor).weights {
                assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn an_edge_gets_the_bicubic_overshoot() {
        let picture = RgbImage::from_fn(8, 1, |x, _| Rgb([if x < 4 { 50 } else { 150 }; 3]));
        let source = Extended {
            picture: &picture,
            border: Border::Replicate,
        };
        let large = Enlarged::new(source, 2);
        let row: Vec<u8> = (4..12).map(|x| large.get(x, 0)[0]).collect();
        // 50 − 100·9/256, 50 − 100·27/256, 50 + 100·(67 − 9)/256 and their mirror images.
        assert_eq!(row, [50, 46, 39, 73, 127, 161, 154, 150]);
    }

    #[test]
    fn a_factor_of_one_changes_nothing_and_a_flat_picture_stays_flat() {
        let picture = RgbImage::from_fn(5, 4, |x, y| Rgb([(40 * x) as u8, (50 * y) as u8, 9]));
        let same = Enlarged::new(
            Extended {
                picture: &picture,
                border: Border::Zero,
            },
            1,
        );
        assert_eq!(same.get(3, 2), picture.get_pixel(3, 2).0);
        assert_eq!(same.get(-1, 2), [0; 3]);
        let flat = RgbImage::from_pixel(5, 4, Rgb([201, 3, 255]));
        let large = Enlarged::new(
            Extended {
                picture: &flat,
                border: Border::Replicate,
            },
            3,
        );
        for (x, y) in [(-50, 0), (0, 0), (7, 5), (14, 11), (99, -99)] {
            assert_eq!(large.get(x, y), [201, 3, 255]);
        }
    }
}
