//! Five-point alignment: landmarks to a similarity, a similarity to an aligned face.

mod enlarge;
mod error;
mod folder;
mod landmarks;
mod similarity;
mod warp;

use image::RgbImage;

use enlarge::Enlarged;
use warp::{Extended, sample};

pub use error::AlignError;
pub use folder::{AlignFailure, AlignReport, align_folder};
pub use landmarks::{LandmarkRow, read_landmarks};
pub use similarity::{Similarity, similarity_from_landmarks};
pub use warp::{Border, warp};

/// Five points of a face as `[x, y]` in pixels: left eye, right eye (as seen in the picture), nose tip, left
/// and right mouth corner.
pub type Landmarks = [[f64; 2]; 5];

/// The width and height in pixels of an aligned face.
pub const ALIGNED_SIZE: u32 = 112;

/// Where the five landmarks lie in an aligned 112×112 face.
///
/// Source: verbatim, the template of ArcFace and of the data sets that are distributed with it.
pub const ARCFACE_TEMPLATE_112: Landmarks = [
    [38.2946, 51.6963],
    [73.5318, 51.5014],
    [56.0252, 71.7366],
    [41.5493, 92.3655],
    [70.7299, 92.2041],
];

/// The largest enlargement before the warp.
const MAX_ENLARGE: u32 = 8;

/// How faces are sampled from their pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlignOptions {
    /// What lies beyond the picture's edge (default [`Border::Zero`], the field's habit).
    pub border: Border,
    /// Enlarges the picture this many times (bicubic, 1..=8, default 1 = not at all) before the bilinear warp.
    /// A face of about 112 pixels or less comes out sharper with 2.
    pub enlarge: u32,
}

impl Default for AlignOptions {
    fn default() -> Self {
        Self {
            border: Border::Zero,
            enlarge: 1,
        }
    }
}

impl AlignOptions {
    fn validate(&self) -> Result<(), AlignError> {
        if (1..=MAX_ENLARGE).contains(&self.enlarge) {
            return Ok(());
        }
        Err(AlignError::Setting {
            key: "enlarge",
            value: self.enlarge.to_string(),
            problem: format!("must lie between 1 (not at all) and {MAX_ENLARGE}"),
        })
    }
}

/// Aligns one face to [`ARCFACE_TEMPLATE_112`].
///
/// With `enlarge` n > 1 the picture, extended by its border, is first enlarged, and a landmark p goes to
///
/// ```text
/// p' = n · (p + 1/2) − 1/2
/// ```
///
/// in the enlarged picture; then [`warp`] samples that.
///
/// # Errors
/// [`AlignError::Degenerate`] for landmarks that determine no similarity, [`AlignError::Setting`] for options
/// out of range.
///
/// # Examples
/// ```
/// use ccface_data::align::{ALIGNED_SIZE, ARCFACE_TEMPLATE_112, AlignOptions, align_face};
///
/// let picture = image::RgbImage::from_fn(112, 112, |x, y| image::Rgb([x as u8, y as u8, 7]));
/// let face = align_face(&picture, &ARCFACE_TEMPLATE_112, &AlignOptions::default())?;
/// assert_eq!(face, picture);
/// # Ok::<(), ccface_data::align::AlignError>(())
/// ```
pub fn align_face(
    picture: &RgbImage,
    landmarks: &Landmarks,
    options: &AlignOptions,
) -> Result<RgbImage, AlignError> {
    options.validate()?;
    let source = Extended {
        picture,
        border: options.border,
    };
    if options.enlarge == 1 {
        let similarity = similarity_from_landmarks(landmarks, &ARCFACE_TEMPLATE_112)?;
        return Ok(sample(|x, y| source.get(x, y), &similarity, ALIGNED_SIZE));
    }
    let factor = f64::from(options.enlarge);
    let moved = landmarks.map(|point| point.map(|v| factor * (v + 0.5) - 0.5));
    let similarity = similarity_from_landmarks(&moved, &ARCFACE_TEMPLATE_112)?;
    let large = Enlarged::new(source, options.enlarge);
    Ok(sample(|x, y| large.get(x, y), &similarity, ALIGNED_SIZE))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stderr)]
    use super::*;
    use std::path::Path;

    /// A smooth picture: interpolation errs little on it.
    fn smooth(side: u32) -> RgbImage {
        RgbImage::from_fn(side, side, |x, y| {
            let v = 128.0 + 50.0 * (f64::from(x) * 0.08).sin() + 50.0 * (f64::from(y) * 0.06).cos();
            image::Rgb([v as u8, 255 - v as u8, (v / 2.0) as u8])
        })
    }

    fn mean_difference(a: &RgbImage, b: &RgbImage) -> f64 {
        let sum: f64 = a
            .iter()
            .zip(b.iter())
            .map(|(p, q)| (f64::from(*p) - f64::from(*q)).abs())
            .sum();
        sum / a.len() as f64
    }

    #[test]
    fn enlarging_first_keeps_the_geometry() {
        let picture = smooth(140);
        let landmarks =
            ARCFACE_TEMPLATE_112.map(|[x, y]| [0.9 * x - 0.1 * y + 25.0, 0.1 * x + 0.9 * y + 8.0]);
        let plain = AlignOptions {
            border: Border::Replicate,
            enlarge: 1,
        };
        let direct = align_face(&picture, &landmarks, &plain).unwrap();
        for enlarge in [2, 3, 8] {
            let face =
                align_face(&picture, &landmarks, &AlignOptions { enlarge, ..plain }).unwrap();
            let difference = mean_difference(&direct, &face);
            assert!(difference < 0.6, "{enlarge}: {difference}");
        }
        let shifted = landmarks.map(|[x, y]| [x + 1.0, y]);
        let moved = align_face(&picture, &shifted, &plain).unwrap();
        assert!(
            mean_difference(&direct, &moved) > 1.0,
            "the measure sees a shift of one pixel"
        );
    }

    #[test]
    fn an_enlargement_out_of_range_is_refused_by_name() {
        for enlarge in [0, 9] {
            let options = AlignOptions {
                enlarge,
                ..AlignOptions::default()
            };
            let error = align_face(&smooth(112), &ARCFACE_TEMPLATE_112, &options).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("enlarge = {enlarge}: ")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_black_border_stays_outside_the_picture_and_a_replicated_one_does_not() {
        let picture = RgbImage::from_pixel(112, 112, image::Rgb([200; 3]));
        let landmarks = ARCFACE_TEMPLATE_112.map(|[x, y]| [x + 40.0, y]);
        for enlarge in [1, 2] {
            let zero = AlignOptions {
                border: Border::Zero,
                enlarge,
            };
            let face = align_face(&picture, &landmarks, &zero).unwrap();
            assert_eq!(
                (face.get_pixel(50, 50)[0], face.get_pixel(90, 50)[0]),
                (200, 0)
            );
            let replicate = AlignOptions {
                border: Border::Replicate,
                enlarge,
            };
            let face = align_face(&picture, &landmarks, &replicate).unwrap();
            assert!(face.iter().all(|v| *v == 200));
        }
    }

    #[test]
    fn the_projects_landmarks_reproduce_the_reference_alignment_of_orl_exactly() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let data = root.join("../shared/data");
        if !data.join("orl").is_dir() {
            eprintln!("skipped: no reference faces in {}", data.display());
            return;
        }
        let options = AlignOptions {
            border: Border::Replicate,
            enlarge: 2,
        };
        let rows = read_landmarks(&root.join("scripts/orl_landmarks.csv")).unwrap();
        for (i, row) in rows.iter().enumerate().step_by(7) {
            let raw = data.join(format!("orl/s{}/{}.pgm", i / 10 + 1, i % 10 + 1));
            let aligned = data
                .join("orl_aligned112")
                .join(&row.path)
                .with_extension("png");
            let picture = image::open(raw).unwrap().into_rgb8();
            let face = align_face(&picture, &row.points, &options).unwrap();
            assert_eq!(
                face,
                image::open(aligned).unwrap().into_rgb8(),
                "{}",
                row.path
            );
        }
    }
}
