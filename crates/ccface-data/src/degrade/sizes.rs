//! The face size of the LR view: which sizes, and how often.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::DataError;
use crate::rng::Stream;

/// From which sizes (side of the face in pixels) the LR view of a pair is drawn.
///
/// In a config it is a plain list, each entry equally likely, or a table with a `kind`:
/// `{ kind = "uniform", min = 7, max = 56 }`, `{ kind = "log_uniform", min = 7, max = 112 }`, or
/// `{ kind = "histogram", sizes = [8, 12], counts = [30, 10] }` (what an inspection of a site's faces gives).
///
/// ```
/// use ccface_data::SizeDistribution;
/// use ccface_data::rng::{Purpose, Stream};
/// let sizes: SizeDistribution = serde_json::from_str("[8, 12, 16]").unwrap();
/// let r = sizes.draw(&mut Stream::new(1, 0, 0, Purpose::Size));
/// assert!([8, 12, 16].contains(&r));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum SizeDistribution {
    /// Each entry equally likely; repeat one to make it likelier.
    List(Vec<u32>),
    /// Every whole size from `min` to `max`, both included, equally likely.
    Uniform {
        /// Smallest side.
        min: u32,
        /// Largest side.
        max: u32,
    },
    /// Density 1/r from `min` to `max`: every halving of the size equally likely.
    LogUniform {
        /// Smallest side.
        min: u32,
        /// Largest side.
        max: u32,
    },
    /// Each size in proportion to its count.
    Histogram {
        /// The sides.
        sizes: Vec<u32>,
        /// How often each was seen; any non-negative numbers.
        counts: Vec<f64>,
    },
}

impl Default for SizeDistribution {
    /// 7, 8, 10, 12, 14, 16, 20, 24, 32, 56 and 112 pixels, equally likely.
    fn default() -> Self {
        SizeDistribution::List(vec![7, 8, 10, 12, 14, 16, 20, 24, 32, 56, 112])
    }
}

impl SizeDistribution {
    /// Draws one size.
    ///
    /// # Panics
    /// When the distribution is invalid; see [`problem`](SizeDistribution::problem).
    pub fn draw(&self, stream: &mut Stream) -> usize {
        match self {
            SizeDistribution::List(sizes) => *stream.choice(sizes) as usize,
            SizeDistribution::Uniform { min, max } => {
                *min as usize + stream.below((max - min + 1) as usize)
            }
            SizeDistribution::LogUniform { min, max } => {
                // Rounding cells of equal width around every whole size.
                let (low, high) = (
                    libm::log(f64::from(*min) - 0.5),
                    libm::log(f64::from(*max) + 0.5),
                );
                let r = libm::exp(low + (high - low) * stream.uniform());
                (r.round() as u32).clamp(*min, *max) as usize
            }
            SizeDistribution::Histogram { sizes, counts } => {
                let mut left = stream.uniform() * counts.iter().sum::<f64>();
                let mut chosen = 0;
                for (i, &count) in counts.iter().enumerate() {
                    if count > 0.0 {
                        chosen = i;
                        if left < count {
                            break;
                        }
                        left -= count;
                    }
                }
                sizes[chosen] as usize
            }
        }
    }

    /// The smallest and the largest size that can be drawn; `None` where the distribution is invalid.
    pub fn bounds(&self) -> Option<(u32, u32)> {
        match self {
            SizeDistribution::List(sizes) => Some((*sizes.iter().min()?, *sizes.iter().max()?)),
            SizeDistribution::Uniform { min, max } | SizeDistribution::LogUniform { min, max } => {
                Some((*min, *max))
            }
            SizeDistribution::Histogram { sizes, counts } => {
                let drawn = || sizes.iter().zip(counts).filter(|(_, n)| **n > 0.0);
                let (min, max) = (
                    drawn().map(|(r, _)| *r).min()?,
                    drawn().map(|(r, _)| *r).max()?,
                );
                Some((min, max))
            }
        }
    }

    /// What is wrong with the distribution, if anything; `key` names the setting in the message.
    pub fn problem(&self, key: &str) -> Option<DataError> {
        let wrong = |text: &str| Some(DataError::config(key, self, text));
        match self {
            SizeDistribution::List(sizes) if sizes.is_empty() => {
                wrong("the list is empty; give at least one size in pixels")
            }
            SizeDistribution::List(sizes) if sizes.contains(&0) => {
                wrong("a size is 0; sizes are whole pixels from 1 on")
            }
            SizeDistribution::Uniform { min, max } | SizeDistribution::LogUniform { min, max }
                if *min == 0 || min > max =>
            {
                wrong("needs 1 ≤ min ≤ max, in pixels")
            }
            SizeDistribution::Histogram { sizes, counts }
                if sizes.len() != counts.len() || sizes.is_empty() || sizes.contains(&0) =>
            {
                wrong("needs one count for each size, and sizes from 1 on")
            }
            SizeDistribution::Histogram { counts, .. }
                if counts.iter().any(|c| !c.is_finite() || *c < 0.0)
                    || counts.iter().sum::<f64>() <= 0.0 =>
            {
                wrong("counts must be finite, not negative, and not all 0")
            }
            _ => None,
        }
    }
}

impl fmt::Display for SizeDistribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SizeDistribution::List(sizes) => write!(f, "{sizes:?}"),
            SizeDistribution::Uniform { min, max } => write!(f, "uniform {min}..{max}"),
            SizeDistribution::LogUniform { min, max } => write!(f, "log-uniform {min}..{max}"),
            SizeDistribution::Histogram { sizes, counts } => {
                write!(f, "histogram of sizes {sizes:?} with counts {counts:?}")
            }
        }
    }
}

/// The table form.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Table {
    List { sizes: Vec<u32> },
    Uniform { min: u32, max: u32 },
    LogUniform { min: u32, max: u32 },
    Histogram { sizes: Vec<u32>, counts: Vec<f64> },
}

impl Serialize for SizeDistribution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.clone() {
            SizeDistribution::List(sizes) => sizes.serialize(serializer),
            SizeDistribution::Uniform { min, max } => {
                Table::Uniform { min, max }.serialize(serializer)
            }
            SizeDistribution::LogUniform { min, max } => {
                Table::LogUniform { min, max }.serialize(serializer)
            }
            SizeDistribution::Histogram { sizes, counts } => {
                Table::Histogram { sizes, counts }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for SizeDistribution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = SizeDistribution;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of sizes in pixels, or a table with kind = list, uniform, log_uniform or histogram")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(SizeDistribution::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Ok(match Table::deserialize(MapAccessDeserializer::new(map))? {
                    Table::List { sizes } => SizeDistribution::List(sizes),
                    Table::Uniform { min, max } => SizeDistribution::Uniform { min, max },
                    Table::LogUniform { min, max } => SizeDistribution::LogUniform { min, max },
                    Table::Histogram { sizes, counts } => {
                        SizeDistribution::Histogram { sizes, counts }
                    }
                })
            }
        }
        deserializer.deserialize_any(Form)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rng::Purpose;

    fn draws(sizes: &SizeDistribution, n: u64) -> Vec<usize> {
        (0..n)
            .map(|i| sizes.draw(&mut Stream::new(1, 0, i, Purpose::Size)))
            .collect()
    }

    #[test]
    fn draws_stay_in_range_and_follow_the_distribution() {
        let uniform = draws(&SizeDistribution::Uniform { min: 8, max: 11 }, 4000);
        for r in 8..=11 {
            let share = uniform.iter().filter(|x| **x == r).count();
            assert!((900..1100).contains(&share), "{r}: {share}");
        }
        let log = draws(&SizeDistribution::LogUniform { min: 8, max: 127 }, 8000);
        assert!(log.iter().all(|r| (8..=127).contains(r)));
        let halves: Vec<usize> = [8, 16, 32, 64]
            .iter()
            .map(|lo| log.iter().filter(|r| (*lo..2 * lo).contains(*r)).count())
            .collect();
        assert!(
            halves.iter().all(|n| (1850..2200).contains(n)),
            "{halves:?}"
        );
        let counts = SizeDistribution::Histogram {
            sizes: vec![5, 9, 30],
            counts: vec![3.0, 0.0, 1.0],
        };
        let seen = draws(&counts, 4000);
        assert!(!seen.contains(&9));
        assert!((2850..3150).contains(&seen.iter().filter(|r| **r == 5).count()));
    }

    #[test]
    fn a_config_takes_a_list_or_a_table_and_writes_it_back() {
        for text in [
            "[7,8]",
            r#"{"kind":"uniform","min":7,"max":56}"#,
            r#"{"kind":"log_uniform","min":7,"max":56}"#,
            r#"{"kind":"histogram","sizes":[8],"counts":[2.0]}"#,
        ] {
            let sizes: SizeDistribution = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&sizes).unwrap(), text);
        }
        assert!(
            serde_json::from_str::<SizeDistribution>(r#"{"kind":"uniform","min":7,"mux":5}"#)
                .is_err()
        );
    }

    #[test]
    fn impossible_distributions_are_reported() {
        let bad = [
            SizeDistribution::List(vec![]),
            SizeDistribution::List(vec![8, 0]),
            SizeDistribution::Uniform { min: 9, max: 8 },
            SizeDistribution::LogUniform { min: 0, max: 8 },
            SizeDistribution::Histogram {
                sizes: vec![8],
                counts: vec![],
            },
            SizeDistribution::Histogram {
                sizes: vec![8],
                counts: vec![0.0],
            },
        ];
        for sizes in bad {
            assert!(
                sizes
                    .problem("sizes")
                    .unwrap()
                    .to_string()
                    .starts_with("sizes = ")
            );
        }
        assert!(SizeDistribution::default().problem("sizes").is_none());
    }
}
