//! Synthetic faces as a source: no files, every picture drawn when it is asked for.

use std::ops::Range;

use image::RgbImage;

use super::{GENERATOR_VERSION, Groups, SyntheticConfig, SyntheticFace, render, renderer};
use crate::error::DataError;
use crate::source::FaceSource;

/// A range of synthetic identities with the same number of pictures each.
///
/// Image `i` is picture `i mod images` of identity `identities.start + i div images`. Its groups are the
/// six skin-tone bins; [`labels`](SyntheticSource::labels) gives the age-like and pose bins as well.
/// [`hash`](FaceSource::hash) covers the generator's version and all settings; no picture is drawn for it.
///
/// ```
/// use ccface_data::source::FaceSource;
/// use ccface_data::synthetic::{SyntheticConfig, SyntheticSource};
/// let source = SyntheticSource::new(SyntheticConfig::default(), 1, 100..103, 4)?;
/// assert_eq!((source.len(), source.identity(5)), (12, 1));
/// assert_eq!(source.name(5), "id000101/001");
/// # Ok::<(), ccface_data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct SyntheticSource {
    config: SyntheticConfig,
    seed: u64,
    identities: Range<u64>,
    images: usize,
    names: Vec<String>,
    tones: Vec<String>,
}

/// More images than this are a slip of the keyboard.
const MOST: u64 = 100_000_000;

impl SyntheticSource {
    /// The pictures `0..images` of every identity of a range in the world `seed`.
    ///
    /// # Errors
    /// [`DataError::Config`] where the configuration is out of range, the range of identities is empty,
    /// or there are no images or too many.
    pub fn new(
        config: SyntheticConfig,
        seed: u64,
        identities: Range<u64>,
        images: usize,
    ) -> Result<Self, DataError> {
        config.validate()?;
        if identities.start >= identities.end {
            let value = format!("{}..{}", identities.start, identities.end);
            return Err(DataError::config(
                "identities",
                value,
                "the range is empty; its end must lie above its start",
            ));
        }
        let people = identities.end - identities.start;
        if images == 0 || people.saturating_mul(images as u64) > MOST {
            return Err(DataError::config(
                "images",
                images,
                format!("{people} identities need at least 1 image each and at most {MOST} in all"),
            ));
        }
        let names = identities.clone().map(|i| format!("id{i:06}")).collect();
        let tones = (1..=Groups::SKIN_TONES)
            .map(|i| format!("skin tone {i} of {}", Groups::SKIN_TONES))
            .collect();
        Ok(Self {
            config,
            seed,
            identities,
            images,
            names,
            tones,
        })
    }

    /// The configuration of the pictures.
    pub fn config(&self) -> &SyntheticConfig {
        &self.config
    }

    /// The seed of the world.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The range of identity numbers.
    pub fn range(&self) -> Range<u64> {
        self.identities.clone()
    }

    /// Pictures of each identity.
    pub fn images_per_identity(&self) -> usize {
        self.images
    }

    /// Identity number and picture number of image `i`.
    fn numbers(&self, i: usize) -> (u64, u64) {
        (
            self.identities.start + (i / self.images) as u64,
            (i % self.images) as u64,
        )
    }

    /// Image `i` with its landmarks and groups.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] beyond the last image.
    pub fn face(&self, i: usize) -> Result<SyntheticFace, DataError> {
        if i >= self.len() {
            return Err(DataError::OutOfRange {
                index: i,
                len: self.len(),
            });
        }
        let (identity, sample) = self.numbers(i);
        Ok(render(&self.config, self.seed, identity, sample))
    }

    /// Landmarks and groups of image `i`, without drawing it.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] beyond the last image.
    pub fn labels(&self, i: usize) -> Result<([[f32; 2]; 5], Groups), DataError> {
        if i >= self.len() {
            return Err(DataError::OutOfRange {
                index: i,
                len: self.len(),
            });
        }
        let (identity, sample) = self.numbers(i);
        Ok(renderer::describe(
            &self.config,
            self.seed,
            identity,
            sample,
        ))
    }
}

impl FaceSource for SyntheticSource {
    fn len(&self) -> usize {
        self.names.len() * self.images
    }

    fn identity(&self, i: usize) -> usize {
        assert!(
            i < self.len(),
            "SyntheticSource: image {i} is beyond the last one"
        );
        i / self.images
    }

    fn identities(&self) -> &[String] {
        &self.names
    }

    fn name(&self, i: usize) -> String {
        format!("{}/{:03}", self.names[i / self.images], i % self.images)
    }

    fn image(&self, i: usize) -> Result<RgbImage, DataError> {
        Ok(self.face(i)?.image)
    }

    fn hash(&self) -> Result<String, DataError> {
        let mut hasher = blake3::Hasher::new();
        let Range { start, end } = self.identities;
        let text = format!(
            "synthetic faces {GENERATOR_VERSION}: seed {}, identities {start}..{end}, images {}, {:?}",
            self.seed, self.images, self.config
        );
        hasher.update(text.as_bytes());
        Ok(hasher.finalize().to_hex().to_string())
    }

    fn groups(&self) -> &[String] {
        &self.tones
    }

    fn group(&self, i: usize) -> Option<usize> {
        self.labels(i)
            .ok()
            .map(|(_, groups)| usize::from(groups.skin_tone))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rayon::prelude::*;

    fn small(identities: Range<u64>, images: usize) -> SyntheticSource {
        let config = SyntheticConfig {
            size: 32,
            ..SyntheticConfig::default()
        };
        SyntheticSource::new(config, 5, identities, images).unwrap()
    }

    #[test]
    fn a_source_numbers_images_by_identity_and_names_them_for_ever() {
        let source = small(7..9, 3);
        assert_eq!(source.len(), 6);
        assert_eq!(source.identities(), ["id000007", "id000008"]);
        assert_eq!(
            (source.identity(3), source.name(4)),
            (1, "id000008/001".to_string())
        );
        assert_eq!(source.group(0), source.group(2));
        assert!(source.image(6).is_err());
    }

    #[test]
    fn a_picture_depends_on_its_identity_not_on_the_range() {
        let (a, b) = (small(0..4, 2), small(3..5, 2));
        assert_eq!(a.image(6).unwrap(), b.image(0).unwrap());
        assert_ne!(a.hash().unwrap(), b.hash().unwrap());
        assert_eq!(a.hash().unwrap(), small(0..4, 2).hash().unwrap());
    }

    #[test]
    fn one_thread_and_four_give_the_same_bytes() {
        let source = small(0..4, 3);
        let alone: Vec<_> = (0..source.len())
            .map(|i| source.image(i).unwrap())
            .collect();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(4)
            .build()
            .unwrap();
        let together: Vec<_> = pool.install(|| {
            (0..source.len())
                .into_par_iter()
                .map(|i| source.image(i).unwrap())
                .collect()
        });
        assert!(alone == together);
    }

    #[test]
    fn labels_without_a_picture_are_those_of_the_picture() {
        let source = small(0..2, 2);
        for i in 0..4 {
            let face = source.face(i).unwrap();
            assert_eq!(source.labels(i).unwrap(), (face.landmarks, face.groups));
        }
    }

    #[test]
    fn an_empty_range_and_a_bad_configuration_are_refused_with_words() {
        let bad = |config, range, images| {
            SyntheticSource::new(config, 0, range, images)
                .unwrap_err()
                .to_string()
        };
        let good = SyntheticConfig::default;
        assert!(bad(good(), 3..3, 1).contains("identities = 3..3"));
        assert!(bad(good(), 0..3, 0).contains("at least 1 image"));
        assert!(bad(SyntheticConfig { size: 5, ..good() }, 0..3, 1).contains("size = 5"));
    }
}
