//! What all evaluations share: settings from flags, and the result as JSON, CSV, page or table.

use std::{fmt::Write, path::Path};

use ccface_eval::{Bootstrap, EvaluationConfig, Rate, ResultDocument};

use crate::{
    CliError,
    cli::{EvaluationOptions, IntervalArgs},
    output,
    report::{WorstFaces, headline_metrics, is_headline, outcome_report},
};

/// The settings that these flags mean: CMC ranks from 1 to 20, and the rest as given.
pub(super) fn settings(options: &EvaluationOptions) -> Result<EvaluationConfig, CliError> {
    for (flag, values) in [("--far", &options.far), ("--fpir", &options.fpir)] {
        if let Some(wrong) = values.iter().find(|v| !(**v > 0.0 && **v < 1.0)) {
            return Err(CliError::Usage(format!(
                "{flag} {wrong} must lie strictly between 0 and 1"
            )));
        }
    }
    if options.tpir_rank == 0 {
        return Err(CliError::Usage("--tpir-rank must be at least 1".into()));
    }
    Ok(EvaluationConfig {
        fars: options.far.clone(),
        ranks: (1..=20).collect(),
        tpir_rank: options.tpir_rank,
        fpirs: options.fpir.clone(),
        bootstrap: bootstrap(&options.intervals)?,
        ..EvaluationConfig::default()
    })
}

/// The bootstrap that these flags mean.
pub(super) fn bootstrap(args: &IntervalArgs) -> Result<Bootstrap, CliError> {
    if args.replicates < 20 {
        return Err(CliError::Usage("--replicates must be at least 20".into()));
    }
    if !(args.level > 0.0 && args.level < 1.0) {
        return Err(CliError::Usage(
            "--level must lie strictly between 0 and 1".into(),
        ));
    }
    Ok(Bootstrap {
        replicates: args.replicates,
        level: args.level,
        seed: args.seed,
    })
}

/// Writes the result wherever the flags want it; a table goes to standard output unless something else does. `faces`
/// gives the pictures of the worst errors for a page.
pub(super) fn write(
    document: &mut ResultDocument,
    options: &EvaluationOptions,
    faces: &dyn Fn(&ResultDocument) -> WorstFaces,
) -> Result<(), CliError> {
    if let Some(trials) = document.trials.get_mut("probes") {
        // Twenty ranks that say nearly the same would only weaken Holm's adjustment.
        trials.hits.retain(|name, _| is_headline(name));
    }
    for warning in &document.warnings {
        output::note(&format!("note: {warning}"));
    }
    let mut silent = false;
    let mut put = |path: &Path, text: &str| {
        silent |= path.as_os_str() == "-";
        output::write_to(path, text)
    };
    if let Some(path) = &options.html {
        put(path, &outcome_report(document, &faces(document)))?;
    }
    if let Some(path) = &options.csv {
        put(path, &document.to_csv())?;
    }
    if let Some(path) = &options.json {
        put(path, &(document.to_json()? + "\n"))?;
    }
    if !silent {
        output::result(&table(document));
    }
    Ok(())
}

/// A rate in per cent with its interval, or why there is none.
pub(super) fn told(rate: &Rate) -> String {
    match rate {
        Rate::Measured {
            value,
            low,
            high,
            n,
            low_confidence,
        } => {
            let mark = if *low_confidence { " †" } else { "  " };
            let interval = format!("[{:.2}, {:.2}]", 100.0 * low, 100.0 * high);
            format!("{:>8.2}{mark} {interval:<17} {n:>10}", 100.0 * value)
        }
        Rate::Insufficient { insufficient } => format!("insufficient: {insufficient}"),
    }
}

fn table(document: &ResultDocument) -> String {
    let counts: Vec<String> = document
        .protocol
        .counts
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(what, n)| format!("{} {n}", what.replace('_', " ")))
        .collect();
    let mut text = format!("{}: {}\n\n", document.protocol.name, counts.join(", "));
    let interval = format!("{} % interval", 100.0 * document.statistics.level);
    let _ = writeln!(
        text,
        "{:<26}{:>8}   {interval:<17} {:>10}",
        "metric", "%", "n"
    );
    let metrics = headline_metrics(document);
    for (name, rate) in &metrics {
        let _ = writeln!(text, "{name:<26}{}", told(rate));
    }
    let _ = writeln!(text, "\nintervals: {}", document.statistics.interval);
    if metrics
        .iter()
        .any(|(_, r)| r.value().is_some() && r.is_low_confidence())
    {
        text += "† fewer than 30 errors stand behind the figure\n";
    }
    for (name, point) in document
        .thresholds
        .iter()
        .filter(|(name, _)| name.starts_with("calibrated"))
    {
        let _ = writeln!(
            text,
            "threshold {name}: {:.4}, on these people FMR {:.3} %, FNMR {:.3} %",
            point.threshold,
            100.0 * point.fmr,
            100.0 * point.fnmr
        );
    }
    text
}
