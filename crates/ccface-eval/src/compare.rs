//! Several result documents side by side, with paired tests where they share their trials.

use serde::{Deserialize, Serialize};

use crate::bootstrap::Bootstrap;
use crate::error::{EvalError, Result};
use crate::paired_test::{NonInferiority, PairedOutcome, holm, non_inferiority, paired_test};
use crate::rate::Rate;
use crate::result::ResultDocument;

/// Documents side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonTable {
    /// The documents' names, in the order given.
    pub names: Vec<String>,
    /// The protocol they share.
    pub protocol: String,
    /// One row per metric that any document has.
    pub metrics: Vec<MetricRow>,
    /// Paired tests of every pair of documents on every measure that both kept outcomes of.
    pub paired: Vec<PairedRow>,
    /// What limits the comparison.
    pub warnings: Vec<String>,
}

/// One metric in all documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricRow {
    /// The metric's name.
    pub metric: String,
    /// Its outcome in each document; `None` where a document lacks it.
    pub rates: Vec<Option<Rate>>,
}

/// One paired test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairedRow {
    /// The measure.
    pub metric: String,
    /// Index of document A.
    pub a: usize,
    /// Index of document B.
    pub b: usize,
    /// B against A.
    #[serde(flatten)]
    pub outcome: PairedOutcome,
    /// Whether B is at most the asked margin worse than A.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub non_inferiority: Option<NonInferiority>,
    /// The bootstrap's p-value, adjusted by Holm over all rows of the table.
    pub holm_p: f64,
}

/// Puts documents of one protocol side by side.
///
/// The tests are Holm-adjusted over all of them together. EER has no per-trial outcome, so it is compared by its
/// intervals alone.
///
/// With a `margin`, every test also says whether the later document is at most that much worse (non-inferiority).
///
/// # Errors
/// Fewer than two documents, documents of different protocols, which must never be compared, or a margin outside
/// (0, 1).
pub fn compare(
    documents: &[(String, ResultDocument)],
    bootstrap: &Bootstrap,
    margin: Option<f64>,
) -> Result<ComparisonTable> {
    let [(first_name, first), rest @ ..] = documents else {
        return Err(EvalError::NotComparable {
            why: "no result document given; give two or more".into(),
        });
    };
    if rest.is_empty() {
        return Err(EvalError::NotComparable {
            why: "only one result document given; give two or more".into(),
        });
    }
    for (name, document) in rest {
        if document.protocol.name != first.protocol.name {
            return Err(EvalError::NotComparable {
                why: format!(
                    "{first_name} was made under protocol `{}` and {name} under `{}`; figures of different protocols \
                     say nothing about each other",
                    first.protocol.name, document.protocol.name
                ),
            });
        }
    }
    let mut warnings = Vec::new();
    for (name, document) in rest {
        if document.protocol.counts != first.protocol.counts {
            warnings.push(format!("{first_name} and {name} differ in what they counted (probes, gallery or exclusions)"));
        }
        let facts = |d: &ResultDocument| {
            let p = &d.protocol;
            (p.data_hash.clone(), p.alignment.clone(), p.fusion.clone())
        };
        if facts(document) != facts(first) {
            warnings.push(format!(
                "{first_name} and {name} differ in data, alignment or fusion"
            ));
        }
    }
    let mut names: Vec<&String> = documents
        .iter()
        .flat_map(|(_, d)| d.metrics.keys())
        .collect();
    names.sort();
    names.dedup();
    let metrics = names
        .into_iter()
        .map(|metric| MetricRow {
            metric: metric.clone(),
            rates: documents
                .iter()
                .map(|(_, d)| d.metrics.get(metric).cloned())
                .collect(),
        })
        .collect();
    let mut paired = Vec::new();
    for a in 0..documents.len() {
        for b in a + 1..documents.len() {
            let rows = paired_rows(documents, a, b, bootstrap, margin)?;
            if rows.is_empty() {
                warnings.push(format!(
                    "{} and {} hold no outcomes of the same trials: no paired test; overlapping intervals settle nothing",
                    documents[a].0, documents[b].0
                ));
            }
            paired.extend(rows);
        }
    }
    let adjusted = holm(
        &paired
            .iter()
            .map(|row| row.outcome.bootstrap_p)
            .collect::<Vec<_>>(),
    );
    for (row, p) in paired.iter_mut().zip(adjusted) {
        row.holm_p = p;
    }
    Ok(ComparisonTable {
        names: documents.iter().map(|(name, _)| name.clone()).collect(),
        protocol: first.protocol.name.clone(),
        metrics,
        paired,
        warnings,
    })
}

fn paired_rows(
    documents: &[(String, ResultDocument)],
    a: usize,
    b: usize,
    bootstrap: &Bootstrap,
    margin: Option<f64>,
) -> Result<Vec<PairedRow>> {
    let mut rows = Vec::new();
    for (kind, trials_a) in &documents[a].1.trials {
        let Some(trials_b) = documents[b].1.trials.get(kind) else {
            continue;
        };
        if trials_a.fingerprint != trials_b.fingerprint || trials_a.subjects != trials_b.subjects {
            continue;
        }
        for metric in trials_a.hits.keys() {
            if let (Some(hits_a), Some(hits_b)) = (trials_a.unpack(metric), trials_b.unpack(metric))
            {
                let people = &trials_a.subjects;
                let not_worse = |m| non_inferiority(people, &hits_a, &hits_b, m, bootstrap);
                rows.push(PairedRow {
                    metric: metric.clone(),
                    a,
                    b,
                    outcome: paired_test(people, &hits_a, &hits_b, bootstrap)?,
                    non_inferiority: margin.map(not_worse).transpose()?,
                    holm_p: 1.0,
                });
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::comparison::Subject;
    use crate::embedding_set::EmbeddingSet;
    use crate::evaluate_embeddings::evaluate_embeddings;
    use crate::evaluation::EvaluationConfig;
    use crate::similarity::tests::random_embeddings;

    fn document(noise: f64, people: u32) -> ResultDocument {
        let labels: Vec<Subject> = (0..people * 4).map(|i| i / 4).collect();
        let set = |seed| EmbeddingSet {
            data: random_embeddings(seed, &labels, 16, noise).data().to_vec(),
            dim: 16,
            labels: labels.iter().map(|l| l.to_string()).collect(),
        };
        evaluate_embeddings(set(1), None, &EvaluationConfig::default()).unwrap()
    }

    fn probe_document(noise: f64) -> ResultDocument {
        let labels: Vec<Subject> = (0..200).map(|i| i / 4).collect();
        let names: Vec<String> = labels.iter().map(|l| l.to_string()).collect();
        let set = |noise| EmbeddingSet {
            data: random_embeddings(1, &labels, 16, noise).data().to_vec(),
            dim: 16,
            labels: names.clone(),
        };
        evaluate_embeddings(set(noise), Some(set(1.0)), &EvaluationConfig::default()).unwrap()
    }

    #[test]
    fn a_better_model_wins_the_paired_test_on_the_same_probes() {
        let documents = [
            ("worse.json".to_owned(), probe_document(6.0)),
            ("better.json".to_owned(), probe_document(2.5)),
        ];
        let table = compare(&documents, &Bootstrap::default(), Some(0.02)).unwrap();
        let rank1 = table.paired.iter().find(|r| r.metric == "rank1").unwrap();
        assert!(rank1.outcome.difference > 0.1 && rank1.holm_p < 0.01);
        assert!(rank1.holm_p >= rank1.outcome.bootstrap_p);
        let row = table.metrics.iter().find(|r| r.metric == "rank1").unwrap();
        let values: Vec<f64> = row.rates.iter().flatten().filter_map(Rate::value).collect();
        assert!((values[1] - values[0] - rank1.outcome.difference).abs() < 1e-9);
        assert!(
            rank1.non_inferiority.unwrap().shown && rank1.non_inferiority.unwrap().margin == 0.02
        );
        assert!(table.warnings.is_empty());
        assert!(compare(&documents, &Bootstrap::default(), Some(1.5)).is_err());
    }

    #[test]
    fn different_protocols_and_single_documents_are_refused() {
        let a = document(2.0, 10);
        let mut b = a.clone();
        b.protocol.name = "scface/ft80".into();
        let boot = Bootstrap::default();
        let error = compare(&[("a".into(), a.clone()), ("b".into(), b)], &boot, None).unwrap_err();
        assert!(error.to_string().contains("scface/ft80"));
        assert!(compare(&[("a".into(), a)], &boot, None).is_err());
        assert!(compare(&[], &boot, None).is_err());
    }

    #[test]
    fn different_probes_are_not_paired_and_the_table_says_so() {
        let documents = [
            ("a".into(), document(2.0, 10)),
            ("b".into(), document(2.0, 12)),
        ];
        let table = compare(&documents, &Bootstrap::default(), None).unwrap();
        assert!(table.paired.is_empty());
        assert!(table.warnings.iter().any(|w| w.contains("no paired test")));
        assert!(
            table
                .warnings
                .iter()
                .any(|w| w.contains("differ in what they counted"))
        );
    }
}
