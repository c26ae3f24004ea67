//! `ccface compare`.

use std::{fmt::Write, path::Path};

use ccface_eval::{ComparisonTable, Rate, ResultDocument, compare};

use super::evaluation_output::bootstrap;
use crate::{
    CliError,
    cli::CompareArgs,
    output,
    report::{comparison_page, non_inferiority, p_value},
};

pub(crate) fn run(args: &CompareArgs) -> Result<(), CliError> {
    let documents = args
        .results
        .iter()
        .map(|path| Ok((path.display().to_string(), read(path)?)))
        .collect::<Result<Vec<_>, CliError>>()?;
    let table = compare(&documents, &bootstrap(&args.intervals)?, args.margin)?;
    for warning in &table.warnings {
        output::note(&format!("note: {warning}"));
    }
    if let Some(path) = &args.html {
        output::write_to(path, &comparison_page(&table))?;
    }
    match &args.json {
        Some(path) => {
            output::write_to(path, &output::json(&table)?)?;
            if path.as_os_str() != "-" {
                output::result(&told(&table));
            }
        }
        None => output::result(&told(&table)),
    }
    Ok(())
}

fn read(path: &Path) -> Result<ResultDocument, CliError> {
    let text = std::fs::read_to_string(path).map_err(CliError::io(path, "read"))?;
    ResultDocument::from_json(&text)
        .map_err(|error| CliError::Usage(format!("{}: {error}", path.display())))
}

fn told(table: &ComparisonTable) -> String {
    let mut text = format!("protocol {}\n", table.protocol);
    for (i, name) in table.names.iter().enumerate() {
        let _ = writeln!(text, "[{}] {name}", i + 1);
    }
    let _ = write!(text, "\n{:<26}", "metric, in %");
    for i in 1..=table.names.len() {
        let _ = write!(text, "{:<28}", format!("[{i}]"));
    }
    text.push('\n');
    for row in &table.metrics {
        let _ = write!(text, "{:<26}", row.metric);
        for rate in &row.rates {
            let _ = write!(text, "{:<28}", short(rate.as_ref()));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    if !table.paired.is_empty() {
        text += "\npaired tests on the same trials, in points of a per cent; p after Holm over all rows\n\n";
        for row in &table.paired {
            let _ = writeln!(
                text,
                "{:<26}[{}] − [{}]  {:+.2} [{:+.2}, {:+.2}]  p {}  (McNemar, trials as independent: {})",
                row.metric,
                row.b + 1,
                row.a + 1,
                100.0 * row.outcome.difference,
                100.0 * row.outcome.low,
                100.0 * row.outcome.high,
                p_value(row.holm_p),
                p_value(row.outcome.mcnemar_p),
            );
            if let Some(told) = non_inferiority(row) {
                let _ = writeln!(text, "{:<26}{told}", "");
            }
        }
    }
    text
}

fn short(rate: Option<&Rate>) -> String {
    match rate {
        None => "–".into(),
        Some(Rate::Insufficient { .. }) => "insufficient".into(),
        Some(Rate::Measured {
            value,
            low,
            high,
            low_confidence,
            ..
        }) => {
            let mark = if *low_confidence { " †" } else { "" };
            format!(
                "{:.2} [{:.2}, {:.2}]{mark}",
                100.0 * value,
                100.0 * low,
                100.0 * high
            )
        }
    }
}
