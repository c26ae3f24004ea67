//! Error rates per group of comparisons and by face size, at thresholds fixed on all of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{EvalError, Result};
use crate::rate::Rate;
use crate::verification::{OperatingPoint, Scores};

/// Error rates of every group at one common threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupTable {
    /// The common threshold.
    pub threshold: f64,
    /// One row per group, in alphabetical order.
    pub rows: Vec<GroupRow>,
    /// Highest over lowest FMR among groups, where the lowest is not zero.
    pub fmr_ratio: Option<f64>,
    /// Highest over lowest FNMR among groups, where the lowest is not zero.
    pub fnmr_ratio: Option<f64>,
}

/// Error rates of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupRow {
    /// The group's name.
    pub group: String,
    /// FMR at the common threshold.
    pub fmr: Rate,
    /// FNMR at the common threshold.
    pub fnmr: Rate,
}

/// Error rates of one range of face sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SizeRow {
    /// Smallest size in the bin.
    pub from: f64,
    /// Largest size in the bin.
    pub to: f64,
    /// The bin's own equal error rate, where both kinds of comparisons exist.
    pub eer: Option<f64>,
    /// FMR at the common threshold.
    pub fmr: Rate,
    /// FNMR at the common threshold.
    pub fnmr: Rate,
}

/// A score and whether it is genuine.
pub(crate) type Marked = (f64, bool);

/// FMR and FNMR with naive intervals, errors counted as misses.
fn rates(list: &[Marked], threshold: f64) -> (Rate, Rate) {
    let count = |genuine: bool, test: &dyn Fn(f64) -> bool| {
        let of_kind = list.iter().filter(|m| m.1 == genuine);
        let n = of_kind.clone().count();
        (of_kind.filter(|m| test(m.0)).count(), n)
    };
    let (false_matches, impostors) = count(false, &|s| s >= threshold);
    let (false_rejects, genuine) = count(true, &|s| s < threshold);
    (
        error_rate(false_matches, impostors),
        error_rate(false_rejects, genuine),
    )
}

/// A rate whose hits are the errors.
fn error_rate(errors: usize, n: usize) -> Rate {
    match Rate::from_counts(errors, n, 0.95) {
        Rate::Measured {
            value,
            low,
            high,
            n,
            ..
        } => Rate::Measured {
            value,
            low,
            high,
            n,
            low_confidence: (errors as f64) < crate::rate::ENOUGH_ERRORS,
        },
        other => other,
    }
}

/// Builds the table by group.
pub(crate) fn group_table(
    rows: impl Iterator<Item = (String, Marked)>,
    at: OperatingPoint,
) -> GroupTable {
    let mut by_name: BTreeMap<String, Vec<Marked>> = BTreeMap::new();
    for (name, marked) in rows {
        by_name.entry(name).or_default().push(marked);
    }
    let rows: Vec<GroupRow> = by_name
        .into_iter()
        .map(|(group, list)| {
            let (fmr, fnmr) = rates(&list, at.threshold);
            GroupRow { group, fmr, fnmr }
        })
        .collect();
    let ratio = |pick: &dyn Fn(&GroupRow) -> Option<f64>| {
        let values: Vec<f64> = rows.iter().filter_map(pick).collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(0.0, f64::max);
        (values.len() > 1 && low > 0.0).then(|| high / low)
    };
    GroupTable {
        threshold: at.threshold,
        fmr_ratio: ratio(&|r| r.fmr.value()),
        fnmr_ratio: ratio(&|r| r.fnmr.value()),
        rows,
    }
}

/// Builds the table by size.
pub(crate) fn size_table(
    list: &[(f64, Marked)],
    bins: &[(f64, f64)],
    at: OperatingPoint,
) -> Vec<SizeRow> {
    bins.iter()
        .map(|&(from, to)| {
            let inside: Vec<Marked> = list
                .iter()
                .filter(|(size, _)| *size >= from && *size <= to)
                .map(|(_, m)| *m)
                .collect();
            let (fmr, fnmr) = rates(&inside, at.threshold);
            let pick = |genuine| {
                inside
                    .iter()
                    .filter(|m| m.1 == genuine)
                    .map(|m| m.0)
                    .collect()
            };
            let eer = Scores::new(pick(true), pick(false))
                .ok()
                .map(|s| s.eer().value);
            SizeRow {
                from,
                to,
                eer,
                fmr,
                fnmr,
            }
        })
        .collect()
}

/// Splits sizes into at most `most` bins of about equal counts; equal sizes stay together.
///
/// With no more than `most` distinct sizes each gets its own bin. A bin is (smallest, largest size in it).
///
/// # Errors
/// No size, one that is not finite, or `most` = 0.
pub fn size_bins(sizes: &[f64], most: usize) -> Result<Vec<(f64, f64)>> {
    if sizes.is_empty() || most == 0 {
        return Err(EvalError::Empty {
            what: "face sizes or bins for them",
        });
    }
    if let Some(index) = sizes.iter().position(|s| !s.is_finite()) {
        return Err(EvalError::NotFinite {
            what: "face size",
            index,
            value: sizes[index],
        });
    }
    let mut sorted = sizes.to_vec();
    sorted.sort_by(f64::total_cmp);
    let runs: Vec<(f64, usize)> = sorted
        .chunk_by(|a, b| a == b)
        .map(|run| (run[0], run.len()))
        .collect();
    if runs.len() <= most {
        return Ok(runs.into_iter().map(|(size, _)| (size, size)).collect());
    }
    let mut bins: Vec<(f64, f64)> = Vec::new();
    let (mut taken, mut in_bin) = (0, 0);
    for (size, count) in runs {
        let share = (sorted.len() - taken) as f64 / (most - bins.len().saturating_sub(1)) as f64;
        let open_another =
            in_bin > 0 && bins.len() < most && in_bin as f64 + count as f64 / 2.0 > share;
        match bins.last_mut() {
            Some(last) if !open_another => {
                last.1 = size;
                in_bin += count;
            }
            _ => {
                taken += in_bin;
                bins.push((size, size));
                in_bin = count;
            }
        }
    }
    Ok(bins)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn few_sizes_get_a_bin_each() {
        let bins = size_bins(&[8.0, 16.0, 8.0, 112.0], 6).unwrap();
        assert_eq!(bins, [(8.0, 8.0), (16.0, 16.0), (112.0, 112.0)]);
    }

    #[test]
    fn many_sizes_are_split_into_bins_of_like_counts_that_cover_all() {
        let mut rng = Stream::new(1, 0);
        let sizes: Vec<f64> = (0..1000)
            .map(|_| 5.0 + (100.0 * rng.uniform().powi(3)).round())
            .collect();
        let bins = size_bins(&sizes, 5).unwrap();
        assert!(bins.len() <= 5 && bins.len() >= 3, "{bins:?}");
        let mut covered = 0;
        for (k, &(from, to)) in bins.iter().enumerate() {
            let inside = sizes.iter().filter(|s| **s >= from && **s <= to).count();
            assert!((60..=450).contains(&inside), "{inside} in {bins:?}");
            covered += inside;
            assert!(k == 0 || bins[k - 1].1 < from);
        }
        assert_eq!(covered, 1000);
    }

    #[test]
    fn bins_need_finite_sizes() {
        assert!(size_bins(&[], 3).is_err());
        assert!(size_bins(&[f64::NAN], 3).is_err());
    }

    #[test]
    fn groups_are_judged_at_the_common_threshold() {
        let at = OperatingPoint {
            threshold: 0.5,
            fmr: 0.0,
            fnmr: 0.0,
        };
        let rows = [
            ("b", (0.9, true)),
            ("b", (0.6, false)),
            ("b", (0.1, false)),
            ("a", (0.4, true)),
            ("a", (0.7, true)),
            ("a", (0.2, false)),
            ("a", (0.2, false)),
            ("a", (0.8, false)),
            ("a", (0.1, false)),
        ];
        let table = group_table(rows.iter().map(|(g, m)| ((*g).to_owned(), *m)), at);
        assert_eq!(table.rows[0].group, "a");
        assert_eq!(table.rows[0].fmr.value(), Some(0.25));
        assert_eq!(table.rows[0].fnmr.value(), Some(0.5));
        assert_eq!(table.rows[1].fmr.value(), Some(0.5));
        assert_eq!(table.fmr_ratio, Some(2.0));
        assert_eq!(table.fnmr_ratio, None);
    }
}
