//! JPEG artefacts, applied while the face is small.

use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

use crate::decode::{DecodeLimits, decode_rgb};
use crate::face::FaceImage;

/// The picture after JPEG compression at `quality` (1..=100, the libjpeg scale), colour at half resolution (4:2:0)
/// as cameras and OpenCV write it; the picture is rounded to 8 bits on the way.
///
/// A picture with a side beyond 65,535, which JPEG cannot hold, comes back unchanged.
pub fn jpeg(face: &FaceImage, quality: u8) -> FaceImage {
    let (Ok(width), Ok(height)) = (u16::try_from(face.width), u16::try_from(face.height)) else {
        return face.clone();
    };
    let picture = face.to_rgb8();
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality.clamp(1, 100));
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    let written = encoder
        .encode(picture.as_raw(), width, height, ColorType::Rgb)
        .is_ok();
    match decode_rgb(&bytes, &DecodeLimits::default()) {
        Ok(decoded) if written => FaceImage::from_rgb8(&decoded),
        _ => face.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_quality_loses_more_and_size_stays() {
        let data = (0..3 * 20 * 14).map(|i| ((i * 53) % 256) as f32).collect();
        let face = FaceImage::new(20, 14, data);
        let loss = |quality| {
            let out = jpeg(&face, quality);
            assert_eq!((out.width, out.height), (20, 14));
            out.data
                .iter()
                .zip(&face.data)
                .map(|(a, b)| (a - b).powi(2))
                .sum::<f32>()
        };
        assert!(loss(10) > loss(50) && loss(50) > loss(95));
        assert_ne!(jpeg(&face, 75), face);
    }
}
