//! Synthetic faces as a folder of pictures with their labels.

use std::fmt::Write as _;
use std::fs;
use std::io::Cursor;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{GENERATOR_VERSION, SyntheticConfig, SyntheticSource};
use crate::error::{DataError, ImageProblem};
use crate::source::FaceSource;

/// How pictures are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureFormat {
    /// Without loss (the default).
    #[default]
    Png,
    /// JPEG of quality 95: about a third of the space.
    Jpeg,
}

impl PictureFormat {
    fn extension(self) -> &'static str {
        match self {
            PictureFormat::Png => "png",
            PictureFormat::Jpeg => "jpg",
        }
    }

    fn encode(self, name: &str, picture: &RgbImage) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        let (w, h) = picture.dimensions();
        let raw = picture.as_raw();
        let result = match self {
            PictureFormat::Png => PngEncoder::new_with_quality(
                Cursor::new(&mut bytes),
                CompressionType::Fast,
                FilterType::Sub,
            )
            .write_image(raw, w, h, ExtendedColorType::Rgb8),
            PictureFormat::Jpeg => JpegEncoder::new_with_quality(&mut bytes, 95).write_image(
                raw,
                w,
                h,
                ExtendedColorType::Rgb8,
            ),
        };
        result.map_err(|e| {
            DataError::image(
                name,
                ImageProblem::Corrupt {
                    detail: e.to_string(),
                },
            )
        })?;
        Ok(bytes)
    }
}

/// What [`write_folder`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Pictures drawn now.
    pub written: usize,
    /// Pictures that an earlier run had drawn.
    pub kept: usize,
    /// Whether all of them are there; `false` where the progress callback said stop.
    pub complete: bool,
}

/// What a folder holds, so that a later run continues it and nothing else.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Manifest {
    generator: u32,
    seed: u64,
    first_identity: u64,
    identities: usize,
    images: usize,
    format: PictureFormat,
    config: SyntheticConfig,
}

const MANIFEST: &str = "synthetic.json";

/// Writes a source as `DIR/id000000/000.png …` with `landmarks.csv`, `groups.csv` and `synthetic.json`.
///
/// Pictures are drawn in parallel on rayon's current pool. Every file is written under a hidden name and
/// renamed, so a run that was cut off leaves whole files only, and the same call continues where it
/// stopped. `progress(done, total)` is called after every picture, from many threads;
/// [`ControlFlow::Break`] ends the run early, before the CSV files.
///
/// # Errors
/// [`DataError::Layout`] where the folder holds something else, or faces of other settings;
/// [`DataError::Io`] where the file system refuses.
pub fn write_folder(
    dir: &Path,
    source: &SyntheticSource,
    format: PictureFormat,
    progress: &(dyn Fn(usize, usize) -> ControlFlow<()> + Sync),
) -> Result<Written, DataError> {
    claim(dir, source, format)?;
    let people = source.identities();
    for name in people {
        let path = dir.join(name);
        fs::create_dir_all(&path).map_err(|e| DataError::io(&path, e))?;
    }
    let total = source.len();
    let (done, written, kept) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let stop = AtomicBool::new(false);
    (0..total)
        .into_par_iter()
        .try_for_each(|i| -> Result<(), DataError> {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let name = format!("{}.{}", source.name(i), format.extension());
            let path = dir.join(&name);
            if path.is_file() {
                kept.fetch_add(1, Ordering::Relaxed);
            } else {
                write_whole(&path, &format.encode(&name, &source.image(i)?)?)?;
                written.fetch_add(1, Ordering::Relaxed);
            }
            if progress(done.fetch_add(1, Ordering::Relaxed) + 1, total).is_break() {
                stop.store(true, Ordering::Relaxed);
            }
            Ok(())
        })?;
    let (written, kept) = (written.into_inner(), kept.into_inner());
    let complete = written + kept == total;
    if complete {
        write_labels(dir, source, format)?;
    }
    Ok(Written {
        written,
        kept,
        complete,
    })
}

/// Takes an empty folder, or one that an equal call began.
fn claim(dir: &Path, source: &SyntheticSource, format: PictureFormat) -> Result<(), DataError> {
    let manifest = Manifest {
        generator: GENERATOR_VERSION,
        seed: source.seed(),
        first_identity: source.range().start,
        identities: source.identities().len(),
        images: source.images_per_identity(),
        format,
        config: source.config().clone(),
    };
    let path = dir.join(MANIFEST);
    fs::create_dir_all(dir).map_err(|e| DataError::io(dir, e))?;
    if path.is_file() {
        let text = fs::read_to_string(&path).map_err(|e| DataError::io(&path, e))?;
        let found: Option<Manifest> = serde_json::from_str(&text).ok();
        return if found.as_ref() == Some(&manifest) {
            Ok(())
        } else {
            Err(DataError::layout(
                dir,
                "the folder holds synthetic faces of other settings (see synthetic.json); choose another folder or remove this one",
            ))
        };
    }
    let mut entries = fs::read_dir(dir).map_err(|e| DataError::io(dir, e))?;
    if entries.any(|entry| entry.is_ok_and(|e| !e.file_name().to_string_lossy().starts_with('.'))) {
        return Err(DataError::layout(
            dir,
            "the folder is not empty; choose another one, or empty it",
        ));
    }
    let text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
    write_whole(&path, text.as_bytes())
}

/// Writes under a hidden name, then renames, so that the file is whole or absent.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let part = path.with_file_name(format!(".{file}.part"));
    fs::write(&part, bytes).map_err(|e| DataError::io(&part, e))?;
    fs::rename(&part, path).map_err(|e| DataError::io(path, e))
}

fn write_labels(
    dir: &Path,
    source: &SyntheticSource,
    format: PictureFormat,
) -> Result<(), DataError> {
    let rows: Result<Vec<(String, String)>, DataError> = (0..source.len())
        .into_par_iter()
        .map(|i| {
            let (points, groups) = source.labels(i)?;
            let mut place = format!("{}.{}", source.name(i), format.extension());
            let group = format!(
                "{place},{},{},{}\n",
                groups.skin_tone, groups.age, groups.pose
            );
            for [x, y] in points {
                // Writing to a string cannot fail.
                let _ = write!(place, ",{x:.4},{y:.4}");
            }
            place.push('\n');
            Ok((place, group))
        })
        .collect();
    let mut landmarks = String::from(
        "image,eye_left_x,eye_left_y,eye_right_x,eye_right_y,nose_x,nose_y,mouth_left_x,mouth_left_y,mouth_right_x,mouth_right_y\n",
    );
    let mut groups = String::from("image,skin_tone,age,pose\n");
    for (place, group) in rows? {
        landmarks.push_str(&place);
        groups.push_str(&group);
    }
    write_whole(&dir.join("landmarks.csv"), landmarks.as_bytes())?;
    write_whole(&dir.join("groups.csv"), groups.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn source(images: usize) -> SyntheticSource {
        let config = SyntheticConfig {
            size: 24,
            ..SyntheticConfig::default()
        };
        SyntheticSource::new(config, 2, 10..13, images).unwrap()
    }

    fn go(_: usize, _: usize) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn a_folder_holds_the_sources_pictures_and_a_row_of_labels_for_each() {
        let dir = tempfile::tempdir().unwrap();
        let source = source(2);
        let report = write_folder(dir.path(), &source, PictureFormat::Png, &go).unwrap();
        assert_eq!(
            report,
            Written {
                written: 6,
                kept: 0,
                complete: true
            }
        );
        let picture = image::open(dir.path().join("id000011/001.png"))
            .unwrap()
            .to_rgb8();
        assert_eq!(picture, source.image(3).unwrap());
        for file in ["landmarks.csv", "groups.csv"] {
            let text = fs::read_to_string(dir.path().join(file)).unwrap();
            assert_eq!(text.lines().count(), 7);
            assert!(text.contains("\nid000012/001.png,"));
        }
    }

    #[test]
    fn a_stopped_run_is_continued_without_drawing_twice() {
        let dir = tempfile::tempdir().unwrap();
        let stop = |done: usize, _: usize| {
            if done >= 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let first = write_folder(dir.path(), &source(3), PictureFormat::Jpeg, &stop).unwrap();
        assert!(!first.complete && first.written < 9 && first.written >= 2);
        assert!(!dir.path().join("groups.csv").exists());
        let second = write_folder(dir.path(), &source(3), PictureFormat::Jpeg, &go).unwrap();
        assert_eq!(
            second,
            Written {
                written: 9 - first.written,
                kept: first.written,
                complete: true
            }
        );
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        write_folder(dir.path(), &source(1), PictureFormat::Png, &go).unwrap();
        let other = write_folder(dir.path(), &source(2), PictureFormat::Png, &go)
            .unwrap_err()
            .to_string();
        assert!(other.contains("other settings"), "{other}");
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.txt"), "mine").unwrap();
        let full = write_folder(dir.path(), &source(1), PictureFormat::Png, &go)
            .unwrap_err()
            .to_string();
        assert!(full.contains("not empty"), "{full}");
    }
}
