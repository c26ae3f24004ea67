//! The command line under test, built with the backends that the tests need.

use std::process::ExitCode;

fn main() -> ExitCode {
    ccface_cli::run(std::env::args_os())
}
