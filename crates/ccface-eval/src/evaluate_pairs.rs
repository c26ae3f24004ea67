//! The evaluation of listed pairs: the LFW family and SurvFace verification.

use std::collections::BTreeMap;

use crate::comparison::{Comparison, Comparisons, Subject};
use crate::embeddings::Embeddings;
use crate::error::{EvalError, Result};
use crate::evaluation::{EvaluationConfig, add_verification, fingerprint, new_document};
use crate::folds::{fold_accuracy, fold_val};
use crate::protocol::ImagePair;
use crate::rate::Rate;
use crate::result::{ResultDocument, Trials};
use crate::search::cosine;
use crate::similarity::check_labels;
use crate::worst::add_worst;

/// Folds of the LFW protocol.
const FOLDS: usize = 10;

/// Evaluates listed pairs of images: ten-fold `accuracy`, `val@far=0.001`, EER and TAR@FAR.
///
/// `labels` says who is on each image; without it pairs are taken as independent and the document says so. The
/// order of the pairs makes the folds.
///
/// # Errors
/// A pair that points past the images, labels of the wrong number or against a pair's mark, fewer than ten pairs,
/// no genuine or no impostor pair, or settings out of range.
pub fn evaluate_pairs(
    images: &Embeddings,
    labels: Option<&[Subject]>,
    pairs: &[ImagePair],
    config: &EvaluationConfig,
) -> Result<ResultDocument> {
    if let Some(labels) = labels {
        check_labels("labels", images, labels)?;
    }
    let mut document = new_document("pairs", config);
    let mut comparisons = Comparisons::default();
    let (mut genuine, mut impostor) = (Vec::new(), Vec::new());
    let (mut distances, mut same, mut first) = (Vec::new(), Vec::new(), Vec::new());
    for (index, pair) in pairs.iter().enumerate() {
        if pair.a.max(pair.b) >= images.len() {
            return Err(EvalError::Length {
                what: format!("pair {index} points to image {}", pair.a.max(pair.b)),
                expected: pair.a.max(pair.b) + 1,
                found: images.len(),
            });
        }
        let independent = 2 * index as Subject;
        let (probe, gallery) = match labels {
            Some(labels) => (labels[pair.a], labels[pair.b]),
            None => (independent, independent + u32::from(!pair.same)),
        };
        if (probe == gallery) != pair.same {
            return Err(EvalError::NotComparable {
                why: format!(
                    "pair {index} is marked {}, but its images are labelled otherwise",
                    if pair.same { "same" } else { "different" }
                ),
            });
        }
        let score = cosine(images.row(pair.a), images.row(pair.b));
        distances.push(2.0 - 2.0 * score);
        same.push(pair.same);
        first.push(probe);
        let (list, scored) = if pair.same {
            (&mut comparisons.genuine, &mut genuine)
        } else {
            (&mut comparisons.impostor, &mut impostor)
        };
        scored.push((score, pair.a, pair.b));
        list.push(Comparison {
            score,
            probe,
            gallery,
        });
    }
    add_verification(&mut document, &comparisons, config, labels.is_some())?;
    add_worst(&mut document, genuine, impostor, config.common_far);
    let accuracy = fold_accuracy(&distances, &same, FOLDS)?;
    let right = accuracy.correct.iter().filter(|c| **c).count();
    let ends = config.bootstrap.share(&first, &accuracy.correct)?;
    let mut rate = Rate::from_counts(right, pairs.len(), config.bootstrap.level);
    if let Rate::Measured { value, .. } = &mut rate {
        *value = accuracy.mean;
    }
    document
        .metrics
        .insert("accuracy".into(), rate.with_interval(ends));
    document.warnings.push(format!(
        "accuracy over {FOLDS} folds: {:.4} ± {:.4} (ddof 0)",
        accuracy.mean, accuracy.std
    ));
    let far = 1e-3;
    let impostors = comparisons.impostor.len();
    let name = format!("val@far={far}");
    if (impostors as f64) * far < 1.0 {
        let why = format!(
            "{impostors} impostor pairs cannot show FAR {far}: at least {} are needed",
            1.0 / far
        );
        document.metrics.insert(name, Rate::insufficient(why));
    } else {
        let val = fold_val(&distances, &same, FOLDS, far)?;
        let genuine = comparisons.genuine.len();
        let hits = (val.val * genuine as f64).round() as usize;
        let mut rate = Rate::from_counts(hits, genuine, config.bootstrap.level);
        if let Rate::Measured {
            value,
            low_confidence,
            ..
        } = &mut rate
        {
            *value = val.val;
            *low_confidence |= (impostors as f64) * far < crate::rate::ENOUGH_ERRORS;
        }
        document.metrics.insert(name, rate);
        document.warnings.push(format!(
            "val@far={far}: the FAR reached on the test folds is {:.5}",
            val.far
        ));
    }
    document.protocol.counts.insert("pairs".into(), pairs.len());
    if config.keep_trials {
        let who = pairs.iter().flat_map(|p| [p.a as u32, p.b as u32]);
        document.trials.insert(
            "pairs".into(),
            Trials {
                fingerprint: fingerprint(who),
                subjects: first,
                hits: BTreeMap::from([("accuracy".to_owned(), Trials::pack(&accuracy.correct))]),
            },
        );
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::similarity::tests::random_embeddings;

    fn pairs(people: usize) -> (Vec<Subject>, Vec<ImagePair>) {
        let labels = (0..2 * people).map(|i| i as Subject / 2).collect();
        let pairs = (0..2 * people)
            .map(|i| {
                let same = i / 30 % 2 == 0;
                let person = i % people;
                let other = if same { person } else { (person + 1) % people };
                ImagePair {
                    a: 2 * person,
                    b: 2 * other + 1,
                    same,
                }
            })
            .collect();
        (labels, pairs)
    }

    #[test]
    fn pairs_give_accuracy_and_verification() {
        let (labels, pairs) = pairs(900);
        let images = random_embeddings(1, &labels, 16, 1.2);
        let config = EvaluationConfig::default();
        let found = evaluate_pairs(&images, Some(&labels), &pairs, &config).unwrap();
        let distances: Vec<f64> = pairs
            .iter()
            .map(|p| 2.0 - 2.0 * cosine(images.row(p.a), images.row(p.b)))
            .collect();
        let same: Vec<bool> = pairs.iter().map(|p| p.same).collect();
        let plain = fold_accuracy(&distances, &same, 10).unwrap();
        assert_eq!(found.metrics["accuracy"].value(), Some(plain.mean));
        assert!(matches!(
            found.metrics["val@far=0.001"],
            Rate::Insufficient { .. }
        ));
        assert!(found.metrics["eer"].value().unwrap() < 0.3);
        assert_eq!(
            found.trials["pairs"].unpack("accuracy").unwrap(),
            plain.correct
        );
        let blind = evaluate_pairs(&images, None, &pairs, &config).unwrap();
        assert_eq!(blind.metrics["accuracy"].value(), Some(plain.mean));
        assert!(blind.statistics.interval.contains("independent"));
    }

    #[test]
    fn contradicting_labels_and_wrong_indices_are_refused() {
        let (mut labels, mut pairs) = pairs(40);
        let images = random_embeddings(1, &labels, 8, 1.0);
        let config = EvaluationConfig::default();
        labels.swap(0, 2);
        let error = evaluate_pairs(&images, Some(&labels), &pairs, &config).unwrap_err();
        assert!(
            error.to_string().contains("pair 0 is marked same"),
            "{error}"
        );
        pairs[1].b = 99;
        let error = evaluate_pairs(&images, None, &pairs, &config).unwrap_err();
        assert!(
            error.to_string().contains("pair 1 points to image 99"),
            "{error}"
        );
    }
}
