//! Biometric evaluation on plain numbers: metrics, statistics, protocols, thresholds.
//!
//! Scores are similarities: higher means more alike, and a comparison is accepted when its score is at least the
//! threshold. Nothing here decodes an image or knows a tensor.

mod bootstrap;
mod by_size;
mod compare;
mod comparison;
mod embedding_file;
mod embedding_set;
mod embeddings;
mod error;
mod evaluate_embeddings;
mod evaluate_pairs;
mod evaluate_scores;
mod evaluation;
mod folds;
mod groups;
mod identification;
mod interval;
mod kernel;
mod labels;
mod matfile;
mod npy;
mod open_set;
mod paired_test;
pub mod protocol;
mod rate;
mod reject;
mod replica;
mod result;
mod rng;
mod score_table;
mod search;
mod similarity;
mod threshold;
mod verification;
mod weighted_curve;
mod worst;

pub use bootstrap::{Bootstrap, TarInterval, VerificationIntervals};
pub use by_size::{
    CollapseResult, DET_POINTS, PairingResult, evaluate_collapse, evaluate_pairing, hr_threshold,
};
pub use compare::{ComparisonTable, MetricRow, PairedRow, compare};
pub use comparison::{Comparison, Comparisons, Subject};
pub use embedding_file::{read_embedding_set, read_labels, read_matrix};
pub use embedding_set::{DISTRACTOR, EmbeddingSet};
pub use embeddings::Embeddings;
pub use error::{EvalError, Result};
pub use evaluate_embeddings::{add_identification, evaluate_embeddings};
pub use evaluate_pairs::evaluate_pairs;
pub use evaluate_scores::evaluate_scores;
pub use evaluation::EvaluationConfig;
pub use folds::{FoldAccuracy, FoldVal, fold_accuracy, fold_val, pair_distances};
pub use groups::{GroupRow, GroupTable, SizeRow, size_bins};
pub use identification::{Cmc, Mate, ProbeOutcome, identify};
pub use interval::{clopper_pearson, normal_cdf, normal_quantile, wilson};
pub use labels::Labels;
pub use matfile::{MatValue, MatVariable, read_mat, write_mat};
pub use npy::{Matrix, read_npy, write_npy};
pub use open_set::{Tpir, tpir_at_fpir};
pub use paired_test::{
    NonInferiority, PairedOutcome, holm, mcnemar_exact, non_inferiority, paired_test,
};
pub use rate::{ENOUGH_ERRORS, Rate};
pub use reject::{RejectCurve, reject_curve};
pub use replica::{ReplicaCounts, ReplicaImage, ReplicaLayout, write_replica};
pub use result::{Curves, ProtocolFacts, ResultDocument, SCHEMA, StatisticsFacts, Trials};
pub use rng::Stream;
pub use score_table::{ScoreRow, read_scores};
pub use search::{Candidate, TopK};
pub use similarity::{Pairs, cross_comparisons, cross_scores, scores_between};
pub use threshold::CalibratedThreshold;
pub use verification::{Eer, Histogram, OperatingPoint, Rule, Scores};
pub use worst::{WorstError, WorstErrors};
