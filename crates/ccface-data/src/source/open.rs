//! Any source, found out from its path.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Check, FaceSource, FolderOptions, ImageFolder, Manifest, RecordFile, VerificationSet};
use crate::decode::DecodeLimits;
use crate::error::DataError;
use crate::split::Selection;

/// What a source must satisfy, whatever its format.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenOptions {
    /// The identities to take part.
    pub selection: Selection,
    /// The split of a manifest.
    pub split: Option<String>,
    /// Fewest images per identity in an image folder (0 counts as 1).
    pub min_images: usize,
    /// Whether an image folder's files are looked at on opening.
    pub check: Check,
    /// Limits of the decoder.
    pub limits: DecodeLimits,
}

/// Opens any source: an image folder, TinyFace (`Training_Set` or the folder above it), a folder with one `.rec`
/// file, a `.rec` file, a `.csv` or `.tsv` manifest, or a `.bin` verification set.
///
/// # Errors
/// Those of the format, and a file of no known kind.
pub fn open(
    path: impl AsRef<Path>,
    options: &OpenOptions,
) -> Result<Arc<dyn FaceSource>, DataError> {
    let path = path.as_ref();
    let limits = &options.limits;
    if path.is_dir() {
        if let Some(record) = record_in(path)? {
            return Ok(Arc::new(RecordFile::open(
                record,
                &options.selection,
                limits,
            )?));
        }
        let training = path.join("Training_Set");
        let root = if training.is_dir() {
            training
        } else {
            path.to_path_buf()
        };
        let folder = FolderOptions {
            min_images: options.min_images.max(1),
            check: options.check,
            limits: limits.clone(),
        };
        return Ok(Arc::new(ImageFolder::open_with(
            root,
            &options.selection,
            &folder,
        )?));
    }
    if !path.exists() {
        return Err(DataError::Missing {
            path: path.to_path_buf(),
            what: "file or folder",
        });
    }
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    match extension.as_str() {
        "rec" => Ok(Arc::new(RecordFile::open(
            path,
            &options.selection,
            limits,
        )?)),
        "csv" | "tsv" => {
            let split = options.split.as_deref();
            Ok(Arc::new(Manifest::open(
                path,
                &options.selection,
                split,
                limits,
            )?))
        }
        "bin" if options.selection == Selection::All => {
            Ok(Arc::new(VerificationSet::open(path, limits)?))
        }
        "bin" => Err(DataError::layout(
            path,
            "a .bin set names no identities to select from; leave the selection out",
        )),
        _ => Err(DataError::layout(
            path,
            "no known kind of source; give a folder of identities, a .rec file, a .csv or .tsv manifest, or a .bin set",
        )),
    }
}

/// The only `.rec` file directly in a folder, if there is one.
fn record_in(folder: &Path) -> Result<Option<PathBuf>, DataError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| DataError::io(folder, e))? {
        let path = entry.map_err(|e| DataError::io(folder, e))?.path();
        if path.extension().is_some_and(|e| e == "rec") && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    match found.len() {
        0 | 1 => Ok(found.pop()),
        n => Err(DataError::layout(
            folder,
            format!("{n} .rec files; name one of them"),
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::source::{RecordLayout, RecordWriter, testing::people};

    #[test]
    fn every_kind_of_source_opens_by_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let png = people(1, 1, 6).encoded(0).unwrap();
        std::fs::create_dir_all(root.join("tiny/Training_Set/7")).unwrap();
        std::fs::write(root.join("tiny/Training_Set/7/7_1.jpg"), &png).unwrap();
        std::fs::write(
            root.join("m.csv"),
            "path,identity\ntiny/Training_Set/7/7_1.jpg,7\n",
        )
        .unwrap();
        std::fs::create_dir(root.join("rec")).unwrap();
        let mut writer =
            RecordWriter::create(root.join("rec/train.rec"), RecordLayout::Plain).unwrap();
        writer.push(7, &png).unwrap();
        writer.finish(6, 6).unwrap();
        for name in ["tiny", "tiny/Training_Set", "m.csv", "rec", "rec/train.rec"] {
            let source = open(root.join(name), &OpenOptions::default()).unwrap();
            assert_eq!(
                (source.len(), source.identities()),
                (1, &["7".to_string()][..]),
                "{name}"
            );
            assert_eq!(source.image(0).unwrap().width(), 6);
        }
        let refuse = |name: &str| {
            open(root.join(name), &OpenOptions::default())
                .err()
                .unwrap()
                .to_string()
        };
        assert!(refuse("nowhere").contains("no such file or folder"));
        assert!(refuse("rec/property").contains("no known kind"));
    }
}
