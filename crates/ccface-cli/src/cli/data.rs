//! Flags of `ccface data …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ReplicaArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Draw people that never were, as an image folder with landmarks, groups and a contact sheet.
    Synth(SynthArgs),
    /// Count images, identities, sizes and duplicates of any source.
    Inspect(InspectArgs),
    /// Decode everything and list what cannot be used.
    Verify(VerifyArgs),
    /// Write any source as a .rec file or as an image folder.
    Convert(ConvertArgs),
    /// Write the .idx file of a .rec file anew.
    RebuildIndex {
        /// The .rec file; its .idx is written beside it.
        #[arg(value_name = "FILE.rec")]
        file: PathBuf,
    },
    /// Draw faces beside their LR views, stage by stage.
    Preview(PreviewArgs),
    /// Align faces to the 112×112 template by five landmarks.
    Align(AlignArgs),
    /// Write folders, names and lists like those of an evaluation set, with patterns instead of faces.
    Replica(ReplicaArgs),
}

/// Which faces.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// An image folder, TinyFace, a .rec file, a .csv or .tsv manifest, or a .bin set.
    pub(crate) source: PathBuf,
    /// The split of a manifest; all rows without it.
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Option<String>,
    /// Identities: all, names, inclusive ranges (s21..s40).
    #[arg(long, default_value = "all")]
    pub(crate) identities: String,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Write the result as JSON (`-`: standard output).
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the result with a contact sheet as one HTML page.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// People on the contact sheet.
    #[arg(long, default_value_t = 24)]
    pub(crate) people: usize,
    /// Another source: list the identities and the images that both hold.
    #[arg(long, value_name = "SOURCE")]
    pub(crate) against: Option<PathBuf>,
    /// The split of that source, where it is a manifest.
    #[arg(long, value_name = "NAME", requires = "against")]
    pub(crate) against_split: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Share of entries that may be bad.
    #[arg(long, default_value_t = 0.001)]
    pub(crate) budget: f64,
    /// Write the result as JSON (`-`: standard output).
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// What to write: a name that ends in .rec, or a folder that is new or empty.
    #[arg(long, value_name = "PATH")]
    pub(crate) out: PathBuf,
    /// Layout of a .rec file: insightface (header record, one record per identity) or plain (im2rec).
    #[arg(long, default_value = "insightface", value_parser = ["insightface", "plain"])]
    pub(crate) layout: String,
    /// Share of entries that may be left out because they are bad.
    #[arg(long, default_value_t = 0.001)]
    pub(crate) budget: f64,
}

#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Degradation: the name of a recipe, or a .json file with one.
    #[arg(long, default_value = "adaface")]
    pub(crate) recipe: String,
    /// Faces to show, spread over the source.
    #[arg(long, default_value_t = 6)]
    pub(crate) count: usize,
    /// Face sizes in pixels, in turn; without it each row draws one as in training.
    #[arg(long, value_delimiter = ',')]
    pub(crate) sizes: Vec<usize>,
    /// Seed of every draw.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Side of the final view in pixels.
    #[arg(long, default_value_t = 112)]
    pub(crate) size: usize,
    /// The picture to write.
    #[arg(long, value_name = "FILE.png")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct SynthArgs {
    /// Number of people.
    #[arg(long, default_value_t = 500)]
    pub(crate) identities: u64,
    /// Pictures of each.
    #[arg(long, default_value_t = 12)]
    pub(crate) images: usize,
    /// The generator's identity to begin with.
    #[arg(long, default_value_t = 0)]
    pub(crate) first: u64,
    /// Seed of the world the people live in.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Side of a picture in pixels.
    #[arg(long, default_value_t = 112)]
    pub(crate) size: usize,
    /// Picture format.
    #[arg(long, default_value = "png", value_parser = ["png", "jpeg"])]
    pub(crate) format: String,
    /// Folder to write, new or empty, or begun by the same command.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct AlignArgs {
    /// Folder of images.
    pub(crate) images: PathBuf,
    /// CSV with path,x1,y1,…,x5,y5; paths relative to the folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) landmarks: PathBuf,
    /// Folder to write.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// What lies beyond a picture's edge.
    #[arg(long, default_value = "zero", value_parser = ["zero", "replicate"])]
    pub(crate) border: String,
    /// Enlarge pictures this many times (bicubic) before the warp; 2 keeps small faces sharper.
    #[arg(long, default_value_t = 1)]
    pub(crate) enlarge: u32,
}
