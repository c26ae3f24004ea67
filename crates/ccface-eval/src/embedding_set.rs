//! Embeddings as they come from a file, made fit for an evaluation: failed and repeated rows left out and counted.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::comparison::Subject;
use crate::embeddings::Embeddings;
use crate::error::{EvalError, Result};
use crate::labels::Labels;

/// The label of an image that belongs to nobody among the probes.
pub const DISTRACTOR: &str = "-100";

/// Embeddings as they come from a file: rows that may be zero, one label each.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingSet {
    /// Row-major values.
    pub data: Vec<f32>,
    /// Length of a row.
    pub dim: usize,
    /// One label a row; [`DISTRACTOR`] is nobody's.
    pub labels: Vec<String>,
}

/// A set without its failed rows, subjects numbered.
pub(crate) struct Checked {
    pub(crate) rows: Embeddings,
    pub(crate) labels: Vec<Subject>,
    /// The place of each row in the set as it was given.
    pub(crate) origin: Vec<usize>,
    pub(crate) failed: usize,
}

impl EmbeddingSet {
    pub(crate) fn check(self, side: &str, labels: &mut Labels) -> Result<Checked> {
        let dim = self.dim;
        if dim == 0 || !self.data.len().is_multiple_of(dim) {
            return Err(EvalError::Dimension {
                what: format!("the {side}"),
                expected: dim,
                found: if dim == 0 { 0 } else { self.data.len() % dim },
            });
        }
        if self.data.len() / dim != self.labels.len() {
            return Err(EvalError::Length {
                what: format!("{side} labels"),
                expected: self.data.len() / dim,
                found: self.labels.len(),
            });
        }
        let (rows, failed) = Embeddings::new_excluding_zeros(self.data, dim)?;
        let mut next_failed = failed.iter().copied().peekable();
        let mut numbers = Vec::with_capacity(rows.len());
        let mut origin = Vec::with_capacity(rows.len());
        for (row, label) in self.labels.iter().enumerate() {
            if next_failed.next_if_eq(&row).is_some() {
                continue;
            }
            origin.push(row);
            let label = label.trim();
            // Every distractor is a person of its own, known to nobody.
            numbers.push(if label == DISTRACTOR {
                labels.number(&format!("{DISTRACTOR} {side} {row}"))
            } else {
                labels.number(label)
            });
        }
        Ok(Checked {
            rows,
            labels: numbers,
            origin,
            failed: failed.len(),
        })
    }

    pub(crate) fn distractors(&self) -> usize {
        self.labels
            .iter()
            .filter(|l| l.trim() == DISTRACTOR)
            .count()
    }
}

/// Leaves out rows that repeat an earlier one bit by bit.
pub(crate) fn without_duplicates(
    set: Checked,
    labels: &Labels,
    side: &'static str,
) -> Result<(Checked, usize)> {
    let hashes: Vec<u64> = (0..set.rows.len())
        .into_par_iter()
        .map(|i| {
            set.rows
                .row(i)
                .iter()
                .fold(0xcbf2_9ce4_8422_2325, |h: u64, x| {
                    (h ^ u64::from(x.to_bits()))
                        .wrapping_mul(0x0000_0100_0000_01b3)
                        .rotate_left(23)
                })
        })
        .collect();
    let distractor = |label: Subject| {
        labels
            .name(label)
            .is_some_and(|name| name.starts_with("-100 "))
    };
    let mut first_of: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut out = vec![false; set.rows.len()];
    for (i, hash) in hashes.iter().enumerate() {
        let same = first_of.entry(*hash).or_default();
        // The row that stands for this value so far, if any.
        let twin = same
            .iter()
            .position(|&j| set.rows.row(j) == set.rows.row(i));
        let Some(place) = twin else {
            same.push(i);
            continue;
        };
        let j = same[place];
        if set.labels[i] == set.labels[j] || distractor(set.labels[i]) {
            out[i] = true;
        } else if distractor(set.labels[j]) {
            out[j] = true;
            same[place] = i;
        } else {
            return Err(EvalError::NotComparable {
                why: format!(
                    "{side} rows {j} and {i} are identical but labelled `{}` and `{}` (rows counted without zero \
                     rows): one image under two people makes every rate wrong; remove one of them",
                    labels.name(set.labels[j]).unwrap_or("?"),
                    labels.name(set.labels[i]).unwrap_or("?")
                ),
            });
        }
    }
    let dropped = out.iter().filter(|o| **o).count();
    if dropped == 0 {
        return Ok((set, 0));
    }
    let kept: Vec<usize> = (0..out.len()).filter(|i| !out[*i]).collect();
    Ok((
        Checked {
            rows: set.rows.select(&kept)?,
            labels: kept.iter().map(|&i| set.labels[i]).collect(),
            origin: kept.iter().map(|&i| set.origin[i]).collect(),
            failed: set.failed,
        },
        dropped,
    ))
}
