//! Pictures that are in memory already.

use image::RgbImage;

use super::FaceSource;
use crate::error::DataError;

/// A source of pictures made by a program: synthetic faces, tests, a camera's crops.
///
/// [`hash`](FaceSource::hash) covers every image's name and pixels.
///
/// ```
/// use ccface_data::source::{FaceSource, MemorySource};
/// let mut source = MemorySource::default();
/// source.push("anna", "1", image::RgbImage::new(8, 8));
/// source.push("bert", "1", image::RgbImage::new(8, 8));
/// assert_eq!((source.len(), source.identity(1)), (2, 1));
/// ```
#[derive(Debug, Default)]
pub struct MemorySource {
    identities: Vec<String>,
    items: Vec<(usize, String, RgbImage)>,
}

impl MemorySource {
    /// Adds a picture; an identity is numbered when it comes first.
    pub fn push(&mut self, identity: &str, name: &str, picture: RgbImage) {
        let known = self.identities.iter().position(|known| known == identity);
        let label = known.unwrap_or_else(|| {
            self.identities.push(identity.to_string());
            self.identities.len() - 1
        });
        self.items
            .push((label, format!("{identity}/{name}"), picture));
    }
}

impl FaceSource for MemorySource {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn identity(&self, i: usize) -> usize {
        self.items[i].0
    }

    fn identities(&self) -> &[String] {
        &self.identities
    }

    fn name(&self, i: usize) -> String {
        self.items[i].1.clone()
    }

    fn image(&self, i: usize) -> Result<RgbImage, DataError> {
        let item = self.items.get(i);
        item.map(|item| item.2.clone())
            .ok_or(DataError::OutOfRange {
                index: i,
                len: self.len(),
            })
    }

    fn hash(&self) -> Result<String, DataError> {
        let mut hasher = blake3::Hasher::new();
        for i in 0..self.len() {
            hasher.update(self.name(i).as_bytes());
            hasher.update(&[0]);
            hasher.update(&self.image_hash(i)?);
        }
        Ok(hasher.finalize().to_hex().to_string())
    }
}
