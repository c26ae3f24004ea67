//! Any source written as records or as a folder.

use std::collections::HashSet;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::ImageFormat;
use serde::Serialize;

use crate::decode::{DecodeLimits, dimensions, sniff};
use crate::error::DataError;
use crate::quarantine::BadImage;
use crate::source::{FaceSource, RecordLayout, RecordWriter, by_identity};

/// What a source is converted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A `.rec` file with `.idx` and `property` beside it.
    Records(RecordLayout),
    /// A folder of identities.
    Folder,
}

/// What a conversion did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conversion {
    /// Images written.
    pub images: usize,
    /// Identities written.
    pub identities: usize,
    /// Images left out, with reasons.
    pub left_out: Vec<BadImage>,
}

/// Writes a source at `path`, which must not exist yet (a folder may, if it is empty).
///
/// JPEG and PNG bytes are copied as they are and everything else becomes PNG, so no picture loses quality. Bad images
/// are left out and listed. Names of identities become safe folder names; images are numbered within each.
///
/// # Errors
/// A target that exists, and everything that goes wrong in writing.
pub fn convert(
    source: &dyn FaceSource,
    path: &Path,
    target: Target,
) -> Result<Conversion, DataError> {
    let taken = match target {
        Target::Folder => {
            path.is_file() || fs::read_dir(path).is_ok_and(|mut d| d.next().is_some())
        }
        Target::Records(_) => path.exists(),
    };
    if taken {
        return Err(DataError::layout(
            path,
            "exists already; give a new name, nothing is overwritten",
        ));
    }
    match target {
        Target::Records(layout) => to_records(source, path, layout),
        Target::Folder => to_folder(source, path),
    }
}

fn to_records(
    source: &dyn FaceSource,
    path: &Path,
    layout: RecordLayout,
) -> Result<Conversion, DataError> {
    let mut done = Conversion {
        images: 0,
        identities: 0,
        left_out: Vec::new(),
    };
    let mut writer = RecordWriter::create(path, layout)?;
    let mut size = (112, 112);
    for (label, images) in by_identity(source).into_iter().enumerate() {
        let before = done.images;
        for index in images {
            match portable(source, index) {
                Ok((bytes, _)) => {
                    if done.images == 0 {
                        size = dimensions(&bytes, &DecodeLimits::default()).unwrap_or(size);
                    }
                    writer.push(label as u32, &bytes)?;
                    done.images += 1;
                }
                Err(bad) => done.left_out.push(bad),
            }
        }
        done.identities += usize::from(done.images > before);
    }
    writer.finish(size.0, size.1)?;
    Ok(done)
}

fn to_folder(source: &dyn FaceSource, path: &Path) -> Result<Conversion, DataError> {
    let mut done = Conversion {
        images: 0,
        identities: 0,
        left_out: Vec::new(),
    };
    let mut used = HashSet::new();
    for (label, images) in by_identity(source).into_iter().enumerate() {
        let folder = path.join(safe_name(&source.identities()[label], label, &mut used));
        let mut written = 0;
        for index in images {
            match portable(source, index) {
                Ok((bytes, extension)) => {
                    if written == 0 {
                        fs::create_dir_all(&folder).map_err(|e| DataError::io(&folder, e))?;
                    }
                    let file = folder.join(format!("{written:06}.{extension}"));
                    fs::write(&file, bytes).map_err(|e| DataError::io(&file, e))?;
                    written += 1;
                }
                Err(bad) => done.left_out.push(bad),
            }
        }
        done.images += written;
        done.identities += usize::from(written > 0);
    }
    Ok(done)
}

/// A name that is one plain folder on every system, used once.
fn safe_name(name: &str, label: usize, used: &mut HashSet<String>) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '_'
        }
    };
    let mut safe: String = name.chars().take(100).map(plain).collect();
    if safe.trim_matches('.').is_empty() || safe.starts_with('.') {
        safe = format!("_{safe}");
    }
    // Compared without case, since some file systems do.
    if safe != name || !used.insert(safe.to_ascii_lowercase()) {
        safe = format!("{safe}_{label}");
        used.insert(safe.to_ascii_lowercase());
    }
    safe
}

/// The image's bytes as JPEG or PNG, with the extension, after it was decoded once.
fn portable(source: &dyn FaceSource, index: usize) -> Result<(Vec<u8>, &'static str), BadImage> {
    let bad = |e: DataError| BadImage {
        index,
        name: source.name(index),
        reason: e.into_problem(),
    };
    let picture = source.image(index).map_err(bad)?;
    let bytes = source.encoded(index).map_err(bad)?;
    match sniff(&bytes) {
        Some(ImageFormat::Jpeg) => Ok((bytes, "jpg")),
        Some(ImageFormat::Png) => Ok((bytes, "png")),
        _ => {
            let mut png = Vec::new();
            picture
                .write_to(&mut Cursor::new(&mut png), ImageFormat::Png)
                .map_err(|e| bad(DataError::io(Path::new("PNG"), std::io::Error::other(e))))?;
            Ok((png, "png"))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::source::testing::people;
    use crate::source::{ImageFolder, OpenOptions, open};

    #[test]
    fn a_set_survives_the_way_to_records_and_back_to_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let source = people(3, 2, 9);
        let record = dir.path().join("a.rec");
        let done = convert(&source, &record, Target::Records(RecordLayout::InsightFace)).unwrap();
        assert_eq!(
            (done.images, done.identities, done.left_out.len()),
            (7, 3, 0)
        );
        let records = open(&record, &OpenOptions::default()).unwrap();
        let folder = dir.path().join("back");
        convert(records.as_ref(), &folder, Target::Folder).unwrap();
        let back = ImageFolder::open(&folder, &Selection::All).unwrap();
        assert_eq!(back.identities(), ["0", "1", "2"]);
        for i in 0..source.len() {
            assert_eq!(back.image(i).unwrap(), source.image(i).unwrap());
            assert_eq!(back.identity(i), source.identity(i));
        }
        let again = convert(&source, &folder, Target::Folder).unwrap_err();
        assert!(again.to_string().contains("nothing is overwritten"));
    }

    use crate::Selection;

    #[test]
    fn names_of_identities_become_safe_folders() {
        let mut used = HashSet::new();
        let safe: Vec<String> = ["../x", "a/b", "A", "a", "..", ".hid", "名"]
            .iter()
            .enumerate()
            .map(|(i, name)| safe_name(name, i, &mut used))
            .collect();
        assert_eq!(
            safe,
            ["_.._x_0", "a_b_1", "A", "a_3", "_.._4", "_.hid_5", "__6"]
        );
    }
}
