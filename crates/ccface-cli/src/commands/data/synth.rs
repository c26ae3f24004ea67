//! `ccface data synth`.

use std::{
    ops::ControlFlow,
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

use ccface_data::synthetic::{
    PictureFormat, SyntheticConfig, SyntheticSource, contact_sheet, write_folder,
};

use crate::{CliError, cli::SynthArgs, commands::interrupt::Signals, output, progress::Progress};

/// People and pictures of each on the contact sheet.
const SHEET: (u64, u64) = (24, 6);

pub(crate) fn run(args: &SynthArgs) -> Result<ExitCode, CliError> {
    let config = SyntheticConfig {
        size: args.size,
        ..SyntheticConfig::default()
    };
    let people = args.first..args.first.saturating_add(args.identities);
    let source = SyntheticSource::new(config.clone(), args.seed, people.clone(), args.images)?;
    let format = if args.format == "jpeg" {
        PictureFormat::Jpeg
    } else {
        PictureFormat::Png
    };
    let signals = Signals::listen();
    // A call that stops at once: the folder is ours, or refused, before anything else is put into it.
    let begun = write_folder(&args.out, &source, format, &|_, _| ControlFlow::Break(()))?;
    let sheet = args.out.join("contact_sheet.png");
    if !sheet.exists() {
        let shown = people.start..people.end.min(people.start.saturating_add(SHEET.0));
        let pictures = SHEET.1.min(args.images as u64);
        let drawn = contact_sheet(&config, args.seed, shown, pictures);
        output::write_bytes(&sheet, &output::png(&drawn)?)?;
        output::note(&format!("contact sheet: {}", sheet.display()));
    }
    let progress = Mutex::new(Progress::new());
    let drawn = write_folder(&args.out, &source, format, &|done, total| {
        progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .update("faces drawn", done, total);
        if signals.run.stopping() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    drop(progress);
    let written = begun.written + drawn.written;
    if !drawn.complete {
        output::note(&format!(
            "stopped after {} of {} faces; the same command goes on from there",
            drawn.written + drawn.kept,
            args.identities * args.images as u64
        ));
        return Ok(signals.exit_code());
    }
    output::result(&output::printable(&format!(
        "{}: {} faces of {} identities ({written} drawn, {} were there)\n",
        args.out.display(),
        drawn.written + drawn.kept,
        args.identities,
        drawn.kept.saturating_sub(begun.written)
    )));
    Ok(ExitCode::SUCCESS)
}
