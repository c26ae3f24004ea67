//! Sensor noise.

use crate::face::FaceImage;
use crate::rng::Stream;

/// Poisson–Gaussian sensor noise in its normal approximation, clamped to 0..255 as a sensor saturates.
///
/// ```text
/// y = clamp( x + n·√( 255·x/photons + read² ), 0, 255 ),   n ~ N(0, 1) for each value
/// ```
///
/// `photons` is how many a white pixel collects (fewer = noisier), `read` the standard deviation in grey levels
/// that remains in the dark.
///
/// Source: reconstructed, from Foi et al. (2008), the affine variance model.
pub fn poisson_gaussian(
    mut face: FaceImage,
    photons: f64,
    read: f64,
    stream: &mut Stream,
) -> FaceImage {
    let shot = (255.0 / photons) as f32;
    let dark = (read * read) as f32;
    let mut spare = None;
    for value in &mut face.data {
        let n = spare.take().unwrap_or_else(|| {
            let (a, b) = stream.normal_pair();
            spare = Some(b);
            a
        });
        let deviation = (shot * value.max(0.0) + dark).sqrt();
        *value = (*value + n as f32 * deviation).clamp(0.0, 255.0);
    }
    face
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    #[test]
    fn the_variance_is_affine_in_the_signal() {
        for x in [20.0f32, 120.0] {
            let mut stream = Stream::new(1, 0, 0, Purpose::Stage(0));
            let face = poisson_gaussian(FaceImage::filled(64, 64, x), 400.0, 2.0, &mut stream);
            let n = face.data.len() as f64;
            let mean = face.data.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
            let variance = face
                .data
                .iter()
                .map(|v| (f64::from(*v) - mean).powi(2))
                .sum::<f64>()
                / n;
            let expected = 255.0 * f64::from(x) / 400.0 + 4.0;
            assert!((mean - f64::from(x)).abs() < 0.5, "{mean}");
            assert!(
                (variance / expected - 1.0).abs() < 0.06,
                "{variance} against {expected}"
            );
        }
    }

    #[test]
    fn noise_stays_in_range_and_follows_its_stream() {
        let make = |i| {
            let mut stream = Stream::new(1, 0, i, Purpose::Stage(0));
            poisson_gaussian(FaceImage::filled(9, 9, 250.0), 10.0, 20.0, &mut stream)
        };
        assert!(make(0).data.iter().all(|v| (0.0..=255.0).contains(v)));
        assert_eq!(make(0), make(0));
        assert_ne!(make(0), make(1));
    }
}
