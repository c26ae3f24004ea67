//! The `ccface` binary.

use std::process::ExitCode;

// Training allocates and frees activations of many megabytes at every layer. The system's allocator hands such
// blocks back to the kernel each time; this one keeps them, for good with MIMALLOC_PURGE_DELAY=-1.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ccface_cli::run(std::env::args_os())
}
