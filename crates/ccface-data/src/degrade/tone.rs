//! Brightness: exposure, gamma, a ramp of light, and the colour jitter of the literature.

use crate::face::FaceImage;
use crate::rng::Stream;

/// Exposure by `stops` and then a gamma curve.
///
/// ```text
/// y = 255·( clamp(2^stops·x/255, 0, 1) )^gamma        gamma > 1 darkens
/// ```
///
/// The curve is read from 1,025 points with linear interpolation.
pub fn tone(mut face: FaceImage, gamma: f64, stops: f64) -> FaceImage {
    const POINTS: usize = 1024;
    let gain = libm::exp2(stops);
    let curve: Vec<f32> = (0..=POINTS)
        .map(|i| {
            let x = (gain * i as f64 / POINTS as f64).clamp(0.0, 1.0);
            (255.0 * libm::pow(x, gamma)) as f32
        })
        .collect();
    for value in &mut face.data {
        let at = value.clamp(0.0, 255.0) * (POINTS as f32 / 255.0);
        let i = (at as usize).min(POINTS - 1);
        let t = at - i as f32;
        *value = curve[i] + t * (curve[i + 1] - curve[i]);
    }
    face
}

/// Light that falls in from one side: brighter towards `angle`, darker on the other side.
///
/// ```text
/// y = x·(1 + strength·(u·cos angle + v·sin angle))        u, v = place from −1 to 1, rightwards and downwards; ≥ 0
/// ```
///
/// Source: reconstructed.
pub fn light_ramp(mut face: FaceImage, strength: f64, angle: f64) -> FaceImage {
    let (sin, cos) = libm::sincos(angle);
    let place = |i: usize, n: usize| (2.0 * i as f64 + 1.0) / n as f64 - 1.0;
    let (width, height) = (face.width, face.height);
    let across: Vec<f64> = (0..width)
        .map(|x| strength * cos * place(x, width))
        .collect();
    for plane in face.planes_mut() {
        for (y, row) in plane.chunks_exact_mut(width).enumerate() {
            let down = 1.0 + strength * sin * place(y, height);
            for (value, along) in row.iter_mut().zip(&across) {
                *value *= (down + along).max(0.0) as f32;
            }
        }
    }
    face
}

/// Brightness, contrast and saturation, each by its factor (1 = unchanged), in random order.
///
/// ```text
/// brightness  y = b·x        contrast  y = c·x + (1 − c)·mean(grey)        saturation  y = s·x + (1 − s)·grey
/// grey = 0.299 R + 0.587 G + 0.114 B;  clamped to 0..255 after each
/// ```
///
/// Source: reconstructed, from torchvision's `ColorJitter` without hue.
pub fn color_jitter(mut face: FaceImage, factors: [f64; 3], stream: &mut Stream) -> FaceImage {
    for which in stream.permutation(3) {
        let factor = factors[which] as f32;
        match which {
            0 => face
                .data
                .iter_mut()
                .for_each(|v| *v = (factor * *v).clamp(0.0, 255.0)),
            1 => {
                let grey = grey(&face);
                // Row by row: short sums keep f32 exact enough.
                let rows = grey
                    .chunks(face.width.max(1))
                    .map(|row| f64::from(row.iter().sum::<f32>()));
                let mean = rows.sum::<f64>() / grey.len().max(1) as f64;
                let rest = (1.0 - factor) * mean as f32;
                face.data
                    .iter_mut()
                    .for_each(|v| *v = (factor * *v + rest).clamp(0.0, 255.0));
            }
            _ => {
                let grey = grey(&face);
                for plane in face.planes_mut() {
                    for (v, g) in plane.iter_mut().zip(&grey) {
                        *v = (factor * *v + (1.0 - factor) * g).clamp(0.0, 255.0);
                    }
                }
            }
        }
    }
    face
}

fn grey(face: &FaceImage) -> Vec<f32> {
    let n = face.width * face.height;
    let (red, rest) = face.data.split_at(n);
    let (green, blue) = rest.split_at(n);
    let pixels = red.iter().zip(green).zip(blue);
    pixels
        .map(|((r, g), b)| 0.299 * r + 0.587 * g + 0.114 * b)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    #[test]
    fn the_curve_is_the_formula() {
        let face = FaceImage::new(1, 1, vec![0.0, 100.0, 255.0]);
        let out = tone(face.clone(), 2.0, 0.0);
        assert!((out.data[1] - 255.0 * (100.0f32 / 255.0).powi(2)).abs() < 0.01);
        assert_eq!((out.data[0], out.data[2]), (0.0, 255.0));
        let brighter = tone(face, 1.0, 1.0);
        assert!((brighter.data[1] - 200.0).abs() < 0.01);
        assert_eq!(brighter.data[2], 255.0);
    }

    #[test]
    fn a_ramp_of_light_is_linear_and_keeps_the_middle() {
        let face = FaceImage::filled(5, 3, 100.0);
        let right = light_ramp(face.clone(), 0.5, 0.0);
        let row: Vec<f32> = (0..5).map(|x| right.get(1, x, 0)).collect();
        for (got, want) in row.iter().zip([60.0, 80.0, 100.0, 120.0, 140.0]) {
            assert!((got - want).abs() < 1e-3, "{row:?}");
        }
        let down = light_ramp(face.clone(), 0.6, std::f64::consts::FRAC_PI_2);
        assert!((down.get(0, 4, 0) - 60.0).abs() < 1e-3);
        assert!((down.get(0, 0, 2) - 140.0).abs() < 1e-3);
        assert_eq!(light_ramp(face.clone(), 0.0, 1.0), face);
    }

    #[test]
    fn colour_jitter_with_factors_of_one_changes_nothing_and_without_saturation_gives_grey() {
        let face = FaceImage::new(2, 1, vec![10.0, 20.0, 60.0, 80.0, 200.0, 30.0]);
        let stream = || Stream::new(1, 0, 0, Purpose::Stage(0));
        let same = color_jitter(face.clone(), [1.0; 3], &mut stream());
        assert!(
            same.data
                .iter()
                .zip(&face.data)
                .all(|(a, b)| (a - b).abs() < 1e-4)
        );
        let out = color_jitter(face, [1.0, 1.0, 0.0], &mut stream());
        assert!((out.get(0, 0, 0) - out.get(2, 0, 0)).abs() < 1e-4);
        let grey = 0.299 * 10.0 + 0.587 * 60.0 + 0.114 * 200.0;
        assert!((out.get(1, 0, 0) - grey).abs() < 1e-3);
    }
}
