//! Which identities take part: selections and identity-disjoint folds.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::DataError;
use crate::rng::{Purpose, Stream};

/// A choice of identities by name.
///
/// Written as `all`, or as names and inclusive ranges joined by commas, such as `s01..s20` or
/// `s01,s05,s30..s40`. A range covers the *sorted* names (plain byte order, so `s10` comes before `s2`)
/// from its first to its last name.
///
/// ```
/// use ccface_data::Selection;
/// let names: Vec<String> = ["a", "b", "c", "d"].map(String::from).to_vec();
/// let selection: Selection = "a,c..d".parse()?;
/// assert_eq!(selection.select(&names)?, [0, 2, 3]);
/// # Ok::<(), ccface_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Selection {
    /// Everybody.
    #[default]
    All,
    /// The named identities and ranges.
    Parts(Vec<Part>),
}

/// One part of a selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// One identity.
    One(String),
    /// All identities from the first to the last name, both included.
    Range(String, String),
}

impl Selection {
    /// A selection of exactly these identities, such as one side of a fold.
    pub fn of<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Selection::Parts(names.into_iter().map(|n| Part::One(n.into())).collect())
    }

    /// The positions of the chosen names within `names`, ascending and without repeats.
    ///
    /// # Errors
    /// [`DataError::Selection`] for a name that does not exist (with the nearest one that does), and for
    /// a range whose end sorts before its start.
    pub fn select(&self, names: &[String]) -> Result<Vec<usize>, DataError> {
        let Selection::Parts(parts) = self else {
            return Ok((0..names.len()).collect());
        };
        let mut sorted: Vec<(&str, usize)> = names
            .iter()
            .enumerate()
            .map(|(i, n)| (n.as_str(), i))
            .collect();
        sorted.sort_unstable();
        let mut chosen = BTreeSet::new();
        for part in parts {
            match part {
                Part::One(name) => {
                    chosen.insert(sorted[place(name, &sorted)?].1);
                }
                Part::Range(first, last) => {
                    let (a, b) = (place(first, &sorted)?, place(last, &sorted)?);
                    if a > b {
                        return Err(DataError::Selection {
                            text: format!("{first}..{last}"),
                            problem: format!(
                                "'{first}' sorts after '{last}' (names are compared byte by byte, so s10 < s2); swap the ends or list the names"
                            ),
                        });
                    }
                    chosen.extend(sorted[a..=b].iter().map(|(_, i)| *i));
                }
            }
        }
        Ok(chosen.into_iter().collect())
    }
}

fn place(name: &str, sorted: &[(&str, usize)]) -> Result<usize, DataError> {
    sorted.binary_search_by(|(n, _)| (*n).cmp(name)).map_err(|_| {
        let nearest = nearest(name, sorted.iter().map(|(n, _)| *n));
        DataError::Selection {
            text: name.to_string(),
            problem: match nearest {
                Some(near) => format!(
                    "no identity of that name among {} (first '{}', last '{}'); did you mean '{near}'?",
                    sorted.len(),
                    sorted[0].0,
                    sorted[sorted.len() - 1].0
                ),
                None => "the source holds no identities".to_string(),
            },
        }
    })
}

/// The known name that looks most like `name`.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|k| (strsim::jaro_winkler(name, k), k))
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, k)| k)
}

impl FromStr for Selection {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        if text.trim() == "all" {
            return Ok(Selection::All);
        }
        let bad = |problem: &str| DataError::Selection {
            text: text.to_string(),
            problem: problem.to_string(),
        };
        let mut parts = Vec::new();
        for piece in text.split(',') {
            let piece = piece.trim();
            if piece.is_empty() {
                return Err(bad(
                    "an empty part; write `all`, names, or ranges such as `s01..s20`, joined by commas",
                ));
            }
            match piece.split_once("..") {
                None => parts.push(Part::One(piece.to_string())),
                Some((first, last)) => {
                    let (first, last) = (first.trim(), last.trim());
                    if first.is_empty() || last.is_empty() || last.starts_with(['.', '=']) {
                        return Err(bad(
                            "a range needs a name at both ends, as in `s01..s20` (both included)",
                        ));
                    }
                    parts.push(Part::Range(first.to_string(), last.to_string()));
                }
            }
        }
        Ok(Selection::Parts(parts))
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selection::All => f.write_str("all"),
            Selection::Parts(parts) => {
                for (i, part) in parts.iter().enumerate() {
                    if i > 0 {
                        f.write_str(",")?;
                    }
                    match part {
                        Part::One(name) => f.write_str(name)?,
                        Part::Range(first, last) => write!(f, "{first}..{last}")?,
                    }
                }
                Ok(())
            }
        }
    }
}

impl Serialize for Selection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Selection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// One fold: two sets of identities that share nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fold {
    /// Identities to train on.
    pub train: Vec<String>,
    /// Identities to test on.
    pub test: Vec<String>,
}

/// Cuts identities into `k` identity-disjoint folds, a pure function of the sorted names, `k` and `seed`.
///
/// Every identity is in exactly one fold's `test`; test sides differ in size by at most one. Both sides
/// come sorted.
///
/// # Errors
/// [`DataError::Config`] unless `2 ≤ k ≤` the number of identities.
pub fn folds(identities: &[String], k: usize, seed: u64) -> Result<Vec<Fold>, DataError> {
    if k < 2 || k > identities.len() {
        return Err(DataError::config(
            "folds",
            k,
            format!(
                "must lie between 2 and the number of identities ({})",
                identities.len()
            ),
        ));
    }
    let mut sorted: Vec<String> = identities.to_vec();
    sorted.sort_unstable();
    let order = Stream::new(seed, 0, 0, Purpose::Folds).permutation(sorted.len());
    let mut fold_of = vec![0; sorted.len()];
    for (rank, &i) in order.iter().enumerate() {
        fold_of[i] = rank % k;
    }
    Ok((0..k)
        .map(|fold| {
            let side = |wanted: bool| -> Vec<String> {
                let members = sorted
                    .iter()
                    .zip(&fold_of)
                    .filter(|(_, f)| (**f == fold) == wanted);
                members.map(|(name, _)| name.clone()).collect()
            };
            Fold {
                train: side(false),
                test: side(true),
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn people() -> Vec<String> {
        (1..=40).map(|i| format!("s{i:02}")).collect()
    }

    fn chosen(text: &str) -> Result<Vec<usize>, String> {
        let selection: Selection = text.parse().map_err(|e: DataError| e.to_string())?;
        selection.select(&people()).map_err(|e| e.to_string())
    }

    #[test]
    fn ranges_are_inclusive_and_parts_join() {
        assert_eq!(chosen("all").unwrap().len(), 40);
        assert_eq!(chosen("s01..s20").unwrap(), (0..20).collect::<Vec<_>>());
        assert_eq!(chosen("s03, s01..s02,s03").unwrap(), [0, 1, 2]);
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_one() {
        let message = chosen("s01..s4O").unwrap_err();
        assert!(message.contains("did you mean 's4"), "{message}");
        assert!(chosen("s20..s01").unwrap_err().contains("sorts after"));
        assert!(chosen("s20..").unwrap_err().contains("both ends"));
        assert!(chosen("s01..=s04").unwrap_err().contains("both ends"));
        assert!(chosen("").unwrap_err().contains("empty part"));
    }

    #[test]
    fn a_selection_is_a_string_in_a_config() {
        let selection: Selection = serde_json::from_str("\"s01,s05..s09\"").unwrap();
        assert_eq!(
            serde_json::to_string(&selection).unwrap(),
            "\"s01,s05..s09\""
        );
        assert!(serde_json::from_str::<Selection>("\"a,,b\"").is_err());
    }

    #[test]
    fn folds_are_disjoint_cover_everybody_and_follow_the_seed() {
        let folds_a = folds(&people(), 3, 1).unwrap();
        let mut tested: Vec<&String> = folds_a.iter().flat_map(|f| &f.test).collect();
        tested.sort();
        assert_eq!(tested, people().iter().collect::<Vec<_>>());
        for fold in &folds_a {
            assert_eq!(fold.train.len() + fold.test.len(), 40);
            assert!(fold.test.iter().all(|name| !fold.train.contains(name)));
            assert!((13..=14).contains(&fold.test.len()));
            assert_eq!(
                Selection::of(&fold.test).select(&people()).unwrap().len(),
                fold.test.len()
            );
        }
        let mut reversed = people();
        reversed.reverse();
        assert_eq!(folds(&reversed, 3, 1).unwrap(), folds_a);
        assert_ne!(folds(&people(), 3, 2).unwrap(), folds_a);
        assert!(folds(&people(), 1, 1).is_err());
        assert!(folds(&people(), 41, 1).is_err());
    }
}
