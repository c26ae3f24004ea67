//! `ccface runs`.

use std::fmt::Write;

use ccface_train::{
    Task,
    runs::{RunOverview, Standing, survey},
};

use crate::{CliError, cli::RunsArgs, output};

pub(crate) fn run(args: &RunsArgs) -> Result<(), CliError> {
    let runs = survey(&args.dir)?;
    if args.json {
        output::result(&output::json(&runs)?);
        return Ok(());
    }
    output::result(&output::printable(&table(&runs)));
    Ok(())
}

/// One line for each run, and under it what is wrong with it.
fn table(runs: &[RunOverview]) -> String {
    let width = runs
        .iter()
        .map(|run| run.path.display().to_string().len())
        .max()
        .unwrap_or(0)
        .max(3);
    let mut text = format!(
        "{:width$}  {:7}  {:11}  {:>8}  {:>7}  {:22}  checkpoints\n",
        "run", "task", "state", "step", "epochs", "best"
    );
    for run in runs {
        let sound = run.checkpoints.iter().filter(|c| c.rejected.is_none());
        let newest = sound.clone().next().map_or("none".to_string(), |c| {
            format!("{}, newest {}", sound.clone().count(), c.name)
        });
        let best = run.best.as_ref().map_or("–".to_string(), |best| {
            format!("{:.2} % (step {})", best.value, best.step)
        });
        let epochs = run
            .epochs
            .map_or("?".to_string(), |epochs| epochs.to_string());
        let _ = writeln!(
            text,
            "{:width$}  {:7}  {:11}  {:>8}  {epochs:>7}  {best:22}  {newest}",
            run.path.display(),
            match run.task {
                Some(Task::Distill) => "distill",
                Some(Task::Train) => "train",
                None => "?",
            },
            standing(run.standing),
            run.step,
        );
        if let Some(error) = &run.error {
            let _ = writeln!(text, "{:width$}  error: {error}", "");
        }
        for checkpoint in &run.checkpoints {
            if let Some(reason) = &checkpoint.rejected {
                let _ = writeln!(
                    text,
                    "{:width$}  {} rejected: {reason}",
                    "", checkpoint.name
                );
            }
        }
        if matches!(
            run.standing,
            Standing::CutOff | Standing::Interrupted | Standing::Failed
        ) {
            let task = if run.task == Some(Task::Train) {
                "train"
            } else {
                "distill"
            };
            let _ = writeln!(
                text,
                "{:width$}  go on: ccface {task} --out {} --resume",
                "",
                run.path.display()
            );
        }
    }
    text
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Running => "running",
        Standing::CutOff => "cut off",
        Standing::Finished => "finished",
        Standing::Interrupted => "interrupted",
        Standing::Failed => "failed",
        Standing::Damaged => "damaged",
    }
}
