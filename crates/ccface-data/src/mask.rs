//! What of an aligned face a network is shown.

use crate::face::FaceImage;

/// Grey that stands for what is not shown: 0 after the usual scale of (x − 127.5)/127.5.
const GREY: f32 = 127.5;

/// What of an aligned face is shown; the rest becomes mid-grey.
///
/// How far figures with and without a mask lie apart tells how much a network leans on hair, clothes, background and
/// the edges that an alignment leaves.
///
/// Source: reconstructed, from the elliptical masks of face evaluations on FERET (Phillips et al. 2000), with an ellipse
/// of our own for ArcFace's template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FaceMask {
    /// The whole crop.
    #[default]
    None,
    /// The face oval of an ArcFace crop; its corners go.
    ///
    /// ```text
    /// ((x + ½)/w − 0.5)²/0.5² + ((y + ½)/h − 0.55)²/0.625² ≤ 1        x, y = column and row from 0
    /// ```
    Oval,
}

impl FaceMask {
    /// Masks a face of any size.
    pub fn apply(self, mut face: FaceImage) -> FaceImage {
        if self == Self::None {
            return face;
        }
        let (width, height) = (face.width, face.height);
        let place = |i: usize, n: usize, middle: f64, reach: f64| {
            let d = ((i as f64 + 0.5) / n as f64 - middle) / reach;
            d * d
        };
        let across: Vec<f64> = (0..width).map(|x| place(x, width, 0.5, 0.5)).collect();
        for plane in face.planes_mut() {
            for (y, row) in plane.chunks_exact_mut(width.max(1)).enumerate() {
                let down = place(y, height, 0.55, 0.625);
                for (value, across) in row.iter_mut().zip(&across) {
                    if across + down > 1.0 {
                        *value = GREY;
                    }
                }
            }
        }
        face
    }

    /// How the faces of a result are aligned, with what is masked of them.
    pub fn beside(self, alignment: &str) -> String {
        match self {
            Self::None => alignment.into(),
            Self::Oval => {
                format!("{alignment}; outside the face oval all is mid-grey (--mask oval)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oval_keeps_the_landmarks_and_takes_the_corners() {
        for side in [16, 48, 112] {
            let face = FaceImage::filled(side, side, 9.0);
            assert_eq!(FaceMask::None.apply(face.clone()), face);
            let out = FaceMask::Oval.apply(face);
            for c in 0..3 {
                for (x, y) in [(0, 0), (side - 1, 0), (0, side - 1), (side - 1, side - 1)] {
                    assert_eq!(out.get(c, x, y), GREY, "{side}: {x}, {y}");
                }
                for [x, y] in crate::align::ARCFACE_TEMPLATE_112 {
                    let at = |v: f64| (v * side as f64 / 112.0) as usize;
                    assert_eq!(out.get(c, at(x), at(y)), 9.0, "{side}: {x}, {y}");
                }
            }
        }
    }

    #[test]
    fn the_oval_is_symmetric_and_covers_the_area_of_its_formula() {
        let out = FaceMask::Oval.apply(FaceImage::filled(112, 112, 0.0));
        assert_eq!(out.flip_horizontal(), out);
        let shown = out.data.iter().filter(|v| **v == 0.0).count() as f64 / out.data.len() as f64;
        // The whole ellipse would be π·0.5·0.625 = 0.98 of the crop; its caps above and below lie outside.
        assert!((0.85..0.92).contains(&shown), "{shown}");
        let narrow = FaceMask::Oval.apply(FaceImage::filled(3, 0, 0.0));
        assert!(narrow.data.is_empty());
    }
}
