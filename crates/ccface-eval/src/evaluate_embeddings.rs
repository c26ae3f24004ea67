//! The evaluation of embeddings: verification, closed-set and open-set identification.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::comparison::{Comparison, Comparisons, Subject};
use crate::embedding_set::{EmbeddingSet, without_duplicates};
use crate::embeddings::Embeddings;
use crate::error::{EvalError, Result};
use crate::evaluate_scores::failure_rate;
use crate::evaluation::{EvaluationConfig, add_verification, fingerprint, new_document};
use crate::identification::{Cmc, ProbeOutcome, identify};
use crate::labels::Labels;
use crate::open_set::tpir_at_fpir;
use crate::rate::Rate;
use crate::result::{ResultDocument, Trials};
use crate::rng::Stream;
use crate::search::cosine;
use crate::similarity::{Pairs, cross_comparisons};
use crate::worst::{add_worst, extremes};

/// Evaluates a probe set against a gallery, or against itself where no gallery is given.
///
/// With a gallery, every probe meets every gallery row. Without one, verification takes all unordered pairs and
/// identification leaves one image out. A label of [`crate::DISTRACTOR`], or a probe label that the gallery does not hold,
/// is non-mated.
///
/// Zero rows are failures to enrol: counted (`fte`) and left out. A gallery row that repeats another one exactly is
/// left out and counted when it has the same label or is a distractor; under another person's label it is an error.
///
/// Beyond `config.most_comparisons` all genuine comparisons and a random sample of impostors are verified, and the
/// counts say so; identification always meets the whole gallery.
///
/// # Errors
/// NaN, mixed dimensions, labels of the wrong number, contradicting duplicates, or settings out of range.
pub fn evaluate_embeddings(
    probe: EmbeddingSet,
    gallery: Option<EmbeddingSet>,
    config: &EvaluationConfig,
) -> Result<ResultDocument> {
    let mut document = new_document("embeddings", config);
    let mut labels = Labels::default();
    let distractors = gallery.as_ref().map_or(0, EmbeddingSet::distractors);
    let probes_given = probe.labels.len();
    let probe = probe.check("probe", &mut labels)?;
    let own_gallery = gallery.is_none();
    let pairs = if own_gallery {
        Pairs::OtherImages
    } else {
        Pairs::All
    };
    let (probe, gallery) = match gallery {
        Some(gallery) => {
            let given = gallery.labels.len();
            let gallery = gallery.check("gallery", &mut labels)?;
            if gallery.rows.dim() != probe.rows.dim() {
                return Err(EvalError::Dimension {
                    what: "the gallery".into(),
                    expected: probe.rows.dim(),
                    found: gallery.rows.dim(),
                });
            }
            document
                .metrics
                .insert("fte/gallery".into(), failure_rate(gallery.failed, given));
            let (gallery, duplicates) = without_duplicates(gallery, &labels, "gallery")?;
            count_exclusions(&mut document, "gallery", gallery.failed, duplicates);
            (probe, Some(gallery))
        }
        None => {
            let (probe, duplicates) = without_duplicates(probe, &labels, "probe")?;
            count_exclusions(&mut document, "probe", 0, duplicates);
            (probe, None)
        }
    };
    document
        .metrics
        .insert("fte/probe".into(), failure_rate(probe.failed, probes_given));
    count_exclusions(&mut document, "probe", probe.failed, 0);
    let against = gallery.as_ref().unwrap_or(&probe);
    let (gallery_rows, gallery_labels) = (&against.rows, &against.labels);
    let counts = &mut document.protocol.counts;
    counts.insert("probes".into(), probe.rows.len());
    counts.insert("gallery".into(), gallery_rows.len());
    counts.insert("gallery_distractors".into(), distractors);
    document.protocol.data_hash = Some(data_hash(&labels, &probe.labels, gallery_labels));

    let all_pairs = match pairs {
        Pairs::All => probe.rows.len() * gallery_rows.len(),
        _ => probe.rows.len() * (probe.rows.len() - 1) / 2,
    };
    let comparisons = if all_pairs <= config.most_comparisons {
        let within = if own_gallery {
            Pairs::Unordered
        } else {
            Pairs::All
        };
        cross_comparisons(
            &probe.rows,
            &probe.labels,
            gallery_rows,
            gallery_labels,
            within,
        )?
    } else {
        let sampled = sampled_comparisons(
            (&probe.rows, &probe.labels),
            (gallery_rows, gallery_labels),
            pairs,
            config,
        );
        document.warnings.push(format!(
            "verification uses all {} genuine and {} randomly drawn impostor comparisons of {all_pairs} pairs",
            sampled.genuine.len(),
            sampled.impostor.len()
        ));
        sampled
    };
    if comparisons.genuine.is_empty() || comparisons.impostor.is_empty() {
        let why = format!(
            "{} genuine and {} impostor comparisons",
            comparisons.genuine.len(),
            comparisons.impostor.len()
        );
        document
            .metrics
            .insert("eer".into(), Rate::insufficient(why.clone()));
        for far in &config.fars {
            for suffix in ["", "/nearest"] {
                let name = format!("tar@far={far}{suffix}");
                document
                    .metrics
                    .insert(name, Rate::insufficient(why.clone()));
            }
        }
    } else {
        add_verification(&mut document, &comparisons, config, true)?;
        let sides = (&probe.rows, &probe.labels[..]);
        let (genuine, impostor) = extremes(sides, (gallery_rows, gallery_labels), own_gallery);
        let given = |list: Vec<(f64, usize, usize)>| {
            let row =
                |(score, i, j): (f64, usize, usize)| (score, probe.origin[i], against.origin[j]);
            list.into_iter().map(row).collect()
        };
        add_worst(
            &mut document,
            given(genuine),
            given(impostor),
            config.common_far,
        );
    }
    let outcomes = if gallery_rows.len() < 2 && own_gallery {
        Vec::new()
    } else {
        identify(
            &probe.rows,
            &probe.labels,
            gallery_rows,
            gallery_labels,
            pairs,
        )?
    };
    add_identification(&mut document, &outcomes, gallery_rows.len(), config)?;
    Ok(document)
}

/// Adds CMC ranks, TPIR@FPIR and the probe trials of these outcomes.
///
/// # Errors
/// Settings out of range.
pub fn add_identification(
    document: &mut ResultDocument,
    outcomes: &[ProbeOutcome],
    gallery_size: usize,
    config: &EvaluationConfig,
) -> Result<()> {
    let mated: Vec<&ProbeOutcome> = outcomes.iter().filter(|o| o.mate.is_some()).collect();
    let counts = &mut document.protocol.counts;
    counts.insert("mated_probes".into(), mated.len());
    counts.insert("nonmated_probes".into(), outcomes.len() - mated.len());
    let subjects: Vec<Subject> = mated.iter().map(|o| o.subject).collect();
    if mated.is_empty() {
        let why = "no probe has a mate in the gallery";
        for rank in &config.ranks {
            document
                .metrics
                .insert(format!("rank{rank}"), Rate::insufficient(why));
        }
        for fpir in &config.fpirs {
            let name = format!("tpir{}@fpir={fpir}", config.tpir_rank);
            document.metrics.insert(name, Rate::insufficient(why));
        }
        return Ok(());
    }
    let cmc = Cmc::new(outcomes)?;
    document.curves.cmc = cmc.curve(
        config
            .ranks
            .iter()
            .copied()
            .max()
            .unwrap_or(1)
            .max(50)
            .min(gallery_size),
    );
    let mut hits_of = std::collections::BTreeMap::new();
    for &rank in &config.ranks {
        let hits: Vec<bool> = mated
            .iter()
            .map(|o| o.mate.is_some_and(|m| m.rank <= rank))
            .collect();
        let ends = config.bootstrap.share(&subjects, &hits)?;
        document
            .metrics
            .insert(format!("rank{rank}"), cmc.rank(rank).with_interval(ends));
        hits_of.insert(format!("rank{rank}"), Trials::pack(&hits));
    }
    for &fpir in &config.fpirs {
        let mut found = tpir_at_fpir(outcomes, gallery_size, config.tpir_rank, fpir)?;
        let name = format!("tpir{}@fpir={fpir}", config.tpir_rank);
        if let Some(threshold) = found.threshold {
            let hits: Vec<bool> = mated
                .iter()
                .map(|o| {
                    o.mate
                        .is_some_and(|m| m.rank <= config.tpir_rank && m.score >= threshold)
                })
                .collect();
            let ends = config.bootstrap.tpir(outcomes, config.tpir_rank, fpir)?;
            found.tpir = found.tpir.with_interval(ends);
            hits_of.insert(name.clone(), Trials::pack(&hits));
        }
        document.metrics.insert(name, found.tpir.clone());
        document.open_set.push(found);
    }
    if config.keep_trials {
        let index_of_mated = outcomes
            .iter()
            .enumerate()
            .filter(|(_, o)| o.mate.is_some())
            .flat_map(|(i, o)| [i as u32, o.subject]);
        document.trials.insert(
            "probes".into(),
            Trials {
                fingerprint: fingerprint(index_of_mated),
                subjects,
                hits: hits_of,
            },
        );
    }
    Ok(())
}

fn count_exclusions(document: &mut ResultDocument, side: &str, zeros: usize, duplicates: usize) {
    for (what, count) in [("zero", zeros), ("duplicate", duplicates)] {
        let name = format!("{side}_{what}_excluded");
        if count > 0 {
            document
                .warnings
                .push(format!("{count} {what} {side} rows are left out"));
        }
        let entry = document.protocol.counts.entry(name).or_default();
        *entry += count;
    }
}

/// All genuine comparisons, and for every probe an equal number of random impostors.
fn sampled_comparisons(
    probe: (&Embeddings, &[Subject]),
    gallery: (&Embeddings, &[Subject]),
    pairs: Pairs,
    config: &EvaluationConfig,
) -> Comparisons {
    let mut rows_of: HashMap<Subject, Vec<usize>> = HashMap::new();
    for (row, label) in gallery.1.iter().enumerate() {
        rows_of.entry(*label).or_default().push(row);
    }
    let each = (config.most_comparisons / 5 / probe.0.len()).clamp(1, gallery.0.len());
    let compare = |i: usize, j: usize| Comparison {
        score: cosine(probe.0.row(i), gallery.0.row(j)),
        probe: probe.1[i],
        gallery: gallery.1[j],
    };
    let admitted = |i: usize, j: usize| match pairs {
        Pairs::All => true,
        _ => i < j,
    };
    let found: Vec<Comparisons> = (0..probe.0.len())
        .into_par_iter()
        .map(|i| {
            let mut rng = Stream::new(config.bootstrap.seed ^ 0x5eed, i as u64);
            let mates = rows_of.get(&probe.1[i]).into_iter().flatten();
            Comparisons {
                genuine: mates
                    .filter(|&&j| admitted(i, j))
                    .map(|&j| compare(i, j))
                    .collect(),
                impostor: (0..each)
                    .map(|_| rng.below(gallery.0.len()))
                    .filter(|&j| gallery.1[j] != probe.1[i])
                    .map(|j| compare(i, j))
                    .collect(),
            }
        })
        .collect();
    let mut all = Comparisons::default();
    for part in found {
        all.genuine.extend(part.genuine);
        all.impostor.extend(part.impostor);
    }
    all
}

/// Who is on which row, on both sides: the same for two models that are evaluated on the same images.
fn data_hash(labels: &Labels, probe: &[Subject], gallery: &[Subject]) -> String {
    let mut hasher = blake3::Hasher::new();
    for side in [probe, gallery] {
        for &subject in side {
            hasher.update(labels.name(subject).unwrap_or("").as_bytes());
            hasher.update(b"\n");
        }
        hasher.update(b"\0");
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::embedding_set::DISTRACTOR;
    use crate::similarity::tests::{plain_cosine, random_embeddings};
    use crate::verification::{Rule, Scores};

    fn set(seed: u64, labels: &[Subject], noise: f64) -> EmbeddingSet {
        EmbeddingSet {
            data: random_embeddings(seed, labels, 16, noise).data().to_vec(),
            dim: 16,
            labels: labels.iter().map(|l| format!("s{l}")).collect(),
        }
    }

    #[test]
    fn a_probe_and_gallery_give_all_metrics() {
        let probe_labels: Vec<Subject> = (0..120).map(|i| i / 2).collect();
        let gallery_labels: Vec<Subject> = (0..90).map(|i| i / 2).collect();
        let mut gallery = set(1, &gallery_labels, 1.5);
        let probe = set(1, &probe_labels, 2.5);
        for label in gallery.labels.iter_mut().skip(80) {
            *label = DISTRACTOR.into();
        }
        let plain_probe = Embeddings::new(probe.data.clone(), 16).unwrap();
        let plain_gallery = Embeddings::new(gallery.data.clone(), 16).unwrap();
        let config = EvaluationConfig::default();
        let names = gallery.labels.clone();
        let found = evaluate_embeddings(probe.clone(), Some(gallery), &config).unwrap();
        let (mut genuine, mut impostor, mut rank1, mut mated) = (vec![], vec![], 0, 0);
        let mut tops = vec![];
        let mut mates = vec![];
        for i in 0..120 {
            let row: Vec<f64> = (0..90)
                .map(|j| plain_cosine(plain_probe.row(i), plain_gallery.row(j)))
                .collect();
            let is_mate = |j: &usize| names[*j] == probe.labels[i];
            for (j, s) in row.iter().enumerate() {
                if is_mate(&j) {
                    genuine.push(*s);
                } else {
                    impostor.push(*s);
                }
            }
            let mut order: Vec<usize> = (0..90).collect();
            order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
            if (0..90).any(|j| is_mate(&j)) {
                mated += 1;
                rank1 += usize::from(is_mate(&order[0]));
                let place = order.iter().position(is_mate).unwrap();
                mates.push((place + 1, row[order[place]]));
            } else {
                tops.push(row[order[0]]);
            }
        }
        let scores = Scores::new(genuine, impostor).unwrap();
        let value = |name: &str| found.metrics[name].value();
        assert!((value("eer").unwrap() - scores.eer().value).abs() < 1e-9);
        let tar = scores.tar_at_far(0.01, Rule::Conservative).unwrap().value();
        assert_eq!(value("tar@far=0.01"), tar);
        assert_eq!(mated, 80);
        assert_eq!(value("rank1"), Some(rank1 as f64 / 80.0));
        tops.sort_by(|a, b| b.total_cmp(a));
        let threshold = tops[(40.0_f64 * 0.1).floor() as usize - 1];
        let hits = mates
            .iter()
            .filter(|m| m.0 <= 20 && m.1 >= threshold)
            .count();
        assert_eq!(value("tpir20@fpir=0.1"), Some(hits as f64 / 80.0));
        assert!(matches!(
            found.metrics["tpir20@fpir=0.01"],
            Rate::Insufficient { .. }
        ));
        assert_eq!(found.protocol.counts["nonmated_probes"], 40);
        assert_eq!(found.protocol.counts["gallery_distractors"], 10);
        assert_eq!(found.trials["probes"].unpack("rank1").unwrap().len(), 80);
    }

    #[test]
    fn a_set_against_itself_uses_unordered_pairs_and_leaves_one_out() {
        let labels: Vec<Subject> = (0..100).map(|i| i / 5).collect();
        let config = EvaluationConfig::default();
        let found = evaluate_embeddings(set(1, &labels, 1.0), None, &config).unwrap();
        assert_eq!(found.protocol.counts["genuine_comparisons"], 200);
        assert_eq!(found.protocol.counts["impostor_comparisons"], 4750);
        assert_eq!(found.protocol.counts["mated_probes"], 100);
    }

    #[test]
    fn zero_rows_and_repeated_gallery_rows_are_counted_and_left_out() {
        let labels: Vec<Subject> = (0..60).map(|i| i / 2).collect();
        let config = EvaluationConfig::default();
        let mut probe = set(2, &labels, 1.0);
        let mut gallery = set(1, &labels, 1.0);
        let clean = evaluate_embeddings(probe.clone(), Some(gallery.clone()), &config).unwrap();
        gallery.data.extend_from_within(16..32);
        gallery.labels.push("s0".into());
        gallery.data.extend_from_within(32..48);
        gallery.labels.push(DISTRACTOR.into());
        gallery.data.extend_from_slice(&[0.0; 16]);
        gallery.labels.push("s5".into());
        probe.data.extend_from_slice(&[0.0; 16]);
        probe.labels.push("s5".into());
        let found = evaluate_embeddings(probe, Some(gallery), &config).unwrap();
        let counts = &found.protocol.counts;
        assert_eq!(counts["gallery_duplicate_excluded"], 2);
        assert_eq!(
            (
                counts["gallery_zero_excluded"],
                counts["probe_zero_excluded"]
            ),
            (1, 1)
        );
        assert_eq!(found.metrics["fte/probe"].value(), Some(1.0 / 61.0));
        assert_eq!(found.metrics["eer"], clean.metrics["eer"]);
        assert_eq!(found.metrics["rank1"], clean.metrics["rank1"]);
        assert_eq!(found.warnings.len(), 3);
    }

    #[test]
    fn one_image_under_two_people_is_an_error() {
        let labels: Vec<Subject> = (0..20).map(|i| i / 2).collect();
        let mut gallery = set(1, &labels, 1.0);
        gallery.data.extend_from_within(16..32);
        gallery.labels.push("s7".into());
        let config = EvaluationConfig::default();
        let error = evaluate_embeddings(set(1, &labels, 2.0), Some(gallery), &config)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("rows 1 and 20") && error.contains("`s0` and `s7`"),
            "{error}"
        );
    }

    #[test]
    fn probes_without_any_mate_give_reasons_instead_of_numbers() {
        let probe = set(1, &[0, 1, 2], 1.0);
        let gallery = set(2, &[5, 6], 1.0);
        let found =
            evaluate_embeddings(probe, Some(gallery), &EvaluationConfig::default()).unwrap();
        for name in ["eer", "rank1", "tpir20@fpir=0.1", "tar@far=0.01"] {
            assert!(
                matches!(found.metrics[name], Rate::Insufficient { .. }),
                "{name}"
            );
        }
    }

    #[test]
    fn wrong_label_counts_and_dimensions_are_refused() {
        let config = EvaluationConfig::default();
        let mut probe = set(1, &[0, 1, 1], 1.0);
        let mut other = probe.clone();
        other.dim = 8;
        other.labels = (0..6).map(|i| i.to_string()).collect();
        let error = evaluate_embeddings(probe.clone(), Some(other), &config).unwrap_err();
        assert!(
            error.to_string().contains("dimension 8, expected 16"),
            "{error}"
        );
        probe.labels.pop();
        let error = evaluate_embeddings(probe, None, &config).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("probe labels: expected 3 entries, found 2"),
            "{error}"
        );
    }

    #[test]
    fn beyond_the_bound_impostors_are_sampled_and_the_document_says_so() {
        let labels: Vec<Subject> = (0..400).map(|i| i / 4).collect();
        let exact =
            evaluate_embeddings(set(1, &labels, 1.5), None, &EvaluationConfig::default()).unwrap();
        let config = EvaluationConfig {
            most_comparisons: 60_000,
            ..EvaluationConfig::default()
        };
        let found = evaluate_embeddings(set(1, &labels, 1.5), None, &config).unwrap();
        assert!(found.warnings[0].contains("all 600 genuine and"));
        let gap = found.metrics["eer"].value().unwrap() - exact.metrics["eer"].value().unwrap();
        assert!(gap.abs() < 0.02, "{gap}");
        assert_eq!(found.metrics["rank1"], exact.metrics["rank1"]);
    }
}
