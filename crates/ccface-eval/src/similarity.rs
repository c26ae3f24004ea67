//! Cosine similarities of embeddings, and which pairs of images are compared.

use ndarray::{ArrayView2, linalg::general_mat_mul};
use rayon::prelude::*;

use crate::comparison::{Comparison, Comparisons, Subject};
use crate::embeddings::Embeddings;
use crate::error::{EvalError, Result};
use crate::verification::Scores;

/// Rows of the probe that are compared with the whole gallery at once.
const BLOCK: usize = 64;

/// Which probe–gallery pairs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    /// Every probe row with every gallery row: two different sets of images.
    All,
    /// Row i of the probe with row j of the gallery for i ≠ j: both are views of the same images, ordered pairs.
    OtherImages,
    /// Row i with row j for i < j: the probe and the gallery are the same views.
    Unordered,
}

impl Pairs {
    fn admits(self, probe: usize, gallery: usize) -> bool {
        match self {
            Self::All => true,
            Self::OtherImages => probe != gallery,
            Self::Unordered => probe < gallery,
        }
    }
}

/// The full cosine matrix, row-major, probe rows × gallery rows, in double precision.
///
/// # Errors
/// Different dimensions.
pub fn scores_between(probe: &Embeddings, gallery: &Embeddings) -> Result<Vec<f64>> {
    let mut all = vec![0.0; probe.len() * gallery.len()];
    let columns = gallery.len();
    let cosines = Cosines::new(probe, gallery)?;
    all.par_chunks_mut(BLOCK * columns)
        .enumerate()
        .for_each(|(block, out)| cosines.rows(block * BLOCK, out));
    Ok(all)
}

/// Compares images and sorts the cosines into genuine and impostor, keeping the subjects.
///
/// # Errors
/// Different dimensions, label lists of the wrong length, or (for pairs within one set) sets of different sizes.
pub fn cross_comparisons(
    probe: &Embeddings,
    probe_labels: &[Subject],
    gallery: &Embeddings,
    gallery_labels: &[Subject],
    pairs: Pairs,
) -> Result<Comparisons> {
    check_labels("probe labels", probe, probe_labels)?;
    check_labels("gallery labels", gallery, gallery_labels)?;
    if pairs != Pairs::All && probe.len() != gallery.len() {
        return Err(EvalError::Length {
            what: "the gallery must hold the same images as the probe".into(),
            expected: probe.len(),
            found: gallery.len(),
        });
    }
    let cosines = Cosines::new(probe, gallery)?;
    let columns = gallery.len();
    let blocks: Vec<Comparisons> = (0..probe.len().div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let first = block * BLOCK;
            let rows = BLOCK.min(probe.len() - first);
            let mut scores = vec![0.0; rows * columns];
            cosines.rows(first, &mut scores);
            let mut found = Comparisons::default();
            for (i, row) in scores.chunks(columns).enumerate() {
                for (j, &score) in row.iter().enumerate() {
                    if !pairs.admits(first + i, j) {
                        continue;
                    }
                    let comparison = Comparison {
                        score,
                        probe: probe_labels[first + i],
                        gallery: gallery_labels[j],
                    };
                    if comparison.probe == comparison.gallery {
                        found.genuine.push(comparison);
                    } else {
                        found.impostor.push(comparison);
                    }
                }
            }
            found
        })
        .collect();
    let mut all = Comparisons::default();
    for block in blocks {
        all.genuine.extend(block.genuine);
        all.impostor.extend(block.impostor);
    }
    Ok(all)
}

/// As [`cross_comparisons`], but only the scores.
///
/// # Errors
/// As [`cross_comparisons`], or no genuine or no impostor pair.
pub fn cross_scores(
    probe: &Embeddings,
    probe_labels: &[Subject],
    gallery: &Embeddings,
    gallery_labels: &[Subject],
    pairs: Pairs,
) -> Result<Scores> {
    cross_comparisons(probe, probe_labels, gallery, gallery_labels, pairs)?.scores()
}

pub(crate) fn check_labels(what: &str, rows: &Embeddings, labels: &[Subject]) -> Result<()> {
    if rows.len() == labels.len() {
        Ok(())
    } else {
        Err(EvalError::Length {
            what: what.to_owned(),
            expected: rows.len(),
            found: labels.len(),
        })
    }
}

/// Unit rows of both sides, ready to give blocks of cosines.
pub(crate) struct Cosines {
    probe: Vec<f64>,
    gallery: Vec<f64>,
    dim: usize,
}

impl Cosines {
    pub(crate) fn new(probe: &Embeddings, gallery: &Embeddings) -> Result<Self> {
        if probe.dim() != gallery.dim() {
            return Err(EvalError::Dimension {
                what: "the gallery".into(),
                expected: probe.dim(),
                found: gallery.dim(),
            });
        }
        Ok(Self {
            probe: probe.unit_f64(),
            gallery: gallery.unit_f64(),
            dim: probe.dim(),
        })
    }

    /// Writes the cosines of the probe rows from `first` on; `out` holds whole rows.
    pub(crate) fn rows(&self, first: usize, out: &mut [f64]) {
        let columns = self.gallery.len() / self.dim;
        let rows = out.len() / columns;
        let probe = &self.probe[first * self.dim..(first + rows) * self.dim];
        let (Ok(a), Ok(b), Ok(mut c)) = (
            ArrayView2::from_shape((rows, self.dim), probe),
            ArrayView2::from_shape((columns, self.dim), &self.gallery),
            ndarray::ArrayViewMut2::from_shape((rows, columns), &mut *out),
        ) else {
            return;
        };
        general_mat_mul(1.0, &a, &b.t(), 0.0, &mut c);
        // Rounding can leave a cosine a few ulp outside.
        for x in out {
            *x = x.clamp(-1.0, 1.0);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rng::Stream;

    pub(crate) fn random_embeddings(
        seed: u64,
        labels: &[Subject],
        dim: usize,
        noise: f64,
    ) -> Embeddings {
        let mut rng = Stream::new(seed, 7);
        // Sets of one seed share their people; another noise level is another draw of images.
        let mut images = Stream::new(seed, noise.to_bits());
        let people = labels.iter().max().map_or(0, |m| *m as usize + 1);
        let centres: Vec<Vec<f64>> = (0..people)
            .map(|_| (0..dim).map(|_| rng.normal()).collect())
            .collect();
        let data = labels
            .iter()
            .flat_map(|&l| {
                (0..dim)
                    .map(|d| (centres[l as usize][d] + noise * images.normal()) as f32)
                    .collect::<Vec<_>>()
            })
            .collect();
        Embeddings::new(data, dim).unwrap()
    }

    pub(crate) fn plain_cosine(a: &[f32], b: &[f32]) -> f64 {
        let dot = |x: &[f32], y: &[f32]| {
            x.iter()
                .zip(y)
                .map(|(p, q)| f64::from(*p) * f64::from(*q))
                .sum::<f64>()
        };
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    #[test]
    fn the_cosine_matrix_equals_plain_loops() {
        let labels: Vec<Subject> = (0..150).map(|i| i / 3).collect();
        let probe = random_embeddings(1, &labels, 19, 1.0);
        let gallery = random_embeddings(2, &labels[..70], 19, 1.0);
        let all = scores_between(&probe, &gallery).unwrap();
        for i in 0..probe.len() {
            for j in 0..gallery.len() {
                let expected = plain_cosine(probe.row(i), gallery.row(j));
                assert!((all[i * gallery.len() + j] - expected).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn twenty_people_with_ten_images_give_1800_genuine_and_38000_impostor_pairs() {
        let labels: Vec<Subject> = (0..200).map(|i| i / 10).collect();
        let lr = random_embeddings(1, &labels, 16, 1.0);
        let hr = random_embeddings(2, &labels, 16, 1.0);
        let found = cross_comparisons(&lr, &labels, &hr, &labels, Pairs::OtherImages).unwrap();
        assert_eq!((found.genuine.len(), found.impostor.len()), (1800, 38_000));
        let within = cross_comparisons(&lr, &labels, &lr, &labels, Pairs::Unordered).unwrap();
        assert_eq!((within.genuine.len(), within.impostor.len()), (900, 19_000));
        let all = cross_comparisons(&lr, &labels, &hr, &labels, Pairs::All).unwrap();
        assert_eq!((all.genuine.len(), all.impostor.len()), (2000, 38_000));
    }

    #[test]
    fn every_comparison_carries_its_own_score_and_subjects() {
        let labels: Vec<Subject> = (0..90).map(|i| i % 9).collect();
        let probe = random_embeddings(1, &labels, 8, 1.0);
        let gallery = random_embeddings(2, &labels, 8, 1.0);
        let found =
            cross_comparisons(&probe, &labels, &gallery, &labels, Pairs::OtherImages).unwrap();
        let mut next = (found.genuine.iter(), found.impostor.iter());
        for i in 0..90 {
            for j in 0..90 {
                if i == j {
                    continue;
                }
                let c = if labels[i] == labels[j] {
                    next.0.next().unwrap()
                } else {
                    next.1.next().unwrap()
                };
                assert_eq!((c.probe, c.gallery), (labels[i], labels[j]));
                let expected = plain_cosine(probe.row(i), gallery.row(j));
                assert!((c.score - expected).abs() < 1e-12);
            }
        }
        assert!(next.0.next().is_none() && next.1.next().is_none());
    }

    #[test]
    fn mixed_dimensions_are_refused() {
        let error = Embeddings::from_rows(&[vec![1.0_f32, 2.0], vec![1.0]]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("row 1 has dimension 1, expected 2")
        );
        let a = Embeddings::new(vec![1.0; 6], 3).unwrap();
        let b = Embeddings::new(vec![1.0; 6], 2).unwrap();
        assert!(scores_between(&a, &b).is_err());
        assert!(Embeddings::new(vec![1.0; 5], 2).is_err());
        assert!(cross_scores(&a, &[0], &a, &[0, 1], Pairs::All).is_err());
    }
}
