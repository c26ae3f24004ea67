//! The error curve under weights per person: what one bootstrap replicate computes.

use rayon::prelude::*;

use crate::bootstrap::dense;
use crate::comparison::{Comparisons, Subject};
use crate::error::Result;
use crate::verification::{Rule, Scores};

/// One weighted outcome.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measures {
    pub(crate) eer: f64,
    /// TAR by the conservative and by the nearest rule, for each FAR.
    pub(crate) tar: Vec<(f64, f64)>,
}

/// Comparisons in descending order of score, ready for weighting by subject.
pub(crate) struct WeightedCurve {
    /// (probe subject, gallery subject, last of a group of equal scores); equal subjects mean genuine.
    steps: Vec<(Subject, Subject, bool)>,
    /// Genuine comparisons per subject.
    genuine: Vec<f64>,
    /// Impostor comparisons per pair of subjects that occurs.
    impostor: Vec<(Subject, Subject, f64)>,
    impostor_count: f64,
    pub(crate) subjects: usize,
    /// How far the impostor weights are drawn towards 1: for the EER, and for each FAR.
    temper_eer: f64,
    fars: Vec<(f64, f64)>,
}

impl WeightedCurve {
    pub(crate) fn new(comparisons: &Comparisons, fars: &[f64]) -> Result<Self> {
        // Checks for NaN and for empty lists.
        let scores = comparisons.scores()?;
        let both = || comparisons.genuine.iter().chain(&comparisons.impostor);
        let (numbers, subjects) = dense(both().flat_map(|c| [c.probe, c.gallery]));
        let mut order: Vec<(f64, Subject, Subject)> = both()
            .zip(numbers.chunks_exact(2))
            .map(|(c, s)| (c.score, s[0], s[1]))
            .collect();
        order.par_sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut genuine = vec![0.0; subjects];
        // Pairs sorted by subjects, with the score for the variances below.
        let mut pairs = Vec::with_capacity(comparisons.impostor.len());
        for &(score, a, b) in &order {
            if a == b {
                genuine[a as usize] += 1.0;
            } else {
                pairs.push((a.min(b), a.max(b), score));
            }
        }
        pairs.par_sort_by_key(|&(a, b, _)| (a, b));
        let temper = |threshold| tempering(&pairs, threshold, &scores, subjects);
        let temper_eer = temper(scores.eer().threshold);
        let fars = fars
            .iter()
            .map(|&far| {
                let threshold = scores.threshold_at_fmr(far, Rule::Conservative)?.threshold;
                Ok((far, temper(threshold)))
            })
            .collect::<Result<_>>()?;
        let mut impostor: Vec<(Subject, Subject, f64)> = Vec::new();
        for &(a, b, _) in &pairs {
            match impostor.last_mut() {
                Some(last) if (last.0, last.1) == (a, b) => last.2 += 1.0,
                _ => impostor.push((a, b, 1.0)),
            }
        }
        let steps = (0..order.len())
            .map(|i| {
                let last = order.get(i + 1).is_none_or(|next| next.0 != order[i].0);
                (order[i].1, order[i].2, last)
            })
            .collect();
        Ok(Self {
            steps,
            genuine,
            impostor,
            impostor_count: pairs.len() as f64,
            subjects,
            temper_eer,
            fars,
        })
    }

    /// The plain measures.
    pub(crate) fn estimate(&self) -> Measures {
        self.measure(&vec![1.0; self.subjects]).unwrap_or(Measures {
            eer: 1.0,
            tar: vec![(0.0, 0.0); self.fars.len()],
        })
    }

    /// EER and TARs under these weights; `None` when a draw has no genuine or no impostor comparison.
    ///
    /// One pass from the highest score down, stopped as soon as all is known.
    pub(crate) fn measure(&self, weights: &[f64]) -> Option<Measures> {
        let total_g: f64 = self.genuine.iter().zip(weights).map(|(n, w)| n * w).sum();
        let total_i: f64 = self
            .impostor
            .iter()
            .map(|&(a, b, n)| n * weights[a as usize] * weights[b as usize])
            .sum();
        if total_g <= 0.0 || total_i <= 0.0 {
            return None;
        }
        let tempered = |c: f64, plain: f64, weighted: f64| {
            ((1.0 - c) * plain + c * weighted) / ((1.0 - c) * self.impostor_count + c * total_i)
        };
        let mut eer = None;
        let mut tar = vec![(0.0, 0.0); self.fars.len()];
        let mut open = self.fars.len();
        let mut passed = vec![false; self.fars.len()];
        // For the nearest rule: the smallest gap so far; accepting nothing is as far off as the FAR itself.
        let mut nearest: Vec<f64> = self.fars.iter().map(|f| f.0).collect();
        let (mut accepted_g, mut plain_i, mut weighted_i) = (0.0, 0.0, 0.0);
        let (mut last_fmr, mut last_hit) = (0.0, 0.0);
        for &(a, b, end) in &self.steps {
            if a == b {
                accepted_g += weights[a as usize];
            } else {
                plain_i += 1.0;
                weighted_i += weights[a as usize] * weights[b as usize];
            }
            if !end {
                continue;
            }
            let hit = accepted_g / total_g;
            if eer.is_none() {
                let fmr = tempered(self.temper_eer, plain_i, weighted_i);
                if fmr >= 1.0 - hit {
                    // The line between the last point and this one cuts FMR = FNMR.
                    let (d0, d1): (f64, f64) = (last_fmr - (1.0 - last_hit), fmr - (1.0 - hit));
                    let w = if d1 > d0 { -d0 / (d1 - d0) } else { 0.0 };
                    eer = Some(last_fmr + w * (fmr - last_fmr));
                }
                last_fmr = fmr;
                last_hit = hit;
            }
            for (i, &(far, temper)) in self.fars.iter().enumerate() {
                if passed[i] {
                    continue;
                }
                let fmr = tempered(temper, plain_i, weighted_i);
                let gap = (fmr - far).abs();
                if fmr <= far {
                    tar[i].0 = hit;
                }
                // "Not worse" is enough: of points with the same gap the later has the higher TAR.
                if gap <= nearest[i] {
                    nearest[i] = gap;
                    tar[i].1 = hit;
                } else if fmr > far {
                    passed[i] = true;
                    open -= 1;
                }
            }
            if open == 0 && eer.is_some() {
                break;
            }
        }
        Some(Measures {
            eer: eer.unwrap_or(1.0),
            tar,
        })
    }
}

/// The factor c of [`crate::Bootstrap::verification`] at one threshold; `pairs` sorted by their two subjects.
fn tempering(
    pairs: &[(Subject, Subject, f64)],
    threshold: f64,
    scores: &Scores,
    subjects: usize,
) -> f64 {
    let fmr = scores.fmr_at(threshold);
    let mut per_subject = vec![0.0; subjects];
    let mut of_pairs = 0.0;
    for run in pairs.chunk_by(|x, y| (x.0, x.1) == (y.0, y.1)) {
        let hits = run.iter().filter(|p| p.2 >= threshold).count() as f64;
        let x = hits - fmr * run.len() as f64;
        per_subject[run[0].0 as usize] += x;
        per_subject[run[0].1 as usize] += x;
        of_pairs += x * x;
    }
    let main: f64 = per_subject.iter().map(|x| x * x).sum();
    if main + of_pairs <= 0.0 {
        return 1.0;
    }
    // No person in two comparisons: they are independent, and the correction is exact.
    if subjects >= 2 * pairs.len() {
        return (1.0_f64 / 3.0).sqrt();
    }
    ((main - of_pairs / 2.0).max(of_pairs) / (main + of_pairs))
        .sqrt()
        .min(1.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::comparison::Comparison;
    use crate::rng::Stream;

    fn comparisons(seed: u64, decimals: f64) -> Comparisons {
        let mut rng = Stream::new(seed, 0);
        let mut found = Comparisons::default();
        for _ in 0..900 {
            let (probe, gallery) = (rng.below(12) as u32, rng.below(12) as u32);
            let mean = if probe == gallery { 1.5 } else { 0.0 };
            let score = ((mean + rng.normal()) * decimals).round() / decimals;
            let c = Comparison {
                score,
                probe,
                gallery,
            };
            if probe == gallery {
                found.genuine.push(c);
            } else {
                found.impostor.push(c);
            }
        }
        found
    }

    #[test]
    fn weights_of_one_give_the_plain_measures() {
        for (seed, decimals) in [(1, 1e9), (2, 4.0), (3, 1e9)] {
            let all = comparisons(seed, decimals);
            let scores = all.scores().unwrap();
            let fars = [0.004, 0.01, 0.1, 0.5];
            let curve = WeightedCurve::new(&all, &fars).unwrap();
            let found = curve.measure(&vec![1.0; curve.subjects]).unwrap();
            assert!((found.eer - scores.eer().value).abs() < 1e-12);
            for (i, f) in fars.iter().enumerate() {
                let tar = |rule| 1.0 - scores.threshold_at_fmr(*f, rule).unwrap().fnmr;
                assert!((found.tar[i].0 - tar(Rule::Conservative)).abs() < 1e-12);
                assert!((found.tar[i].1 - tar(Rule::Nearest)).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn whole_weights_equal_repeating_the_comparisons() {
        let all = comparisons(4, 1e9);
        let fars = [0.013, 0.11];
        let mut curve = WeightedCurve::new(&all, &fars).unwrap();
        curve.temper_eer = 1.0;
        curve.fars = fars.iter().map(|&f| (f, 1.0)).collect();
        let (numbers, _) = dense(
            all.genuine
                .iter()
                .chain(&all.impostor)
                .flat_map(|c| [c.probe, c.gallery]),
        );
        let weights = [2.0, 0.0, 1.0, 3.0, 1.0, 1.0, 0.0, 2.0, 1.0, 1.0, 0.0, 1.0];
        let mut repeated = Comparisons::default();
        for (c, s) in all
            .genuine
            .iter()
            .chain(&all.impostor)
            .zip(numbers.chunks(2))
        {
            let genuine = s[0] == s[1];
            let times = if genuine {
                weights[s[0] as usize]
            } else {
                weights[s[0] as usize] * weights[s[1] as usize]
            };
            for _ in 0..times as usize {
                if genuine {
                    repeated.genuine.push(*c);
                } else {
                    repeated.impostor.push(*c);
                }
            }
        }
        let scores = repeated.scores().unwrap();
        let found = curve.measure(&weights).unwrap();
        assert!((found.eer - scores.eer().value).abs() < 1e-12);
        for (i, f) in fars.iter().enumerate() {
            let tar = |rule| 1.0 - scores.threshold_at_fmr(*f, rule).unwrap().fnmr;
            assert!((found.tar[i].0 - tar(Rule::Conservative)).abs() < 1e-12);
            assert!((found.tar[i].1 - tar(Rule::Nearest)).abs() < 1e-12);
        }
    }

    #[test]
    fn independent_comparisons_are_tempered_to_a_third_of_the_variance() {
        let impostor = (0..1000u32)
            .map(|i| Comparison {
                score: f64::from(i % 97),
                probe: 2 * i + 1,
                gallery: 2 * i + 2,
            })
            .collect();
        let genuine = vec![Comparison {
            score: 50.0,
            probe: 0,
            gallery: 0,
        }];
        let curve = WeightedCurve::new(&Comparisons { genuine, impostor }, &[0.1]).unwrap();
        assert!((curve.fars[0].1.powi(2) - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_draw_without_genuine_comparisons_gives_nothing() {
        let all = comparisons(5, 1e9);
        let curve = WeightedCurve::new(&all, &[]).unwrap();
        assert_eq!(curve.measure(&vec![0.0; curve.subjects]), None);
    }
}
