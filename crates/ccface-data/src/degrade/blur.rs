//! Blur: lens, movement and focus.

use crate::face::FaceImage;

/// A Gaussian blur of standard deviation `sigma` in pixels of the picture.
///
/// ```text
/// w(k) ∝ exp(−k²/2σ²),  |k| ≤ ⌈4σ⌉,  Σ w = 1        along each axis, border replicated
/// ```
///
/// Source: verbatim, the textbook filter; checked against OpenCV's `GaussianBlur` of the same width.
pub fn gaussian(face: &FaceImage, sigma: f64) -> FaceImage {
    let reach = (4.0 * sigma).ceil().clamp(0.0, 64.0) as isize;
    if reach == 0 || sigma < 1e-3 {
        return face.clone();
    }
    let mut weights: Vec<f32> = (-reach..=reach)
        .map(|k| libm::exp(-0.5 * (k as f64 / sigma).powi(2)) as f32)
        .collect();
    let total: f32 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= total);
    let taps: Vec<(isize, isize, f32)> = weights
        .iter()
        .zip(-reach..)
        .map(|(w, k)| (k, 0, *w))
        .collect();
    let across = convolve(face, &taps);
    let taps: Vec<_> = taps.into_iter().map(|(k, _, w)| (0, k, w)).collect();
    convolve(&across, &taps)
}

/// The blur of a straight movement of `length` pixels at `angle` radians (0 = along x, towards y).
///
/// ```text
/// w ∝ the length of the segment of the path that lies in each pixel, by 16 samples per pixel with bilinear weights
/// ```
///
/// Source: reconstructed, from the usual linear point spread function.
pub fn motion(face: &FaceImage, length: f64, angle: f64) -> FaceImage {
    if length < 1e-3 {
        return face.clone();
    }
    let length = length.min(64.0);
    let (dx, dy) = (libm::cos(angle), libm::sin(angle));
    let samples = ((16.0 * length).ceil() as usize).max(2);
    let points = (0..samples).map(|i| {
        let t = ((i as f64 + 0.5) / samples as f64 - 0.5) * length;
        (t * dx, t * dy, 1.0)
    });
    convolve(face, &splat(points))
}

/// The blur of a lens out of focus: a disc of `radius` pixels.
///
/// ```text
/// w ∝ the area of the disc in each pixel, by 8 × 8 samples per pixel
/// ```
///
/// Source: reconstructed, from the usual disc point spread function.
pub fn defocus(face: &FaceImage, radius: f64) -> FaceImage {
    if radius < 1e-3 {
        return face.clone();
    }
    let radius = radius.min(16.0);
    let reach = (radius + 0.5).ceil() as isize;
    let mut taps = Vec::new();
    for y in -reach..=reach {
        for x in -reach..=reach {
            let inside = (0..64)
                .filter(|s| {
                    let sx = x as f64 + (f64::from(s % 8) + 0.5) / 8.0 - 0.5;
                    let sy = y as f64 + (f64::from(s / 8) + 0.5) / 8.0 - 0.5;
                    sx * sx + sy * sy <= radius * radius
                })
                .count();
            if inside > 0 {
                taps.push((x, y, inside as f32));
            }
        }
    }
    normalise(&mut taps);
    convolve(face, &taps)
}

/// Weighted points spread to the four pixels around each, with a sum of 1.
fn splat(points: impl Iterator<Item = (f64, f64, f64)>) -> Vec<(isize, isize, f32)> {
    let mut cells = std::collections::BTreeMap::new();
    for (x, y, w) in points {
        let (x0, y0) = (x.floor(), y.floor());
        let (fx, fy) = (x - x0, y - y0);
        let corners = [
            (0, 0, (1.0 - fx) * (1.0 - fy)),
            (1, 0, fx * (1.0 - fy)),
            (0, 1, (1.0 - fx) * fy),
            (1, 1, fx * fy),
        ];
        for (cx, cy, part) in corners {
            *cells
                .entry((y0 as isize + cy, x0 as isize + cx))
                .or_insert(0.0) += w * part;
        }
    }
    let kept = cells.into_iter().filter(|(_, w)| *w > 1e-6);
    let mut taps: Vec<_> = kept.map(|((y, x), w)| (x, y, w as f32)).collect();
    normalise(&mut taps);
    taps
}

fn normalise(taps: &mut [(isize, isize, f32)]) {
    let total: f32 = taps.iter().map(|(_, _, w)| w).sum();
    taps.iter_mut().for_each(|(_, _, w)| *w /= total);
}

/// `out(x, y) = Σ w·in(x + dx, y + dy)`, border replicated.
fn convolve(face: &FaceImage, taps: &[(isize, isize, f32)]) -> FaceImage {
    let (width, height) = (face.width, face.height);
    let mut out = FaceImage::filled(width, height, 0.0);
    for (source, target) in face.planes().zip(out.planes_mut()) {
        for y in 0..height {
            let row = &mut target[y * width..(y + 1) * width];
            for &(dx, dy, w) in taps {
                let from = (y as isize + dy).clamp(0, height as isize - 1) as usize;
                add_shifted(row, &source[from * width..(from + 1) * width], dx, w);
            }
        }
    }
    out
}

/// `row(x) += w·source(x + dx)`, border replicated; the inner part is one straight run.
fn add_shifted(row: &mut [f32], source: &[f32], dx: isize, w: f32) {
    let n = row.len() as isize;
    let from = (-dx).clamp(0, n);
    let to = (n - dx).clamp(from, n);
    let (first, last) = (source[0], source[source.len() - 1]);
    row[..from as usize]
        .iter_mut()
        .for_each(|v| *v += w * first);
    if to > from {
        let part = &source[(from + dx) as usize..(to + dx) as usize];
        for (v, s) in row[from as usize..to as usize].iter_mut().zip(part) {
            *v += w * s;
        }
    }
    row[to as usize..].iter_mut().for_each(|v| *v += w * last);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn impulse() -> FaceImage {
        let mut face = FaceImage::filled(21, 21, 0.0);
        for plane in face.planes_mut() {
            plane[10 * 21 + 10] = 100.0;
        }
        face
    }

    fn moments(face: &FaceImage) -> (f64, f64, f64, f64) {
        let (mut sum, mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0, 0.0);
        for y in 0..face.height {
            for x in 0..face.width {
                let v = f64::from(face.get(0, x, y)) / 100.0;
                let (dx, dy) = (x as f64 - 10.0, y as f64 - 10.0);
                sum += v;
                xx += v * dx * dx;
                yy += v * dy * dy;
                xy += v * dx * dy;
            }
        }
        (sum, xx, yy, xy)
    }

    #[test]
    fn gaussian_spreads_with_its_variance() {
        let (sum, xx, yy, xy) = moments(&gaussian(&impulse(), 1.5));
        assert!((sum - 1.0).abs() < 1e-5 && (xx - 2.25).abs() < 0.02 && (yy - 2.25).abs() < 0.02);
        assert!(xy.abs() < 1e-6);
    }

    #[test]
    fn motion_spreads_along_its_direction_only() {
        let (sum, xx, yy, xy) = moments(&motion(&impulse(), 6.0, std::f64::consts::FRAC_PI_4));
        // A segment of length L has variance L²/12; half of it falls on each axis at 45°.
        assert!((sum - 1.0).abs() < 1e-4);
        assert!((xy - 1.5).abs() < 0.05 && (xx - yy).abs() < 1e-3 && xx > 1.5);
        let (_, xx, yy, _) = moments(&motion(&impulse(), 6.0, 0.0));
        assert!((xx - 3.0).abs() < 0.3 && yy < 0.01);
    }

    #[test]
    fn defocus_spreads_evenly_over_a_disc() {
        let blurred = defocus(&impulse(), 4.0);
        let (sum, xx, yy, _) = moments(&blurred);
        // A disc has variance R²/4 along each axis.
        assert!((sum - 1.0).abs() < 1e-4 && (xx - 4.0).abs() < 0.15 && (xx - yy).abs() < 1e-4);
        assert!((blurred.get(0, 10, 10) - blurred.get(0, 12, 10)).abs() < 1e-4);
    }

    #[test]
    fn every_blur_keeps_a_constant_up_to_the_border_and_nothing_blurs_nothing() {
        let flat = FaceImage::filled(6, 4, 50.0);
        for out in [
            gaussian(&flat, 3.0),
            motion(&flat, 9.0, 1.0),
            defocus(&flat, 5.0),
        ] {
            assert!(out.data.iter().all(|v| (v - 50.0).abs() < 1e-3));
        }
        assert_eq!(gaussian(&impulse(), 0.0), impulse());
        assert_eq!(motion(&impulse(), 0.0, 1.0), impulse());
        assert_eq!(defocus(&impulse(), 0.0), impulse());
    }
}
