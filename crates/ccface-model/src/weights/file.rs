//! Files written whole or not at all, and read up to a limit.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::ModelError;

/// Writes a sibling file, forces it to disk and renames it into place.
///
/// A crash leaves the old file or the new one, never a part.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    write_atomic_with(path, |file| file.write_all(bytes))
}

/// As [`write_atomic`], with the content written piece by piece.
pub(crate) fn write_atomic_with(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), ModelError> {
    let scratch = scratch_path(path);
    let written = File::create(&scratch).and_then(|file| {
        let mut file = BufWriter::new(file);
        content(&mut file)?;
        file.flush()?;
        file.get_ref().sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&scratch, path)) {
        // The scratch file may not exist; the first error is the one to report.
        let _ = fs::remove_file(&scratch);
        return Err(ModelError::io(path)(error));
    }
    sync_parent(path);
    Ok(())
}

/// Reads a file unless it is longer than `limit`.
pub(crate) fn read_capped(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    let file = File::open(path).map_err(ModelError::io(path))?;
    let length = file.metadata().map_err(ModelError::io(path))?.len();
    if length > limit {
        return Err(ModelError::weight_file(
            path,
            format!("has {length} bytes, more than the {limit} that are allowed"),
        ));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(ModelError::io(path))?;
    Ok(bytes)
}

/// What a file that should hold a network looks like instead, if it is a known mistake.
pub(crate) fn known_impostor(bytes: &[u8]) -> Option<&'static str> {
    if let Some(impostor) = known_stranger(bytes) {
        Some(impostor)
    } else if bytes.starts_with(b"PK\x03\x04") {
        Some("is a zip archive (a model pack or a PyTorch checkpoint): unpack or import it first")
    } else if bytes.starts_with(&[0x80]) && bytes.get(1).is_some_and(|v| (2..=5).contains(v)) {
        Some("is a Python pickle: import it first; it is never executed here")
    } else {
        None
    }
}

/// What a file that should hold weights of any format looks like instead, if it is a known mistake.
pub(crate) fn known_stranger(bytes: &[u8]) -> Option<&'static str> {
    let text = bytes.trim_ascii_start();
    if bytes.is_empty() {
        Some("is empty: download or copy it again")
    } else if text.starts_with(b"<") {
        Some(
            "is an HTML or XML page, not a network: the download went to a web page; fetch the file itself",
        )
    } else if text.starts_with(b"version https://git-lfs") {
        Some("is a Git LFS pointer, not a network: run `git lfs pull` where it came from")
    } else if bytes.starts_with(&[0x1f, 0x8b]) {
        Some("is a gzip archive: unpack it first")
    } else {
        None
    }
}

fn scratch_path(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

/// Forces the directory entry to disk where the system can; the data itself is safe already.
fn sync_parent(path: &Path) {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    if let Ok(dir) = File::open(parent.unwrap_or(Path::new("."))) {
        let _ = dir.sync_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_atomic_write_replaces_the_file_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_names_the_file_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("absent").join("a.bin");
        let error = write_atomic(&path, b"one").unwrap_err().to_string();
        assert!(error.contains("a.bin"), "{error}");
        let occupied = dir.path().join("folder");
        fs::create_dir_all(occupied.join("inside")).unwrap();
        assert!(write_atomic(&occupied, b"one").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_above_the_limit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        fs::write(&path, [0u8; 9]).unwrap();
        assert_eq!(read_capped(&path, 9).unwrap().len(), 9);
        assert!(read_capped(&path, 8).is_err());
    }
}
