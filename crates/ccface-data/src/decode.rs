//! Encoded bytes to pixels, within limits and without trust.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::error::{DecodingError, ImageError, LimitError, LimitErrorKind};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use serde::{Deserialize, Serialize};
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

use crate::error::ImageProblem;

/// How much one image may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecodeLimits {
    /// Largest compressed file in bytes (default 32 MiB).
    pub max_bytes: u64,
    /// Largest width and height in pixels (default 8192).
    pub max_side: u32,
    /// Most memory a decoder may take in bytes, the picture included (default 256 MiB).
    pub max_alloc: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            max_bytes: 32 << 20,
            max_side: 8192,
            max_alloc: 256 << 20,
        }
    }
}

/// The format that the first bytes show, where it is one of those read here.
pub fn sniff(bytes: &[u8]) -> Option<ImageFormat> {
    image::guess_format(bytes).ok().filter(|format| {
        matches!(
            format,
            ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::Bmp | ImageFormat::Pnm
        )
    })
}

/// Decodes JPEG, PNG, BMP or PGM/PPM bytes to 8-bit RGB.
///
/// The format follows the content, never a file name. Grey becomes three equal channels, 16 bits are scaled
/// to 8, CMYK is converted, an alpha channel is dropped, and an EXIF orientation is applied.
///
/// # Errors
/// [`ImageProblem`] for anything but a whole, allowed picture; a panic inside a decoder becomes
/// [`ImageProblem::DecoderPanic`].
pub fn decode_rgb(bytes: &[u8], limits: &DecodeLimits) -> Result<RgbImage, ImageProblem> {
    guarded(bytes, limits, decode_with)
}

/// The width and height that an image's header states, without decoding it.
///
/// # Errors
/// As [`decode_rgb`], as far as it shows in the header.
pub fn dimensions(bytes: &[u8], limits: &DecodeLimits) -> Result<(u32, u32), ImageProblem> {
    guarded(bytes, limits, |bytes, format, _| {
        ImageReader::with_format(Cursor::new(bytes), format).into_dimensions()
    })
}

/// Looks at size and format, then runs `read` behind a panic boundary.
fn guarded<T>(
    bytes: &[u8],
    limits: &DecodeLimits,
    read: impl FnOnce(&[u8], ImageFormat, &DecodeLimits) -> Result<T, ImageError>,
) -> Result<T, ImageProblem> {
    if bytes.is_empty() {
        return Err(ImageProblem::Empty);
    }
    if bytes.len() as u64 > limits.max_bytes {
        return Err(ImageProblem::TooLarge {
            bytes: bytes.len() as u64,
            limit: limits.max_bytes,
        });
    }
    let format = sniff(bytes).ok_or(ImageProblem::NotAnImage)?;
    match catch_unwind(AssertUnwindSafe(|| read(bytes, format, limits))) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(ImageError::Limits(e))) => Err(ImageProblem::Oversized {
            detail: one_line(&e),
        }),
        Ok(Err(e)) => Err(ImageProblem::Corrupt {
            detail: one_line(&e),
        }),
        Err(_) => Err(ImageProblem::DecoderPanic),
    }
}

fn decode_with(
    bytes: &[u8],
    format: ImageFormat,
    limits: &DecodeLimits,
) -> Result<RgbImage, ImageError> {
    if format == ImageFormat::Jpeg
        && let Some(picture) = colour_jpeg(bytes, limits)?
    {
        return Ok(picture);
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut allowed = Limits::default();
    allowed.max_image_width = Some(limits.max_side);
    allowed.max_image_height = Some(limits.max_side);
    allowed.max_alloc = Some(limits.max_alloc);
    reader.limits(allowed);
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture.into_rgb8())
}

/// The colour JPEG that nearly every face is, from one reading of its headers; `image` reads them three times, a tenth of
/// the time of a 112×112 face. `None` for grey and CMYK files, which `image` converts.
fn colour_jpeg(bytes: &[u8], limits: &DecodeLimits) -> Result<Option<RgbImage>, ImageError> {
    let corrupt = |e: zune_jpeg::errors::DecodeErrors| {
        ImageError::Decoding(DecodingError::new(ImageFormat::Jpeg.into(), e.to_string()))
    };
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(corrupt)?;
    let (Some((width, height)), Some(ColorSpace::YCbCr)) =
        (decoder.dimensions(), decoder.input_colorspace())
    else {
        return Ok(None);
    };
    let allowed = |side: usize| side <= limits.max_side as usize;
    if !allowed(width) || !allowed(height) {
        return Err(ImageError::Limits(LimitError::from_kind(
            LimitErrorKind::DimensionError,
        )));
    }
    if (3 * width * height) as u64 > limits.max_alloc {
        return Err(ImageError::Limits(LimitError::from_kind(
            LimitErrorKind::InsufficientMemory,
        )));
    }
    let orientation = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif));
    let pixels = decoder.decode().map_err(corrupt)?;
    let Some(mut picture) = RgbImage::from_raw(width as u32, height as u32, pixels) else {
        return Ok(None);
    };
    if let Some(orientation) = orientation.filter(|o| *o != Orientation::NoTransforms) {
        let mut turned = DynamicImage::ImageRgb8(picture);
        turned.apply_orientation(orientation);
        picture = turned.into_rgb8();
    }
    Ok(Some(picture))
}

/// An error's text on one line without control characters, at most 200 characters.
pub(crate) fn one_line(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(200).collect::<String>().trim().to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn encoded(format: ImageFormat) -> Vec<u8> {
        let picture = RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8 * 20, y as u8 * 30, 5]));
        let mut bytes = Vec::new();
        picture
            .write_to(&mut Cursor::new(&mut bytes), format)
            .unwrap();
        bytes
    }

    #[test]
    fn every_allowed_format_decodes_by_content() {
        for format in [
            ImageFormat::Png,
            ImageFormat::Bmp,
            ImageFormat::Pnm,
            ImageFormat::Jpeg,
        ] {
            let picture = decode_rgb(&encoded(format), &DecodeLimits::default()).unwrap();
            assert_eq!(picture.dimensions(), (9, 7), "{format:?}");
            assert!(picture.get_pixel(8, 0)[0] > 140, "{format:?}");
        }
    }

    #[test]
    fn colour_jpegs_are_the_pixels_that_image_gives() {
        let picture = RgbImage::from_fn(61, 43, |x, y| {
            image::Rgb([(x * 4) as u8, (y * 5) as u8, ((x * y) % 251) as u8])
        });
        let limits = DecodeLimits::default();
        for sampling in [
            jpeg_encoder::SamplingFactor::F_1_1,
            jpeg_encoder::SamplingFactor::F_2_2,
        ] {
            for progressive in [false, true] {
                let mut bytes = Vec::new();
                let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 80);
                encoder.set_sampling_factor(sampling);
                encoder.set_progressive(progressive);
                encoder
                    .encode(picture.as_raw(), 61, 43, jpeg_encoder::ColorType::Rgb)
                    .unwrap();
                let ours = colour_jpeg(&bytes, &limits).unwrap().unwrap();
                assert_eq!(ours, image::load_from_memory(&bytes).unwrap().into_rgb8());
            }
        }
        let grey = DynamicImage::ImageRgb8(picture).into_luma8();
        let mut bytes = Vec::new();
        grey.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Jpeg)
            .unwrap();
        assert_eq!(colour_jpeg(&bytes, &limits).unwrap(), None);
    }

    #[test]
    fn empty_foreign_truncated_and_oversized_files_each_get_their_reason() {
        let limits = DecodeLimits::default();
        assert_eq!(decode_rgb(b"", &limits), Err(ImageProblem::Empty));
        assert_eq!(
            decode_rgb(b"just some text", &limits),
            Err(ImageProblem::NotAnImage)
        );
        let png = encoded(ImageFormat::Png);
        let cut = decode_rgb(&png[..png.len() / 2], &limits);
        assert!(matches!(cut, Err(ImageProblem::Corrupt { .. })), "{cut:?}");
        let tight = DecodeLimits {
            max_side: 8,
            ..DecodeLimits::default()
        };
        assert!(matches!(
            decode_rgb(&png, &tight),
            Err(ImageProblem::Oversized { .. })
        ));
        let small = DecodeLimits {
            max_bytes: 10,
            ..DecodeLimits::default()
        };
        assert!(matches!(
            decode_rgb(&png, &small),
            Err(ImageProblem::TooLarge { .. })
        ));
    }
}
