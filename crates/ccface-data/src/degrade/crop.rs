//! A part of the face that stays, or goes.

use std::ops::Range;

use crate::degrade::span::Span;
use crate::face::FaceImage;
use crate::rng::Stream;

/// Keeps a random rectangle in its place and paints the rest black.
///
/// Source: reconstructed, from AdaFace's crop augmentation (torchvision's `RandomResizedCrop` rectangle, pasted in
/// place on black).
pub fn crop_on_black(
    mut face: FaceImage,
    share: Span,
    aspect: Span,
    stream: &mut Stream,
) -> FaceImage {
    let Some((columns, rows)) = random_rectangle(&face, share, aspect, stream) else {
        return face;
    };
    let width = face.width;
    for plane in face.planes_mut() {
        for (y, row) in plane.chunks_exact_mut(width).enumerate() {
            if rows.contains(&y) {
                row[..columns.start].fill(0.0);
                row[columns.end..].fill(0.0);
            } else {
                row.fill(0.0);
            }
        }
    }
    face
}

/// Paints a random rectangle in one random grey, as if something stood before the face.
///
/// Source: reconstructed, from random erasing (Zhong et al. 2020) with one grey level instead of noise.
pub fn erase(mut face: FaceImage, share: Span, aspect: Span, stream: &mut Stream) -> FaceImage {
    let Some((columns, rows)) = random_rectangle(&face, share, aspect, stream) else {
        return face;
    };
    let (width, grey) = (face.width, stream.uniform_in(0.0..255.0) as f32);
    for plane in face.planes_mut() {
        for row in plane
            .chunks_exact_mut(width)
            .skip(rows.start)
            .take(rows.len())
        {
            row[columns.clone()].fill(grey);
        }
    }
    face
}

/// The columns and rows of a random rectangle inside the picture; none where ten draws do not fit.
///
/// ```text
/// area = share·width·height,  w/h = aspect (log-uniform)
/// ```
fn random_rectangle(
    face: &FaceImage,
    share: Span,
    aspect: Span,
    stream: &mut Stream,
) -> Option<(Range<usize>, Range<usize>)> {
    let area = (face.width * face.height) as f64;
    for _ in 0..10 {
        let target = area * share.draw(stream);
        let ratio = aspect.draw_log(stream);
        let w = libm::sqrt(target * ratio).round() as usize;
        let h = libm::sqrt(target / ratio).round() as usize;
        if w == 0 || h == 0 || w > face.width || h > face.height {
            continue;
        }
        let left = stream.below(face.width - w + 1);
        let top = stream.below(face.height - h + 1);
        return Some((left..left + w, top..top + h));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    #[test]
    fn one_rectangle_of_the_right_area_stays() {
        for i in 0..40 {
            let mut stream = Stream::new(1, 0, i, Purpose::Stage(0));
            let face = FaceImage::filled(50, 40, 9.0);
            let out = crop_on_black(
                face,
                Span::new(0.2, 0.6),
                Span::new(0.75, 1.333),
                &mut stream,
            );
            let kept = |x: usize, y: usize| out.get(1, x, y) != 0.0;
            let all: Vec<_> = (0..2000)
                .map(|p| (p % 50, p / 50))
                .filter(|&(x, y)| kept(x, y))
                .collect();
            let share = all.len() as f64 / 2000.0;
            assert!((0.18..0.63).contains(&share), "{share}");
            let right = all.iter().map(|p| p.0).max().unwrap_or(0);
            let left = all.iter().map(|p| p.0).min().unwrap_or(0);
            let (top, bottom) = (all[0].1, all[all.len() - 1].1);
            assert_eq!(all.len(), (right - left + 1) * (bottom - top + 1));
        }
    }

    #[test]
    fn one_rectangle_of_the_right_area_is_painted_in_one_grey() {
        for i in 0..40 {
            let mut stream = Stream::new(1, 0, i, Purpose::Stage(0));
            let face = FaceImage::filled(50, 40, 999.0);
            let (share, aspect) = (Span::new(0.05, 0.2), Span::new(0.5, 2.0));
            let out = erase(face, share, aspect, &mut stream);
            let painted: Vec<f32> = (0..2000)
                .map(|p| out.get(2, p % 50, p / 50))
                .filter(|v| *v != 999.0)
                .collect();
            let area = painted.len() as f64 / 2000.0;
            assert!((0.04..0.21).contains(&area), "{area}");
            assert!((0.0..255.0).contains(&painted[0]));
            assert!(painted.iter().all(|v| *v == painted[0]));
        }
    }
}
