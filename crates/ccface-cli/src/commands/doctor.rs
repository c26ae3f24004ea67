//! `ccface doctor`.

use std::fmt::Write;

use ccface_model::{Colour, InputSpec};
use ccface_train::{
    DeviceSpec,
    doctor::{DoctorResult, examine},
    encoder::open_encoder,
};

use super::{data::open_at, evaluate_faces::assumptions};
use crate::{CliError, cli::DoctorArgs, output, progress::Progress};

pub(crate) fn run(args: &DoctorArgs) -> Result<(), CliError> {
    let device: DeviceSpec = args.device.parse()?;
    let encoder = open_encoder(&args.model, &assumptions(&args.onnx)?, &device.resolve()?)?;
    let source = open_at(&args.data, None, args.identities.parse()?)?;
    let mut progress = Progress::new();
    let result = examine(
        encoder.as_ref(),
        source.as_ref(),
        args.images,
        &mut |done, total| {
            progress.update("ways tried", done, total);
        },
    )?;
    drop(progress);
    match &args.json {
        Some(path) => {
            output::write_to(path, &output::json(&result)?)?;
            if path.as_os_str() != "-" {
                output::result(&output::printable(&told(&result)));
            }
        }
        None => output::result(&output::printable(&told(&result))),
    }
    Ok(())
}

fn told(result: &DoctorResult) -> String {
    let mut text = format!(
        "{} images of {} people; separation of same and different people in standard deviations\n",
        result.images, result.identities
    );
    for diagnosis in &result.diagnoses {
        let _ = writeln!(text, "\n{}", diagnosis.question);
        for answer in &diagnosis.answers {
            let _ = writeln!(
                text,
                "  {:<34} {:>6.2}   EER {:>5.2} %   {:>6.2} ± {:.2} behind{}",
                answer.name,
                answer.separation,
                100.0 * answer.eer,
                answer.behind,
                answer.behind_error,
                if answer.current {
                    "   ← as given"
                } else {
                    ""
                }
            );
        }
        let _ = writeln!(text, "  {}", diagnosis.verdict);
    }
    let _ = writeln!(
        text,
        "\nan image and its mirror image have cosine {:.3} on average",
        result.mirror_cosine
    );
    let change = result.diagnoses.iter().any(|d| d.change);
    let _ = writeln!(
        text,
        "{}: {}",
        if change {
            "not as given. Most likely it expects"
        } else {
            "nothing speaks against what was given"
        },
        spec(&result.likely)
    );
    text
}

fn spec(input: &InputSpec) -> String {
    let colour = match input.colour {
        Colour::Rgb => "rgb",
        Colour::Bgr => "bgr",
    };
    let three = |v: [f32; 3]| match v {
        [a, b, c] if a == b && b == c => a.to_string(),
        [a, b, c] => format!("{a},{b},{c}"),
    };
    format!(
        "--colour {colour} --mean {} --std {}",
        three(input.mean),
        three(input.std)
    )
}
