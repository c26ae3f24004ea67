//! `ccface watch`.

use std::{fs, path::Path, process::ExitCode};

use super::interrupt::Signals;
use crate::{
    CliError,
    cli::WatchArgs,
    output,
    watch::{WatchOptions, WatchServer},
};

pub(crate) fn run(args: WatchArgs) -> Result<ExitCode, CliError> {
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    let server = WatchServer::bind(WatchOptions {
        runs: args.runs,
        host: args.host,
        port: args.port,
        token,
        pictures: args.pictures,
    })?;
    let signals = Signals::listen();
    output::result(&format!("http://{}/\n", server.address()));
    output::note("open this address in a browser; Ctrl-C ends the watching, not the runs");
    server.run(&signals.run.stop)?;
    Ok(ExitCode::SUCCESS)
}

fn read_token(path: &Path) -> Result<String, CliError> {
    let text = fs::read_to_string(path).map_err(CliError::io(path, "read"))?;
    Ok(text.trim().to_string())
}
