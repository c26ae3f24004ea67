//! The `ccface` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    ccface_cli::run(std::env::args_os())
}
