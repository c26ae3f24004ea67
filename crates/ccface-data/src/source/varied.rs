//! Every picture several times: as it is, and moved a little.

use std::sync::{Arc, OnceLock};

use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::{FaceSource, Hash, Rejected};
use crate::align::Similarity;
use crate::degrade::warp::warp;
use crate::error::DataError;
use crate::face::FaceImage;
use crate::rng::{Purpose, Stream};

/// How many variants each picture has, and how far they lie apart.
///
/// The first variant is the picture itself; each other one is scaled, turned and shifted by amounts drawn uniformly
/// from −x to +x. The variants are pictures of their own: a teacher embeds each as it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Variants {
    /// Variants of each picture, 1..=1000; 1 (default) leaves the set as it is. An epoch has this many times the images.
    pub count: usize,
    /// Largest shift across and down, as a share of the side (0..=0.25). Default 0.04.
    pub shift: f64,
    /// Largest change of scale (0..=0.5). Default 0.06.
    pub scale: f64,
    /// Largest turn in the plane, degrees (0..=45). Default 5.
    pub degrees: f64,
}

impl Default for Variants {
    fn default() -> Self {
        Self {
            count: 1,
            shift: 0.04,
            scale: 0.06,
            degrees: 5.0,
        }
    }
}

impl Variants {
    /// Everything that is wrong with the settings; keys start at `variants`.
    pub fn problems(&self) -> Vec<DataError> {
        let mut problems = Vec::new();
        if !(1..=1000).contains(&self.count) {
            let text = "each image has 1 (itself) to 1000 variants";
            problems.push(DataError::config("variants.count", self.count, text));
        }
        for (key, value, most) in [
            ("variants.shift", self.shift, 0.25),
            ("variants.scale", self.scale, 0.5),
            ("variants.degrees", self.degrees, 45.0),
        ] {
            if !(0.0..=most).contains(&value) {
                let text = format!("lies between 0 and {most}");
                problems.push(DataError::config(key, value, text));
            }
        }
        problems
    }

    /// The source with these variants; the source itself where there is one of each.
    pub fn of(self, source: Arc<dyn FaceSource>) -> Arc<dyn FaceSource> {
        if self.count <= 1 {
            return source;
        }
        Arc::new(VariedSource::new(source, self))
    }
}

/// A source in which every picture of another comes in several [`Variants`].
///
/// Image `i` is variant `i mod count` of the inner image `i / count`. The amounts are a pure function of the picture's
/// name and the variant, so they are the same in any selection of the set.
pub struct VariedSource {
    inner: Arc<dyn FaceSource>,
    variants: Variants,
    /// Hashes of the inner images, each asked for once: a hash reads a whole file.
    hashes: Vec<OnceLock<Hash>>,
}

/// The amounts of one variant.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Amounts {
    shift: [f64; 2],
    scale: f64,
    radians: f64,
}

impl VariedSource {
    fn new(inner: Arc<dyn FaceSource>, variants: Variants) -> Self {
        let hashes = vec![OnceLock::new(); inner.len()];
        Self {
            inner,
            variants,
            hashes,
        }
    }

    fn inner_hash(&self, image: usize) -> Result<Hash, DataError> {
        if let Some(hash) = self.hashes[image].get() {
            return Ok(*hash);
        }
        let hash = self.inner.image_hash(image)?;
        Ok(*self.hashes[image].get_or_init(|| hash))
    }

    /// The inner image and the variant of it.
    fn place(&self, i: usize) -> (usize, usize) {
        (i / self.variants.count, i % self.variants.count)
    }

    fn amounts(&self, image: usize, variant: usize) -> Amounts {
        let name = blake3::hash(self.inner.name(image).as_bytes());
        let [a, b, c, d, e, f, g, h, ..] = *name.as_bytes();
        let key = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let mut stream = Stream::new(key, 0, variant as u64, Purpose::Variant);
        let mut draw = |most: f64| most * (2.0 * stream.uniform() - 1.0);
        Amounts {
            shift: [draw(self.variants.shift), draw(self.variants.shift)],
            scale: 1.0 + draw(self.variants.scale),
            radians: draw(self.variants.degrees).to_radians(),
        }
    }
}

impl FaceSource for VariedSource {
    fn len(&self) -> usize {
        self.inner.len() * self.variants.count
    }

    fn identity(&self, i: usize) -> usize {
        self.inner.identity(self.place(i).0)
    }

    fn identities(&self) -> &[String] {
        self.inner.identities()
    }

    fn name(&self, i: usize) -> String {
        match self.place(i) {
            (image, 0) => self.inner.name(image),
            (image, variant) => format!("{}#{variant}", self.inner.name(image)),
        }
    }

    fn image(&self, i: usize) -> Result<RgbImage, DataError> {
        let (image, variant) = self.place(i);
        let picture = self.inner.image(image)?;
        if variant == 0 {
            return Ok(picture);
        }
        let face = FaceImage::from_rgb8(&picture);
        let (width, height) = (face.width as f64, face.height as f64);
        let Amounts {
            shift: [across, down],
            scale,
            radians,
        } = self.amounts(image, variant);
        let shift = [across * width, down * height];
        let moved = Similarity::about(face.centre(), scale, radians, shift);
        Ok(warp(&face, &moved).to_rgb8())
    }

    /// The inner source's: variants are a setting, the data are the same.
    fn hash(&self) -> Result<String, DataError> {
        self.inner.hash()
    }

    /// Covers the inner image and the amounts.
    fn image_hash(&self, i: usize) -> Result<Hash, DataError> {
        let (image, variant) = self.place(i);
        let whole = self.inner_hash(image)?;
        if variant == 0 {
            return Ok(whole);
        }
        let amounts = self.amounts(image, variant);
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"moved picture 1");
        hasher.update(&whole);
        for value in [
            amounts.shift[0],
            amounts.shift[1],
            amounts.scale,
            amounts.radians,
        ] {
            hasher.update(&value.to_le_bytes());
        }
        Ok(hasher.finalize().into())
    }

    fn rejected(&self) -> &[Rejected] {
        self.inner.rejected()
    }

    fn groups(&self) -> &[String] {
        self.inner.groups()
    }

    fn group(&self, i: usize) -> Option<usize> {
        self.inner.group(self.place(i).0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::source::testing::people;

    fn varied(count: usize) -> Arc<dyn FaceSource> {
        let variants = Variants {
            count,
            ..Variants::default()
        };
        variants.of(Arc::new(people(2, 2, 32)))
    }

    #[test]
    fn the_first_variant_is_the_picture_and_the_others_are_moved_a_little() {
        let (plain, source) = (varied(1), varied(3));
        assert_eq!((plain.len(), source.len()), (5, 15));
        for image in 0..5 {
            let first = source.image(3 * image).unwrap();
            assert_eq!(first, plain.image(image).unwrap());
            assert_eq!(source.name(3 * image), plain.name(image));
            assert_eq!(
                source.image_hash(3 * image).unwrap(),
                plain.image_hash(image).unwrap()
            );
            for variant in 1..3 {
                let i = 3 * image + variant;
                assert_eq!(source.identity(i), plain.identity(image));
                assert_ne!(source.image(i).unwrap(), first);
                assert_eq!(source.image(i).unwrap(), source.image(i).unwrap());
                assert_eq!(source.name(i), format!("{}#{variant}", plain.name(image)));
            }
        }
        let hashes: std::collections::BTreeSet<Hash> =
            (0..15).map(|i| source.image_hash(i).unwrap()).collect();
        assert_eq!(hashes.len(), 15);
        assert_eq!(source.hash().unwrap(), plain.hash().unwrap());
    }

    #[test]
    fn no_amount_changes_nothing_and_each_amount_moves_what_it_says() {
        let still = Variants {
            count: 2,
            shift: 0.0,
            scale: 0.0,
            degrees: 0.0,
        };
        let people: Arc<dyn FaceSource> = Arc::new(people(1, 1, 32));
        let same = still.of(people.clone());
        assert_eq!(same.image(1).unwrap(), people.image(0).unwrap());
        let variants = Variants {
            count: 400,
            ..Variants::default()
        };
        let source = VariedSource::new(people, variants);
        let drawn: Vec<Amounts> = (1..400).map(|v| source.amounts(0, v)).collect();
        let range = |of: &dyn Fn(&Amounts) -> f64| {
            drawn
                .iter()
                .map(of)
                .fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(x), b.max(x)))
        };
        for ((low, high), most) in [
            (range(&|a| a.shift[0]), 0.04),
            (range(&|a| a.shift[1]), 0.04),
            (range(&|a| a.scale - 1.0), 0.06),
            (range(&|a| a.radians.to_degrees()), 5.0),
        ] {
            assert!((-most..=-0.95 * most).contains(&low), "{low} {most}");
            assert!((0.95 * most..=most).contains(&high), "{high} {most}");
        }
    }

    #[test]
    fn settings_out_of_range_are_reported() {
        let bad = Variants {
            count: 0,
            shift: 0.3,
            scale: f64::NAN,
            degrees: -1.0,
        };
        assert_eq!(bad.problems().len(), 4);
        assert!(Variants::default().problems().is_empty());
    }
}
