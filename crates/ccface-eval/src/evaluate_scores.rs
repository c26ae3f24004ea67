//! The evaluation of a score table.

use std::collections::BTreeMap;

use crate::comparison::{Comparison, Comparisons, Subject};
use crate::error::Result;
use crate::evaluation::{EvaluationConfig, add_verification, new_document};
use crate::groups::{group_table, size_bins, size_table};
use crate::labels::Labels;
use crate::rate::Rate;
use crate::reject::reject_curve;
use crate::result::ResultDocument;
use crate::score_table::ScoreRow;
use crate::verification::Rule;

/// Evaluates a table of scores: EER, TAR@FAR by both rules, tables by group and size, reject curves.
///
/// Rows without a score count as failures to acquire (`fta`) and are left out of everything else. Where any row
/// lacks a subject, all comparisons are taken as independent and the document says so. Groups, sizes and reject
/// curves use one threshold: that of `config.common_far` over all rows.
///
/// # Errors
/// No genuine or no impostor score, or settings out of range.
pub fn evaluate_scores(rows: &[ScoreRow], config: &EvaluationConfig) -> Result<ResultDocument> {
    let mut document = new_document("scores", config);
    let used: Vec<(&ScoreRow, f64)> = rows
        .iter()
        .filter_map(|row| row.score.map(|score| (row, score)))
        .collect();
    let failed = rows.len() - used.len();
    document.protocol.counts.insert("rows".into(), rows.len());
    document
        .protocol
        .counts
        .insert("failed_comparisons_excluded".into(), failed);
    document
        .metrics
        .insert("fta".into(), failure_rate(failed, rows.len()));
    if failed > 0 {
        document.warnings.push(format!(
            "{failed} of {} comparisons have no score; they are left out of all rates but fta",
            rows.len()
        ));
    }

    let known = used.iter().all(|(row, _)| match row.mated {
        true => row.probe_subject.is_some() || row.gallery_subject.is_some(),
        false => row.probe_subject.is_some() && row.gallery_subject.is_some(),
    });
    if !known && used.iter().any(|(row, _)| row.probe_subject.is_some()) {
        document
            .warnings
            .push("some rows lack a subject, so that no row's subjects are used".into());
    }
    let comparisons = comparisons(&used, known);
    let scores = add_verification(&mut document, &comparisons, config, known)?;

    let common = scores.threshold_at_fmr(config.common_far, Rule::Conservative)?;
    let grouped = used.iter().filter_map(|(row, score)| {
        let group = row.group.clone()?;
        Some((group, (*score, row.mated)))
    });
    let table = group_table(grouped, common);
    if !table.rows.is_empty() {
        document.groups = Some(table);
    }
    let sized: Vec<(f64, (f64, bool))> = used
        .iter()
        .filter_map(|(row, score)| Some((row.size?, (*score, row.mated))))
        .collect();
    if !sized.is_empty() {
        let sizes: Vec<f64> = sized.iter().map(|s| s.0).collect();
        document.sizes = size_table(&sized, &size_bins(&sizes, config.size_bins)?, common);
    }
    document.reject = reject_curves(&used, common.threshold, config)?;
    Ok(document)
}

fn reject_curves(
    used: &[(&ScoreRow, f64)],
    threshold: f64,
    config: &EvaluationConfig,
) -> Result<Vec<crate::reject::RejectCurve>> {
    let mut by_source: BTreeMap<&str, (Vec<f64>, Vec<bool>)> = BTreeMap::new();
    for (row, score) in used.iter().filter(|(row, _)| row.mated) {
        for (source, confidence) in &row.confidence {
            let entry = by_source.entry(source).or_default();
            entry.0.push(*confidence);
            entry.1.push(*score < threshold);
        }
    }
    by_source
        .into_iter()
        .map(|(source, (confidence, error))| {
            reject_curve(source, &confidence, &error, config.curve_points)
        })
        .collect()
}

/// Numbers the subjects; without subjects every comparison gets people of its own.
fn comparisons(used: &[(&ScoreRow, f64)], known: bool) -> Comparisons {
    let mut labels = Labels::default();
    let mut next: Subject = 0;
    let mut fresh = || {
        next += 1;
        next - 1
    };
    let mut all = Comparisons::default();
    for (row, score) in used {
        let (probe, gallery) = if known {
            let probe = row.probe_subject.as_ref().or(row.gallery_subject.as_ref());
            let gallery = row.gallery_subject.as_ref().or(row.probe_subject.as_ref());
            let number = |name: Option<&String>, labels: &mut Labels| {
                labels.number(name.map_or("", String::as_str))
            };
            (number(probe, &mut labels), number(gallery, &mut labels))
        } else if row.mated {
            let own = fresh();
            (own, own)
        } else {
            (fresh(), fresh())
        };
        let list = if row.mated {
            &mut all.genuine
        } else {
            &mut all.impostor
        };
        list.push(Comparison {
            score: *score,
            probe,
            gallery,
        });
    }
    all
}

/// The share of failures; here the failures are what is counted.
pub(crate) fn failure_rate(failed: usize, n: usize) -> Rate {
    match Rate::from_counts(failed, n, 0.95) {
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
            low_confidence: failed < 30,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rng::Stream;
    use crate::verification::Scores;

    fn rows(subjects: bool) -> Vec<ScoreRow> {
        let mut rng = Stream::new(1, 0);
        let mut rows = Vec::new();
        for a in 0..30 {
            for b in 0..30 {
                let mated = a == b;
                for _ in 0..if mated { 10 } else { 1 } {
                    let size = [8.0, 16.0, 32.0][rng.below(3)];
                    let shift = if mated { 1.0 + size / 16.0 } else { 0.0 };
                    rows.push(ScoreRow {
                        score: Some(rng.normal() + shift),
                        mated,
                        probe_subject: subjects.then(|| format!("p{a}")),
                        gallery_subject: subjects.then(|| format!("p{b}")),
                        group: Some(if a < 10 { "x" } else { "y" }.to_owned()),
                        size: Some(size),
                        confidence: BTreeMap::from([("confidence".to_owned(), size)]),
                    });
                }
            }
        }
        rows
    }

    #[test]
    fn the_document_holds_the_plain_metrics() {
        let rows = rows(true);
        let document = evaluate_scores(&rows, &EvaluationConfig::default()).unwrap();
        let pick = |mated| {
            rows.iter()
                .filter(|r| r.mated == mated)
                .filter_map(|r| r.score)
                .collect::<Vec<_>>()
        };
        let scores = Scores::new(pick(true), pick(false)).unwrap();
        assert_eq!(document.metrics["eer"].value(), Some(scores.eer().value));
        for rule in [Rule::Conservative, Rule::Nearest] {
            let name = match rule {
                Rule::Conservative => "tar@far=0.01",
                Rule::Nearest => "tar@far=0.01/nearest",
            };
            let expected = scores.tar_at_far(0.01, rule).unwrap().value();
            assert_eq!(document.metrics[name].value(), expected);
        }
        assert!(matches!(
            document.metrics["tar@far=0.001"],
            Rate::Insufficient { .. }
        ));
        assert_eq!(document.metrics["fta"].value(), Some(0.0));
        assert_eq!(document.statistics.subjects, Some(30));
        assert_eq!(document.protocol.counts["genuine_comparisons"], 300);
        assert_eq!(document.sizes.len(), 3);
        assert!(document.sizes[0].eer > document.sizes[2].eer);
        assert_eq!(document.groups.as_ref().unwrap().rows.len(), 2);
        assert_eq!(document.reject.len(), 1);
        assert!(document.reject[0].points[150].1 < document.reject[0].points[0].1);
    }

    #[test]
    fn a_document_survives_json() {
        let document = evaluate_scores(&rows(true), &EvaluationConfig::default()).unwrap();
        let text = document.to_json().unwrap();
        assert!(ResultDocument::from_json(&text).unwrap() == document);
        assert!(document.to_csv().contains("\neer,"));
        assert!(document.to_csv().contains("insufficient: 870 impostor"));
    }

    #[test]
    fn without_subjects_the_document_says_that_comparisons_count_as_independent() {
        let document = evaluate_scores(&rows(false), &EvaluationConfig::default()).unwrap();
        assert!(document.statistics.interval.contains("independent"));
        assert_eq!(document.statistics.subjects, None);
        let mut mixed = rows(true);
        mixed[3].gallery_subject = None;
        mixed[12].gallery_subject = None;
        let document = evaluate_scores(&mixed, &EvaluationConfig::default()).unwrap();
        assert!(document.warnings[0].contains("some rows lack a subject"));
    }

    #[test]
    fn failed_comparisons_are_counted_and_left_out() {
        let mut rows = rows(true);
        for row in rows.iter_mut().take(117) {
            row.score = None;
        }
        let document = evaluate_scores(&rows, &EvaluationConfig::default()).unwrap();
        assert_eq!(document.metrics["fta"].value(), Some(0.1));
        assert_eq!(document.protocol.counts["failed_comparisons_excluded"], 117);
        assert!(document.warnings[0].contains("117 of 1170"));
    }
}
