//! A sheet of synthetic faces, to be looked at.

use std::ops::Range;

use image::RgbImage;
use image::imageops::replace;
use rayon::prelude::*;

use super::{SyntheticConfig, render};

/// Pictures side by side at most.
const ACROSS: u64 = 12;

/// One person after the other, `pictures` pictures of each, twelve pictures a row.
///
/// # Panics
/// Where the configuration is out of range.
pub fn contact_sheet(
    config: &SyntheticConfig,
    seed: u64,
    people: Range<u64>,
    pictures: u64,
) -> RgbImage {
    let size = config.size as u64;
    let pictures = pictures.max(1);
    let across = (ACROSS / pictures).max(1);
    let count = people.end.saturating_sub(people.start);
    let down = count.div_ceil(across);
    let faces: Vec<RgbImage> = (0..count * pictures)
        .into_par_iter()
        .map(|i| render(config, seed, people.start + i / pictures, i % pictures).image)
        .collect();
    let mut sheet = RgbImage::new((across * pictures * size) as u32, (down * size) as u32);
    for (i, face) in (0u64..).zip(&faces) {
        let (person, picture) = (i / pictures, i % pictures);
        let x = (person % across * pictures + picture) * size;
        replace(&mut sheet, face, x as i64, (person / across * size) as i64);
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_stand_in_rows_of_twelve_pictures() {
        let config = SyntheticConfig {
            size: 16,
            ..SyntheticConfig::default()
        };
        let sheet = contact_sheet(&config, 1, 3..8, 4);
        assert_eq!(sheet.dimensions(), (12 * 16, 2 * 16));
        let face = render(&config, 1, 4, 2).image;
        let place = image::imageops::crop_imm(&sheet, 6 * 16, 0, 16, 16).to_image();
        assert_eq!(place, face);
    }
}
