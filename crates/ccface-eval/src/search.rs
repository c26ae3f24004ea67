//! Exact search of a large gallery: the top k of every probe, in blocks and in bounded memory.

use serde::{Deserialize, Serialize};

use crate::embeddings::Embeddings;
use crate::error::{EvalError, Result};
use crate::kernel::{CHUNK, Sweep};

/// Candidates kept beyond k, so that single-precision rounding cannot push a true candidate out.
const SPARE: usize = 16;

/// One gallery image found for a probe.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Row of the gallery.
    pub index: u32,
    /// Cosine similarity.
    pub score: f64,
}

/// A search that can be stopped and gone on with between blocks of the gallery.
///
/// The result does not depend on the number of threads nor on where it was stopped: candidates are ordered by
/// descending score, then by gallery row, and their scores are computed again in double precision.
///
/// The state serialises; what it must be continued with are the same probe and gallery, which the caller ensures
/// (their sizes are checked).
///
/// ```
/// use ccface_eval::{Embeddings, TopK};
/// let gallery = Embeddings::new(vec![1.0, 0.0, 0.0, 1.0, 0.6, 0.8], 2)?;
/// let probe = Embeddings::new(vec![2.0, 0.0], 2)?;
/// let found = TopK::search(&probe, &gallery, 2)?;
/// assert_eq!(found[0].iter().map(|c| c.index).collect::<Vec<_>>(), [0, 2]);
/// # Ok::<(), ccface_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopK {
    k: usize,
    next_row: usize,
    probes: usize,
    gallery: usize,
    best: Vec<Best>,
}

/// The best candidates of one probe so far, unsorted beyond need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Best {
    /// Up to twice `wanted` candidates; cut back when full.
    found: Vec<(f32, u32)>,
    /// A score that must be beaten to matter.
    bar: f32,
}

impl Best {
    fn offer(&mut self, wanted: usize, first: usize, scores: &[f32]) {
        // The common case, in one vectorised pass: nothing here matters.
        if !scores.iter().fold(false, |any, s| any | (*s > self.bar)) {
            return;
        }
        for (j, &score) in scores.iter().enumerate() {
            if score > self.bar {
                self.found.push((score, (first + j) as u32));
                if self.found.len() == 2 * wanted {
                    self.cut(wanted);
                }
            }
        }
    }

    fn cut(&mut self, wanted: usize) {
        if self.found.len() > wanted {
            self.found
                .select_nth_unstable_by(wanted - 1, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            self.found.truncate(wanted);
            // Rows come in ascending order, so that an equal score later is behind.
            self.bar = self.found[wanted - 1].0;
        }
    }
}

impl TopK {
    /// Prepares a search for the `k` best of `gallery` for each row of `probe`.
    ///
    /// # Errors
    /// Different dimensions, k = 0, or more than 2³² gallery rows.
    pub fn new(probe: &Embeddings, gallery: &Embeddings, k: usize) -> Result<Self> {
        if probe.dim() != gallery.dim() {
            return Err(EvalError::Dimension {
                what: "the gallery".into(),
                expected: probe.dim(),
                found: gallery.dim(),
            });
        }
        if k == 0 || u32::try_from(gallery.len()).is_err() {
            return Err(EvalError::OutOfRange {
                what: "the number of candidates or of gallery rows",
                value: if k == 0 { 0.0 } else { gallery.len() as f64 },
                range: "1 or more candidates, fewer than 2^32 rows",
            });
        }
        let k = k.min(gallery.len());
        let best = Best {
            found: Vec::with_capacity(2 * (k + SPARE)),
            bar: f32::NEG_INFINITY,
        };
        Ok(Self {
            k,
            next_row: 0,
            probes: probe.len(),
            gallery: gallery.len(),
            best: vec![best; probe.len()],
        })
    }

    /// Searches up to `rows` more gallery rows (rounded up to whole blocks); true when the gallery is done.
    ///
    /// # Errors
    /// A probe or gallery of another size than the search was begun with.
    pub fn advance(
        &mut self,
        probe: &Embeddings,
        gallery: &Embeddings,
        rows: usize,
    ) -> Result<bool> {
        let sizes = (probe.len(), gallery.len());
        if sizes != (self.probes, self.gallery) || self.best.len() != self.probes {
            return Err(EvalError::NotComparable {
                why: format!(
                    "the search was begun with {} probes and {} gallery rows, not {} and {}; begin it anew",
                    self.probes, self.gallery, sizes.0, sizes.1
                ),
            });
        }
        let rows = rows.max(1).div_ceil(CHUNK) * CHUNK;
        let end = self.gallery.min(self.next_row.saturating_add(rows));
        let wanted = self.k + SPARE;
        Sweep::new(probe, gallery).run(
            self.next_row..end,
            &mut self.best,
            |best, _, first, scores| {
                best.offer(wanted, first, scores);
            },
        );
        self.next_row = end;
        Ok(self.next_row == self.gallery)
    }

    /// Share of the gallery that has been searched.
    #[must_use]
    pub fn progress(&self) -> f64 {
        self.next_row as f64 / self.gallery as f64
    }

    /// The candidates of each probe, best first.
    ///
    /// # Errors
    /// A search that is not done, or a probe or gallery of another size.
    pub fn finish(
        mut self,
        probe: &Embeddings,
        gallery: &Embeddings,
    ) -> Result<Vec<Vec<Candidate>>> {
        use rayon::prelude::*;
        if self.next_row < self.gallery {
            self.advance(probe, gallery, self.gallery - self.next_row)?;
        }
        let k = self.k;
        Ok(self
            .best
            .into_par_iter()
            .enumerate()
            .map(|(i, mut best)| {
                best.cut(k + SPARE);
                let mut list: Vec<Candidate> = best
                    .found
                    .iter()
                    .map(|&(_, index)| Candidate {
                        index,
                        score: cosine(probe.row(i), gallery.row(index as usize)),
                    })
                    .collect();
                list.sort_unstable_by(|a, b| {
                    b.score.total_cmp(&a.score).then(a.index.cmp(&b.index))
                });
                list.truncate(k);
                list
            })
            .collect())
    }

    /// The whole search at once.
    ///
    /// # Errors
    /// As [`TopK::new`].
    pub fn search(
        probe: &Embeddings,
        gallery: &Embeddings,
        k: usize,
    ) -> Result<Vec<Vec<Candidate>>> {
        Self::new(probe, gallery, k)?.finish(probe, gallery)
    }
}

/// The cosine of two rows in double precision.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let (mut dot, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (f64::from(*x), f64::from(*y));
        dot += x * y;
        aa += x * x;
        bb += y * y;
    }
    (dot / (aa.sqrt() * bb.sqrt())).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::similarity::tests::{plain_cosine, random_embeddings};

    fn plain(probe: &Embeddings, gallery: &Embeddings, k: usize) -> Vec<Vec<u32>> {
        (0..probe.len())
            .map(|i| {
                let mut all: Vec<(f64, u32)> = (0..gallery.len())
                    .map(|j| (plain_cosine(probe.row(i), gallery.row(j)), j as u32))
                    .collect();
                all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                all.into_iter().take(k).map(|(_, j)| j).collect()
            })
            .collect()
    }

    fn indices(found: &[Vec<Candidate>]) -> Vec<Vec<u32>> {
        found
            .iter()
            .map(|list| list.iter().map(|c| c.index).collect())
            .collect()
    }

    #[test]
    fn the_top_k_equals_sorting_all_cosines() {
        let labels: Vec<u32> = (0..5000).collect();
        let probe = random_embeddings(1, &labels[..37], 24, 1.0);
        let gallery = random_embeddings(2, &labels, 24, 1.0);
        for k in [1, 20, 100] {
            let found = TopK::search(&probe, &gallery, k).unwrap();
            assert_eq!(indices(&found), plain(&probe, &gallery, k));
        }
    }

    #[test]
    fn a_k_beyond_the_gallery_gives_the_whole_gallery() {
        let labels: Vec<u32> = (0..9).collect();
        let all = random_embeddings(1, &labels, 6, 1.0);
        let found = TopK::search(&all, &all, 50).unwrap();
        assert_eq!(indices(&found), plain(&all, &all, 9));
        assert!(
            found
                .iter()
                .enumerate()
                .all(|(i, list)| list[0].index == i as u32)
        );
    }

    #[test]
    fn equal_scores_come_in_gallery_order() {
        let gallery = Embeddings::new([1.0_f32, 2.0].repeat(3000), 2).unwrap();
        let probe = Embeddings::new(vec![2.0, 1.0], 2).unwrap();
        let found = TopK::search(&probe, &gallery, 5).unwrap();
        assert_eq!(indices(&found), [[0, 1, 2, 3, 4]]);
    }

    #[test]
    fn a_search_that_was_stopped_and_stored_goes_on_to_the_same_result() {
        let labels: Vec<u32> = (0..7000).collect();
        let probe = random_embeddings(1, &labels[..20], 8, 1.0);
        let gallery = random_embeddings(2, &labels, 8, 1.0);
        let mut search = TopK::new(&probe, &gallery, 10).unwrap();
        assert!(!search.advance(&probe, &gallery, 3000).unwrap());
        assert!(search.progress() > 0.4 && search.progress() < 1.0);
        let stored = serde_json::to_string(&search).unwrap();
        let mut search: TopK = serde_json::from_str(&stored).unwrap();
        while !search.advance(&probe, &gallery, 1).unwrap() {}
        let found = search.finish(&probe, &gallery).unwrap();
        assert_eq!(found, TopK::search(&probe, &gallery, 10).unwrap());
    }

    #[test]
    fn a_stopped_search_refuses_another_gallery() {
        let labels: Vec<u32> = (0..50).collect();
        let all = random_embeddings(1, &labels, 6, 1.0);
        let other = random_embeddings(1, &labels[..40], 6, 1.0);
        let mut search = TopK::new(&all, &all, 3).unwrap();
        assert!(search.advance(&all, &other, 10).is_err());
        assert!(TopK::new(&all, &all, 0).is_err());
    }
}
