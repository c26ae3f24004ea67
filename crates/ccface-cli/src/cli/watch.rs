//! Flags of what shows runs.

use std::{net::IpAddr, path::PathBuf};

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Run directories, or directories that hold runs; runs that come later are found too.
    #[arg(value_name = "RUN", required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// Port; without it, the first free one from 6010.
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Address to listen on. Beyond loopback it needs --token-file.
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// File with a secret of at least 16 characters that watchers have to know.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Show sample faces to other machines too; on loopback they are always shown.
    #[arg(long)]
    pub(crate) pictures: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TensorboardArgs {
    /// The run directory.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// Where the event file goes; without it, RUN/tensorboard.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}
