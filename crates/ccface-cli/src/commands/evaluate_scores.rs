//! `ccface evaluate scores`.

use std::{fs::File, path::Path};

use ccface_eval::{
    CalibratedThreshold, ResultDocument, Rule, ScoreRow, Scores, evaluate_scores, read_scores,
};

use super::evaluation_output::{settings, write};
use crate::{CliError, cli::ScoresArgs, report::WorstFaces};

pub(crate) fn run(args: &ScoresArgs) -> Result<(), CliError> {
    let config = settings(&args.options)?;
    let rows = read(&args.scores)?;
    let mut document = evaluate_scores(&rows, &config)?;
    document.protocol.data_hash = Some(hash_of(&rows));
    if let Some(path) = &args.calibration {
        calibrate(&mut document, &rows, path, &config.fars)?;
    }
    write(&mut document, &args.options, &|_| WorstFaces::default())
}

fn read(path: &Path) -> Result<Vec<ScoreRow>, CliError> {
    let file = File::open(path).map_err(CliError::io(path, "read"))?;
    Ok(read_scores(file, &path.display().to_string())?)
}

/// What is compared, without the scores: the same for two models on the same comparisons.
fn hash_of(rows: &[ScoreRow]) -> String {
    let mut hasher = blake3::Hasher::new();
    for row in rows {
        for who in [&row.probe_subject, &row.gallery_subject] {
            hasher.update(who.as_deref().unwrap_or("").as_bytes());
            hasher.update(b"\n");
        }
        hasher.update(&[u8::from(row.mated)]);
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Adds the error rates of thresholds that were chosen on other people.
fn calibrate(
    document: &mut ResultDocument,
    rows: &[ScoreRow],
    path: &Path,
    fars: &[f64],
) -> Result<(), CliError> {
    let chosen_on = read(path)?;
    let (calibration, test) = (scores(&chosen_on)?, scores(rows)?);
    let (known, tested) = (
        people(&chosen_on, path)?,
        people(rows, "the tested scores".as_ref())?,
    );
    for &far in fars {
        if let Some(why) = calibration.insufficient_impostors(far) {
            document
                .warnings
                .push(format!("no calibrated threshold for FAR {far}: {why}"));
            continue;
        }
        let threshold = CalibratedThreshold::choose(&calibration, &known, far, Rule::Conservative)?;
        document.thresholds.insert(
            format!("calibrated/far={far}"),
            threshold.apply(&test, &tested)?,
        );
    }
    Ok(())
}

fn scores(rows: &[ScoreRow]) -> Result<Scores, CliError> {
    let of = |mated| {
        rows.iter()
            .filter(|row| row.mated == mated)
            .filter_map(|row| row.score)
            .collect()
    };
    Ok(Scores::new(of(true), of(false))?)
}

/// Everybody in the rows; without their names nobody can say that two sets share no one.
fn people(rows: &[ScoreRow], path: &Path) -> Result<Vec<String>, CliError> {
    let mut all = Vec::new();
    for row in rows {
        let known = match (&row.probe_subject, &row.gallery_subject) {
            (Some(probe), Some(gallery)) => [probe, gallery],
            (Some(one), None) | (None, Some(one)) if row.mated => [one, one],
            _ => {
                return Err(CliError::Usage(format!(
                    "{}: --calibration needs probe_subject and gallery_subject in every row, so that shared people show",
                    path.display()
                )));
            }
        };
        all.extend(known.into_iter().cloned());
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}
