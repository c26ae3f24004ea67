//! `ccface data preview`: a row a face, a column a stage of the degradation.

use std::{fmt::Write, fs, path::Path};

use ccface_data::{
    FaceImage, SizeDistribution,
    degrade::{Kernel, Key, Plan, Preset, Recipe, Sizes, fit, resize},
    rng::{Purpose, Stream},
};
use image::{Rgb, RgbImage, imageops::replace};

use crate::{CliError, cli::PreviewArgs, output};

/// Side of one cell of the picture in pixels.
const CELL: usize = 112;
/// White between two cells.
const GAP: usize = 4;
/// More rows than this are a slip of the keyboard.
const ROWS: usize = 500;

pub(crate) fn run(args: &PreviewArgs) -> Result<(), CliError> {
    if !(1..=ROWS).contains(&args.count) {
        return Err(CliError::Usage(format!(
            "--count {}: give 1 to {ROWS} faces",
            args.count
        )));
    }
    if !(8..=1024).contains(&args.size) {
        return Err(CliError::Usage(format!(
            "--size {}: a view's side lies between 8 and 1024 pixels",
            args.size
        )));
    }
    if args.sizes.contains(&0) {
        return Err(CliError::Usage(
            "--sizes: face sizes are whole pixels from 1 on".into(),
        ));
    }
    let plan = recipe(&args.recipe)?.plan();
    if let Some(problem) = plan.problems().into_iter().next() {
        return Err(problem.into());
    }
    let source = super::open_source(&args.source)?;
    let (mut rows, mut text) = (Vec::new(), String::new());
    for (row, index) in spread(source.len(), args.count).enumerate() {
        let key = Key {
            seed: args.seed,
            epoch: 0,
            index: index as u64,
        };
        let face = FaceImage::from_rgb8(&source.image(index)?);
        let size = match args.sizes.len() {
            0 => drawn(&plan, key),
            n => args.sizes[row % n],
        };
        let hr = plan.share_geometry(face.clone(), key);
        let size = size.min(hr.side());
        let sizes = Sizes {
            face: size,
            out: args.size,
        };
        let steps = plan.steps(&face, sizes, key);
        let view = plan.apply(hr.clone(), sizes, key);
        if row == 0 {
            let names = steps.iter().map(|(name, _)| *name);
            let columns: Vec<&str> = ["original", "HR"]
                .into_iter()
                .chain(names)
                .chain(["LR"])
                .collect();
            let _ = writeln!(text, "columns: {}", columns.join(", "));
        }
        let _ = writeln!(text, "row {}: {} at {size} px", row + 1, source.name(index));
        let steps = steps.into_iter().map(|(_, picture)| picture);
        rows.push([face, hr].into_iter().chain(steps).chain([view]).collect());
    }
    output::write_bytes(&args.out, &output::png(&sheet(&rows))?)?;
    output::result(&output::printable(&text));
    output::note(&format!("picture: {}", args.out.display()));
    Ok(())
}

/// A recipe by name, or from a file.
fn recipe(text: &str) -> Result<Recipe, CliError> {
    let path = Path::new(text);
    if path.extension().is_none_or(|e| e != "json") {
        return Ok(Recipe::Preset(text.parse::<Preset>()?));
    }
    let content = fs::read_to_string(path).map_err(CliError::io(path, "read"))?;
    serde_json::from_str(&content)
        .map_err(|e| CliError::Usage(format!("{text}: not a degradation recipe: {e}")))
}

/// The face size that training draws for this image where it draws one at all.
fn drawn(plan: &Plan, key: Key) -> usize {
    let mut stream = Stream::new(key.seed, key.epoch, key.index, Purpose::Size);
    // Training asks first whether a size is drawn; a preview always shows one.
    stream.chance(plan.p_resize);
    let sizes: SizeDistribution = plan.sizes.clone().unwrap_or_default();
    sizes.draw(&mut stream)
}

/// At most `most` of the numbers `0..len`, spread evenly, both ends among them.
pub(super) fn spread(len: usize, most: usize) -> impl Iterator<Item = usize> {
    let n = len.min(most);
    (0..n).map(move |i| i * (len - 1) / n.saturating_sub(1).max(1))
}

/// The pictures on white, each enlarged without smoothing so that its pixels show.
fn sheet(rows: &[Vec<FaceImage>]) -> RgbImage {
    let across = rows.iter().map(Vec::len).max().unwrap_or(0);
    let side = |n: usize| (n * (CELL + GAP) + GAP) as u32;
    let mut sheet = RgbImage::from_pixel(side(across), side(rows.len()), Rgb([255; 3]));
    for (y, row) in rows.iter().enumerate() {
        for (x, picture) in row.iter().enumerate() {
            let cell = if picture.side() < CELL {
                resize(picture, CELL, CELL, Kernel::Nearest)
            } else {
                fit(picture.clone(), CELL)
            };
            let at = |n: usize| (n * (CELL + GAP) + GAP) as i64;
            replace(&mut sheet, &cell.to_rgb8(), at(x), at(y));
        }
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_spread_over_the_source_with_both_ends() {
        assert_eq!(spread(10, 4).collect::<Vec<_>>(), [0, 3, 6, 9]);
        assert_eq!(spread(2, 6).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(spread(9, 1).collect::<Vec<_>>(), [0]);
        assert_eq!(spread(0, 3).count(), 0);
    }

    #[test]
    fn small_pictures_show_their_pixels() {
        let mut face = FaceImage::filled(2, 2, 10.0);
        face.data[0] = 200.0;
        let sheet = sheet(&[vec![face]]);
        assert_eq!(sheet.dimensions(), (120, 120));
        assert_eq!(sheet.get_pixel(0, 0).0, [255; 3]);
        assert_eq!(sheet.get_pixel(4 + 55, 4 + 55).0, [200, 10, 10]);
        assert_eq!(sheet.get_pixel(4 + 56, 4 + 55).0, [10; 3]);
    }
}
