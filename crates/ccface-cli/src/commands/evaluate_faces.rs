//! `ccface evaluate faces`.

use std::{fmt::Write, path::Path};

use ccface_eval::{PairedOutcome, holm};
use ccface_model::{Colour, InputSpec};
use ccface_train::{
    DeviceSpec,
    card_evaluation::write_card_evaluation,
    encoder::Assumptions,
    faces::{FacesEvaluation, FacesRequest, FacesResult, evaluate_faces, paired_true_accepts},
    run_dir::is_run,
};
use serde::Serialize;

use crate::{
    CliError,
    cli::{FacesArgs, Flip, Mask, OnnxArgs},
    output,
    progress::Progress,
    report::{self, p_value},
};

pub(crate) fn run(args: FacesArgs) -> Result<(), CliError> {
    let device: DeviceSpec = args.device.parse()?;
    if let Some(far) = args.write_card.filter(|far| !(*far > 0.0 && *far < 1.0)) {
        return Err(CliError::Usage(format!(
            "--write-card {far}: a FAR lies between 0 and 1, as in --write-card 0.01"
        )));
    }
    if args.write_card.is_some() && (args.flip, args.mask) != (Flip::None, Mask::None) {
        return Err(CliError::Usage(
            "--write-card writes thresholds for single whole images into the card: leave out --flip and --mask"
                .into(),
        ));
    }
    let mut request = FacesRequest {
        model: args.model.clone(),
        data: args.data,
        identities: args.identities.parse()?,
        sizes: args.sizes,
        teacher: args.teacher,
        alone: false,
        flip: args.flip.into(),
        mask: args.mask.into(),
        assume: assumptions(&args.onnx)?,
        device: device.resolve()?,
        batch: args.batch.max(1),
    };
    let mut progress = Progress::new();
    let evaluation = evaluate_faces(&request, &mut |who, done, total| {
        progress.update(&format!("{who}: views embedded"), done, total);
    })?;
    let against = match &args.against {
        None => None,
        Some(path) => {
            request.model.clone_from(path);
            request.alone = true;
            let other = evaluate_faces(&request, &mut |_, done, total| {
                progress.update("the other network: views embedded", done, total);
            })?;
            Some(Against::new(path, &other, &evaluation)?)
        }
    };
    drop(progress);
    let html = args
        .html
        .or_else(|| is_run(&args.model).then(|| args.model.join("report.html")));
    if let Some(path) = &html {
        let page = report::faces_report(&evaluation, &report::ReportOptions::default());
        output::write_to(path, &page)?;
        output::note(&format!("report: {}", path.display()));
    }
    let mut told = table(&evaluation.result);
    if let Some(against) = &against {
        told += &against.table();
    }
    match &args.json {
        Some(path) => {
            let document = Document {
                result: &evaluation.result,
                against: against.as_ref(),
            };
            output::write_to(path, &output::json(&document)?)?;
            if path.as_os_str() != "-" {
                output::result(&told);
            }
        }
        None => output::result(&told),
    }
    if let Some(far) = args.write_card {
        let card = write_card_evaluation(&args.model, &evaluation, far)?;
        output::note(&format!(
            "thresholds at FAR {far} by face size: {}",
            card.display()
        ));
    }
    Ok(())
}

/// What goes into the JSON file.
#[derive(Debug, Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    result: &'a FacesResult,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<&'a Against>,
}

/// Paired tests against another network on the same genuine pairs.
#[derive(Debug, Serialize)]
struct Against {
    model: String,
    /// By size in pixels.
    sizes: Vec<AgainstRow>,
}

#[derive(Debug, Serialize)]
struct AgainstRow {
    size: usize,
    #[serde(flatten)]
    outcome: PairedOutcome,
    /// The bootstrap's p-value, adjusted by Holm over all sizes.
    holm_p: f64,
}

impl Against {
    fn new(
        path: &Path,
        other: &FacesEvaluation,
        evaluation: &FacesEvaluation,
    ) -> Result<Self, CliError> {
        let sizes = &evaluation.result.sizes;
        let outcomes = sizes
            .iter()
            .map(|size| paired_true_accepts(other, evaluation, *size))
            .collect::<Result<Vec<_>, _>>()?;
        let adjusted = holm(&outcomes.iter().map(|o| o.bootstrap_p).collect::<Vec<_>>());
        let rows = sizes.iter().zip(outcomes).zip(adjusted);
        Ok(Self {
            model: path.display().to_string(),
            sizes: rows
                .map(|((size, outcome), holm_p)| AgainstRow {
                    size: *size,
                    outcome,
                    holm_p,
                })
                .collect(),
        })
    }

    fn table(&self) -> String {
        let mut text = format!(
            "\nagainst {}: true accepts at each network's own FMR 1 %, points of a per cent, subject-level interval; p after Holm\n\n",
            self.model
        );
        for row in &self.sizes {
            let outcome = &row.outcome;
            let _ = writeln!(
                text,
                "{:>6}  {:+.1} [{:+.1}, {:+.1}]  p {}",
                format!("{} px", row.size),
                100.0 * outcome.difference,
                100.0 * outcome.low,
                100.0 * outcome.high,
                p_value(row.holm_p)
            );
        }
        text
    }
}

/// How to read an ONNX file.
pub(crate) fn assumptions(args: &OnnxArgs) -> Result<Assumptions, CliError> {
    let (mean, std) = scale(&args.mean, &args.std)?;
    let colour = if args.colour == "bgr" {
        Colour::Bgr
    } else {
        Colour::Rgb
    };
    Ok(Assumptions {
        input: InputSpec {
            colour,
            mean,
            std,
            ..InputSpec::arcface(112)
        },
        licence: "unstated".into(),
    })
}

/// Mean and divisor of the three channels, from one number or three each.
pub(crate) fn scale(mean: &[f32], std: &[f32]) -> Result<([f32; 3], [f32; 3]), CliError> {
    let three = |name: &str, values: &[f32]| match values {
        [one] => Ok([*one; 3]),
        [a, b, c] => Ok([*a, *b, *c]),
        other => Err(CliError::Usage(format!(
            "--{name} takes one number or three, not {}",
            other.len()
        ))),
    };
    let (mean, std) = (three("mean", mean)?, three("std", std)?);
    if !std.iter().all(|s| s.is_finite() && *s > 0.0) || !mean.iter().all(|m| m.is_finite()) {
        return Err(CliError::Usage(
            "--mean must be finite and --std above 0".into(),
        ));
    }
    Ok((mean, std))
}

fn table(result: &FacesResult) -> String {
    let mut text = format!(
        "{} images of {} identities; LR probe against HR gallery, EER in %\n\n{:<18}",
        result.protocol.images, result.protocol.identities, "pairing"
    );
    for size in &result.sizes {
        let _ = write!(text, "{:>9}", format!("{size} px"));
    }
    text.push('\n');
    for name in ["student-student", "student-teacher", "teacher-teacher"] {
        if result.pairings.contains_key(name) {
            let _ = write!(text, "{name:<18}");
            for size in &result.sizes {
                let eer = result
                    .pairing(name, *size)
                    .map_or(f64::NAN, |r| 100.0 * r.eer);
                let _ = write!(text, "{eer:>9.2}");
            }
            text.push('\n');
        }
    }
    text += "\nLR against LR, FMR in % at the threshold of HR FMR 1 %\n\n";
    for name in ["lr-lr", "lr-lr-teacher"] {
        if result.pairings.contains_key(name) {
            let _ = write!(text, "{name:<18}");
            for size in &result.sizes {
                let fmr = result
                    .collapse(name, *size)
                    .map_or(f64::NAN, |r| 100.0 * r.fmr_at_hr_threshold);
                let _ = write!(text, "{fmr:>9.2}");
            }
            text.push('\n');
        }
    }
    text
}
