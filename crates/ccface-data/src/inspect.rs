//! What a source holds: counts, sizes, duplicates, and what is wrong with it.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::decode::{DecodeLimits, dimensions};
use crate::degrade::SizeDistribution;
use crate::error::DataError;
use crate::quarantine::BadImage;
use crate::source::{FaceSource, Hash, Rejected};

/// Most groups of duplicates that are listed; all are counted.
const LISTED: usize = 1000;

/// What a source holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// Images.
    pub images: usize,
    /// Identities.
    pub identities: usize,
    /// Groups, with the number of images of each.
    pub groups: BTreeMap<String, usize>,
    /// How the images spread over the identities.
    pub images_per_identity: Spread,
    /// Identities with one image, which make no genuine pair.
    pub single_image_identities: usize,
    /// Widths and heights, as `WIDTHxHEIGHT`, with the number of images of each.
    pub sizes: BTreeMap<String, usize>,
    /// The shorter sides of the pictures with their counts: this site's face sizes, as a pair config takes them.
    pub face_sizes: SizeDistribution,
    /// Images that are byte for byte another one, the first of each group not counted.
    pub duplicates: usize,
    /// Of those, images that stand under another identity than the first of their group.
    pub duplicates_across_identities: usize,
    /// The names of equal images, group by group (the first thousand groups).
    pub duplicate_groups: Vec<Vec<String>>,
    /// Images whose header cannot be read; a verification decodes everything.
    pub unreadable: Vec<BadImage>,
    /// Entries that were left out on opening.
    pub rejected: Vec<Rejected>,
    /// The source's hash.
    pub hash: String,
}

/// Smallest, middle, mean and largest of some counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Smallest.
    pub min: usize,
    /// The middle one (the lower of two).
    pub median: usize,
    /// Mean.
    pub mean: f64,
    /// Largest.
    pub max: usize,
}

impl Spread {
    fn of(mut counts: Vec<usize>) -> Self {
        counts.sort_unstable();
        let n = counts.len().max(1);
        Self {
            min: counts.first().copied().unwrap_or(0),
            median: counts
                .get(counts.len().saturating_sub(1) / 2)
                .copied()
                .unwrap_or(0),
            mean: counts.iter().sum::<usize>() as f64 / n as f64,
            max: counts.last().copied().unwrap_or(0),
        }
    }
}

/// Looks at every image's bytes and header, without decoding.
///
/// # Errors
/// When the source's hash cannot be computed; a bad image is listed, not an error.
pub fn inspect(source: &dyn FaceSource) -> Result<Inspection, DataError> {
    let mut per_identity = vec![0usize; source.identities().len()];
    let mut groups = BTreeMap::new();
    for i in 0..source.len() {
        per_identity[source.identity(i)] += 1;
        if let Some(group) = source.group(i) {
            *groups.entry(source.groups()[group].clone()).or_default() += 1;
        }
    }
    let seen: Vec<_> = (0..source.len())
        .into_par_iter()
        .map(|i| look(source, i))
        .collect();
    let (mut sizes, mut sides) = (BTreeMap::new(), BTreeMap::new());
    let mut first_of: HashMap<Hash, Vec<usize>> = HashMap::new();
    let mut unreadable = Vec::new();
    for (i, seen) in seen.into_iter().enumerate() {
        match seen {
            Ok((hash, (width, height))) => {
                *sizes.entry(format!("{width}x{height}")).or_insert(0) += 1;
                *sides.entry(width.min(height)).or_insert(0usize) += 1;
                first_of.entry(hash).or_default().push(i);
            }
            Err(bad) => unreadable.push(bad),
        }
    }
    let mut equal: Vec<Vec<usize>> = first_of.into_values().filter(|set| set.len() > 1).collect();
    equal.sort_unstable();
    let across = equal.iter().flat_map(|set| {
        let label = source.identity(set[0]);
        set[1..]
            .iter()
            .filter(move |i| source.identity(**i) != label)
    });
    Ok(Inspection {
        images: source.len(),
        identities: source.identities().len(),
        groups,
        single_image_identities: per_identity.iter().filter(|n| **n == 1).count(),
        images_per_identity: Spread::of(per_identity),
        sizes,
        face_sizes: SizeDistribution::Histogram {
            sizes: sides.keys().copied().collect(),
            counts: sides.values().map(|n| *n as f64).collect(),
        },
        duplicates: equal.iter().map(|set| set.len() - 1).sum(),
        duplicates_across_identities: across.count(),
        duplicate_groups: equal
            .iter()
            .take(LISTED)
            .map(|set| set.iter().map(|i| source.name(*i)).collect())
            .collect(),
        unreadable,
        rejected: source.rejected().to_vec(),
        hash: source.hash()?,
    })
}

fn look(source: &dyn FaceSource, index: usize) -> Result<(Hash, (u32, u32)), BadImage> {
    let bad = |reason| BadImage {
        index,
        name: source.name(index),
        reason,
    };
    let bytes = source.encoded(index).map_err(|e| bad(e.into_problem()))?;
    let size = dimensions(&bytes, &DecodeLimits::default()).map_err(bad)?;
    Ok((blake3::hash(&bytes).into(), size))
}

/// What decoding a whole source showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Images that were decoded, good or bad.
    pub images: usize,
    /// Images that cannot be used, with reasons.
    pub quarantine: Vec<BadImage>,
    /// Entries that were left out on opening, with reasons.
    pub rejected: Vec<Rejected>,
}

impl Verification {
    /// Whether everything can be used.
    pub fn is_clean(&self) -> bool {
        self.quarantine.is_empty() && self.rejected.is_empty()
    }

    /// The share of entries that cannot be used.
    pub fn bad_share(&self) -> f64 {
        let total = self.images + self.rejected.len();
        (self.quarantine.len() + self.rejected.len()) as f64 / total.max(1) as f64
    }
}

/// Decodes every image; `progress` is called after each with nothing but the fact.
pub fn verify(source: &dyn FaceSource, progress: &(dyn Fn() + Sync)) -> Verification {
    let quarantine = (0..source.len())
        .into_par_iter()
        .filter_map(|index| {
            let outcome = source.image(index);
            progress();
            let reason = outcome.err()?.into_problem();
            Some(BadImage {
                index,
                name: source.name(index),
                reason,
            })
        })
        .collect();
    Verification {
        images: source.len(),
        quarantine,
        rejected: source.rejected().to_vec(),
    }
}

/// What two splits share though they must not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlap {
    /// Identities that both name.
    pub identities: Vec<String>,
    /// Images that are byte for byte in both: the first one's name and the second one's.
    pub images: Vec<(String, String)>,
}

/// Compares two splits: identities by name, images by hash.
///
/// # Errors
/// When an image cannot be read.
pub fn overlap(a: &dyn FaceSource, b: &dyn FaceSource) -> Result<Overlap, DataError> {
    let names: std::collections::BTreeSet<&String> = a.identities().iter().collect();
    let identities = b
        .identities()
        .iter()
        .filter(|name| names.contains(name))
        .cloned()
        .collect();
    let hashes = |source: &dyn FaceSource| -> Result<Vec<Hash>, DataError> {
        (0..source.len())
            .into_par_iter()
            .map(|i| source.image_hash(i))
            .collect()
    };
    let ours: HashMap<Hash, usize> = hashes(a)?
        .into_iter()
        .enumerate()
        .map(|(i, h)| (h, i))
        .collect();
    let theirs = hashes(b)?.into_iter().enumerate();
    let images = theirs
        .filter_map(|(j, h)| Some((a.name(*ours.get(&h)?), b.name(j))))
        .collect();
    Ok(Overlap { identities, images })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::source::testing::people;
    use crate::source::{FolderOptions, ImageFolder};
    use crate::{ImageProblem, Selection, source::Check};

    #[test]
    fn an_inspection_counts_sizes_and_finds_duplicates() {
        let mut source = people(3, 2, 9);
        source.push("p00", "again", source.image(0).unwrap());
        source.push("p02", "stolen", source.image(0).unwrap());
        source.push("p99", "alone", image::RgbImage::new(5, 7));
        let seen = inspect(&source).unwrap();
        assert_eq!(
            (seen.images, seen.identities, seen.single_image_identities),
            (10, 4, 1)
        );
        assert_eq!(
            seen.images_per_identity,
            Spread {
                min: 1,
                median: 3,
                mean: 2.5,
                max: 3
            }
        );
        assert_eq!(seen.sizes["9x9"], 9);
        let sizes = SizeDistribution::Histogram {
            sizes: vec![5, 9],
            counts: vec![1.0, 9.0],
        };
        assert_eq!(seen.face_sizes, sizes);
        assert_eq!((seen.duplicates, seen.duplicates_across_identities), (2, 1));
        assert_eq!(
            seen.duplicate_groups,
            [["p00/0", "p00/again", "p02/stolen"]]
        );
        let text = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<Inspection>(&text).unwrap(), seen);
    }

    #[test]
    fn a_verification_lists_every_bad_file_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        let png = people(1, 1, 9).encoded(0).unwrap();
        for (name, bytes) in [
            ("1.png", &png[..]),
            ("2.png", b""),
            ("3.png", &png[..png.len() - 20]),
            ("4.png", b"no"),
        ] {
            std::fs::write(dir.path().join("a").join(name), bytes).unwrap();
        }
        let options = FolderOptions {
            check: Check::Lenient,
            ..FolderOptions::default()
        };
        let folder = ImageFolder::open_with(dir.path(), &Selection::All, &options).unwrap();
        let count = std::sync::atomic::AtomicUsize::new(0);
        let found = verify(&folder, &|| {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(
            (found.images, count.into_inner(), found.is_clean()),
            (4, 4, false)
        );
        let names: Vec<_> = found.quarantine.iter().map(|b| b.name.as_str()).collect();
        assert_eq!(names, ["a/2.png", "a/3.png", "a/4.png"]);
        assert_eq!(found.quarantine[0].reason, ImageProblem::Empty);
        assert!((found.bad_share() - 0.75).abs() < 1e-12);
        assert_eq!(inspect(&folder).unwrap().unreadable.len(), 2);
    }

    #[test]
    fn splits_that_share_a_person_or_a_picture_are_found() {
        let a = people(3, 1, 9);
        let mut b = crate::source::MemorySource::default();
        b.push("p01", "x", image::RgbImage::new(3, 3));
        b.push("new", "y", a.image(0).unwrap());
        let shared = overlap(&a, &b).unwrap();
        assert_eq!(shared.identities, ["p01"]);
        assert_eq!(shared.images, [("p00/0".to_string(), "new/y".to_string())]);
    }
}
