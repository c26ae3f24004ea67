//! Flags of the commands on models: import, export, embed, doctor.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Flip, OnnxArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum TeacherCommand {
    /// Take over a network of another project: its weights and its head, as a model directory.
    Import(ImportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Weights: a PyTorch .pt, .pth or .ckpt (read, never executed), a .safetensors file, or an ONNX MobileFaceNet.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The classifier trained with it; once for each shard. A head inside FILE is found by itself.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) head: Vec<PathBuf>,
    /// The head's classes in row order, a name a line, as the training data calls them.
    #[arg(long, value_name = "FILE")]
    pub(crate) identities: Option<PathBuf>,
    /// Model directory to make.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Say what would be imported, and write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace a model that is in --out already.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Which network of the file, where it holds several: what stands in front of its names.
    #[arg(long, value_name = "TEXT")]
    pub(crate) prefix: Option<String>,
    /// Colour order it was trained with; without it bgr for AdaFace's layout, rgb for the others.
    #[arg(long, value_parser = ["rgb", "bgr"])]
    pub(crate) colour: Option<String>,
    /// Subtracted from each 0..255 channel: one number or three.
    #[arg(long, value_delimiter = ',', default_value = "127.5")]
    pub(crate) mean: Vec<f32>,
    /// Divisor of each channel: one number or three.
    #[arg(long, value_delimiter = ',', default_value = "127.5")]
    pub(crate) std: Vec<f32>,
    /// The licence that goes with the weights; it passes on to every student.
    #[arg(long, value_name = "TEXT")]
    pub(crate) licence: Option<String>,
    /// The data it was trained on, for the card.
    #[arg(long, value_name = "TEXT")]
    pub(crate) trained_on: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// A run directory, a model directory or its weights.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// File to write.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// safetensors (arcface_torch's names, for PyTorch) or onnx; without it the ending of --out decides.
    #[arg(long, value_parser = ["safetensors", "onnx"])]
    pub(crate) format: Option<String>,
    /// ONNX: put batch norms into the weights beside them, where that is exact.
    #[arg(long)]
    pub(crate) fold_batch_norm: bool,
    /// ONNX: 8-bit weights and activations, with ranges measured on LR views of these faces. Folds batch norms.
    #[arg(long, value_name = "SOURCE")]
    pub(crate) int8: Option<PathBuf>,
    /// Face sizes of the views that ranges are measured on, in pixels, in turn.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "8,12,16,24,112",
        requires = "int8"
    )]
    pub(crate) sizes: Vec<usize>,
    /// Faces that ranges are measured on.
    #[arg(long, default_value_t = 100, requires = "int8")]
    pub(crate) images: usize,
    /// Identities of --int8: all, names, inclusive ranges (s01..s20).
    #[arg(long, default_value = "all", requires = "int8")]
    pub(crate) identities: String,
    /// With --int8: the EER by face size before and after, on the faces of this folder.
    #[arg(long, value_name = "DIR", requires = "int8")]
    pub(crate) evaluate: Option<PathBuf>,
    /// Identities of --evaluate.
    #[arg(long, default_value = "all", requires = "evaluate")]
    pub(crate) evaluate_identities: String,
}

#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    /// A run, a model directory or file, or an ONNX network.
    #[arg(value_name = "MODEL", required_unless_present = "merge")]
    pub(crate) model: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: EmbedSource,
    /// Rows to write: .npy or .safetensors; names, labels and a description go beside them.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Join the parts that --shard made, instead of embedding.
    #[arg(long, value_name = "PART", num_args = 1.., conflicts_with_all = ["model", "data", "shard"])]
    pub(crate) merge: Vec<PathBuf>,
    /// Only part i of n, counted from 0: 0/4, 1/4, 2/4, 3/4.
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<String>,
    /// Join the embeddings of an image and its mirror image: not at all, f + f′, or f·‖f‖ + f′·‖f′‖.
    #[arg(long, value_enum, default_value_t = Flip::None)]
    pub(crate) flip: Flip,
    /// Bring every row to unit norm.
    #[arg(long)]
    pub(crate) unit_norm: bool,
    /// Images per call of the network, if not the program's choice.
    #[arg(long)]
    pub(crate) batch: Option<usize>,
    /// Calls at the same time, if not the program's choice.
    #[arg(long)]
    pub(crate) workers: Option<usize>,
    /// Share of images that may be unreadable; their rows are zeros.
    #[arg(long, default_value_t = 0.001)]
    pub(crate) budget: f64,
    /// Replace --out, and begin anew where a run was stopped.
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) onnx: OnnxArgs,
    /// Device for networks that are not ONNX.
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
}

/// The faces to embed.
#[derive(Debug, Args)]
pub(crate) struct EmbedSource {
    /// An image folder, TinyFace, a .rec file, a .csv or .tsv manifest, or a .bin set.
    #[arg(long, value_name = "SOURCE", required_unless_present = "merge")]
    pub(crate) data: Option<PathBuf>,
    /// The split of a manifest; all rows without it.
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Option<String>,
    /// Identities: all, names, inclusive ranges (s21..s40).
    #[arg(long, default_value = "all")]
    pub(crate) identities: String,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// A run, a model directory or file, or an ONNX network.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// A small set of aligned faces with labels: ten people or more, two images or more of each.
    #[arg(long, value_name = "SOURCE")]
    pub(crate) data: PathBuf,
    /// Identities: all, names, inclusive ranges (s21..s40).
    #[arg(long, default_value = "all")]
    pub(crate) identities: String,
    /// Images to use at most.
    #[arg(long, default_value_t = 80)]
    pub(crate) images: usize,
    /// Write the result as JSON (`-`: standard output).
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) onnx: OnnxArgs,
    /// Device for networks that are not ONNX.
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
}
