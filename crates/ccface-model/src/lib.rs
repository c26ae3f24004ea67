//! Backbones, prototypes, EMA copies, weight files and model cards of CCFace.
//!
//! | module | what it holds |
//! |---|---|
//! | [`backbone`] | [`IResNet`], [`MobileFaceNet`], their configuration, parameter and MAC counts, seeded weights |
//! | [`prototypes`] | class prototypes as plain numbers: means, leave-one-out scores, files |
//! | [`momentum`] | the gradient-free moving average of a backbone |
//! | [`card`] | `model.json`: what a weight file is and how it wants its input |
//! | [`weights`] | safetensors in PyTorch's names; checkpoints and heads of other projects; ONNX |
//!
//! The crate knows tensors, never losses, images or metrics. It is written against burn's run-time
//! [`Device`](burn::tensor::Device): the caller chooses the backend.

pub mod backbone;
pub mod card;
pub mod error;
pub mod momentum;
pub mod prototypes;
pub mod weights;

pub use backbone::{
    Backbone, BackboneConfig, IResNet, IResNetConfig, MobileFaceNet, MobileFaceNetConfig,
    ModelSummary, StageSummary,
};
pub use card::{
    Alignment, CARD_FILE, Colour, EmbeddingSpec, InputSpec, ModelCard, Provenance, WeightsRef,
};
pub use error::ModelError;
pub use momentum::Momentum;
pub use prototypes::{LeaveOneOut, Prototypes, class_means, leave_one_out_scores};
pub use weights::{
    Checkpoint, FreedBatch, ImportedBackbone, ImportedHead, OnnxExport, OnnxFile, OnnxInput,
    WEIGHTS_FILE, WeightLayout, export_onnx, export_safetensors, find_card, head_inside,
    import_backbone, import_head, load_model, mobilefacenet_from_onnx, onnx_bytes, quantise_onnx,
    quantised_values, read_card, save_model,
};
