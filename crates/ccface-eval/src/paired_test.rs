//! Are two models different, or is it the sample? Tests on the same trials.

use serde::{Deserialize, Serialize};

use crate::bootstrap::{Bootstrap, dense, student_quantile};
use crate::comparison::Subject;
use crate::error::{EvalError, Result, open_unit};
use crate::interval::{binomial_cdf, normal_quantile};

/// What a paired test of model A against model B found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairedOutcome {
    /// Share of hits of B minus that of A.
    pub difference: f64,
    /// Lower end of the difference's subject-level interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Number of trials.
    pub n: usize,
    /// Trials that only A gets right.
    pub only_a: usize,
    /// Trials that only B gets right.
    pub only_b: usize,
    /// Two-sided exact McNemar test, trials taken as independent.
    pub mcnemar_p: f64,
    /// Two-sided test from the paired subject bootstrap: the headline.
    pub bootstrap_p: f64,
}

/// The exact two-sided McNemar test from the counts of trials that only one of two models gets right.
///
/// ```text
/// p = min(1, 2 P(X ≤ min(b, c))),   X ~ Binomial(b + c, 1/2)
/// ```
#[must_use]
pub fn mcnemar_exact(only_a: usize, only_b: usize) -> f64 {
    let n = only_a + only_b;
    if n == 0 {
        return 1.0;
    }
    (2.0 * binomial_cdf(only_a.min(only_b), n, 0.5)).min(1.0)
}

/// Compares two models on the same trials, drawing people with all their trials.
///
/// The interval is the normal one around the difference with the bootstrap's standard error, widened for the finite
/// number of people; its p-value is the level at which it touches 0. Without a single trial on which the models
/// differ, the interval is ±3/n (rule of three).
///
/// # Errors
/// Lists of different lengths, no trial, or bootstrap settings out of range.
pub fn paired_test(
    subjects: &[Subject],
    a: &[bool],
    b: &[bool],
    bootstrap: &Bootstrap,
) -> Result<PairedOutcome> {
    bootstrap.check()?;
    for (what, list) in [("outcomes of A", a), ("outcomes of B", b)] {
        if list.len() != subjects.len() {
            return Err(EvalError::Length {
                what: what.into(),
                expected: subjects.len(),
                found: list.len(),
            });
        }
    }
    if subjects.is_empty() {
        return Err(EvalError::Empty {
            what: "trials to compare",
        });
    }
    let n = subjects.len();
    let only_a = a.iter().zip(b).filter(|(a, b)| **a && !**b).count();
    let only_b = a.iter().zip(b).filter(|(a, b)| !**a && **b).count();
    let difference = (only_b as f64 - only_a as f64) / n as f64;
    let (people, count) = dense(subjects.iter().copied());
    let mut of_person = vec![(0.0, 0.0); count];
    for ((&person, &a), &b) in people.iter().zip(a).zip(b) {
        of_person[person as usize].0 += f64::from(u8::from(b)) - f64::from(u8::from(a));
        of_person[person as usize].1 += 1.0;
    }
    let draws = bootstrap.replicate(count, |weights| {
        let (mut sum, mut n) = (0.0, 0.0);
        for (w, (d, k)) in weights.iter().zip(&of_person) {
            sum += w * d;
            n += w * k;
        }
        sum / n
    });
    let mean = draws.iter().sum::<f64>() / draws.len() as f64;
    let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (draws.len() - 1) as f64
        * count.max(2) as f64
        / (count.max(2) - 1) as f64;
    let error = variance.sqrt();
    let z = normal_quantile(0.5 + bootstrap.level / 2.0);
    let freedom = count.max(2) as f64 - 1.0;
    let (half, bootstrap_p) = if error > 0.0 {
        (
            error * student_quantile(z, freedom),
            two_sided(difference.abs() / error, freedom),
        )
    } else if only_a + only_b == 0 {
        ((3.0 / n as f64).min(1.0), 1.0)
    } else {
        // Every person differs by the same amount: the sign test over people.
        (0.0, mcnemar_exact(0, count))
    };
    Ok(PairedOutcome {
        difference,
        low: (difference - half).max(-1.0),
        high: (difference + half).min(1.0),
        n,
        only_a,
        only_b,
        mcnemar_p: mcnemar_exact(only_a, only_b),
        bootstrap_p,
    })
}

/// P(|T| ≥ t) for Student's t, by the inverse of the quantile used for the interval.
fn two_sided(t: f64, freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if student_quantile(middle, freedom) < t {
            low = middle;
        } else {
            high = middle;
        }
    }
    2.0 * crate::interval::normal_cdf(-(low + high) / 2.0)
}

/// Holm's adjustment of p-values for testing several pairs, in the order given.
///
/// ```text
/// p̃₍ᵢ₎ = max_{j ≤ i} min(1, (m − j + 1) p₍ⱼ₎)
/// ```
///
/// Source: verbatim, Holm (1979).
#[must_use]
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let m = p_values.len();
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![1.0; m];
    let mut highest: f64 = 0.0;
    for (place, &index) in order.iter().enumerate() {
        highest = highest.max(((m - place) as f64 * p_values[index]).min(1.0));
        adjusted[index] = highest;
    }
    adjusted
}

/// Is B at most `margin` worse than A?
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NonInferiority {
    /// The largest loss that would still be accepted, as a share of trials.
    pub margin: f64,
    /// The one-sided lower bound of B − A.
    pub lower_bound: f64,
    /// True when the bound lies above −margin.
    pub shown: bool,
}

/// Tests whether B is not worse than A by more than `margin`, at the one-sided level 1 − α of `bootstrap.level`.
///
/// # Errors
/// A margin outside (0, 1), or as [`paired_test`].
pub fn non_inferiority(
    subjects: &[Subject],
    a: &[bool],
    b: &[bool],
    margin: f64,
    bootstrap: &Bootstrap,
) -> Result<NonInferiority> {
    open_unit("the margin", margin)?;
    // A two-sided interval at 2·level − 1 has a one-sided bound at `level`.
    let one_sided = Bootstrap {
        level: (2.0 * bootstrap.level - 1.0).max(1e-6),
        ..*bootstrap
    };
    let lower_bound = paired_test(subjects, a, b, &one_sided)?.low;
    Ok(NonInferiority {
        margin,
        lower_bound,
        shown: lower_bound > -margin,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn mcnemar_equals_the_plain_binomial_sum() {
        assert_eq!(mcnemar_exact(0, 0), 1.0);
        assert_eq!(mcnemar_exact(5, 5), 1.0);
        // 2 (1 + 10) / 1024.
        assert!((mcnemar_exact(1, 9) - 22.0 / 1024.0).abs() < 1e-12);
        assert!((mcnemar_exact(0, 5) - 2.0 / 32.0).abs() < 1e-12);
    }

    #[test]
    fn holm_steps_down() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.5]);
        for (found, expected) in adjusted.iter().zip([0.04, 0.09, 0.09, 0.5]) {
            assert!((found - expected).abs() < 1e-12);
        }
        assert!(holm(&[]).is_empty());
    }

    fn models(seed: u64, gain: f64) -> (Vec<Subject>, Vec<bool>, Vec<bool>) {
        let mut rng = Stream::new(seed, 0);
        let mut all = (vec![], vec![], vec![]);
        for person in 0..80 {
            let ease = rng.normal();
            for _ in 0..8 {
                let noise = rng.normal();
                all.0.push(person);
                all.1.push(ease + noise + 0.3 * rng.normal() > -0.5);
                all.2.push(ease + noise + 0.3 * rng.normal() > -0.5 - gain);
            }
        }
        all
    }

    #[test]
    fn a_paired_gain_is_found_where_unpaired_intervals_overlap() {
        let boot = Bootstrap::default();
        let (people, a, b) = models(1, 0.2);
        let found = paired_test(&people, &a, &b, &boot).unwrap();
        assert!(found.low > 0.0 && found.bootstrap_p < 0.01 && found.mcnemar_p < 0.01);
        let (of_a, of_b) = (
            boot.share(&people, &a).unwrap(),
            boot.share(&people, &b).unwrap(),
        );
        assert!(of_b.0 < of_a.1);
        let count = |x: &[bool]| x.iter().filter(|h| **h).count() as f64;
        assert!((found.difference - (count(&b) - count(&a)) / 640.0).abs() < 1e-12);
    }

    #[test]
    fn the_paired_interval_holds_zero_in_about_95_percent_of_equal_pairs() {
        let boot = Bootstrap {
            replicates: 200,
            ..Bootstrap::default()
        };
        let held = (0..200)
            .filter(|seed| {
                let (people, a, b) = models(1000 + seed, 0.0);
                let found = paired_test(&people, &a, &b, &boot).unwrap();
                assert_eq!(
                    found.low <= 0.0 && found.high >= 0.0,
                    found.bootstrap_p >= 0.05 - 1e-9
                );
                found.low <= 0.0 && found.high >= 0.0
            })
            .count();
        assert!((180..=199).contains(&held), "{held}");
    }

    #[test]
    fn equal_outcomes_leave_the_rule_of_three() {
        let found =
            paired_test(&[0, 0, 1, 2], &[true; 4], &[true; 4], &Bootstrap::default()).unwrap();
        assert_eq!(
            (found.difference, found.bootstrap_p, found.mcnemar_p),
            (0.0, 1.0, 1.0)
        );
        assert_eq!((found.low, found.high), (-0.75, 0.75));
    }

    #[test]
    fn non_inferiority_needs_the_bound_above_the_margin() {
        let boot = Bootstrap::default();
        let (people, a, b) = models(2, 0.0);
        let close = non_inferiority(&people, &a, &b, 0.05, &boot).unwrap();
        assert!(close.shown && close.lower_bound > -0.05);
        let (people, a, b) = models(2, -0.5);
        assert!(!non_inferiority(&people, &a, &b, 0.05, &boot).unwrap().shown);
        assert!(non_inferiority(&people, &a, &b, 0.0, &boot).is_err());
    }
}
