//! The model card: what a weight file is, how it wants its input, and where it comes from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::weights::file::{read_capped, write_atomic};
use crate::{BackboneConfig, ModelError};

/// The card's file name, beside the weights.
pub const CARD_FILE: &str = "model.json";

/// The layout of the card that this version writes and reads.
pub const SCHEMA_VERSION: u32 = 1;

/// A card is a page of text; anything larger is another file.
const MAX_CARD_BYTES: u64 = 16 << 20;

/// Order of the colour channels that a network was trained with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// Red first: InsightFace, EdgeFace.
    #[default]
    Rgb,
    /// Blue first: AdaFace, CVLface, QGFace.
    Bgr,
}

/// How a face must lie in its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Alignment {
    /// Five landmarks on ArcFace's template of 112×112 pixels, scaled to the input size.
    #[default]
    #[serde(rename = "arcface-112")]
    Arcface112,
    /// No alignment is known or needed.
    #[serde(rename = "none")]
    None,
}

/// The input that a network expects.
///
/// ```text
/// x = (pixel − mean) / std        pixel in 0..255, per channel in `colour` order
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Side of the square input in pixels.
    pub size: usize,
    /// Order of the channels.
    pub colour: Colour,
    /// Subtracted from every channel, on the 0..255 scale, in `colour` order.
    pub mean: [f32; 3],
    /// Divides every channel, on the 0..255 scale, in `colour` order.
    pub std: [f32; 3],
    /// How the face must lie in the picture.
    #[serde(default)]
    pub alignment: Alignment,
}

impl InputSpec {
    /// InsightFace's convention: RGB, (x − 127.5)/127.5, aligned.
    pub fn arcface(size: usize) -> Self {
        Self {
            size,
            colour: Colour::Rgb,
            mean: [127.5; 3],
            std: [127.5; 3],
            alignment: Alignment::Arcface112,
        }
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        if !(1..=4096).contains(&self.size) {
            return Some(("input.size", format!("{} is outside 1..=4096", self.size)));
        }
        if !self.mean.iter().all(|v| v.is_finite()) {
            return Some(("input.mean", "must be finite".into()));
        }
        if !self.std.iter().all(|v| v.is_finite() && *v > 0.0) {
            return Some(("input.std", "must be finite and above 0".into()));
        }
        None
    }
}

/// A named thing with the hash of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// What people call it.
    pub name: String,
    /// The hash of its content, hexadecimal.
    pub hash: String,
}

/// The embedding that comes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingSpec {
    /// Its length.
    pub dim: usize,
    /// Whether it leaves the network with unit norm. Backbones of this crate do not normalise.
    pub unit_norm: bool,
}

/// The weight file that a card belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightsRef {
    /// Its name, beside the card.
    pub file: String,
    /// BLAKE3 of the file, hexadecimal.
    pub blake3: String,
}

/// What a model is: `model.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelCard {
    /// The layout of this card, [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The network.
    pub architecture: BackboneConfig,
    /// The input that it expects.
    pub input: InputSpec,
    /// The embedding that it gives.
    pub embedding: EmbeddingSpec,
    /// The teacher that it was distilled from.
    pub teacher: Option<Provenance>,
    /// The data that it was trained on.
    pub data: Option<Provenance>,
    /// The stranger's file that the weights were imported from, and its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imported_from: Option<Provenance>,
    /// The licence, inherited from teacher and data: `unknown` where nobody stated one.
    pub licence: String,
    /// What it may be used for.
    pub intended_use: String,
    /// The program that wrote it.
    pub created_by: String,
    /// The weight file; [`save_model`](crate::save_model) fills it in.
    pub weights: WeightsRef,
    /// Decision thresholds on the cosine by face size in pixels.
    pub thresholds: BTreeMap<u32, f64>,
    /// A summary of the evaluation, free in form.
    pub evaluation: Option<Value>,
}

impl ModelCard {
    /// A card of this architecture with nothing known about its origin.
    pub fn new(architecture: BackboneConfig, input: InputSpec) -> Self {
        let dim = architecture.embedding();
        Self {
            schema_version: SCHEMA_VERSION,
            architecture,
            input,
            embedding: EmbeddingSpec {
                dim,
                unit_norm: false,
            },
            teacher: None,
            data: None,
            imported_from: None,
            licence: "unknown".into(),
            intended_use: "research; a match is a candidate for human review, never a decision"
                .into(),
            created_by: concat!("ccface ", env!("CARGO_PKG_VERSION")).into(),
            weights: WeightsRef {
                file: String::new(),
                blake3: String::new(),
            },
            thresholds: BTreeMap::new(),
            evaluation: None,
        }
    }

    /// Reads and checks a card; the weights are not touched.
    ///
    /// # Errors
    ///
    /// [`ModelError::Card`] names the field that is missing, unknown, of another schema or out of range.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        Self::parse(path, &read_capped(path, MAX_CARD_BYTES)?)
    }

    /// Reads and checks the text of a card; `path` is for messages.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ModelError> {
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|e| field_error(path, "(the whole file)", format!("is no JSON: {e}")))?;
        let Value::Object(map) = value else {
            return Err(field_error(path, "(the whole file)", "is no JSON object"));
        };
        let mut fields = Fields { path, map };
        let schema_version: u32 = fields.required("schema_version")?;
        if schema_version != SCHEMA_VERSION {
            return Err(field_error(
                path,
                "schema_version",
                format!(
                    "is {schema_version}, this version of ccface reads {SCHEMA_VERSION}: use the \
                     version that wrote the card, or save the model again"
                ),
            ));
        }
        let card = Self {
            schema_version,
            architecture: fields.required("architecture")?,
            input: fields.required("input")?,
            embedding: fields.required("embedding")?,
            teacher: fields.optional("teacher")?,
            data: fields.optional("data")?,
            imported_from: fields.optional("imported_from")?,
            licence: fields.required("licence")?,
            intended_use: fields.required("intended_use")?,
            created_by: fields.required("created_by")?,
            weights: fields.required("weights")?,
            thresholds: fields.optional("thresholds")?.unwrap_or_default(),
            evaluation: fields.optional("evaluation")?,
        };
        fields.finish()?;
        card.check(path)?;
        Ok(card)
    }

    /// Writes the card atomically.
    ///
    /// # Errors
    ///
    /// [`ModelError::Card`] if its fields contradict each other, [`ModelError::Io`] if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ModelError> {
        self.check(path)?;
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|e| field_error(path, "evaluation", format!("cannot be written: {e}")))?;
        text.push(b'\n');
        write_atomic(path, &text)
    }

    /// Checks the fields against each other.
    pub(crate) fn check(&self, path: &Path) -> Result<(), ModelError> {
        if let Err(problems) = self.architecture.validate() {
            return Err(field_error(path, "architecture", problems.join("; ")));
        }
        if let Some((field, reason)) = self.input.problem() {
            return Err(field_error(path, field, reason));
        }
        let side = self.architecture.input_size();
        if self.input.size != side {
            return Err(field_error(
                path,
                "input.size",
                format!(
                    "is {}, but architecture.input_size is {side}",
                    self.input.size
                ),
            ));
        }
        let dim = self.architecture.embedding();
        if self.embedding.dim != dim {
            return Err(field_error(
                path,
                "embedding.dim",
                format!(
                    "is {}, but architecture.embedding is {dim}",
                    self.embedding.dim
                ),
            ));
        }
        let file = &self.weights.file;
        if file.is_empty() || file.contains(['/', '\\', '\0']) || file == "." || file == ".." {
            return Err(field_error(
                path,
                "weights.file",
                format!("{file:?} is no plain file name; the weights lie beside the card"),
            ));
        }
        Ok(())
    }
}

impl fmt::Display for ModelCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colour = match self.input.colour {
            Colour::Rgb => "RGB",
            Colour::Bgr => "BGR",
        };
        write!(
            f,
            "{}; {colour}, (x − {:?})/{:?}; licence: {}",
            self.architecture.describe(),
            self.input.mean,
            self.input.std,
            self.licence
        )
    }
}

/// An error about one field of a card.
pub(crate) fn field_error(path: &Path, field: &str, reason: impl Into<String>) -> ModelError {
    ModelError::Card {
        path: path.to_path_buf(),
        field: field.into(),
        reason: reason.into(),
    }
}

/// Takes a JSON object apart field by field, so that every error has a name.
struct Fields<'a> {
    path: &'a Path,
    map: Map<String, Value>,
}

impl Fields<'_> {
    fn required<T: DeserializeOwned>(&mut self, field: &str) -> Result<T, ModelError> {
        self.optional(field)?
            .ok_or_else(|| field_error(self.path, field, "is missing"))
    }

    fn optional<T: DeserializeOwned>(&mut self, field: &str) -> Result<Option<T>, ModelError> {
        match self.map.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value)
                .map(Some)
                .map_err(|e| field_error(self.path, field, e.to_string())),
        }
    }

    fn finish(self) -> Result<(), ModelError> {
        match self.map.keys().next() {
            None => Ok(()),
            Some(field) => Err(field_error(
                self.path,
                field,
                format!("is unknown in schema {SCHEMA_VERSION}: remove it"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::IResNetConfig;

    fn card() -> ModelCard {
        let mut card = ModelCard::new(
            BackboneConfig::IResNet(IResNetConfig::default()),
            InputSpec::arcface(112),
        );
        card.weights.file = "model.safetensors".into();
        card.teacher = Some(Provenance {
            name: "teacher".into(),
            hash: "00ff".into(),
        });
        card.thresholds.insert(16, 0.31);
        card.evaluation = Some(serde_json::json!({"eer": 0.044}));
        card
    }

    fn edited(edit: impl FnOnce(&mut Value)) -> ModelError {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CARD_FILE);
        let mut value = serde_json::to_value(card()).unwrap();
        edit(&mut value);
        std::fs::write(&path, value.to_string()).unwrap();
        ModelCard::read(&path).unwrap_err()
    }

    #[test]
    fn a_card_survives_the_way_to_disk_and_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CARD_FILE);
        card().write(&path).unwrap();
        assert_eq!(ModelCard::read(&path).unwrap(), card());
    }

    #[test]
    fn a_refused_card_names_the_field() {
        type Edit = fn(&mut Value);
        let cases: [(&str, Edit); 9] = [
            ("schema_version", |v| v["schema_version"] = 2.into()),
            ("architecture", |v| {
                v["architecture"]["widht"] = 64.into();
            }),
            ("architecture", |v| {
                v["architecture"]["kind"] = "vit".into();
            }),
            ("architecture", |v| v["architecture"]["width"] = 0.into()),
            ("input.size", |v| v["input"]["size"] = 96.into()),
            ("input.std", |v| v["input"]["std"][1] = 0.into()),
            ("embedding.dim", |v| v["embedding"]["dim"] = 128.into()),
            ("weights.file", |v| {
                v["weights"]["file"] = "../../etc/passwd".into();
            }),
            ("weihgts", |v| v["weihgts"] = 1.into()),
        ];
        for (expected, edit) in cases {
            match edited(edit) {
                ModelError::Card { field, .. } => assert_eq!(field, expected),
                other => panic!("{expected}: {other}"),
            }
        }
    }

    #[test]
    fn a_missing_field_is_named() {
        let error = edited(|v| {
            v.as_object_mut().unwrap().remove("licence");
        });
        assert!(
            error.to_string().contains("field `licence`: is missing"),
            "{error}"
        );
    }

    #[test]
    fn text_that_is_no_card_is_one_clear_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CARD_FILE);
        for text in ["", "<html>", "[1]"] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(
                ModelCard::read(&path),
                Err(ModelError::Card { .. })
            ));
        }
        assert!(matches!(
            ModelCard::read(&dir.path().join("absent.json")),
            Err(ModelError::Io { .. })
        ));
    }
}
