//! Closed-set identification: ranks and the CMC curve.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::comparison::Subject;
use crate::embeddings::Embeddings;
use crate::error::{EvalError, Result};
use crate::kernel::Sweep;
use crate::rate::Rate;
use crate::search::cosine;
use crate::similarity::{Pairs, check_labels};

/// Where one probe's best mate stands in the gallery.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mate {
    /// 1 + the number of gallery images of other people that score at least as high as the best mate.
    ///
    /// Ties count against the mate, so that a duplicated file or a constant score cannot look like a success.
    pub rank: usize,
    /// The best mate's score.
    pub score: f64,
}

/// What a search of the gallery gave for one probe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbeOutcome {
    /// Who is on the probe image.
    pub subject: Subject,
    /// The best mate; `None` when the gallery holds no (other) image of this person.
    pub mate: Option<Mate>,
    /// The highest score of any compared gallery image.
    pub top: f64,
}

/// Searches the gallery for every probe.
///
/// With [`Pairs::OtherImages`] row i of the gallery is left out for probe i (leave-one-out within one set). The
/// gallery is swept in blocks; scores close to the best mate's are decided in double precision, so that ranks are
/// exact.
///
/// # Errors
/// Different dimensions, label lists of the wrong length, sets of different sizes for leave-one-out, a gallery of
/// one image for leave-one-out, or `Pairs::Unordered`, which leaves the last probe without a gallery.
pub fn identify(
    probe: &Embeddings,
    probe_labels: &[Subject],
    gallery: &Embeddings,
    gallery_labels: &[Subject],
    pairs: Pairs,
) -> Result<Vec<ProbeOutcome>> {
    check_labels("probe labels", probe, probe_labels)?;
    check_labels("gallery labels", gallery, gallery_labels)?;
    if probe.dim() != gallery.dim() {
        return Err(EvalError::Dimension {
            what: "the gallery".into(),
            expected: probe.dim(),
            found: gallery.dim(),
        });
    }
    let leave_one_out = pairs != Pairs::All;
    if pairs == Pairs::Unordered
        || (leave_one_out && (probe.len() != gallery.len() || gallery.len() < 2))
    {
        return Err(EvalError::Length {
            what:
                "the gallery must hold the same images as the probe, at least two, in ordered pairs"
                    .into(),
            expected: probe.len().max(2),
            found: gallery.len(),
        });
    }
    let mut rows_of: HashMap<Subject, Vec<usize>> = HashMap::new();
    for (row, label) in gallery_labels.iter().enumerate() {
        rows_of.entry(*label).or_default().push(row);
    }
    let mut standings: Vec<Standing> = (0..probe.len())
        .into_par_iter()
        .map(|i| {
            let left_out = if leave_one_out { i } else { usize::MAX };
            let mates = rows_of.get(&probe_labels[i]).into_iter().flatten();
            let best = mates
                .filter(|&&row| row != left_out)
                .map(|&row| cosine(probe.row(i), gallery.row(row)))
                .fold(f64::NEG_INFINITY, f64::max);
            Standing {
                best,
                left_out,
                above: 0,
                close: Vec::new(),
                top: (f32::NEG_INFINITY, 0),
            }
        })
        .collect();
    Sweep::new(probe, gallery).run(
        0..gallery.len(),
        &mut standings,
        |standing, _, first, scores| {
            if (first..first + scores.len()).contains(&standing.left_out) {
                let (before, after) = scores.split_at(standing.left_out - first);
                standing.meet(first, before);
                standing.meet(standing.left_out + 1, &after[1..]);
            } else {
                standing.meet(first, scores);
            }
        },
    );
    Ok(standings
        .into_par_iter()
        .enumerate()
        .map(|(i, standing)| {
            let score_of = |row: usize| cosine(probe.row(i), gallery.row(row));
            let subject = probe_labels[i];
            let mate = (standing.best > f64::NEG_INFINITY).then(|| {
                let close = standing.close.iter().map(|&row| row as usize);
                let ahead = close
                    .filter(|&row| gallery_labels[row] != subject)
                    .filter(|&row| score_of(row) >= standing.best)
                    .count();
                Mate {
                    rank: 1 + standing.above + ahead,
                    score: standing.best,
                }
            });
            let top = score_of(standing.top.1);
            ProbeOutcome {
                subject,
                top: top.max(standing.best),
                mate,
            }
        })
        .collect())
}

/// Single-precision scores this close to a mate's are computed again.
const CLOSE: f64 = 4e-6;

/// One probe while the gallery passes by.
struct Standing {
    /// The best mate's score, −∞ without one.
    best: f64,
    left_out: usize,
    /// Rows that are certainly above the best mate: none of them is a mate.
    above: usize,
    /// Rows too close to tell, mates among them.
    close: Vec<u32>,
    top: (f32, usize),
}

impl Standing {
    fn meet(&mut self, first: usize, scores: &[f32]) {
        let highest = scores
            .iter()
            .fold(f32::NEG_INFINITY, |m, s| if *s > m { *s } else { m });
        if highest > self.top.0 {
            let place = scores.iter().position(|s| *s == highest).unwrap_or(0);
            self.top = (highest, first + place);
        }
        if self.best == f64::NEG_INFINITY {
            return;
        }
        let (low, high) = ((self.best - CLOSE) as f32, (self.best + CLOSE) as f32);
        if highest < low {
            return;
        }
        self.above += scores.iter().filter(|s| **s > high).count();
        for (j, score) in scores.iter().enumerate() {
            if *score >= low && *score <= high {
                self.close.push((first + j) as u32);
            }
        }
    }
}

/// Share of mated probes with a mate in the top k, for every k.
///
/// ```text
/// CMC(k) = #{mated probes with rank ≤ k} / #{mated probes}
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Cmc {
    ranks: Vec<usize>,
    unmated: usize,
}

impl Cmc {
    /// Collects the ranks of the mated probes; probes without a mate are counted apart.
    ///
    /// # Errors
    /// No mated probe.
    pub fn new(outcomes: &[ProbeOutcome]) -> Result<Self> {
        let mut ranks: Vec<usize> = outcomes
            .iter()
            .filter_map(|o| o.mate)
            .map(|m| m.rank)
            .collect();
        if ranks.is_empty() {
            return Err(EvalError::Empty {
                what: "probes with a mate in the gallery",
            });
        }
        ranks.sort_unstable();
        Ok(Self {
            unmated: outcomes.len() - ranks.len(),
            ranks,
        })
    }

    /// The share at rank `k`, with the Wilson interval over probes.
    #[must_use]
    pub fn rank(&self, k: usize) -> Rate {
        Rate::from_counts(self.hits(k), self.ranks.len(), 0.95)
    }

    /// How many mated probes have a mate in the top `k`.
    #[must_use]
    pub fn hits(&self, k: usize) -> usize {
        self.ranks.partition_point(|&r| r <= k)
    }

    /// Number of mated probes.
    #[must_use]
    pub fn mated(&self) -> usize {
        self.ranks.len()
    }

    /// Number of probes left out because the gallery holds no mate.
    #[must_use]
    pub fn unmated(&self) -> usize {
        self.unmated
    }

    /// CMC(1), CMC(2), … CMC(`up_to`), for drawing.
    #[must_use]
    pub fn curve(&self, up_to: usize) -> Vec<f64> {
        (1..=up_to)
            .map(|k| self.hits(k) as f64 / self.ranks.len() as f64)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::similarity::tests::{plain_cosine, random_embeddings};

    #[test]
    fn leave_one_out_ranks_equal_sorting_every_row() {
        let labels: Vec<Subject> = (0..120).map(|i| i / 6).collect();
        let probe = random_embeddings(1, &labels, 12, 2.0);
        let gallery = random_embeddings(1, &labels, 12, 2.5);
        let found = identify(&probe, &labels, &gallery, &labels, Pairs::OtherImages).unwrap();
        let mut hits = [0; 4];
        for i in 0..120 {
            let mut order: Vec<(f64, usize)> = (0..120)
                .filter(|&j| j != i)
                .map(|j| (plain_cosine(probe.row(i), gallery.row(j)), j))
                .collect();
            order.sort_by(|a, b| b.0.total_cmp(&a.0));
            let place = order
                .iter()
                .position(|(_, j)| labels[*j] == labels[i])
                .unwrap();
            assert_eq!(found[i].mate.unwrap().rank, place + 1);
            assert!((found[i].top - order[0].0).abs() < 1e-12);
            for (hit, k) in hits.iter_mut().zip([1, 5, 10, 20]) {
                *hit += usize::from(place < k);
            }
        }
        let cmc = Cmc::new(&found).unwrap();
        for (hit, k) in hits.iter().zip([1, 5, 10, 20]) {
            assert_eq!(cmc.hits(k), *hit);
            assert_eq!(cmc.rank(k).value(), Some(*hit as f64 / 120.0));
            assert_eq!(cmc.curve(20)[k - 1], *hit as f64 / 120.0);
        }
    }

    #[test]
    fn closed_set_ranks_in_a_large_gallery_equal_sorting_every_row() {
        let labels: Vec<Subject> = (0..4000).map(|i| i / 2).collect();
        let gallery = random_embeddings(1, &labels, 16, 2.0);
        let probe_labels: Vec<Subject> = (0..60).map(|i| i * 37).collect();
        let all = random_embeddings(1, &labels, 16, 2.5);
        let rows: Vec<usize> = probe_labels.iter().map(|l| *l as usize * 2).collect();
        let probe = all.select(&rows[..54]).unwrap();
        let found = identify(&probe, &probe_labels[..54], &gallery, &labels, Pairs::All).unwrap();
        for (i, outcome) in found.iter().enumerate() {
            let mut order: Vec<(f64, usize)> = (0..4000)
                .map(|j| (plain_cosine(probe.row(i), gallery.row(j)), j))
                .collect();
            order.sort_by(|a, b| b.0.total_cmp(&a.0));
            let place = order
                .iter()
                .position(|(_, j)| labels[*j] == probe_labels[i])
                .unwrap();
            assert_eq!(outcome.mate.unwrap().rank, place + 1);
            assert!((outcome.mate.unwrap().score - order[place].0).abs() < 1e-12);
            assert!((outcome.top - order[0].0).abs() < 1e-12);
        }
    }

    #[test]
    fn a_tie_with_another_person_counts_against_the_mate() {
        let gallery = Embeddings::new(vec![0.5, 1.0, 1.0, 0.1, 1.0, 0.1, 0.0, 1.0], 2).unwrap();
        let probe = Embeddings::new(vec![1.0, 0.0], 2).unwrap();
        let found = identify(&probe, &[7], &gallery, &[7, 7, 3, 4], Pairs::All).unwrap();
        assert_eq!(found[0].mate.unwrap().rank, 2);
        assert_eq!(found[0].top, found[0].mate.unwrap().score);
    }

    #[test]
    fn probes_without_a_mate_are_counted_apart() {
        let gallery = random_embeddings(1, &[0, 1, 2], 4, 1.0);
        let probe = random_embeddings(2, &[0, 1], 4, 1.0);
        let found = identify(&probe, &[7, 2], &gallery, &[0, 1, 2], Pairs::All).unwrap();
        assert_eq!(found[0].mate, None);
        assert!(found[0].top > -1.0);
        assert!(Cmc::new(&found[..1]).is_err());
        let cmc = Cmc::new(&found).unwrap();
        assert_eq!((cmc.mated(), cmc.unmated()), (1, 1));
    }

    #[test]
    fn leave_one_out_needs_the_same_images_on_both_sides() {
        let a = random_embeddings(1, &[0, 1, 1], 4, 1.0);
        let b = random_embeddings(1, &[0, 1], 4, 1.0);
        assert!(identify(&a, &[0, 1, 1], &b, &[0, 1], Pairs::OtherImages).is_err());
        assert!(identify(&a, &[0, 1, 1], &b, &[0, 1], Pairs::All).is_ok());
    }
}
