//! The image folder: `identity/image`.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use image::RgbImage;
use rayon::prelude::*;

use super::{FaceSource, Hash, content};
use crate::decode::{DecodeLimits, decode_rgb, sniff};
use crate::error::{DataError, ImageProblem};
use crate::split::Selection;

/// How carefully a folder is looked at when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Check {
    /// The first bytes of every file are read; an empty file or one that is no image is an error.
    #[default]
    Strict,
    /// Files are listed only; bad ones show when they are read.
    Lenient,
}

/// What an image folder must satisfy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderOptions {
    /// Fewest images an identity may have (default 1; genuine comparisons need 2).
    pub min_images: usize,
    /// Whether every file is looked at on opening (default [`Check::Strict`]).
    pub check: Check,
    /// Limits of the decoder.
    pub limits: DecodeLimits,
}

impl Default for FolderOptions {
    fn default() -> Self {
        Self {
            min_images: 1,
            check: Check::Strict,
            limits: DecodeLimits::default(),
        }
    }
}

/// Faces in a folder that holds one folder per identity, and images in those.
///
/// Identities and images come in plain byte order of their names (`s10` before `s2`), so labels and indices
/// never depend on the file system. Files directly in the root, and files and folders whose name starts
/// with a dot, are passed over; every other file in an identity's folder counts as an image, whatever its
/// extension. Selected identities are numbered densely from 0.
///
/// [`hash`](FaceSource::hash) covers every image's name and content, or that it cannot be read.
#[derive(Debug)]
pub struct ImageFolder {
    root: PathBuf,
    identities: Vec<String>,
    items: Vec<Item>,
    limits: DecodeLimits,
    hash: OnceLock<String>,
}

#[derive(Debug)]
struct Item {
    label: u32,
    file: Box<str>,
}

impl ImageFolder {
    /// Opens the selected identities of a folder with the default options.
    ///
    /// # Errors
    /// As [`open_with`](ImageFolder::open_with).
    pub fn open(path: impl AsRef<Path>, selection: &Selection) -> Result<Self, DataError> {
        Self::open_with(path, selection, &FolderOptions::default())
    }

    /// Opens the selected identities of a folder.
    ///
    /// # Errors
    /// A missing folder, one without identity folders, an unknown identity, an identity with no image or
    /// fewer than `min_images`, and with [`Check::Strict`] a file that is empty, unreadable or no image.
    pub fn open_with(
        path: impl AsRef<Path>,
        selection: &Selection,
        options: &FolderOptions,
    ) -> Result<Self, DataError> {
        let root = path.as_ref();
        if !root.exists() {
            return Err(DataError::Missing {
                path: root.to_path_buf(),
                what: "folder",
            });
        }
        if !root.is_dir() {
            return Err(DataError::layout(
                root,
                "not a folder; an image folder holds one folder per identity",
            ));
        }
        let (all, loose) = list(root)?;
        if all.is_empty() {
            return Err(DataError::layout(
                root,
                format!(
                    "no identity folders ({} file(s) directly inside); expected identity/image, such as s01/01.png",
                    loose.len()
                ),
            ));
        }
        let chosen = selection.select(&all)?;
        let identities: Vec<String> = chosen.iter().map(|&i| all[i].clone()).collect();
        let mut items = Vec::new();
        for (label, identity) in identities.iter().enumerate() {
            let folder = root.join(identity);
            let (inner, files) = list(&folder)?;
            if files.is_empty() {
                return Err(DataError::layout(&folder, empty_identity(&inner)));
            }
            if files.len() < options.min_images {
                return Err(DataError::TooFewImages {
                    name: folder.display().to_string(),
                    found: files.len(),
                    needed: options.min_images,
                });
            }
            let label = label as u32;
            items.extend(files.into_iter().map(|f| Item {
                label,
                file: f.into_boxed_str(),
            }));
        }
        let folder = Self {
            root: root.to_path_buf(),
            identities,
            items,
            limits: options.limits.clone(),
            hash: OnceLock::new(),
        };
        if options.check == Check::Strict {
            folder.check()?;
        }
        Ok(folder)
    }

    /// The folder as it was given.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path of image `i`.
    ///
    /// # Panics
    /// When `i` is beyond the last image.
    pub fn path(&self, i: usize) -> PathBuf {
        let item = &self.items[i];
        self.root
            .join(&self.identities[item.label as usize])
            .join(&*item.file)
    }

    fn item(&self, i: usize) -> Result<PathBuf, DataError> {
        if i >= self.items.len() {
            return Err(DataError::OutOfRange {
                index: i,
                len: self.items.len(),
            });
        }
        Ok(self.path(i))
    }

    fn check(&self) -> Result<(), DataError> {
        // The first bad file in order, whatever thread sees it first.
        let bad = (0..self.items.len()).into_par_iter().find_map_first(|i| {
            let path = self.path(i);
            let problem = match head(&path) {
                Err(e) => ImageProblem::Unreadable {
                    detail: e.to_string(),
                },
                Ok(bytes) if bytes.is_empty() => ImageProblem::Empty,
                Ok(bytes) if sniff(&bytes).is_none() => ImageProblem::NotAnImage,
                Ok(_) => return None,
            };
            Some(DataError::image(path.display().to_string(), problem))
        });
        bad.map_or(Ok(()), Err)
    }
}

fn empty_identity(inner: &[String]) -> String {
    match inner.first() {
        Some(first) => format!(
            "the identity holds no images, but {} folder(s) such as '{first}'; expected identity/image: give the folder one level further down",
            inner.len()
        ),
        None => "the identity holds no images; add some, remove the folder, or leave it out of the selection"
            .to_string(),
    }
}

fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(32);
    fs::File::open(path)?.take(32).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The folders and the files of a folder, each sorted by bytes.
fn list(path: &Path) -> Result<(Vec<String>, Vec<String>), DataError> {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(path).map_err(|e| DataError::io(path, e))? {
        let entry = entry.map_err(|e| DataError::io(path, e))?;
        let name = entry.file_name().into_string().map_err(|name| {
            DataError::layout(
                &path.join(&name),
                "the name is not valid UTF-8; rename it, since names identify images in caches and reports",
            )
        })?;
        if name.starts_with('.') {
            continue;
        }
        let mut kind = entry
            .file_type()
            .map_err(|e| DataError::io(&entry.path(), e))?;
        if kind.is_symlink() {
            kind = fs::metadata(entry.path())
                .map_err(|e| DataError::io(&entry.path(), e))?
                .file_type();
        }
        if kind.is_dir() {
            folders.push(name);
        } else {
            files.push(name);
        }
    }
    folders.sort_unstable();
    files.sort_unstable();
    Ok((folders, files))
}

/// Reads a whole file, refusing one that is larger than allowed before reading it.
pub(crate) fn read_capped(
    path: &Path,
    name: &str,
    limits: &DecodeLimits,
) -> Result<Vec<u8>, DataError> {
    let unreadable = |e: std::io::Error| {
        DataError::image(
            name,
            ImageProblem::Unreadable {
                detail: e.to_string(),
            },
        )
    };
    let mut file = fs::File::open(path).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        let detail = "it is not a regular file".to_string();
        return Err(DataError::image(name, ImageProblem::Unreadable { detail }));
    }
    if meta.len() > limits.max_bytes {
        let reason = ImageProblem::TooLarge {
            bytes: meta.len(),
            limit: limits.max_bytes,
        };
        return Err(DataError::image(name, reason));
    }
    let mut bytes = Vec::with_capacity(meta.len() as usize);
    file.by_ref()
        .take(limits.max_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}

impl FaceSource for ImageFolder {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn identity(&self, i: usize) -> usize {
        self.items[i].label as usize
    }

    fn identities(&self) -> &[String] {
        &self.identities
    }

    fn name(&self, i: usize) -> String {
        let item = &self.items[i];
        format!("{}/{}", self.identities[item.label as usize], item.file)
    }

    fn image(&self, i: usize) -> Result<RgbImage, DataError> {
        let bytes = self.encoded(i)?;
        decode_rgb(&bytes, &self.limits)
            .map_err(|reason| DataError::image(self.path(i).display().to_string(), reason))
    }

    fn hash(&self) -> Result<String, DataError> {
        if let Some(hash) = self.hash.get() {
            return Ok(hash.clone());
        }
        let images: Vec<Hash> = (0..self.len())
            .into_par_iter()
            .map(|i| content(self, i))
            .collect();
        let mut hasher = blake3::Hasher::new();
        for (i, image) in images.iter().enumerate() {
            hasher.update(self.name(i).as_bytes());
            hasher.update(&[0]);
            hasher.update(image);
        }
        Ok(self
            .hash
            .get_or_init(|| hasher.finalize().to_hex().to_string())
            .clone())
    }

    fn image_hash(&self, i: usize) -> Result<Hash, DataError> {
        Ok(blake3::hash(&self.encoded(i)?).into())
    }

    fn encoded(&self, i: usize) -> Result<Vec<u8>, DataError> {
        let path = self.item(i)?;
        read_capped(&path, &path.display().to_string(), &self.limits)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tempfile::TempDir;

    fn put(root: &Path, name: &str, side: u32) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(side, side, image::Rgb([side as u8, 1, 2]))
            .save_with_format(&path, image::ImageFormat::Png)
            .unwrap();
    }

    fn sample() -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, side) in [
            ("s2/b.png", 5),
            ("s2/a.jpg", 4),
            ("s10/x.png", 6),
            ("s1/y.png", 7),
        ] {
            put(dir.path(), name, side);
        }
        fs::write(dir.path().join("README"), "notes").unwrap();
        fs::write(dir.path().join("s1/.hidden"), "").unwrap();
        dir
    }

    fn message(result: Result<ImageFolder, DataError>) -> String {
        let text = result.unwrap_err().to_string();
        assert!(!text.contains('\n'), "{text}");
        text
    }

    #[test]
    fn identities_and_images_come_in_byte_order_with_dense_labels() {
        let dir = sample();
        let folder = ImageFolder::open(dir.path(), &Selection::All).unwrap();
        assert_eq!(folder.identities(), ["s1", "s10", "s2"]);
        let names: Vec<_> = (0..4)
            .map(|i| (folder.identity(i), folder.name(i)))
            .collect();
        assert_eq!(names[2], (2, "s2/a.jpg".to_string()));
        assert_eq!(folder.image(2).unwrap().width(), 4);
        let some = ImageFolder::open(dir.path(), &"s10,s2".parse().unwrap()).unwrap();
        assert_eq!((some.len(), some.identity(0), some.identity(2)), (3, 0, 1));
    }

    #[test]
    fn the_hash_follows_names_and_contents() {
        let dir = sample();
        let open = || ImageFolder::open(dir.path(), &Selection::All).unwrap();
        let before = open().hash().unwrap();
        assert_eq!(before, open().hash().unwrap());
        put(dir.path(), "s1/y.png", 8);
        let changed = open().hash().unwrap();
        assert_ne!(before, changed);
        fs::rename(dir.path().join("s1/y.png"), dir.path().join("s1/z.png")).unwrap();
        assert_ne!(changed, open().hash().unwrap());
    }

    #[test]
    fn missing_and_misshapen_folders_say_how_to_mend_them() {
        let dir = sample();
        let open = |p: &Path| message(ImageFolder::open(p, &Selection::All));
        assert!(open(&dir.path().join("nowhere")).contains("no such folder"));
        assert!(open(&dir.path().join("README")).contains("not a folder"));
        assert!(open(&dir.path().join("s1")).contains("no identity folders (1 file(s)"));
        fs::create_dir_all(dir.path().join("empty")).unwrap();
        assert!(open(dir.path()).contains("holds no images; add some"));
        fs::create_dir_all(dir.path().join("empty/deep")).unwrap();
        assert!(open(dir.path()).contains("one level further down"));
    }

    #[test]
    fn an_identity_of_one_image_is_refused_only_on_request() {
        let dir = sample();
        let options = FolderOptions {
            min_images: 2,
            ..FolderOptions::default()
        };
        let text = message(ImageFolder::open_with(
            dir.path(),
            &Selection::All,
            &options,
        ));
        assert!(text.contains("1 image(s), but at least 2"), "{text}");
        assert!(ImageFolder::open_with(dir.path(), &"s2".parse().unwrap(), &options).is_ok());
    }

    #[test]
    fn bad_files_are_named_on_opening_or_when_read() {
        for (content, expected) in [(&b""[..], "empty (0 bytes)"), (b"hello", "not an image")] {
            let dir = sample();
            fs::write(dir.path().join("s2/c.png"), content).unwrap();
            let text = message(ImageFolder::open(dir.path(), &Selection::All));
            assert!(text.contains("c.png") && text.contains(expected), "{text}");
            let options = FolderOptions {
                check: Check::Lenient,
                ..FolderOptions::default()
            };
            let folder = ImageFolder::open_with(dir.path(), &Selection::All, &options).unwrap();
            let text = folder.image(4).unwrap_err().to_string();
            assert!(text.contains("c.png") && text.contains(expected), "{text}");
        }
    }

    #[test]
    fn a_file_cut_short_is_named_when_read() {
        let dir = sample();
        let path = dir.path().join("s1/y.png");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 30]).unwrap();
        let folder = ImageFolder::open(dir.path(), &Selection::All).unwrap();
        let text = folder.image(0).unwrap_err().to_string();
        assert!(text.contains("y.png") && text.contains("damaged"), "{text}");
        assert!(matches!(folder.image(9), Err(DataError::OutOfRange { .. })));
    }
}
