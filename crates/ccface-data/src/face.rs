//! One face as plain numbers.

use image::RgbImage;

/// An RGB picture of a face in `f32`, channel by channel.
///
/// ```text
/// value(c, x, y) = data[(c·height + y)·width + x],   c = 0 R, 1 G, 2 B
/// ```
///
/// The layout is *planar*, so `data` is already the `[3, height, width]` tensor of a network's input;
/// values run from 0 to 255 and are neither scaled nor rounded.
///
/// ```
/// use ccface_data::FaceImage;
/// let face = FaceImage::new(2, 1, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
/// assert_eq!(face.get(2, 1, 0), 6.0);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct FaceImage {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `3·height·width` values from 0 to 255: the red plane, then green, then blue.
    pub data: Vec<f32>,
}

impl FaceImage {
    /// Wraps planar RGB values.
    ///
    /// # Panics
    /// When `data` does not hold `3·width·height` values.
    pub fn new(width: usize, height: usize, data: Vec<f32>) -> Self {
        assert_eq!(
            data.len(),
            3 * width * height,
            "FaceImage: data must hold 3·width·height values"
        );
        Self {
            width,
            height,
            data,
        }
    }

    /// A picture of one value everywhere.
    pub fn filled(width: usize, height: usize, value: f32) -> Self {
        Self {
            width,
            height,
            data: vec![value; 3 * width * height],
        }
    }

    /// The point in the middle, x and y in pixels: (0, 0) is the centre of the first pixel.
    pub fn centre(&self) -> [f64; 2] {
        [self.width, self.height].map(|side| (side as f64 - 1.0) / 2.0)
    }

    /// The value of channel `c` at column `x`, row `y`.
    ///
    /// # Panics
    /// When a coordinate lies outside.
    pub fn get(&self, c: usize, x: usize, y: usize) -> f32 {
        assert!(
            c < 3 && x < self.width && y < self.height,
            "FaceImage: coordinate outside"
        );
        self.data[(c * self.height + y) * self.width + x]
    }

    /// The three colour planes, each `height·width` values.
    pub fn planes(&self) -> impl Iterator<Item = &[f32]> {
        self.data.chunks_exact((self.width * self.height).max(1))
    }

    /// The three colour planes, writable.
    pub fn planes_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.data
            .chunks_exact_mut((self.width * self.height).max(1))
    }

    /// The shorter side in pixels: the face size of an aligned square picture.
    pub fn side(&self) -> usize {
        self.width.min(self.height)
    }

    /// Takes an 8-bit picture's values as they are.
    pub fn from_rgb8(picture: &RgbImage) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let n = width * height;
        let mut data = vec![0.0; 3 * n];
        let (red, rest) = data.split_at_mut(n);
        let (green, blue) = rest.split_at_mut(n);
        let pixels = picture.as_raw().chunks_exact(3);
        for (((pixel, r), g), b) in pixels.zip(red).zip(green).zip(blue) {
            *r = f32::from(pixel[0]);
            *g = f32::from(pixel[1]);
            *b = f32::from(pixel[2]);
        }
        Self {
            width,
            height,
            data,
        }
    }

    /// Rounds to the nearest 8-bit value, clamped to 0..255.
    pub fn to_rgb8(&self) -> RgbImage {
        let n = self.width * self.height;
        let mut raw = vec![0u8; 3 * n];
        for (i, pixel) in raw.chunks_exact_mut(3).enumerate() {
            for (c, value) in pixel.iter_mut().enumerate() {
                // `as` saturates, and NaN becomes 0.
                *value = self.data[c * n + i].round() as u8;
            }
        }
        let mut picture = RgbImage::new(self.width as u32, self.height as u32);
        picture.copy_from_slice(&raw);
        picture
    }

    /// The mirror image, left to right.
    #[must_use]
    pub fn flip_horizontal(&self) -> Self {
        let mut flipped = self.clone();
        flipped.mirror();
        flipped
    }

    /// Mirrors the picture in place.
    pub(crate) fn mirror(&mut self) {
        if self.width > 0 {
            for row in self.data.chunks_exact_mut(self.width) {
                row.reverse();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sample() -> RgbImage {
        RgbImage::from_fn(3, 2, |x, y| {
            image::Rgb([x as u8, 10 + y as u8, 200 + (x * y) as u8])
        })
    }

    #[test]
    fn eight_bit_pictures_survive_the_round_trip() {
        let face = FaceImage::from_rgb8(&sample());
        assert_eq!(face.get(0, 2, 0), 2.0);
        assert_eq!(face.get(1, 0, 1), 11.0);
        assert_eq!(face.get(2, 2, 1), 202.0);
        assert_eq!(face.to_rgb8(), sample());
    }

    #[test]
    fn values_outside_the_eight_bit_range_are_clamped_and_rounded() {
        let face = FaceImage::new(1, 1, vec![-3.0, 254.6, 300.0]);
        assert_eq!(face.to_rgb8().as_raw(), &[0, 255, 255]);
    }

    #[test]
    fn flipping_mirrors_each_row_and_twice_is_the_original() {
        let face = FaceImage::from_rgb8(&sample());
        let flipped = face.flip_horizontal();
        assert_eq!(flipped.get(0, 0, 1), 2.0);
        assert_eq!(flipped.flip_horizontal(), face);
    }
}
