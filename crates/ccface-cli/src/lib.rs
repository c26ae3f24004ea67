//! The `ccface` command: flags, validated options, progress, reports, exit codes.
//!
//! Standard output carries results, standard error everything else. Exit codes: 0 done, 1 a run failed on the way, 2 bad input
//! or usage, 3 training diverged (a loss, gradient or weight is not finite), 130 stopped by Ctrl-C, 143 by SIGTERM.

mod cli;
mod commands;
mod error;
mod log_lines;
mod output;
mod progress;
pub mod report;
pub mod watch;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;

pub use error::CliError;

/// Runs the command line and gives its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match cli::Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors; clap writes each where it belongs.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    output::start_logging(cli.verbose);
    match commands::run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            output::error_line(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}
