//! `ccface evaluate faces`.

use std::fmt::Write;

use ccface_model::{Colour, InputSpec};
use ccface_train::{
    DeviceSpec,
    encoder::Assumptions,
    faces::{FacesRequest, FacesResult, evaluate_faces},
    run_dir::is_run,
};

use crate::{
    CliError,
    cli::{FacesArgs, OnnxArgs},
    output,
    progress::Progress,
    report,
};

pub(crate) fn run(args: FacesArgs) -> Result<(), CliError> {
    let device: DeviceSpec = args.device.parse()?;
    let request = FacesRequest {
        model: args.model.clone(),
        data: args.data,
        identities: args.identities.parse()?,
        sizes: args.sizes,
        teacher: args.teacher,
        alone: false,
        assume: assumptions(&args.onnx)?,
        device: device.resolve()?,
        batch: args.batch.max(1),
    };
    let mut progress = Progress::new();
    let evaluation = evaluate_faces(&request, &mut |who, done, total| {
        progress.update(&format!("{who}: views embedded"), done, total);
    })?;
    drop(progress);
    let html = args
        .html
        .or_else(|| is_run(&args.model).then(|| args.model.join("report.html")));
    if let Some(path) = &html {
        let page = report::faces_report(&evaluation, &report::ReportOptions::default());
        output::write_to(path, &page)?;
        output::note(&format!("report: {}", path.display()));
    }
    match &args.json {
        Some(path) => {
            let mut text = serde_json::to_string_pretty(&evaluation.result).map_err(|e| {
                CliError::Usage(format!("the result cannot be written as JSON: {e}"))
            })?;
            text.push('\n');
            output::write_to(path, &text)?;
            if path.as_os_str() != "-" {
                output::result(&table(&evaluation.result));
            }
        }
        None => output::result(&table(&evaluation.result)),
    }
    Ok(())
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
