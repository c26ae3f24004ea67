//! `ccface data replica`.

use std::io::Cursor;

use ccface_eval::{ReplicaImage, ReplicaLayout, write_replica};
use image::{ImageFormat, Rgb, RgbImage};

use crate::{
    CliError,
    cli::{Layout, ReplicaArgs},
    output,
};

pub(crate) fn run(args: &ReplicaArgs) -> Result<(), CliError> {
    let layout = match args.layout {
        Layout::Tinyface => ReplicaLayout::TinyFace,
        Layout::TinyfaceAligned => ReplicaLayout::TinyFaceAligned,
        Layout::Scface => ReplicaLayout::Scface,
        Layout::Survface => ReplicaLayout::SurvFace,
        Layout::Lfw => ReplicaLayout::Lfw,
    };
    output::note(&format!("writing a replica to {}", args.out.display()));
    let counts = write_replica(layout, &args.out, args.scale, |image| {
        picture(image, args.size)
    })?;
    output::note(
        "The pictures are patterns, not faces: a replica shows folders, names and lists, and its figures mean nothing.",
    );
    output::result(&format!(
        "{}: {} images, {} lists\n",
        args.out.display(),
        counts.images,
        counts.lists
    ));
    Ok(())
}

/// A pattern that follows the label, with a little of the image's own.
fn picture(image: &ReplicaImage, size: u32) -> Vec<u8> {
    let who = blake3::hash(image.label.as_bytes());
    let who = who.as_bytes();
    let own = blake3::hash(&image.number.to_le_bytes());
    let own = own.as_bytes();
    let picture = RgbImage::from_fn(size, size, |x, y| {
        let place = |v: u32, k: usize| {
            let cycles = f32::from(who[k] % 4 + 1);
            (std::f32::consts::TAU
                * (v as f32 / size as f32 * cycles + f32::from(who[k + 1]) / 256.0))
                .sin()
        };
        let own = own[((x + y * size) % 32) as usize] % 32;
        Rgb([0, 8, 16].map(|k| {
            let wave = 50.0 * (place(x, k) + place(y, k + 4));
            (120.0 + wave) as u8 + own
        }))
    });
    let mut bytes = Cursor::new(Vec::new());
    // Writing a picture into memory has nothing to fail on.
    let _ = picture.write_to(&mut bytes, ImageFormat::Jpeg);
    bytes.into_inner()
}
