//! A sheet of synthetic faces: one person a row (or several side by side), one picture a column.
//!
//! ```text
//! cargo run --release -p ccface-data --example contact_sheet -- OUT.png [SEED [FIRST [PEOPLE [PICTURES [SIZE]]]]]
//! ```
#![allow(clippy::print_stdout)]

use ccface_data::synthetic::{SyntheticConfig, render};
use image::RgbImage;
use image::imageops::replace;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments
        .next()
        .unwrap_or_else(|| "contact_sheet.png".into());
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (seed, first, people, pictures, size) = (
        number(1)?,
        number(0)?,
        number(24)?,
        number(6)?,
        number(112)?,
    );
    let config = SyntheticConfig {
        size: size as usize,
        ..SyntheticConfig::default()
    };
    config.validate()?;
    let across = (12 / pictures.max(1)).max(1);
    let down = people.div_ceil(across);
    let mut sheet = RgbImage::new((across * pictures * size) as u32, (down * size) as u32);
    for person in 0..people {
        for picture in 0..pictures {
            let face = render(&config, seed, first + person, picture);
            let x = (person % across * pictures + picture) * size;
            replace(
                &mut sheet,
                &face.image,
                x as i64,
                (person / across * size) as i64,
            );
        }
    }
    sheet.save(&out)?;
    println!("{people} people, {pictures} pictures each: {out}");
    Ok(())
}
