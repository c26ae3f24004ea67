//! Section `[objective]`: a preset and what differs from it.

use ccface_losses::ObjectiveConfig;
use serde::{Deserialize, Serialize};

/// The objective: a preset and the values that differ from it.
///
/// In TOML every key of the objective may follow `preset`; what is not written comes from the preset.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectiveSection {
    /// `ccface` (the method as described) or `recommended` (what measurement supports).
    pub preset: String,
    resolved: ObjectiveConfig,
}

impl Default for ObjectiveSection {
    fn default() -> Self {
        Self {
            preset: "ccface".into(),
            resolved: ObjectiveConfig::ccface(),
        }
    }
}

impl ObjectiveSection {
    /// The preset with the section's values over it.
    pub fn resolve(&self) -> &ObjectiveConfig {
        &self.resolved
    }
}

impl Serialize for ObjectiveSection {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let mut table = toml::Table::try_from(&self.resolved).map_err(S::Error::custom)?;
        table.insert("preset".into(), self.preset.clone().into());
        table.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ObjectiveSection {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let mut given = toml::Table::deserialize(deserializer)?;
        let preset = match given.remove("preset") {
            None => "ccface".to_string(),
            Some(toml::Value::String(name)) => name,
            Some(other) => {
                return Err(D::Error::custom(format!(
                    "objective.preset must be a name, not {other}"
                )));
            }
        };
        let base = match preset.as_str() {
            "ccface" => ObjectiveConfig::ccface(),
            "recommended" => ObjectiveConfig::recommended(),
            other => return Err(D::Error::unknown_variant(other, &["ccface", "recommended"])),
        };
        let mut table = toml::Table::try_from(&base).map_err(D::Error::custom)?;
        for (key, value) in given {
            // TOML tells 5 from 5.0; a user need not.
            let value = match (table.get(&key), value) {
                (Some(toml::Value::Float(_)), toml::Value::Integer(number)) => {
                    toml::Value::Float(number as f64)
                }
                (_, value) => value,
            };
            table.insert(key, value);
        }
        let resolved =
            ObjectiveConfig::deserialize(toml::Value::Table(table)).map_err(D::Error::custom)?;
        Ok(Self { preset, resolved })
    }
}
