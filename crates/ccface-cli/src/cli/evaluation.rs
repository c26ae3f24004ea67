//! Flags of the evaluations on scores, embeddings and named protocols, and of what goes with them.

use std::path::PathBuf;

use ccface_data::FaceMask;
use ccface_train::encoder::FlipFusion;
use clap::{Args, ValueEnum};

use super::OnnxArgs;

/// What is measured and where it goes.
#[derive(Debug, Args)]
pub(crate) struct EvaluationOptions {
    /// Write the result as JSON (`-`: standard output, and nothing else there).
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the metrics as CSV (`-`: standard output).
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Write the result as one HTML page.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// FARs of TAR@FAR.
    #[arg(long, value_delimiter = ',', default_value = "0.1,0.01,0.001,0.0001")]
    pub(crate) far: Vec<f64>,
    /// FPIRs of TPIR@FPIR.
    #[arg(long, value_delimiter = ',', default_value = "0.3,0.2,0.1,0.01")]
    pub(crate) fpir: Vec<f64>,
    /// R of TPIR@FPIR: the mate must stand among so many candidates.
    #[arg(long, default_value_t = 20)]
    pub(crate) tpir_rank: usize,
    #[command(flatten)]
    pub(crate) intervals: IntervalArgs,
}

/// How intervals are made.
#[derive(Debug, Args)]
pub(crate) struct IntervalArgs {
    /// Replicates of the bootstrap.
    #[arg(long, default_value_t = 1000)]
    pub(crate) replicates: usize,
    /// Share of intervals that should hold the true value.
    #[arg(long, default_value_t = 0.95)]
    pub(crate) level: f64,
    /// Seed of the bootstrap.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct ScoresArgs {
    /// CSV with `score,mated` and optionally `probe_subject,gallery_subject,group,size,confidence_NAME`.
    #[arg(value_name = "FILE")]
    pub(crate) scores: PathBuf,
    /// Choose thresholds on the scores of this file, of other people, and report their error rates on FILE. Both
    /// need subjects.
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) options: EvaluationOptions,
}

#[derive(Debug, Args)]
pub(crate) struct EmbeddingsArgs {
    /// Probe embeddings, `.npy` or `.safetensors`, one row per image.
    #[arg(long, value_name = "FILE")]
    pub(crate) probe: PathBuf,
    /// Who is on each probe, one label a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) probe_labels: PathBuf,
    /// Gallery embeddings; without them the probes are compared with each other.
    #[arg(long, value_name = "FILE", requires = "gallery_labels")]
    pub(crate) gallery: Option<PathBuf>,
    /// Who is on each gallery image, one label a line; -100 is nobody among the probes.
    #[arg(long, value_name = "FILE", requires = "gallery")]
    pub(crate) gallery_labels: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) options: EvaluationOptions,
}

/// Where a protocol's embeddings come from.
#[derive(Debug, Args)]
#[group(id = "source", required = true, multiple = false, args = ["model", "embeddings", "list"])]
pub(crate) struct EmbeddingSource {
    /// Embed the images with this run, model file or ONNX network.
    #[arg(long, value_name = "PATH")]
    pub(crate) model: Option<PathBuf>,
    /// Embeddings made elsewhere, `.npy` or `.safetensors`: a row per image in the order of --list (probes, then
    /// gallery), all zeros where an image failed.
    #[arg(long, value_name = "FILE")]
    pub(crate) embeddings: Option<PathBuf>,
    /// Write the images' paths in the protocol's order, one a line (`-`: standard output), and stop.
    #[arg(long, value_name = "FILE")]
    pub(crate) list: Option<PathBuf>,
    /// What each row of --embeddings is, a path as in --list a line, where the order is another.
    #[arg(long, value_name = "FILE", requires = "embeddings")]
    pub(crate) names: Option<PathBuf>,
    /// Keep the embeddings that --model gives (`.npy`).
    #[arg(long, value_name = "FILE", requires = "model")]
    pub(crate) save_embeddings: Option<PathBuf>,
    /// Take what is there of an incomplete layout; differences become warnings.
    #[arg(long)]
    pub(crate) part: bool,
    /// Join the embeddings of an image and its mirror image: not at all, f + f′, or f·‖f‖ + f′·‖f′‖.
    #[arg(long, value_enum, default_value_t = Flip::None)]
    pub(crate) flip: Flip,
    /// Show the network the whole picture, or the face oval of an ArcFace crop with mid-grey around it.
    #[arg(long, value_enum, default_value_t = Mask::None)]
    pub(crate) mask: Mask,
    #[command(flatten)]
    pub(crate) onnx: OnnxArgs,
    /// Device for networks that are not ONNX.
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
    /// Images per call of the network.
    #[arg(long, default_value_t = 32)]
    pub(crate) batch: usize,
}

/// How the embeddings of an image and its mirror image are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Flip {
    /// The image alone.
    None,
    /// f + f′ (arcface_torch).
    Sum,
    /// f·‖f‖ + f′·‖f′‖ (AdaFace's TinyFace figures).
    Norm,
}

impl From<Flip> for FlipFusion {
    fn from(flip: Flip) -> Self {
        match flip {
            Flip::None => Self::None,
            Flip::Sum => Self::Sum,
            Flip::Norm => Self::Norm,
        }
    }
}

/// What of a picture a network is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mask {
    /// The whole picture.
    None,
    /// The face oval of an ArcFace crop, mid-grey around it.
    Oval,
}

impl From<Mask> for FaceMask {
    fn from(mask: Mask) -> Self {
        match mask {
            Mask::None => Self::None,
            Mask::Oval => Self::Oval,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct TinyfaceArgs {
    /// The release, or AdaFace's aligned crops.
    #[arg(value_name = "DIR")]
    pub(crate) root: PathBuf,
    #[command(flatten)]
    pub(crate) source: EmbeddingSource,
    #[command(flatten)]
    pub(crate) options: EvaluationOptions,
}

#[derive(Debug, Args)]
pub(crate) struct ScfaceArgs {
    /// The unpacked release.
    #[arg(value_name = "DIR")]
    pub(crate) root: PathBuf,
    /// Which of the three protocols, never to be compared with each other.
    #[arg(long, value_enum, default_value_t = ScfaceSplit::All130)]
    pub(crate) protocol: ScfaceSplit,
    /// The 80 test people of ft80, one number a line.
    #[arg(long, value_name = "FILE", required_if_eq("protocol", "ft80"))]
    pub(crate) people: Option<PathBuf>,
    /// Distance: 1 is 4.20 m (the smallest faces), 2 is 2.60 m, 3 is 1.00 m.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=3))]
    pub(crate) distance: u8,
    /// Cameras: visible (1–5), infrared (6 and 7), or one number from 1 to 7.
    #[arg(long, default_value = "visible")]
    pub(crate) cameras: String,
    #[command(flatten)]
    pub(crate) source: EmbeddingSource,
    #[command(flatten)]
    pub(crate) options: EvaluationOptions,
}

/// SCface's protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScfaceSplit {
    /// All 130 people.
    All130,
    /// 50 people to train on, 80 to test.
    Ft80,
    /// People 1–43 of Idiap's split.
    IdiapTrain,
    /// People 44–87 of Idiap's split.
    IdiapDev,
    /// People 88–130 of Idiap's split.
    IdiapEval,
}

#[derive(Debug, Args)]
pub(crate) struct SurvfaceArgs {
    /// The folder that holds Face_Identification_Test_Set and Face_Verification_Test_Set.
    #[arg(value_name = "DIR")]
    pub(crate) root: PathBuf,
    /// Which protocol.
    #[arg(long, value_enum, default_value_t = SurvfaceTask::Identification)]
    pub(crate) task: SurvfaceTask,
    #[command(flatten)]
    pub(crate) source: EmbeddingSource,
    #[command(flatten)]
    pub(crate) options: EvaluationOptions,
}

/// QMUL-SurvFace's protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SurvfaceTask {
    /// Open-set identification.
    Identification,
    /// Verification of listed pairs.
    Verification,
}

#[derive(Debug, Args)]
pub(crate) struct LfwArgs {
    /// Folder of images, or the folder above it that has the set's name inside.
    #[arg(value_name = "DIR")]
    pub(crate) root: PathBuf,
    /// The pair list, in LFW's format or as two `image label` lines a pair; DIR/pairs.txt if left out.
    #[arg(long, value_name = "FILE")]
    pub(crate) pairs: Option<PathBuf>,
    /// Name of the set: lfw, xqlfw, calfw, cplfw, …
    #[arg(long, default_value = "lfw")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) source: EmbeddingSource,
    #[command(flatten)]
    pub(crate) options: EvaluationOptions,
}

#[derive(Debug, Args)]
pub(crate) struct BinArgs {
    /// A verification set as InsightFace ships it: lfw.bin, agedb_30.bin, …
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) source: EmbeddingSource,
    #[command(flatten)]
    pub(crate) options: EvaluationOptions,
}

#[derive(Debug, Args)]
pub(crate) struct CsvArgs {
    /// Folder that the lists' paths are relative to.
    #[arg(value_name = "DIR")]
    pub(crate) root: PathBuf,
    /// Probes: CSV with `path,label`.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "pairs",
        conflicts_with = "pairs"
    )]
    pub(crate) probe: Option<PathBuf>,
    /// Gallery: CSV with `path,label`.
    #[arg(long, value_name = "FILE", requires = "probe")]
    pub(crate) gallery: Option<PathBuf>,
    /// Pairs instead: CSV with `path_a,path_b,mated`.
    #[arg(long, value_name = "FILE")]
    pub(crate) pairs: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: EmbeddingSource,
    #[command(flatten)]
    pub(crate) options: EvaluationOptions,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Two or more results of `ccface evaluate … --json`, of one protocol.
    #[arg(value_name = "RESULT", num_args = 2.., required = true)]
    pub(crate) results: Vec<PathBuf>,
    /// Write the comparison as JSON (`-`: standard output, and nothing else there).
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the comparison as one HTML page.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Also ask whether each later result is at most this much worse than an earlier one (non-inferiority): 0.01 is
    /// one point of a per cent.
    #[arg(long, value_name = "SHARE")]
    pub(crate) margin: Option<f64>,
    #[command(flatten)]
    pub(crate) intervals: IntervalArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReplicaArgs {
    /// Which data set's layout.
    #[arg(value_enum)]
    pub(crate) layout: Layout,
    /// Folder to make.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Share of the authors' numbers of people and images; 1 is the whole size.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) scale: f64,
    /// Side of the pictures in pixels.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(4..=512))]
    pub(crate) size: u32,
}

/// Layouts that can be replicated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// TinyFace's release, with MAT lists and the training set.
    Tinyface,
    /// TinyFace as AdaFace reads it.
    TinyfaceAligned,
    /// SCface.
    Scface,
    /// QMUL-SurvFace.
    Survface,
    /// LFW with pairs.txt.
    Lfw,
}
