//! `ccface data …`.

mod align;
mod convert;
mod inspect;
mod preview;
mod rebuild_index;
mod replica;
mod synth;
mod verify;

use std::{path::Path, process::ExitCode, sync::Arc};

use ccface_data::{
    FaceSource, Selection,
    source::{Check, OpenOptions, open},
};

use crate::{
    CliError,
    cli::{DataCommand, SourceArgs},
};

pub(crate) fn run(command: &DataCommand) -> Result<ExitCode, CliError> {
    match command {
        DataCommand::Synth(args) => synth::run(args),
        DataCommand::Inspect(args) => inspect::run(args).map(super::done),
        DataCommand::Verify(args) => verify::run(args).map(super::done),
        DataCommand::Convert(args) => convert::run(args).map(super::done),
        DataCommand::RebuildIndex { file } => rebuild_index::run(file).map(super::done),
        DataCommand::Preview(args) => preview::run(args).map(super::done),
        DataCommand::Align(args) => align::run(args).map(super::done),
        DataCommand::Replica(args) => replica::run(args).map(super::done),
    }
}

/// The source that the flags name; bad images in it show when they are read.
fn open_source(args: &SourceArgs) -> Result<Arc<dyn FaceSource>, CliError> {
    open_at(&args.source, args.split.clone(), args.identities.parse()?)
}

/// The source at a path; bad images in it show when they are read.
pub(super) fn open_at(
    path: &Path,
    split: Option<String>,
    selection: Selection,
) -> Result<Arc<dyn FaceSource>, CliError> {
    let manifest = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("csv") || e.eq_ignore_ascii_case("tsv"));
    if split.is_some() && !manifest {
        return Err(CliError::Usage(format!(
            "{}: only a .csv or .tsv manifest has splits; leave the split out",
            path.display()
        )));
    }
    let options = OpenOptions {
        selection,
        split,
        check: Check::Lenient,
        ..OpenOptions::default()
    };
    Ok(open(path, &options)?)
}

/// An error where `bad` of `total` entries are a larger share than `budget`.
pub(super) fn within_budget(bad: usize, total: usize, budget: f64) -> Result<(), CliError> {
    if !(0.0..=1.0).contains(&budget) {
        return Err(CliError::Usage(format!(
            "--budget {budget}: a share lies between 0 and 1"
        )));
    }
    if bad as f64 <= budget * total as f64 {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "{bad} of {total} entries cannot be used, more than the budget of {} %; repair or remove them, or raise --budget",
        100.0 * budget
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_share_that_may_be_reached_but_not_passed() {
        assert!(within_budget(1, 1000, 0.001).is_ok());
        assert!(within_budget(0, 0, 0.0).is_ok());
        assert!(within_budget(2, 1000, 0.001).is_err());
        assert!(within_budget(0, 10, f64::NAN).is_err());
        assert!(within_budget(0, 10, 1.5).is_err());
    }
}
