//! `ccface distill` and `ccface train`.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex},
};

use ccface_train::{
    ConfigSource, Resume, RunEstimate, RunRequest, Task, TrainError,
    run_dir::{RunState, is_run},
};

use super::interrupt::Signals;
use crate::{CliError, cli::RunArgs, log_lines::HeldBack, output};

pub(crate) fn run(task: Task, args: RunArgs) -> Result<ExitCode, CliError> {
    if args.tui && !io::stdout().is_terminal() {
        return Err(CliError::Usage(
            "--tui needs a terminal on standard output; leave it out for progress lines".into(),
        ));
    }
    let resume = match args.resume.as_deref() {
        None => Resume::Never,
        Some("auto") => Resume::Auto,
        Some(path) => Resume::From(PathBuf::from(path)),
    };
    let mut file = args.config;
    if resume != Resume::Never && file.is_none() && is_run(&args.out) {
        // A run knows its own configuration.
        file = Some(args.out.join("config.toml"));
    }
    let source = ConfigSource {
        file,
        text: None,
        set: args.set,
    };
    let mut config = source.load()?;
    if let Some(device) = args.device {
        config.device = device;
    }
    let signals = Signals::listen();
    let request = RunRequest {
        task,
        config,
        origin: source.origin(),
        out: args.out,
        overwrite: args.overwrite,
        resume,
        tui: args.tui,
        progress: Arc::new(Mutex::new(io::stderr())),
        signals: signals.run.clone(),
    };
    if args.dry_run {
        let estimate = match ccface_train::estimate(&request) {
            Err(TrainError::Stopped) => return Ok(signals.exit_code()),
            other => other?,
        };
        output::result(&output::printable(&plan(&estimate)));
        return Ok(ExitCode::SUCCESS);
    }
    // A log line would tear the dashboard; they wait until it has left the screen.
    let held = args.tui.then(HeldBack::new);
    let outcome = ccface_train::run(request);
    drop(held);
    let summary = match outcome {
        Err(TrainError::Stopped) => {
            output::note("stopped before the first step");
            return Ok(signals.exit_code());
        }
        other => other?,
    };
    let out = summary.out.display();
    if !summary.left_out.is_empty() {
        let shown: Vec<&str> = summary
            .left_out
            .iter()
            .take(5)
            .map(String::as_str)
            .collect();
        output::note(&format!(
            "{} images could not be used ({}{}); all are in {out}/run.json",
            summary.left_out.len(),
            shown.join("; "),
            if shown.len() < summary.left_out.len() {
                "; …"
            } else {
                ""
            }
        ));
    }
    if summary.skipped_steps > 0 {
        output::note(&format!(
            "{} steps were left out because their numbers were not finite; {out}/metrics.jsonl names their images",
            summary.skipped_steps
        ));
    }
    match summary.state {
        RunState::Interrupted => {
            output::note(&format!(
                "stopped after step {}; the same command with --resume goes on. The model so far is in {out}/model",
                summary.steps
            ));
            return Ok(signals.exit_code());
        }
        RunState::Finished if summary.images_per_second == 0.0 => {
            output::note(&format!(
                "{out} is finished: {} steps. Nothing was done",
                summary.steps
            ));
        }
        _ => output::note(&format!(
            "done: {} steps, {:.1} images/s. Model in {out}/model; next: ccface evaluate faces {out} --data DIR",
            summary.steps, summary.images_per_second
        )),
    }
    Ok(ExitCode::SUCCESS)
}

/// The plan of a run, one fact a line.
fn plan(estimate: &RunEstimate) -> String {
    let time = |seconds: f64| {
        let minutes = (seconds / 60.0).round() as u64;
        match minutes {
            0 => format!("{seconds:.0} s"),
            1..=119 => format!("{minutes} min"),
            _ => format!("{} h {:02} min", minutes / 60, minutes % 60),
        }
    };
    let mut lines = vec![
        format!(
            "data         {} images of {} identities; validation {} images",
            estimate.images, estimate.identities, estimate.validation_images
        ),
        format!(
            "student      {}; {} numbers are trained",
            estimate.student, estimate.parameters
        ),
        format!(
            "steps        {} = {} epochs of {} steps of {} faces",
            estimate.steps, estimate.epochs, estimate.steps_per_epoch, estimate.faces_per_step
        ),
        format!(
            "time         {}, {:.3} s a step (measured on one); validation and checkpoints come on top",
            time(estimate.seconds),
            estimate.seconds_per_step
        ),
    ];
    if estimate.teacher_views > 0 {
        lines.push(format!(
            "teacher      {} for {} views, where no cache holds them",
            time(estimate.teacher_seconds),
            estimate.teacher_views
        ));
    }
    if let Some(mib) = estimate.resident_mib {
        lines.push(format!("memory       {mib:.0} MiB after one step"));
    }
    lines.push(format!(
        "checkpoint   {:.1} MiB each",
        estimate.checkpoint_mib
    ));
    lines.push(format!("config       {}", estimate.config_hash));
    lines.push(String::new());
    lines.join("\n")
}
