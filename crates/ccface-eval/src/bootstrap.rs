//! The subject-level bootstrap: intervals for measures whose comparisons share people.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::comparison::{Comparisons, Subject};
use crate::error::{EvalError, Result, open_unit};
use crate::identification::ProbeOutcome;
use crate::interval::{normal_quantile, wilson_with};
use crate::open_set::tpir_at_fpir;
use crate::rng::Stream;
use crate::weighted_curve::{Measures, WeightedCurve};

/// How many times and how people are drawn anew.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Number of replicates; default 1000. Fewer than 200 leave the ends unsteady.
    pub replicates: usize,
    /// Share of intervals that should hold the true value; default 0.95.
    pub level: f64,
    /// Seed of all draws; default 0.
    pub seed: u64,
}

/// Comparisons × replicates beyond which replicates are saved, down to 200.
const WORK: usize = 2_000_000_000;

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            replicates: 1000,
            level: 0.95,
            seed: 0,
        }
    }
}

/// Intervals of the verification measures of one set of comparisons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerificationIntervals {
    /// Ends of the EER.
    pub eer: (f64, f64),
    /// For each FAR asked for: ends of TAR by the conservative and by the nearest rule.
    pub tar: Vec<TarInterval>,
    /// Number of people that were drawn.
    pub subjects: usize,
    /// Number of replicates made.
    pub replicates: usize,
}

/// The interval of TAR at one FAR, by both rules.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TarInterval {
    /// The FAR.
    pub far: f64,
    /// Ends by the conservative rule.
    pub conservative: (f64, f64),
    /// Ends by the nearest rule.
    pub nearest: (f64, f64),
}

impl Bootstrap {
    /// # Errors
    /// Fewer than 20 replicates or a level outside (0, 1).
    pub(crate) fn check(&self) -> Result<()> {
        open_unit("the interval's level", self.level)?;
        if self.replicates < 20 {
            return Err(EvalError::OutOfRange {
                what: "the number of bootstrap replicates",
                value: self.replicates as f64,
                range: "20 or more (1000 is usual)",
            });
        }
        Ok(())
    }

    /// Runs `measure` on `replicates` draws of people; replicate r always uses random stream r.
    pub(crate) fn replicate<T: Send>(
        &self,
        subjects: usize,
        measure: impl Fn(&[f64]) -> T + Sync,
    ) -> Vec<T> {
        (0..self.replicates)
            .into_par_iter()
            .map_init(
                || vec![0.0; subjects],
                |weights, r| {
                    let mut rng = Stream::new(self.seed, r as u64);
                    weights.fill(0.0);
                    for _ in 0..subjects {
                        weights[rng.below(subjects)] += 1.0;
                    }
                    measure(weights)
                },
            )
            .collect()
    }

    /// Intervals for EER and TAR@FAR, two-way over the people on both sides of a comparison.
    ///
    /// ```text
    /// w_s ~ multinomial over all S people,   genuine comparison of s: w_s,   impostor comparison of s and t: w_s · w_t
    /// ```
    ///
    /// Every replicate computes the weighted measure anew, threshold included. The product of two weights counts the
    /// noise of a single comparison three times, so the impostor weights are drawn towards 1 by the factor c that
    /// brings their variance near the two-way cluster-robust one at the measure's own threshold (half of its correction,
    /// as the whole of it leaves intervals of few people too narrow):
    ///
    /// ```text
    /// w = 1 + c (w_s w_t − 1),   c² = max(V_main − V_pair/2, V_pair) / (V_main + V_pair)
    /// V_main = Σ_s (Σ_{comparisons of s} x)²,   V_pair = Σ_{s<t} (Σ_{comparisons of s and t} x)²,   x = 1[score ≥ T] − FMR(T)
    /// ```
    ///
    /// The ends are Wilson's, with the effective sample size n_eff that the replicates' variance implies and Student's t with
    /// ν degrees of freedom; a few people who decide the measure tell less about its spread than S alike, and κ is the
    /// kurtosis of the measure without each person in turn:
    ///
    /// ```text
    /// n_eff = p (1 − p) / (S/(S−1) · Var(replicates)),   z = t_{ν, 1−α/2},   ν = min(S − 1, 2S / (κ − 1)), at least 4
    /// ```
    ///
    /// Source: reconstructed, from the two-way ("pigeonhole") bootstrap of Owen (2007) and the multi-way
    /// cluster-robust variance of Cameron, Gelbach and Miller (2011).
    ///
    /// # Errors
    /// No genuine or impostor comparison, a FAR or level outside (0, 1), or fewer than 20 replicates.
    pub fn verification(
        &self,
        comparisons: &Comparisons,
        fars: &[f64],
    ) -> Result<VerificationIntervals> {
        self.check()?;
        for &far in fars {
            open_unit("the wanted FAR", far)?;
        }
        let curve = WeightedCurve::new(comparisons, fars)?;
        let subjects = curve.subjects;
        // Very many comparisons: fewer replicates, so that the work stays bounded.
        let work = comparisons.genuine.len() + comparisons.impostor.len() + 2 * subjects;
        let bounded = Self {
            replicates: self.replicates.min((WORK / work.max(1)).max(200)),
            ..*self
        };
        let draws = bounded.replicate(subjects, |weights| curve.measure(weights));
        let estimate = curve.estimate();
        let (genuine, impostor) = (comparisons.genuine.len(), comparisons.impostor.len());
        // The EER leans on both kinds of comparisons, unless there was no error at all.
        let eer_trials = if estimate.eer > 0.0 {
            genuine + impostor
        } else {
            genuine.min(impostor)
        };
        let without = each_left_out(subjects, |weights| curve.measure(weights));
        let column = |trials: usize, pick: &dyn Fn(&Measures) -> f64| {
            let values: Vec<f64> = draws.iter().flatten().map(pick).collect();
            let without: Vec<f64> = without.iter().flatten().map(pick).collect();
            let freedom = degrees_of_freedom(subjects, &without);
            ends(
                pick(&estimate),
                &values,
                self.level,
                subjects,
                freedom,
                trials,
            )
        };
        Ok(VerificationIntervals {
            eer: column(eer_trials, &|m| m.eer),
            tar: fars
                .iter()
                .enumerate()
                .map(|(i, &far)| TarInterval {
                    far,
                    conservative: column(genuine, &|m| m.tar[i].0),
                    nearest: column(genuine, &|m| m.tar[i].1),
                })
                .collect(),
            subjects,
            replicates: bounded.replicates,
        })
    }

    /// The interval of a share of probes, drawing people with all their probes.
    ///
    /// # Errors
    /// No probe, lists of different lengths, a level outside (0, 1), or fewer than 20 replicates.
    pub fn share(&self, subjects: &[Subject], hits: &[bool]) -> Result<(f64, f64)> {
        if subjects.len() != hits.len() {
            return Err(EvalError::Length {
                what: "hits per probe".into(),
                expected: subjects.len(),
                found: hits.len(),
            });
        }
        let values: Vec<f64> = hits.iter().map(|&h| f64::from(u8::from(h))).collect();
        self.mean(subjects, &values)
    }

    /// The interval of a mean of values in 0..1 over probes, drawing people with all their probes.
    ///
    /// # Errors
    /// As [`Bootstrap::share`].
    pub fn mean(&self, subjects: &[Subject], values: &[f64]) -> Result<(f64, f64)> {
        self.check()?;
        if values.is_empty() {
            return Err(EvalError::Empty { what: "probes" });
        }
        let (dense, count) = dense(subjects.iter().copied());
        let mut sums = vec![(0.0, 0.0); count];
        for (&s, v) in dense.iter().zip(values) {
            sums[s as usize].0 += v;
            sums[s as usize].1 += 1.0;
        }
        let measure = |weights: &[f64]| {
            let (mut sum, mut n) = (0.0, 0.0);
            for (w, (s, k)) in weights.iter().zip(&sums) {
                sum += w * s;
                n += w * k;
            }
            sum / n
        };
        let draws = self.replicate(count, measure);
        let freedom = degrees_of_freedom(count, &each_left_out(count, measure));
        let estimate = values.iter().sum::<f64>() / values.len() as f64;
        Ok(ends(
            estimate,
            &draws,
            self.level,
            count,
            freedom,
            values.len(),
        ))
    }

    /// The interval of TPIR at an FPIR, drawing people with all their probes; the threshold is set anew each time.
    ///
    /// # Errors
    /// As [`crate::tpir_at_fpir`], a level outside (0, 1), or fewer than 20 replicates.
    pub fn tpir(&self, outcomes: &[ProbeOutcome], rank: usize, fpir: f64) -> Result<(f64, f64)> {
        self.check()?;
        let estimate = tpir_at_fpir(outcomes, 0, rank, fpir)?;
        let Some(value) = estimate.tpir.value() else {
            return Ok((0.0, 1.0));
        };
        let (people, count) = dense(outcomes.iter().map(|o| o.subject));
        let mut tops: Vec<(f64, usize)> = Vec::new();
        let mut mates: Vec<(f64, bool, usize)> = Vec::new();
        for (outcome, &person) in outcomes.iter().zip(&people) {
            match outcome.mate {
                Some(mate) => mates.push((mate.score, mate.rank <= rank, person as usize)),
                None => tops.push((outcome.top, person as usize)),
            }
        }
        tops.sort_by(|a, b| b.0.total_cmp(&a.0));
        let measure = |weights: &[f64]| {
            let total: f64 = tops.iter().map(|t| weights[t.1]).sum();
            // The largest top score that fills the allowed number of non-mated probes.
            let (allowed, mut seen) = ((total * fpir + 1e-9).floor(), 0.0);
            let threshold = tops.iter().find_map(|t| {
                seen += weights[t.1];
                (seen >= allowed && allowed > 0.0).then_some(t.0)
            });
            let (mut hits, mut all) = (0.0, 0.0);
            for &(score, ranked, person) in &mates {
                all += weights[person];
                if ranked && threshold.is_some_and(|t| score >= t) {
                    hits += weights[person];
                }
            }
            if threshold.is_some() {
                hits / all
            } else {
                f64::NAN
            }
        };
        let draws = self.replicate(count, measure);
        let freedom = degrees_of_freedom(count, &each_left_out(count, measure));
        Ok(ends(value, &draws, self.level, count, freedom, mates.len()))
    }
}

/// People beyond which nobody is left out in turn: Student's t is the normal distribution by then.
const LEFT_OUT: usize = 500;

/// The measure without each person in turn; nothing for more than [`LEFT_OUT`] people.
fn each_left_out<T: Send>(subjects: usize, measure: impl Fn(&[f64]) -> T + Sync) -> Vec<T> {
    if subjects > LEFT_OUT {
        return Vec::new();
    }
    (0..subjects)
        .into_par_iter()
        .map_init(
            || vec![1.0; subjects],
            |weights, s| {
                weights[s] = 0.0;
                let found = measure(weights);
                weights[s] = 1.0;
                found
            },
        )
        .collect()
}

/// Degrees of freedom of a variance estimated from S people, given the measure without each person in turn.
///
/// A few people who decide the measure tell less about its spread than S alike. With κ the kurtosis of the
/// leave-one-out values (3 for normal ones):
///
/// ```text
/// ν = min(S − 1, 2S / (κ − 1)), at least 4
/// ```
///
/// Source: reconstructed, from the variance of a sample variance and Satterthwaite's (1946) matching of moments.
fn degrees_of_freedom(subjects: usize, without: &[f64]) -> f64 {
    let people = subjects.max(2) as f64;
    let values = || without.iter().filter(|x| x.is_finite());
    let n = values().count() as f64;
    let mean = values().sum::<f64>() / n;
    let moment = |k: i32| values().map(|x| (x - mean).powi(k)).sum::<f64>() / n;
    let (second, fourth) = (moment(2), moment(4));
    if n < 2.0 || second <= 0.0 {
        return people - 1.0;
    }
    let kurtosis = fourth / (second * second);
    (2.0 * people / (kurtosis - 1.0).max(1e-9)).clamp(4.0, (people - 1.0).max(4.0))
}

/// The interval's ends for a rate, from its bootstrap replicates.
///
/// The Wilson interval with the effective sample size that the replicates' variance implies, and Student's t with
/// ν degrees of freedom for the finite number of people (`degrees_of_freedom`). Against plain percentiles it stays
/// inside 0..1, is not too narrow for few people, and is skewed the right way near 0 and 1 (the `coverage` example
/// measures it).
///
/// ```text
/// n_eff = p (1 − p) / (S/(S−1) · Var(replicates)),   z = t_{ν, 1−α/2},   ends = Wilson(p, n_eff, z)
/// ```
///
/// Where all replicates agree (no errors at all), n_eff is `trials`: the naive Wilson interval, the least that can
/// be said.
///
/// Source: reconstructed, from Korn and Graubard (1998), with Wilson's interval in the place of Clopper–Pearson's.
fn ends(
    estimate: f64,
    replicates: &[f64],
    level: f64,
    subjects: usize,
    freedom: f64,
    trials: usize,
) -> (f64, f64) {
    let (mut n, mut sum) = (0.0, 0.0);
    for x in replicates.iter().filter(|x| x.is_finite()) {
        n += 1.0;
        sum += x;
    }
    let z = normal_quantile(0.5 + level / 2.0);
    let people = subjects.max(2) as f64;
    let mean = sum / n;
    let squares: f64 = replicates
        .iter()
        .filter(|x| x.is_finite())
        .map(|x| (x - mean).powi(2))
        .sum();
    let variance = squares / (n - 1.0) * people / (people - 1.0);
    let spread = estimate * (1.0 - estimate);
    if n < 2.0 || variance <= 0.0 || spread <= 0.0 {
        return wilson_with(estimate, trials as f64, z);
    }
    // No more trials than were made: agreement by chance is not evidence.
    let effective = (spread / variance).min(trials as f64);
    wilson_with(estimate, effective, student_quantile(z, freedom))
}

/// Student's t quantile from the normal quantile z, by the Cornish–Fisher expansion in 1/ν (good to 1e-3 from ν = 5).
pub(crate) fn student_quantile(z: f64, nu: f64) -> f64 {
    let z2 = z * z;
    let g1 = z * (z2 + 1.0) / 4.0;
    let g2 = z * (5.0 * z2 * z2 + 16.0 * z2 + 3.0) / 96.0;
    let g3 = z * (3.0 * z2.powi(3) + 19.0 * z2 * z2 + 17.0 * z2 - 15.0) / 384.0;
    let g4 = z * (79.0 * z2.powi(4) + 776.0 * z2.powi(3) + 1482.0 * z2 * z2 - 1920.0 * z2 - 945.0)
        / 92_160.0;
    z + g1 / nu + g2 / nu.powi(2) + g3 / nu.powi(3) + g4 / nu.powi(4)
}

/// Renumbers subjects 0..n without gaps, in order of first sight.
pub(crate) fn dense(subjects: impl Iterator<Item = Subject>) -> (Vec<Subject>, usize) {
    let mut numbers = std::collections::HashMap::new();
    let list = subjects
        .map(|s| {
            let next = numbers.len() as Subject;
            *numbers.entry(s).or_insert(next)
        })
        .collect();
    (list, numbers.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::comparison::Comparison;

    fn simulated(seed: u64, people: u32) -> Comparisons {
        let mut rng = Stream::new(seed, 1);
        let mut all = Comparisons::default();
        for probe in 0..people {
            for gallery in 0..people {
                let genuine = probe == gallery;
                let list = if genuine {
                    &mut all.genuine
                } else {
                    &mut all.impostor
                };
                for _ in 0..if genuine { 8 } else { 1 } {
                    list.push(Comparison {
                        score: rng.normal() + if genuine { 2.5 } else { 0.0 },
                        probe,
                        gallery,
                    });
                }
            }
        }
        all
    }

    #[test]
    fn intervals_hold_the_estimate_and_shrink_with_more_people() {
        let width = |people| {
            let all = simulated(1, people);
            let found = Bootstrap::default().verification(&all, &[0.05]).unwrap();
            let scores = all.scores().unwrap();
            let eer = scores.eer().value;
            assert!(found.eer.0 < eer && eer < found.eer.1);
            let tar = 1.0
                - scores
                    .threshold_at_fmr(0.05, crate::Rule::Conservative)
                    .unwrap()
                    .fnmr;
            let ends = found.tar[0].conservative;
            assert!(ends.0 <= tar && tar <= ends.1);
            assert_eq!(found.subjects, people as usize);
            found.eer.1 - found.eer.0
        };
        assert!(width(80) < 0.7 * width(20));
    }

    #[test]
    fn intervals_depend_on_the_seed_and_not_on_the_number_of_threads() {
        let all = simulated(2, 25);
        let run = |threads, seed| {
            let boot = Bootstrap {
                replicates: 200,
                seed,
                ..Bootstrap::default()
            };
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
                .install(|| boot.verification(&all, &[0.1]).unwrap())
        };
        assert_eq!(run(1, 5), run(4, 5));
        assert_ne!(run(1, 5), run(1, 6));
    }

    #[test]
    fn the_share_interval_is_wider_when_probes_of_one_person_agree() {
        let subjects: Vec<Subject> = (0..400).map(|i| i / 10).collect();
        let agreeing: Vec<bool> = subjects.iter().map(|s| s % 4 != 0).collect();
        let mixed: Vec<bool> = (0..400).map(|i| i % 4 != 0).collect();
        let boot = Bootstrap::default();
        let wide = boot.share(&subjects, &agreeing).unwrap();
        let narrow = boot.share(&subjects, &mixed).unwrap();
        assert!(wide.1 - wide.0 > 3.0 * (narrow.1 - narrow.0));
        // Theory for agreeing people: 30 hits in 40 independent trials, a little wider for Student's t.
        let theory = crate::wilson(30.0, 40.0, 0.95);
        assert!((wide.0 - theory.0).abs() < 0.02 && (wide.1 - theory.1).abs() < 0.02);
    }

    #[test]
    fn the_student_quantile_agrees_with_tables() {
        let z = normal_quantile(0.975);
        for (nu, t) in [
            (5.0, 2.5706),
            (10.0, 2.2281),
            (19.0, 2.0930),
            (99.0, 1.9842),
        ] {
            assert!((student_quantile(z, nu) - t).abs() < 2e-3, "{nu}");
        }
    }

    #[test]
    fn a_few_people_who_decide_a_measure_leave_fewer_degrees_of_freedom() {
        let mut rng = Stream::new(9, 0);
        let normal: Vec<f64> = (0..200).map(|_| rng.normal()).collect();
        let nu = degrees_of_freedom(200, &normal);
        assert!(nu > 140.0 && nu <= 199.0, "{nu}");
        let mut one = vec![0.0; 200];
        one[7] = 1.0;
        assert_eq!(degrees_of_freedom(200, &one), 4.0);
        // Nothing known of the people's parts, or nothing to vary: their number alone.
        assert_eq!(degrees_of_freedom(200, &[]), 199.0);
        assert_eq!(degrees_of_freedom(20, &[0.5; 20]), 19.0);
    }

    #[test]
    fn wrong_settings_are_refused() {
        let all = simulated(3, 4);
        let few = Bootstrap {
            replicates: 5,
            ..Bootstrap::default()
        };
        assert!(few.verification(&all, &[]).is_err());
        assert!(Bootstrap::default().verification(&all, &[1.0]).is_err());
        assert!(Bootstrap::default().share(&[1], &[]).is_err());
        assert!(Bootstrap::default().share(&[], &[]).is_err());
    }
}
