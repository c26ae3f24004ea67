//! Reading a configuration: TOML file, `--set key=value`, presets, and errors that name the nearest known key.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::RunConfig;
use crate::TrainError;

/// Where a configuration comes from: an optional file and overrides in the order given.
#[derive(Clone, Debug, Default)]
pub struct ConfigSource {
    /// The TOML file; `None` starts from the defaults.
    pub file: Option<PathBuf>,
    /// TOML that takes the file's place, with the name used in messages.
    pub text: Option<(&'static str, &'static str)>,
    /// `key=value` with a dotted key (`train.epochs=3`); the value is TOML, or a bare string.
    pub set: Vec<String>,
}

impl ConfigSource {
    /// The name used in messages.
    pub fn origin(&self) -> String {
        match (&self.file, self.text) {
            (Some(path), _) => path.display().to_string(),
            (None, Some((name, _))) => name.into(),
            (None, None) => "configuration".into(),
        }
    }

    /// Reads the file, applies the overrides and fills in defaults.
    ///
    /// # Errors
    /// [`TrainError::Io`] for an unreadable file, [`TrainError::Config`] for TOML that does not parse, an override without
    /// `=`, or a key that no configuration has (with the nearest that it has).
    pub fn load(&self) -> Result<RunConfig, TrainError> {
        let mut table = match (&self.file, self.text) {
            (Some(path), _) => read_table(path)?,
            (None, Some((name, text))) => parse_table(name, text)?,
            (None, None) => Table::new(),
        };
        for text in &self.set {
            apply_override(&mut table, text)?;
        }
        RunConfig::deserialize(Value::Table(table))
            .map_err(|error| TrainError::config(self.origin(), explain(&error.to_string())))
    }
}

fn read_table(path: &Path) -> Result<Table, TrainError> {
    let text = std::fs::read_to_string(path).map_err(TrainError::io(path, "read"))?;
    parse_table(&path.display().to_string(), &text)
}

fn parse_table(origin: &str, text: &str) -> Result<Table, TrainError> {
    text.parse::<Table>().map_err(|error| {
        TrainError::config(
            origin,
            format!("not valid TOML: {}", error.to_string().trim_end()),
        )
    })
}

fn apply_override(table: &mut Table, text: &str) -> Result<(), TrainError> {
    let bad = |message: String| TrainError::config(format!("--set {text}"), message);
    let Some((key, value)) = text.split_once('=') else {
        return Err(bad("write key=value, as in --set train.epochs=3".into()));
    };
    let (key, value) = (key.trim(), value.trim());
    let mut parts: Vec<&str> = key.split('.').collect();
    let Some(last) = parts
        .pop()
        .filter(|last| !last.is_empty() && parts.iter().all(|p| !p.is_empty()))
    else {
        return Err(bad(format!("`{key}` is no dotted key, as in train.epochs")));
    };
    let mut here = table;
    for part in parts {
        let entry = here
            .entry(part)
            .or_insert_with(|| Value::Table(Table::new()));
        here = match entry {
            Value::Table(inner) => inner,
            _ => {
                return Err(bad(format!(
                    "`{part}` in `{key}` is a value, not a section"
                )));
            }
        };
    }
    here.insert(last.to_string(), parse_value(value));
    Ok(())
}

/// A TOML value where it parses as one, else the text itself.
fn parse_value(text: &str) -> Value {
    format!("v = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| Value::String(text.to_string()))
}

/// Adds the nearest known name to serde's "unknown field" and "unknown variant" messages.
fn explain(message: &str) -> String {
    let message = message.trim().replace('\n', " ");
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let unknown = ["unknown field", "unknown variant"]
        .iter()
        .any(|kind| message.contains(kind));
    if unknown
        && let Some((given, known)) = quoted.split_first()
        && let Some(near) = nearest(given, known.iter().copied())
    {
        return format!("{message}. Did you mean `{near}`?");
    }
    message
}

/// The known name closest to `given` by edit distance, if it is close enough to be meant.
pub fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= 1 + name.len().max(given.len()) / 3)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn load(set: &[&str]) -> Result<RunConfig, TrainError> {
        ConfigSource {
            file: None,
            text: None,
            set: set.iter().map(ToString::to_string).collect(),
        }
        .load()
    }

    #[test]
    fn overrides_reach_nested_keys_with_their_types() {
        let config = load(&[
            "seed=2",
            "train.epochs = 3",
            "optimiser.learning_rate=0.5",
            "data.path=faces",
        ])
        .unwrap();
        assert_eq!((config.seed, config.train.epochs), (2, 3));
        assert_eq!(config.optimiser.learning_rate, 0.5);
        assert_eq!(config.data.path.candidates(), ["faces"]);
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest_one() {
        let message = load(&["train.epoch=3"]).unwrap_err().to_string();
        assert!(message.contains("Did you mean `epochs`?"), "{message}");
        let message = load(&["sed=3"]).unwrap_err().to_string();
        assert!(message.contains("Did you mean `seed`?"), "{message}");
    }

    #[test]
    fn an_override_without_a_value_says_what_to_write() {
        assert!(
            load(&["seed"])
                .unwrap_err()
                .to_string()
                .contains("key=value")
        );
    }

    #[test]
    fn a_resolved_configuration_reads_back_equal() {
        let config = load(&["objective.preset=recommended", "objective.scale=48"]).unwrap();
        let text = config.to_toml();
        let back = RunConfig::deserialize(Value::Table(text.parse::<Table>().unwrap())).unwrap();
        assert_eq!(back, config);
        assert_eq!(back.hash(), config.hash());
        assert_eq!(back.objective.resolve().scale, 48.0);
    }
}
