//! `ccface distill` and `ccface train`.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    sync::{Arc, Mutex, atomic::AtomicBool},
};

use ccface_train::{ConfigSource, RunRequest, Task, run_dir::RunState};

use super::interrupt::{INTERRUPTED, stop_on_interrupt};
use crate::{CliError, cli::RunArgs, log_lines::HeldBack, output};

pub(crate) fn run(task: Task, args: RunArgs) -> Result<ExitCode, CliError> {
    if args.tui && !io::stdout().is_terminal() {
        return Err(CliError::Usage(
            "--tui needs a terminal on standard output; leave it out for progress lines".into(),
        ));
    }
    let source = ConfigSource {
        file: args.config,
        text: None,
        set: args.set,
    };
    let mut config = source.load()?;
    if let Some(device) = args.device {
        config.device = device;
    }
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_interrupt(&stop);
    // A log line would tear the dashboard; they wait until it has left the screen.
    let held = args.tui.then(HeldBack::new);
    let summary = ccface_train::run(RunRequest {
        task,
        config,
        origin: source.origin(),
        out: args.out,
        overwrite: args.overwrite,
        tui: args.tui,
        progress: Arc::new(Mutex::new(io::stderr())),
        stop,
    });
    drop(held);
    let summary = summary?;
    let out = summary.out.display();
    match summary.state {
        RunState::Interrupted => {
            output::note(&format!(
                "stopped after step {}; the model so far is in {out}/model",
                summary.steps
            ));
            return Ok(ExitCode::from(INTERRUPTED));
        }
        _ => output::note(&format!(
            "done: {} steps, {:.1} images/s. Model in {out}/model; next: ccface evaluate faces {out} --data DIR",
            summary.steps, summary.images_per_second
        )),
    }
    Ok(ExitCode::SUCCESS)
}
