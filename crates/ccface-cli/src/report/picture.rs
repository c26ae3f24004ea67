//! Faces as pictures inside the page.

use std::io::Cursor;

use base64::{Engine, engine::general_purpose::STANDARD};
use ccface_data::{FaceImage, degrade::fit};
use image::{
    DynamicImage, ImageEncoder,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};

use super::html::{Element, el};

/// Pictures with a longer side than this are reduced before they go into the page.
const LARGEST: usize = 128;

/// An `img` of the face with this description.
pub(crate) fn picture(face: &FaceImage, alt: &str) -> Element {
    el("img")
        .attr("src", data_uri(face))
        .attr("alt", alt)
        .attr("width", face.width.min(LARGEST))
        .attr("height", face.height.min(LARGEST))
}

/// The face as a `data:` URI of a PNG file, one channel where the face is grey.
fn data_uri(face: &FaceImage) -> String {
    let rgb = if face.width.max(face.height) > LARGEST {
        fit(face.clone(), LARGEST).to_rgb8()
    } else {
        face.to_rgb8()
    };
    let grey = rgb.pixels().all(|p| p[0] == p[1] && p[1] == p[2]);
    let picture = if grey {
        DynamicImage::ImageLuma8(DynamicImage::ImageRgb8(rgb).to_luma8())
    } else {
        rgb.into()
    };
    let mut file = Vec::new();
    let encoder = PngEncoder::new_with_quality(
        Cursor::new(&mut file),
        CompressionType::Best,
        FilterType::Adaptive,
    );
    let written = encoder.write_image(
        picture.as_bytes(),
        picture.width(),
        picture.height(),
        picture.color().into(),
    );
    // Writing to memory fails for an empty picture only; it is then left out of the page.
    if written.is_err() {
        file.clear();
    }
    format!("data:image/png;base64,{}", STANDARD.encode(file))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn decoded(uri: &str) -> DynamicImage {
        let file = STANDARD
            .decode(uri.strip_prefix("data:image/png;base64,").unwrap())
            .unwrap();
        image::load_from_memory(&file).unwrap()
    }

    #[test]
    fn a_colour_picture_survives_and_a_grey_one_takes_one_channel() {
        let mut face = FaceImage::filled(8, 8, 90.0);
        assert!(
            matches!(decoded(&data_uri(&face)), DynamicImage::ImageLuma8(p) if p.get_pixel(3, 3)[0] == 90)
        );
        face.data[0] = 200.0;
        assert_eq!(decoded(&data_uri(&face)).to_rgb8(), face.to_rgb8());
    }

    #[test]
    fn a_large_picture_is_reduced() {
        let picture = decoded(&data_uri(&FaceImage::filled(900, 900, 10.0)));
        assert_eq!((picture.width(), picture.height()), (128, 128));
    }
}
