//! `ccface data align`.

use ccface_data::align::{AlignOptions, Border, align_folder};

use crate::{CliError, cli::AlignArgs, output, progress::Progress};

/// Failures that are named one by one.
const NAMED: usize = 20;

pub(crate) fn run(args: &AlignArgs) -> Result<(), CliError> {
    let border = if args.border == "replicate" {
        Border::Replicate
    } else {
        Border::Zero
    };
    let options = AlignOptions {
        border,
        enlarge: args.enlarge,
    };
    let mut progress = Progress::new();
    let report = align_folder(
        &args.images,
        &args.landmarks,
        &args.out,
        &options,
        &mut |done, total| {
            progress.update("aligned", done, total);
        },
    )?;
    drop(progress);
    output::note(&format!(
        "{} faces aligned into {}",
        report.aligned,
        args.out.display()
    ));
    if report.failed.is_empty() {
        return Ok(());
    }
    for failure in report.failed.iter().take(NAMED) {
        output::note(&format!(
            "  {} (line {}): {}",
            failure.path, failure.line, failure.reason
        ));
    }
    Err(CliError::Usage(format!(
        "{} of {} listed faces were not aligned; mend the pictures or take their lines out of {}",
        report.failed.len(),
        report.failed.len() + report.aligned,
        args.landmarks.display()
    )))
}
