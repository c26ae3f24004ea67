//! From linear light to an 8-bit picture: filter, white balance, tone, noise.

use super::math::{V3, srgb};
use super::sample::Camera;
use crate::rng::Stream;
use image::RgbImage;

/// Linear colours of `side × side` samples.
#[derive(Debug)]
pub(super) struct Film {
    pub(super) side: usize,
    pub(super) samples: Vec<V3>,
}

/// Taps of the filter that makes one output pixel: first sample and weights.
type Taps = Vec<(usize, Vec<f32>)>;

fn taps(side: usize, size: usize, sigma: f32) -> Taps {
    let ratio = side as f32 / size as f32;
    let sigma = sigma * ratio;
    let radius = (2.3 * sigma).max(0.75 * ratio);
    (0..size)
        .map(|i| {
            let centre = (i as f32 + 0.5) * ratio - 0.5;
            let a = (centre - radius).ceil().max(0.0) as usize;
            let b = ((centre + radius).floor() as usize).min(side - 1);
            let mut weights: Vec<f32> = (a..=b)
                .map(|k| {
                    let d = (k as f32 - centre) / radius;
                    // (1 − d²)³ has the bell's shape and ends at the radius.
                    let w = (1.0 - d * d).max(0.0);
                    w * w * w + 1e-6
                })
                .collect();
            let sum: f32 = weights.iter().sum();
            for w in &mut weights {
                *w /= sum;
            }
            (a, weights)
        })
        .collect()
}

impl Film {
    /// Averages the samples into pixels through a bell of standard deviation `sigma` pixels.
    fn filtered(&self, size: usize, sigma: f32) -> Vec<V3> {
        let taps = taps(self.side, size, sigma);
        let mut rows = vec![V3::default(); self.side * size];
        for (row, out) in self
            .samples
            .chunks_exact(self.side)
            .zip(rows.chunks_exact_mut(size))
        {
            for ((first, weights), pixel) in taps.iter().zip(out) {
                *pixel = weights
                    .iter()
                    .zip(&row[*first..])
                    .fold(V3::default(), |sum, (w, c)| sum + *c * *w);
            }
        }
        let mut out = vec![V3::default(); size * size];
        for ((first, weights), line) in taps.iter().zip(out.chunks_exact_mut(size)) {
            for (k, w) in weights.iter().enumerate() {
                let row = &rows[(first + k) * size..(first + k + 1) * size];
                for (pixel, c) in line.iter_mut().zip(row) {
                    *pixel = *pixel + *c * *w;
                }
            }
        }
        out
    }

    /// Develops the picture.
    pub(super) fn develop(&self, camera: &Camera, size: usize, noise: &mut Stream) -> RgbImage {
        let scale = size as f32 / 112.0;
        let blur = camera.blur * scale;
        let pixels = self.filtered(size, (0.35 * 0.35 + blur * blur).sqrt());
        let gain = camera.white * camera.exposure;
        let mut bytes = Vec::with_capacity(size * size * 3);
        for c in pixels {
            let c = c.times(gain);
            let grey = c.luma();
            let c = V3(grey, grey, grey).mix(c, camera.saturation);
            // One draw gives three bells of four 5-bit numbers each.
            let bits = noise.next_u64();
            for (k, v) in [c.0, c.1, c.2].into_iter().enumerate() {
                let s = srgb(shoulder(v));
                let s = 0.5 + (s - 0.5) * camera.contrast;
                let n = (0..4)
                    .map(|j| ((bits >> (20 * k + 5 * j)) & 31) as f32)
                    .sum::<f32>()
                    / 62.0
                    - 1.0;
                // Dark pixels are noisier after the tone curve.
                let n = n * camera.noise * (1.5 - s);
                bytes.push(((s + n).clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
            }
        }
        RgbImage::from_raw(size as u32, size as u32, bytes).unwrap_or_default()
    }
}

/// Compresses highlights: linear to 0.7, then towards 1.
fn shoulder(v: f32) -> f32 {
    if v <= 0.7 {
        v.max(0.0)
    } else {
        let t = (v - 0.7) / 0.3;
        0.7 + 0.3 * t / (1.0 + t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_weights_sum_to_one_and_stay_inside() {
        for (side, size) in [(168, 112), (112, 112), (225, 150)] {
            for (first, weights) in taps(side, size, 0.6) {
                assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-4);
                assert!(first + weights.len() <= side);
            }
        }
    }

    #[test]
    fn the_shoulder_rises_and_stays_below_one() {
        let mut last = -1.0;
        for i in 0..100 {
            let v = shoulder(i as f32 * 0.05);
            assert!(v > last && v < 1.0);
            last = v;
        }
    }
}
