//! Open-set identification: true positives at a bounded rate of false alarms.

use serde::{Deserialize, Serialize};

use crate::error::{EvalError, Result, open_unit};
use crate::identification::ProbeOutcome;
use crate::rate::{ENOUGH_ERRORS, Rate};

/// TPIR(N, R, T) at a wanted FPIR.
///
/// ISO/IEC 19795-1 calls 1 − TPIR the FNIR(N, R, T).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tpir {
    /// Share of mated probes whose mate is in the top R with a score of at least T.
    pub tpir: Rate,
    /// N: the gallery's size. FPIR grows with it.
    pub gallery_size: usize,
    /// R: how far down the list a mate still counts.
    pub rank: usize,
    /// T: the threshold, where one exists.
    pub threshold: Option<f64>,
    /// Share of non-mated probes with any score of at least T.
    pub fpir: Option<f64>,
    /// Number of mated probes.
    pub mated: usize,
    /// Number of non-mated probes.
    pub nonmated: usize,
}

/// TPIR at the threshold that the ⌊n·FPIR⌋-th largest top score of the n non-mated probes sets.
///
/// ```text
/// T    = the ⌊n · fpir⌋-th largest of the non-mated probes' top scores
/// TPIR = #{mated probes: rank ≤ R and mate's score ≥ T} / #{mated probes}
/// ```
///
/// Insufficient when n < 1/fpir.
///
/// # Errors
/// `fpir` outside (0, 1), a rank of 0, or no mated probe.
pub fn tpir_at_fpir(
    outcomes: &[ProbeOutcome],
    gallery_size: usize,
    rank: usize,
    fpir: f64,
) -> Result<Tpir> {
    open_unit("the wanted FPIR", fpir)?;
    if rank == 0 {
        return Err(EvalError::OutOfRange {
            what: "the rank",
            value: 0.0,
            range: "1 or more",
        });
    }
    let mut tops: Vec<f64> = outcomes
        .iter()
        .filter(|o| o.mate.is_none())
        .map(|o| o.top)
        .collect();
    let mated = outcomes.len() - tops.len();
    if mated == 0 {
        return Err(EvalError::Empty {
            what: "probes with a mate in the gallery",
        });
    }
    tops.sort_by(|a, b| b.total_cmp(a));
    let nonmated = tops.len();
    let mut result = Tpir {
        tpir: Rate::insufficient("not measured"),
        gallery_size,
        rank,
        threshold: None,
        fpir: None,
        mated,
        nonmated,
    };
    let allowed = crate::verification::largest_count(fpir, nonmated.max(1));
    if nonmated == 0 || allowed == 0 {
        result.tpir = Rate::insufficient(format!(
            "{nonmated} non-mated probes cannot show FPIR {fpir}: at least {} are needed",
            (1.0 / fpir).ceil()
        ));
        return Ok(result);
    }
    let threshold = tops[allowed - 1];
    let hits = outcomes
        .iter()
        .filter_map(|o| o.mate)
        .filter(|m| m.rank <= rank && m.score >= threshold)
        .count();
    result.threshold = Some(threshold);
    result.fpir = Some(tops.iter().filter(|t| **t >= threshold).count() as f64 / nonmated as f64);
    result.tpir = match Rate::from_counts(hits, mated, 0.95) {
        Rate::Measured {
            value,
            low,
            high,
            n,
            low_confidence,
        } => Rate::Measured {
            value,
            low,
            high,
            n,
            low_confidence: low_confidence || (allowed as f64) < ENOUGH_ERRORS,
        },
        other => other,
    };
    Ok(result)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::identification::Mate;
    use crate::rng::Stream;

    fn outcomes(seed: u64, mated: usize, nonmated: usize) -> Vec<ProbeOutcome> {
        let mut rng = Stream::new(seed, 0);
        (0..mated + nonmated)
            .map(|i| {
                let score = rng.normal();
                ProbeOutcome {
                    subject: i as u32,
                    mate: (i < mated).then(|| Mate {
                        rank: 1 + rng.below(30),
                        score: score + 1.0,
                    }),
                    top: score + if i < mated { 1.5 } else { 0.0 },
                }
            })
            .collect()
    }

    #[test]
    fn tpir_equals_the_plain_definition() {
        let all = outcomes(1, 230, 170);
        for fpir in [0.3, 0.2, 0.1, 0.01] {
            let found = tpir_at_fpir(&all, 99, 20, fpir).unwrap();
            let mut tops: Vec<f64> = all
                .iter()
                .filter(|o| o.mate.is_none())
                .map(|o| o.top)
                .collect();
            tops.sort_by(|a, b| b.total_cmp(a));
            let t = tops[(170.0_f64 * fpir).floor() as usize - 1];
            let hits = all
                .iter()
                .filter(|o| o.mate.is_some_and(|m| m.rank <= 20 && m.score >= t))
                .count();
            assert_eq!(found.threshold, Some(t));
            assert_eq!(found.tpir.value(), Some(hits as f64 / 230.0));
            assert!(found.fpir.unwrap() <= fpir);
        }
    }

    #[test]
    fn too_few_non_mated_probes_give_no_number() {
        let found = tpir_at_fpir(&outcomes(2, 50, 9), 10, 20, 0.1).unwrap();
        assert!(matches!(found.tpir, Rate::Insufficient { .. }));
        assert_eq!(found.threshold, None);
        let none = tpir_at_fpir(&outcomes(2, 50, 0), 10, 20, 0.1).unwrap();
        assert_eq!(none.tpir.value(), None);
    }

    #[test]
    fn wrong_parameters_are_refused() {
        let all = outcomes(3, 5, 50);
        assert!(tpir_at_fpir(&all, 1, 20, 0.0).is_err());
        assert!(tpir_at_fpir(&all, 1, 0, 0.1).is_err());
        assert!(tpir_at_fpir(&outcomes(3, 0, 50), 1, 20, 0.1).is_err());
    }
}
