//! The result document: one stable, schema-versioned JSON form for every evaluation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{EvalError, Result};
use crate::groups::{GroupTable, SizeRow};
use crate::open_set::Tpir;
use crate::rate::Rate;
use crate::reject::RejectCurve;
use crate::verification::{Histogram, OperatingPoint};
use crate::worst::WorstErrors;

/// The schema's name and version. A reader refuses what it does not know; fields may be added within a version.
pub const SCHEMA: &str = "ccface-evaluation/1";

/// Everything one evaluation found, and all the facts needed to judge it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultDocument {
    /// [`SCHEMA`].
    pub schema: String,
    /// What was measured and on what.
    pub protocol: ProtocolFacts,
    /// How the intervals were made.
    pub statistics: StatisticsFacts,
    /// `eer`, `tar@far=0.01`, `tar@far=0.01/nearest`, `rank1` … `rank20`, `tpir20@fpir=0.1`, `fta`, `fte`.
    pub metrics: BTreeMap<String, Rate>,
    /// Operating points by name: `eer`, `far=0.01`, `far=0.01/nearest`, `given`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub thresholds: BTreeMap<String, OperatingPoint>,
    /// Curves for drawing.
    #[serde(default, skip_serializing_if = "Curves::is_empty")]
    pub curves: Curves,
    /// Open-set figures with their N, R and T.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_set: Vec<Tpir>,
    /// Error rates per group of comparisons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupTable>,
    /// Error rates by face size.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<SizeRow>,
    /// Error against the share rejected, one curve per confidence source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reject: Vec<RejectCurve>,
    /// Outcomes per trial, for paired tests between documents: `genuine` comparisons and `probes`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub trials: BTreeMap<String, Trials>,
    /// The comparisons that went most wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst: Option<WorstErrors>,
    /// What a reader must know: exclusions, duplicates, small samples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The protocol box.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProtocolFacts {
    /// `scores`, `embeddings`, `tinyface`, `scface/all130`, …
    pub name: String,
    /// What was found: comparisons, subjects, files, exclusions.
    pub counts: BTreeMap<String, usize>,
    /// The threshold rule of the headline figures.
    pub threshold_rule: String,
    /// How faces were aligned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alignment: Option<String>,
    /// RGB or BGR.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour_order: Option<String>,
    /// How the embeddings of an image and its mirror image were joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fusion: Option<String>,
    /// Hash of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_hash: Option<String>,
    /// Hash of the data evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_hash: Option<String>,
}

/// How the intervals were made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatisticsFacts {
    /// In words.
    pub interval: String,
    /// Share of intervals that should hold the true value.
    pub level: f64,
    /// Bootstrap replicates.
    pub replicates: usize,
    /// Seed of the bootstrap.
    pub seed: u64,
    /// Number of people drawn; absent where comparisons were taken as independent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<usize>,
}

/// Curves for drawing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Curves {
    /// DET points, thinned; the ROC is (fmr, 1 − fnmr).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub det: Vec<OperatingPoint>,
    /// Area under the ROC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// CMC(1), CMC(2), …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cmc: Vec<f64>,
    /// Score counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histogram: Option<Histogram>,
}

impl Curves {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Outcomes of the same trials by several yes–no measures, kept so that two models can be compared pairwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trials {
    /// Hash of what the trials are (who is compared with whom, in order): equal hashes may be paired.
    pub fingerprint: String,
    /// The subject of each trial; in JSON one string of numbers, to keep the document short.
    #[serde(with = "spaced")]
    pub subjects: Vec<u32>,
    /// For each measure one hexadecimal digit string, four trials a digit, first trial in the highest bit.
    pub hits: BTreeMap<String, String>,
}

/// A list of numbers as one string.
mod spaced {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        numbers: &[u32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let words: Vec<String> = numbers.iter().map(u32::to_string).collect();
        serializer.serialize_str(&words.join(" "))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u32>, D::Error> {
        String::deserialize(deserializer)?
            .split_whitespace()
            .map(|word| word.parse().map_err(D::Error::custom))
            .collect()
    }
}

impl Trials {
    /// Packs outcomes.
    #[must_use]
    pub fn pack(hits: &[bool]) -> String {
        hits.chunks(4)
            .map(|four| {
                let digit = (0..4).fold(0, |d, i| {
                    d << 1 | u32::from(four.get(i).copied().unwrap_or(false))
                });
                char::from_digit(digit, 16).unwrap_or('0')
            })
            .collect()
    }

    /// The outcomes of one measure; `None` for an unknown measure or a damaged string.
    #[must_use]
    pub fn unpack(&self, measure: &str) -> Option<Vec<bool>> {
        let text = self.hits.get(measure)?;
        let mut bits = Vec::with_capacity(text.len() * 4);
        for c in text.chars() {
            let digit = c.to_digit(16)?;
            bits.extend((0..4).rev().map(|i| digit >> i & 1 == 1));
        }
        (bits.len().div_ceil(4) == self.subjects.len().div_ceil(4)).then(|| {
            bits.truncate(self.subjects.len());
            bits
        })
    }
}

impl ResultDocument {
    /// Puts the facts of a protocol into the document: name and whatever is given, counts added to those measured.
    pub fn describe(&mut self, facts: ProtocolFacts) {
        let own = &mut self.protocol;
        own.name = facts.name;
        own.counts.extend(facts.counts);
        if !facts.threshold_rule.is_empty() {
            own.threshold_rule = facts.threshold_rule;
        }
        for (mine, given) in [
            (&mut own.alignment, facts.alignment),
            (&mut own.colour_order, facts.colour_order),
            (&mut own.fusion, facts.fusion),
            (&mut own.model_hash, facts.model_hash),
            (&mut own.data_hash, facts.data_hash),
        ] {
            if given.is_some() {
                *mine = given;
            }
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// Text that is no JSON document of this kind, or another schema version.
    pub fn from_json(text: &str) -> Result<Self> {
        let wrong = |why: String| EvalError::NotComparable { why };
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|e| wrong(format!("not a JSON document: {e}")))?;
        match value.get("schema").and_then(|s| s.as_str()) {
            Some(SCHEMA) => {}
            Some(other) => {
                return Err(wrong(format!(
                    "the document has schema `{other}`, this program reads `{SCHEMA}`"
                )));
            }
            None => {
                return Err(wrong(format!(
                    "the document has no `schema`; results of `ccface evaluate … --json` carry `{SCHEMA}`"
                )));
            }
        }
        serde_json::from_value(value).map_err(|e| wrong(format!("a field is wrong: {e}")))
    }

    /// Writes the document, indented.
    ///
    /// # Errors
    /// Never for documents made by this crate.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map_err(|e| EvalError::NotComparable { why: e.to_string() })
    }

    /// The metrics as CSV: `metric,value,low,high,n,note`.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut text = String::from("metric,value,low,high,n,note\n");
        for (name, rate) in &self.metrics {
            match rate {
                Rate::Measured {
                    value,
                    low,
                    high,
                    n,
                    low_confidence,
                } => {
                    let note = if *low_confidence {
                        "low confidence"
                    } else {
                        ""
                    };
                    text.push_str(&format!("{name},{value},{low},{high},{n},{note}\n"));
                }
                Rate::Insufficient { insufficient } => {
                    let why = insufficient.replace('"', "'");
                    text.push_str(&format!("{name},,,,,\"insufficient: {why}\"\n"));
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn packed_outcomes_come_back() {
        for n in [1, 4, 7, 130] {
            let hits: Vec<bool> = (0..n).map(|i| i % 3 == 0 || i % 7 == 2).collect();
            let trials = Trials {
                fingerprint: String::new(),
                subjects: vec![0; n],
                hits: BTreeMap::from([("rank1".to_owned(), Trials::pack(&hits))]),
            };
            assert_eq!(trials.unpack("rank1").unwrap(), hits);
            assert_eq!(trials.unpack("rank5"), None);
        }
        let damaged = Trials {
            fingerprint: String::new(),
            subjects: vec![0; 9],
            hits: BTreeMap::from([("rank1".to_owned(), "ff".to_owned())]),
        };
        assert_eq!(damaged.unpack("rank1"), None);
    }

    #[test]
    fn describing_keeps_what_is_not_given() {
        let config = crate::EvaluationConfig::default();
        let mut document = crate::evaluation::new_document("embeddings", &config);
        document.protocol.data_hash = Some("abc".into());
        document.protocol.counts.insert("probes".into(), 3);
        let rule = document.protocol.threshold_rule.clone();
        document.describe(ProtocolFacts {
            name: "tinyface".into(),
            counts: BTreeMap::from([("probe_images".to_owned(), 4)]),
            fusion: Some("sum".into()),
            ..ProtocolFacts::default()
        });
        assert_eq!(document.protocol.name, "tinyface");
        assert_eq!(document.protocol.counts.len(), 2);
        assert_eq!(document.protocol.data_hash.as_deref(), Some("abc"));
        assert_eq!(document.protocol.fusion.as_deref(), Some("sum"));
        assert_eq!(document.protocol.threshold_rule, rule);
    }

    #[test]
    fn another_schema_and_other_text_are_refused_with_the_reason() {
        let error = |text| ResultDocument::from_json(text).unwrap_err().to_string();
        assert!(error("{").contains("not a JSON document"));
        assert!(error("{}").contains("no `schema`"));
        assert!(error(r#"{"schema":"ccface-evaluation/9"}"#).contains("ccface-evaluation/9"));
        assert!(error(r#"{"schema":"ccface-evaluation/1"}"#).contains("a field is wrong"));
    }
}
