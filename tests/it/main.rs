//! Integration tests.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod architecture;
mod cli;
mod data_cli;
mod end_to_end;
mod evaluate_cli;
mod evaluate_faces;
mod fuzz_corpora;
mod golden;
mod ground;
mod interchange;
#[path = "../oracle/mod.rs"]
mod oracle;
mod orl;
mod properties;
mod reliability;
mod support;
mod watch;
