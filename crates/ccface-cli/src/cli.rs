//! Flags, and nothing but flags: meaning and checks live in the commands.

mod data;
mod evaluation;
mod models;
mod watch;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use data::{
    AlignArgs, ConvertArgs, DataCommand, InspectArgs, PreviewArgs, SourceArgs, SynthArgs,
    VerifyArgs,
};
pub(crate) use evaluation::{
    BinArgs, CompareArgs, CsvArgs, EmbeddingSource, EmbeddingsArgs, EvaluationOptions, Flip,
    IntervalArgs, Layout, LfwArgs, Mask, ReplicaArgs, ScfaceArgs, ScfaceSplit, ScoresArgs,
    SurvfaceArgs, SurvfaceTask, TinyfaceArgs,
};
pub(crate) use models::{DoctorArgs, EmbedArgs, ExportArgs, ImportArgs, TeacherCommand};
pub(crate) use watch::{TensorboardArgs, WatchArgs};

/// Face recognition that works on low-resolution images: train a student under a high-resolution teacher, evaluate it by face size.
#[derive(Debug, Parser)]
#[command(name = "ccface", version, propagate_version = true)]
pub(crate) struct Cli {
    /// Log what happens inside.
    #[arg(long, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// See the method work on synthetic faces: a teacher, a control, a student, a report. Ten minutes on two cores.
    Quickstart(QuickstartArgs),
    /// Distil an LR student from an HR teacher (CCFace).
    Distill(RunArgs),
    /// Train with a margin softmax and trainable prototypes: a teacher, or the control.
    Train(RunArgs),
    /// Watch runs on a live page: losses, error by face size, margins, sample faces; while they train and after.
    Watch(WatchArgs),
    /// Write an event file for TensorBoard from a run that has none.
    Tensorboard(TensorboardArgs),
    /// Check, show and compare configurations.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// List runs: state, step, best validation, and which checkpoints they can go on from.
    Runs(RunsArgs),
    /// Evaluate a model.
    #[command(subcommand)]
    Evaluate(Box<EvaluateCommand>),
    /// Bring a teacher from another project.
    #[command(subcommand)]
    Teacher(TeacherCommand),
    /// Find out what a network expects: colour order, scale, orientation, alignment.
    Doctor(DoctorArgs),
    /// Embed any source of faces into a file of rows.
    Embed(EmbedArgs),
    /// Write a model for other programs: PyTorch or ONNX.
    Export(ExportArgs),
    /// Parameters and multiply–adds of an architecture or a model file.
    Model(ModelArgs),
    /// Put results of one protocol side by side, with paired tests.
    Compare(CompareArgs),
    /// Work on data sets.
    #[command(subcommand)]
    Data(DataCommand),
    /// List devices: compiled in, and usable here.
    Devices,
}

#[derive(Debug, Args)]
pub(crate) struct QuickstartArgs {
    /// Directory to make: faces, three runs, report.html and report.json.
    #[arg(long, value_name = "DIR", default_value = "quickstart")]
    pub(crate) out: PathBuf,
    /// Seed of the people and of all training.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// People to train on: a number, or a range first..end of the generator's identities. The 60 after them are evaluated.
    #[arg(long, default_value = "240")]
    pub(crate) identities: String,
    /// Device.
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Configuration, TOML.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Run directory to make.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Override a value of the configuration, as in `--set seed=2`. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Device: flex, ndarray, wgpu[:n], vulkan[:n], metal, cuda[:n], rocm[:n].
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,
    /// Replace a run that is in --out already.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Go on with the run that is in --out, from its newest sound checkpoint, or begin it; `--resume=PATH` goes on from one
    /// of its checkpoints. Without --config the run's own configuration is read.
    #[arg(long, value_name = "auto|PATH", num_args = 0..=1, require_equals = true, default_missing_value = "auto", conflicts_with = "overwrite")]
    pub(crate) resume: Option<String>,
    /// Print the plan (steps, measured time of a step, memory) and do nothing else.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Show the terminal dashboard instead of progress lines.
    #[arg(long)]
    pub(crate) tui: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check configurations: every mistake at once, unknown keys with the nearest known one.
    Check {
        /// Files, TOML.
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// Override a value, as in `--set seed=2`. May be repeated.
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
        /// For which command; without it, one of the two is enough.
        #[arg(long, value_parser = ["distill", "train"])]
        task: Option<String>,
    },
    /// Print the whole configuration, defaults and presets written out.
    Show {
        /// File, TOML, or a run directory; the defaults without it.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// Override a value, as in `--set seed=2`. May be repeated.
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Print the values that differ between two configurations or runs.
    Diff {
        /// File, TOML, or a run directory.
        a: PathBuf,
        /// File, TOML, or a run directory.
        b: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// A run directory, or a folder of them.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EvaluateCommand {
    /// By face size: every image is an LR probe against every other image at full resolution.
    Faces(FacesArgs),
    /// A table of scores: columns score,mated and optionally probe_subject,gallery_subject,group,size.
    Scores(ScoresArgs),
    /// Embeddings computed elsewhere, .npy or .safetensors, one label a line.
    Embeddings(EmbeddingsArgs),
    /// TinyFace: search of native small faces among 157,871, from the release or AdaFace's aligned crops.
    Tinyface(TinyfaceArgs),
    /// SCface: surveillance cameras at three distances against mugshots.
    Scface(ScfaceArgs),
    /// QMUL-SurvFace: open-set search or verification.
    Survface(SurvfaceArgs),
    /// LFW and its relatives: ten-fold accuracy over a pair list.
    Lfw(LfwArgs),
    /// A .bin verification set, as InsightFace ships them.
    Bin(BinArgs),
    /// A protocol of your own: image lists or pairs as CSV.
    Csv(CsvArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FacesArgs {
    /// A run directory, a model directory or file, or an ONNX network.
    #[arg(value_name = "RUN")]
    pub(crate) model: PathBuf,
    /// Image folder identity/image of aligned faces.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Identities: all, names, inclusive ranges (s21..s40).
    #[arg(long, default_value = "all")]
    pub(crate) identities: String,
    /// Face sizes of the probes in pixels.
    #[arg(long, value_delimiter = ',', default_value = "8,12,16,24,112")]
    pub(crate) sizes: Vec<usize>,
    /// The teacher, where the run does not name it or it has moved.
    #[arg(long, value_name = "PATH")]
    pub(crate) teacher: Option<PathBuf>,
    /// Join the embeddings of a view and its mirror image, probes and gallery alike: not at all, f + f′, or
    /// f·‖f‖ + f′·‖f′‖.
    #[arg(long, value_enum, default_value_t = Flip::None)]
    pub(crate) flip: Flip,
    /// Show the whole view, or the face oval with mid-grey around it: how much hangs on hair, clothes and background.
    #[arg(long, value_enum, default_value_t = Mask::None)]
    pub(crate) mask: Mask,
    /// Another run or network, such as the control: paired tests on the same pairs.
    #[arg(long, value_name = "RUN")]
    pub(crate) against: Option<PathBuf>,
    /// Write the result as JSON (`-`: standard output).
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report as one HTML page; without it, a run directory gets `report.html`.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write thresholds at this FAR, by face size, and a summary into the model's card.
    #[arg(long, value_name = "FAR")]
    pub(crate) write_card: Option<f64>,
    #[command(flatten)]
    pub(crate) onnx: OnnxArgs,
    /// Device for networks that are not ONNX.
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
    /// Faces per call of a network.
    #[arg(long, default_value_t = 32)]
    pub(crate) batch: usize,
}

/// What an ONNX file does not say of itself.
#[derive(Debug, Args)]
pub(crate) struct OnnxArgs {
    /// Colour order of an ONNX network.
    #[arg(long, default_value = "rgb", value_parser = ["rgb", "bgr"])]
    pub(crate) colour: String,
    /// Subtracted from each 0..255 channel of an ONNX network: one number or three.
    #[arg(long, value_delimiter = ',', default_value = "127.5")]
    pub(crate) mean: Vec<f32>,
    /// Divisor of each channel of an ONNX network: one number or three.
    #[arg(long, value_delimiter = ',', default_value = "127.5")]
    pub(crate) std: Vec<f32>,
}

#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// An architecture (iresnet18, iresnet50, mobilefacenet, …) or a model or ONNX file; all presets if left out.
    pub(crate) what: Option<String>,
    /// Side of the input in pixels.
    #[arg(long, default_value_t = 112)]
    pub(crate) input: usize,
    /// Length of the embedding.
    #[arg(long, default_value_t = 512)]
    pub(crate) embedding: usize,
    /// Channels of the first stage.
    #[arg(long)]
    pub(crate) width: Option<usize>,
    /// Blocks of the four stages of an iresnet, as in 3,4,14,3.
    #[arg(long, value_delimiter = ',')]
    pub(crate) blocks: Option<Vec<usize>>,
    /// One row for each stage.
    #[arg(long)]
    pub(crate) stages: bool,
    /// Measure one image at a time here: median and 90th percentile in milliseconds.
    #[arg(long)]
    pub(crate) latency: bool,
    /// Device of --latency.
    #[arg(long, default_value = "flex", requires = "latency")]
    pub(crate) device: String,
}
