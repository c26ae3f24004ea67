//! Decoded pictures kept in memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use image::RgbImage;

use super::{FaceSource, Hash, Rejected};
use crate::error::DataError;

/// Keeps decoded pictures of another source in memory, up to a number of bytes.
///
/// A picture once kept stays; when the memory is used up, further pictures are decoded each time. What a
/// caller sees is the same with any limit.
pub struct CachedSource {
    inner: Arc<dyn FaceSource>,
    kept: Vec<OnceLock<RgbImage>>,
    used: AtomicUsize,
    limit: usize,
}

impl CachedSource {
    /// Wraps `inner`, keeping at most `limit` bytes of pixels.
    pub fn new(inner: Arc<dyn FaceSource>, limit: usize) -> Self {
        let slots = if limit == 0 { 0 } else { inner.len() };
        let kept = (0..slots).map(|_| OnceLock::new()).collect();
        Self {
            inner,
            kept,
            used: AtomicUsize::new(0),
            limit,
        }
    }

    /// Bytes of pixels kept so far.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl FaceSource for CachedSource {
    fn len(&self) -> usize {
        self.inner.len()
    }

    fn identity(&self, i: usize) -> usize {
        self.inner.identity(i)
    }

    fn identities(&self) -> &[String] {
        self.inner.identities()
    }

    fn name(&self, i: usize) -> String {
        self.inner.name(i)
    }

    fn image(&self, i: usize) -> Result<RgbImage, DataError> {
        if let Some(picture) = self.kept.get(i).and_then(OnceLock::get) {
            return Ok(picture.clone());
        }
        let picture = self.inner.image(i)?;
        if let Some(slot) = self.kept.get(i) {
            let bytes = picture.as_raw().len();
            let before = self.used.fetch_add(bytes, Ordering::Relaxed);
            if before + bytes > self.limit || slot.set(picture.clone()).is_err() {
                self.used.fetch_sub(bytes, Ordering::Relaxed);
            }
        }
        Ok(picture)
    }

    fn hash(&self) -> Result<String, DataError> {
        self.inner.hash()
    }

    fn image_hash(&self, i: usize) -> Result<Hash, DataError> {
        self.inner.image_hash(i)
    }

    fn encoded(&self, i: usize) -> Result<Vec<u8>, DataError> {
        self.inner.encoded(i)
    }

    fn rejected(&self) -> &[Rejected] {
        self.inner.rejected()
    }

    fn groups(&self) -> &[String] {
        self.inner.groups()
    }

    fn group(&self, i: usize) -> Option<usize> {
        self.inner.group(i)
    }
}
