//! The CCFace objective: equations on tensors, per-sample losses out.
//!
//! Every term takes embeddings as `Tensor<2>` (unnormalised student embeddings, unit-norm teacher
//! embeddings, keys and prototypes), labels as `Tensor<1, Int>`, and returns one loss per sample
//! (`forward_no_reduction`) or their mean (`forward`). Nothing here owns a model, a batch, a file
//! or a random number generator; running state goes in and comes out as plain numbers.
//!
//! | module | concept |
//! |---|---|
//! | [`angular`] | safe row normalisation, cosines, the angular margin |
//! | [`classification_consistency`] | part 1: margin softmax against frozen prototypes |
//! | [`embedding_consistency`], [`logit_consistency`] | part 1: agreement with the teacher |
//! | [`adaptive_penalty`] | part 2: a margin per sample from the teacher's score |
//! | [`cross_resolution`], [`push`], [`queue`] | part 3: contrast, LR–LR push, past keys |
//! | [`heads`] | ArcFace, CosFace and AdaFace with trainable prototypes |
//! | [`objective`] | weights, named terms, their sum |
//!
//! The paper's text is not available to this project: formulas of the method are reconstructions
//! from its abstract and a published commentary, and each docstring says so.
//!
//! Gradients reach the student alone. Teacher embeddings, keys, prototypes and margins enter every
//! term without their autodiff association; only [`heads`] let a gradient through to prototypes.
//!
//! Half-precision inputs are converted to f32 on entry; f32 and f64 are kept as they are.

pub mod adaptive_penalty;
pub mod angular;
pub mod classification_consistency;
pub mod cross_resolution;
pub mod embedding_consistency;
pub mod error;
pub mod heads;
mod log_sum_exp;
pub mod logit_consistency;
mod non_target;
mod numeric;
pub mod objective;
pub mod push;
pub mod queue;
pub mod running_statistics;
#[cfg(test)]
mod testing;

pub use adaptive_penalty::{AdaptivePenalty, Difficulty, Scores};
pub use classification_consistency::ClassificationConsistency;
pub use cross_resolution::{CrossResolution, CrossResolutionOutput};
pub use embedding_consistency::EmbeddingConsistency;
pub use error::LossError;
pub use heads::{AdaFace, ArcFace, CosFace, HeadOutput, MarginHead};
pub use logit_consistency::LogitConsistency;
pub use objective::{Objective, ObjectiveConfig, ObjectiveInput, ObjectiveOutput, Term};
pub use push::Push;
pub use queue::{KeyQueue, KeyQueueRecord};
pub use running_statistics::RunningStatistics;
