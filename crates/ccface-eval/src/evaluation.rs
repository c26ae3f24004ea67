//! What every evaluation shares: its settings, and the verification part of the result document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bootstrap::Bootstrap;
use crate::comparison::Comparisons;
use crate::error::Result;
use crate::rate::{ENOUGH_ERRORS, Rate};
use crate::result::{Curves, ProtocolFacts, ResultDocument, SCHEMA, StatisticsFacts, Trials};
use crate::verification::{Rule, Scores};

/// What to measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationConfig {
    /// FARs of TAR@FAR; default 0.1, 0.01, 0.001, 0.0001.
    pub fars: Vec<f64>,
    /// Ranks of the CMC; default 1, 5, 10, 20.
    pub ranks: Vec<usize>,
    /// R of TPIR(N, R, T); default 20.
    pub tpir_rank: usize,
    /// FPIRs of TPIR@FPIR; default 0.3, 0.2, 0.1, 0.01.
    pub fpirs: Vec<f64>,
    /// The intervals.
    pub bootstrap: Bootstrap,
    /// The FAR whose threshold serves groups, sizes, reject curves; default 0.01.
    pub common_far: f64,
    /// Largest number of face-size bins; default 6.
    pub size_bins: usize,
    /// Points kept of a curve; default 200.
    pub curve_points: usize,
    /// Whether outcomes per trial are kept for paired tests (up to 500,000 genuine ones); default true.
    pub keep_trials: bool,
    /// Beyond this many comparisons, impostors are sampled; default 20 million.
    pub most_comparisons: usize,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            fars: vec![0.1, 0.01, 0.001, 0.0001],
            ranks: vec![1, 5, 10, 20],
            tpir_rank: 20,
            fpirs: vec![0.3, 0.2, 0.1, 0.01],
            bootstrap: Bootstrap::default(),
            common_far: 0.01,
            size_bins: 6,
            curve_points: 200,
            keep_trials: true,
            most_comparisons: 20_000_000,
        }
    }
}

/// More genuine trials than this are not written into a document.
const MOST_TRIALS: usize = 500_000;

/// The interval's description in a document.
pub(crate) const BY_SUBJECT: &str =
    "subject-level bootstrap, two-way for impostors (Wilson with the effective sample size)";
/// The same where subjects are unknown.
pub(crate) const BY_SCORE: &str = "score-level bootstrap: comparisons taken as independent because no subjects are \
     given; too narrow where comparisons share people";

/// A document with no metric yet.
pub(crate) fn new_document(name: &str, config: &EvaluationConfig) -> ResultDocument {
    ResultDocument {
        schema: SCHEMA.to_owned(),
        protocol: ProtocolFacts {
            name: name.to_owned(),
            threshold_rule: "conservative: the lowest threshold with FMR ≤ f; metrics ending in /nearest take the \
                 threshold with FMR nearest to f"
                .to_owned(),
            ..ProtocolFacts::default()
        },
        statistics: StatisticsFacts {
            interval: BY_SUBJECT.to_owned(),
            level: config.bootstrap.level,
            replicates: config.bootstrap.replicates,
            seed: config.bootstrap.seed,
            subjects: None,
        },
        metrics: BTreeMap::new(),
        thresholds: BTreeMap::new(),
        curves: Curves::default(),
        open_set: Vec::new(),
        groups: None,
        sizes: Vec::new(),
        reject: Vec::new(),
        trials: BTreeMap::new(),
        worst: None,
        warnings: Vec::new(),
    }
}

/// Adds EER, TAR@FAR, thresholds, curves and the genuine trials of these comparisons.
pub(crate) fn add_verification(
    document: &mut ResultDocument,
    comparisons: &Comparisons,
    config: &EvaluationConfig,
    subjects_known: bool,
) -> Result<Scores> {
    let scores = comparisons.scores()?;
    let intervals = config.bootstrap.verification(comparisons, &config.fars)?;
    let (g, m) = (scores.genuine().len(), scores.impostor().len());
    document.statistics.replicates = intervals.replicates;
    if subjects_known {
        document.statistics.subjects = Some(intervals.subjects);
    } else {
        document.statistics.interval = BY_SCORE.to_owned();
    }
    let counts = &mut document.protocol.counts;
    counts.insert("genuine_comparisons".into(), g);
    counts.insert("impostor_comparisons".into(), m);

    let eer = scores.eer();
    let errors = eer.value * g.min(m) as f64;
    document.metrics.insert(
        "eer".into(),
        Rate::Measured {
            value: eer.value,
            low: intervals.eer.0.min(eer.value),
            high: intervals.eer.1.max(eer.value),
            n: g + m,
            low_confidence: errors < ENOUGH_ERRORS,
        },
    );
    document
        .thresholds
        .insert("eer".into(), scores.point(eer.threshold));
    let mut genuine_hits = BTreeMap::new();
    for (far, interval) in config.fars.iter().zip(&intervals.tar) {
        for (rule, ends, suffix) in [
            (Rule::Conservative, interval.conservative, ""),
            (Rule::Nearest, interval.nearest, "/nearest"),
        ] {
            let rate = scores.tar_at_far(*far, rule)?.with_interval(ends);
            let name = format!("tar@far={far}{suffix}");
            if rate.value().is_some() {
                let point = scores.threshold_at_fmr(*far, rule)?;
                document
                    .thresholds
                    .insert(format!("far={far}{suffix}"), point);
                let hits: Vec<bool> = comparisons
                    .genuine
                    .iter()
                    .map(|c| c.score >= point.threshold)
                    .collect();
                genuine_hits.insert(name.clone(), Trials::pack(&hits));
            }
            document.metrics.insert(name, rate);
        }
    }
    if config.keep_trials && g <= MOST_TRIALS {
        let subjects: Vec<u32> = comparisons.genuine.iter().map(|c| c.probe).collect();
        document.trials.insert(
            "genuine".into(),
            Trials {
                fingerprint: fingerprint(subjects.iter().copied()),
                subjects,
                hits: genuine_hits,
            },
        );
    }
    document.curves.det = scores.det(config.curve_points);
    document.curves.auc = Some(scores.auc());
    document.curves.histogram = Some(scores.histogram(60));
    Ok(scores)
}

/// A hash of a list of numbers.
pub(crate) fn fingerprint(numbers: impl Iterator<Item = u32>) -> String {
    let mut hasher = blake3::Hasher::new();
    for n in numbers {
        hasher.update(&n.to_le_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}
