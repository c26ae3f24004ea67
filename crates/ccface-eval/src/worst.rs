//! The comparisons that went most wrong, for people to look at.

use serde::{Deserialize, Serialize};

use crate::comparison::Subject;
use crate::embeddings::Embeddings;
use crate::kernel::Sweep;
use crate::result::ResultDocument;
use crate::search::cosine;

/// How many errors of each kind are kept.
const KEPT: usize = 12;

/// One comparison on the wrong side of a threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorstError {
    /// Row of the probe set as it was given, or the first image of a listed pair.
    pub probe: usize,
    /// Row of the gallery as it was given (of the probe set where there is no gallery), or the second image of a pair.
    pub gallery: usize,
    /// Cosine similarity.
    pub score: f64,
    /// Names of the two images, where they have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<(String, String)>,
}

/// The worst errors at one threshold: of each probe at most one of a kind, the worst first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorstErrors {
    /// The name of the threshold, such as `far=0.01`.
    pub at: String,
    /// The threshold.
    pub threshold: f64,
    /// Pairs of two people that score at or above it.
    pub false_matches: Vec<WorstError>,
    /// Pairs of one person that score below it.
    pub false_non_matches: Vec<WorstError>,
}

/// A candidate for either list: score, probe, gallery.
type Scored = (f64, usize, usize);

/// Takes the worst of these to the document, at the threshold of `common_far` or, without one, of the EER.
pub(crate) fn add_worst(
    document: &mut ResultDocument,
    genuine: Vec<Scored>,
    impostor: Vec<Scored>,
    common_far: f64,
) {
    let wanted = [format!("far={common_far}"), "eer".to_owned()];
    let Some((at, threshold)) = wanted
        .into_iter()
        .find_map(|name| Some((document.thresholds.get(&name)?.threshold, name)))
        .map(|(threshold, name)| (name, threshold))
    else {
        return;
    };
    let errors = |mut list: Vec<Scored>, sign: f64, wrong: &dyn Fn(f64) -> bool| {
        list.retain(|scored| wrong(scored.0));
        list.sort_by(|a, b| {
            (sign * a.0)
                .total_cmp(&(sign * b.0))
                .then((a.1, a.2).cmp(&(b.1, b.2)))
        });
        list.truncate(KEPT);
        list.into_iter()
            .map(|(score, probe, gallery)| WorstError {
                probe,
                gallery,
                score,
                names: None,
            })
            .collect()
    };
    document.worst = Some(WorstErrors {
        at,
        threshold,
        false_matches: errors(impostor, -1.0, &|score| score >= threshold),
        false_non_matches: errors(genuine, 1.0, &|score| score < threshold),
    });
}

/// The extremes of one probe: its lowest genuine and its highest impostor score, with the gallery row.
#[derive(Clone, Copy)]
struct Extremes {
    genuine: Option<(f32, usize)>,
    impostor: Option<(f32, usize)>,
}

/// Each probe's lowest genuine and highest impostor comparison; in a set against itself each pair counts once.
///
/// Rows are positions in `probe` and `gallery`.
pub(crate) fn extremes(
    probe: (&Embeddings, &[Subject]),
    gallery: (&Embeddings, &[Subject]),
    own_gallery: bool,
) -> (Vec<Scored>, Vec<Scored>) {
    let none = Extremes {
        genuine: None,
        impostor: None,
    };
    let mut found = vec![none; probe.0.len()];
    let columns = 0..gallery.0.len();
    Sweep::new(probe.0, gallery.0).run(columns, &mut found, |best, row, first, scores| {
        for (j, &score) in scores.iter().enumerate() {
            let column = first + j;
            if own_gallery && column <= row {
                continue;
            }
            if gallery.1[column] == probe.1[row] {
                if best.genuine.is_none_or(|(low, _)| score < low) {
                    best.genuine = Some((score, column));
                }
            } else if best.impostor.is_none_or(|(high, _)| score > high) {
                best.impostor = Some((score, column));
            }
        }
    });
    let exact = |pick: fn(&Extremes) -> Option<(f32, usize)>| -> Vec<Scored> {
        found
            .iter()
            .enumerate()
            .filter_map(|(i, best)| {
                let (_, j) = pick(best)?;
                Some((cosine(probe.0.row(i), gallery.0.row(j)), i, j))
            })
            .collect()
    };
    (exact(|best| best.genuine), exact(|best| best.impostor))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::protocol::ImagePair;
    use crate::search::cosine;
    use crate::similarity::tests::random_embeddings;
    use crate::{EmbeddingSet, Embeddings, EvaluationConfig, evaluate_embeddings, evaluate_pairs};

    /// 40 people with three images each, noisy enough for errors, and two failed rows in front.
    fn set() -> (EmbeddingSet, Vec<u32>) {
        let people: Vec<u32> = (0..120).map(|i| i / 3).collect();
        let mut data = vec![0.0; 32];
        data.extend(random_embeddings(3, &people, 16, 3.0).data());
        let labels: Vec<u32> = [0, 0].into_iter().chain(people).collect();
        let set = EmbeddingSet {
            data,
            dim: 16,
            labels: labels.iter().map(u32::to_string).collect(),
        };
        (set, labels)
    }

    #[test]
    fn the_worst_errors_are_those_of_a_plain_search_and_point_to_the_rows_given() {
        let (set, labels) = set();
        let found = evaluate_embeddings(set.clone(), None, &EvaluationConfig::default()).unwrap();
        let worst = found.worst.unwrap();
        assert_eq!(worst.at, "far=0.01");
        let row = |i: usize| &set.data[i * 16..(i + 1) * 16];
        let (mut low, mut high) = (f64::MAX, f64::MIN);
        for i in 2..labels.len() {
            for j in i + 1..labels.len() {
                let score = cosine(row(i), row(j));
                if labels[i] == labels[j] {
                    low = low.min(score);
                } else {
                    high = high.max(score);
                }
            }
        }
        let (no_match, matched) = (&worst.false_non_matches[0], &worst.false_matches[0]);
        assert!((no_match.score - low).abs() < 1e-9 && (matched.score - high).abs() < 1e-9);
        for (error, same) in [(no_match, true), (matched, false)] {
            assert_eq!(labels[error.probe] == labels[error.gallery], same);
            let score = cosine(row(error.probe), row(error.gallery));
            assert!((score - error.score).abs() < 1e-9);
        }
        assert!(
            worst
                .false_matches
                .iter()
                .all(|e| e.score >= worst.threshold)
        );
        assert!(
            worst
                .false_non_matches
                .windows(2)
                .all(|e| e[0].score <= e[1].score)
        );
    }

    #[test]
    fn listed_pairs_give_their_worst_errors_too() {
        let (set, labels) = set();
        let images = Embeddings::new(set.data[32..].to_vec(), 16).unwrap();
        let who = &labels[2..];
        let pairs: Vec<ImagePair> = (0..120)
            .flat_map(|i| [(i, (i + 1) % 120), (i, (i + 50) % 120)])
            .map(|(a, b)| ImagePair {
                a,
                b,
                same: who[a] == who[b],
            })
            .collect();
        let config = EvaluationConfig {
            common_far: 0.1,
            ..EvaluationConfig::default()
        };
        let worst = evaluate_pairs(&images, Some(who), &pairs, &config)
            .unwrap()
            .worst
            .unwrap();
        let low = pairs
            .iter()
            .filter(|p| p.same)
            .map(|p| cosine(images.row(p.a), images.row(p.b)))
            .fold(f64::MAX, f64::min);
        assert_eq!(
            (worst.at.as_str(), worst.false_non_matches[0].score),
            ("far=0.1", low)
        );
    }
}
