//! A part of the face on black.

use crate::degrade::span::Span;
use crate::face::FaceImage;
use crate::rng::Stream;

/// Keeps a random rectangle in its place and paints the rest black.
///
/// ```text
/// area = share·width·height,  w/h = aspect (log-uniform);  up to ten tries to fit, then the whole picture
/// ```
///
/// Source: reconstructed, from AdaFace's crop augmentation (torchvision's `RandomResizedCrop` rectangle, pasted in
/// place on black).
pub fn crop_on_black(
    mut face: FaceImage,
    share: Span,
    aspect: Span,
    stream: &mut Stream,
) -> FaceImage {
    let (width, height) = (face.width, face.height);
    let area = (width * height) as f64;
    for _ in 0..10 {
        let target = area * share.draw(stream);
        let ratio = aspect.draw_log(stream);
        let w = libm::sqrt(target * ratio).round() as usize;
        let h = libm::sqrt(target / ratio).round() as usize;
        if w == 0 || h == 0 || w > width || h > height {
            continue;
        }
        let (left, top) = (stream.below(width - w + 1), stream.below(height - h + 1));
        for plane in face.planes_mut() {
            for (y, row) in plane.chunks_exact_mut(width).enumerate() {
                if y < top || y >= top + h {
                    row.fill(0.0);
                } else {
                    row[..left].fill(0.0);
                    row[left + w..].fill(0.0);
                }
            }
        }
        break;
    }
    face
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
}
