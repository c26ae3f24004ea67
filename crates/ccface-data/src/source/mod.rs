//! Where faces come from: one trait, one file per format.

mod bin;
mod cached;
mod folder;
mod manifest;
mod memory;
mod open;
mod positioned;
mod recordio;
mod varied;

use std::io::Cursor;

use image::{ImageFormat, RgbImage};

pub use bin::VerificationSet;
pub use cached::CachedSource;
pub use folder::{Check, FolderOptions, ImageFolder};
pub use manifest::Manifest;
pub use memory::MemorySource;
pub use open::{OpenOptions, open};
pub use recordio::{RecordFile, RecordLayout, RecordWriter, rebuild_index};
pub use varied::{Variants, VariedSource};

use crate::error::{DataError, ImageProblem};

/// A BLAKE3 hash.
pub type Hash = [u8; 32];

/// The lower-case hexadecimal form of a hash.
pub fn hex(hash: &Hash) -> String {
    blake3::Hash::from(*hash).to_hex().to_string()
}

/// An entry that a source had to leave out when it was opened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rejected {
    /// What names the entry: a key, a line, a path.
    pub name: String,
    /// Why it was left out.
    pub reason: ImageProblem,
}

/// A set of labelled face pictures with random access.
///
/// Images are numbered `0..len()`, identities `0..identities().len()`, both densely. A source never
/// changes once opened, and every method may be called from many threads at once.
pub trait FaceSource: Send + Sync {
    /// The number of images.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The label of image `i`: its position in [`identities`](FaceSource::identities).
    ///
    /// # Panics
    /// When `i` is beyond the last image.
    fn identity(&self, i: usize) -> usize;

    /// The identities' names, by label.
    fn identities(&self) -> &[String];

    /// A name for image `i` that stays the same wherever the data set lies, such as `s01/03.png`.
    ///
    /// # Panics
    /// When `i` is beyond the last image.
    fn name(&self, i: usize) -> String;

    /// Reads and decodes image `i`.
    ///
    /// # Errors
    /// [`DataError::Image`] with a reason where this one image cannot be used.
    fn image(&self, i: usize) -> Result<RgbImage, DataError>;

    /// The BLAKE3 hash (hexadecimal) of the whole set; each source says what goes into it.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn hash(&self) -> Result<String, DataError>;

    /// The BLAKE3 hash of image `i`: of its encoded bytes where the source has them, of its size and pixels
    /// otherwise.
    ///
    /// # Errors
    /// As [`image`](FaceSource::image).
    fn image_hash(&self, i: usize) -> Result<Hash, DataError> {
        let picture = self.image(i)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&picture.width().to_le_bytes());
        hasher.update(&picture.height().to_le_bytes());
        hasher.update(picture.as_raw());
        Ok(hasher.finalize().into())
    }

    /// The encoded bytes of image `i`, as stored where the source stores files, as PNG otherwise.
    ///
    /// # Errors
    /// As [`image`](FaceSource::image).
    fn encoded(&self, i: usize) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        self.image(i)?
            .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
            .map_err(|e| {
                let detail = crate::decode::one_line(&e);
                DataError::image(self.name(i), ImageProblem::Corrupt { detail })
            })?;
        Ok(bytes)
    }

    /// The entries that were left out on opening, with reasons; images that turn out bad when read are not among them.
    fn rejected(&self) -> &[Rejected] {
        &[]
    }

    /// The names of the groups that images belong to (a camera, a country, …); empty where there are none.
    fn groups(&self) -> &[String] {
        &[]
    }

    /// The group of image `i`, as a position in [`groups`](FaceSource::groups).
    fn group(&self, i: usize) -> Option<usize> {
        let _ = i;
        None
    }
}

/// What image `i` adds to its source's hash: its own hash, or the mark of an image that cannot be read. So one bad
/// file among millions keeps nobody from using the rest, and the set with it mended is another set.
fn content(source: &dyn FaceSource, i: usize) -> Hash {
    source
        .image_hash(i)
        .unwrap_or_else(|_| *blake3::hash(b"unreadable").as_bytes())
}

/// The image indices of each identity, by label, ascending.
pub fn by_identity(source: &dyn FaceSource) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); source.identities().len()];
    for i in 0..source.len() {
        members[source.identity(i)].push(i);
    }
    members
}

#[cfg(test)]
pub(crate) mod testing {
    //! A small source with a different picture per image.
    use super::*;

    /// `people` identities; identity `p` holds `images + p % 2` pictures of `side` pixels.
    pub(crate) fn people(people: usize, images: usize, side: u32) -> MemorySource {
        let mut source = MemorySource::default();
        for p in 0..people {
            for i in 0..images + p % 2 {
                let picture = RgbImage::from_fn(side, side, |x, y| {
                    let v = x * 7 + y * 13 + (p as u32) * 31 + (i as u32) * 11;
                    image::Rgb([v as u8, (v / 2) as u8, (v * 3) as u8])
                });
                source.push(&format!("p{p:02}"), &i.to_string(), picture);
            }
        }
        source
    }
}
