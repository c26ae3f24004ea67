//! `ccface config check`, `show` and `diff`.

use std::{collections::BTreeMap, path::Path};

use ccface_train::{ConfigSource, RunConfig, Task, run_dir::is_run};

use crate::{CliError, cli::ConfigCommand, output};

pub(crate) fn run(command: &ConfigCommand) -> Result<(), CliError> {
    match command {
        ConfigCommand::Check { files, set, task } => files
            .iter()
            .try_for_each(|file| check(file, set, task.as_deref())),
        ConfigCommand::Show { file, set } => {
            let config = load(file.as_deref(), set)?;
            output::result(&output::printable(&config.to_toml()));
            Ok(())
        }
        ConfigCommand::Diff { a, b } => {
            let (one, other) = (load(Some(a), &[])?, load(Some(b), &[])?);
            output::result(&output::printable(&difference(&one, &other)));
            Ok(())
        }
    }
}

/// A configuration file's, or that of a run directory.
fn load(path: Option<&Path>, set: &[String]) -> Result<RunConfig, CliError> {
    let file = path.map(|path| {
        if is_run(path) {
            path.join("config.toml")
        } else {
            path.to_path_buf()
        }
    });
    let source = ConfigSource {
        file,
        text: None,
        set: set.to_vec(),
    };
    Ok(source.load()?)
}

fn check(path: &Path, set: &[String], task: Option<&str>) -> Result<(), CliError> {
    let config = load(Some(path), set)?;
    let origin = path.display().to_string();
    let tasks = match task {
        Some("distill") => vec![("distill", Task::Distill)],
        Some(_) => vec![("train", Task::Train)],
        None => vec![("distill", Task::Distill), ("train", Task::Train)],
    };
    let mut good = Vec::new();
    let mut first = None;
    for (name, task) in tasks {
        match config.validate(task, &format!("{origin} (for {name})")) {
            Ok(()) => good.push(name),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    match first {
        Some(error) if good.is_empty() => Err(error.into()),
        _ => {
            output::result(&output::printable(&format!(
                "{origin}: good for {}; {}\n",
                good.join(" and "),
                config.hash()
            )));
            Ok(())
        }
    }
}

/// One line for each value that differs, or one that says that none does.
fn difference(one: &RunConfig, other: &RunConfig) -> String {
    let (one, other): (BTreeMap<_, _>, BTreeMap<_, _>) = (
        one.values().into_iter().collect(),
        other.values().into_iter().collect(),
    );
    let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
    keys.sort();
    keys.dedup();
    let absent = "(not there)".to_string();
    let lines: Vec<String> = keys
        .into_iter()
        .filter(|key| one.get(*key) != other.get(*key))
        .map(|key| {
            let of = |values: &BTreeMap<String, String>| values.get(key).unwrap_or(&absent).clone();
            format!("{key}: {} → {}\n", of(&one), of(&other))
        })
        .collect();
    if lines.is_empty() {
        "equal\n".into()
    } else {
        lines.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_the_key_and_both_values() {
        let one = RunConfig::default();
        let mut other = one.clone();
        assert_eq!(difference(&one, &other), "equal\n");
        other.train.batch = 64;
        other.pairs.flip = 0.0;
        assert_eq!(
            difference(&one, &other),
            "pairs.flip: 0.5 → 0.0\ntrain.batch: 40 → 64\n"
        );
    }
}
