//! `ccface data verify`.

use std::{
    fmt::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use ccface_data::inspect::{Verification, verify};
use serde::Serialize;

use crate::{CliError, cli::VerifyArgs, output, progress::Progress};

/// The result with what the command makes of it.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    found: &'a Verification,
    bad: usize,
    bad_share: f64,
    budget: f64,
    within_budget: bool,
}

pub(crate) fn run(args: &VerifyArgs) -> Result<(), CliError> {
    super::within_budget(0, 0, args.budget)?;
    let source = super::open_source(&args.source)?;
    let total = source.len();
    let (done, progress) = (AtomicUsize::new(0), Mutex::new(Progress::new()));
    let found = verify(source.as_ref(), &|| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .update("decoded", done, total);
    });
    drop(progress);
    let bad = found.quarantine.len() + found.rejected.len();
    let verdict = super::within_budget(bad, total + found.rejected.len(), args.budget);
    let text = if args.json.is_some() {
        output::json(&Document {
            found: &found,
            bad,
            bad_share: found.bad_share(),
            budget: args.budget,
            within_budget: verdict.is_ok(),
        })?
    } else {
        list(&found)
    };
    match &args.json {
        Some(path) => output::write_to(path, &text)?,
        None => output::result(&text),
    }
    verdict
}

fn list(found: &Verification) -> String {
    let mut text = String::new();
    let bad = found.quarantine.iter().map(|b| (&b.name, &b.reason));
    let rejected = found.rejected.iter().map(|r| (&r.name, &r.reason));
    for (name, reason) in bad.chain(rejected) {
        let _ = writeln!(text, "{name}: {reason}");
    }
    let _ = writeln!(
        text,
        "{} images decoded, {} of them cannot be used; {} entries were left out on opening",
        found.images,
        found.quarantine.len(),
        found.rejected.len()
    );
    output::printable(&text)
}
