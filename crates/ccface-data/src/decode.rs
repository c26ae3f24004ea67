//! Encoded bytes to pixels, within limits and without trust.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::error::ImageError;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use serde::{Deserialize, Serialize};

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
