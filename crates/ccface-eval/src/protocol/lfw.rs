//! LFW and its relatives: pair lists of XQLFW, CALFW, CPLFW.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Completeness, FaceImage, ImagePair, Problems, Protocol, safe_name};
use crate::error::{EvalError, Result};

/// A pair list as text, still without images.
struct PairList {
    folds: Option<usize>,
    pairs: Vec<(PathBuf, PathBuf, bool)>,
}

/// Reads a pair list against a folder of images.
///
/// Two formats are told apart:
///
/// ```text
/// 10 <TAB> 300                      LFW, XQLFW: folds and pairs of each kind per fold,
/// Name <TAB> 1 <TAB> 2              a pair of one person: Name/Name_0001.jpg, Name/Name_0002.jpg,
/// Name <TAB> 1 <TAB> Other <TAB> 3  a pair of two
///
/// Name_0001.jpg 1                   CALFW, CPLFW: two lines a pair, label 0 for two people
/// Name_0002.jpg 1
/// ```
///
/// Images are looked for as `.jpg`, then as `.png`. The order of the file is kept: the ten folds depend on it.
///
/// # Errors
/// An unreadable list, a line that fits no format (with its number), another number of pairs than the first line
/// says, a name that leads out of the folder, or missing images.
pub fn read(
    name: &str,
    images: impl AsRef<Path>,
    pairs: impl AsRef<Path>,
    completeness: Completeness,
) -> Result<Protocol> {
    let (images, list_path) = (images.as_ref(), pairs.as_ref());
    let text = std::fs::read_to_string(list_path).map_err(|e| EvalError::io(list_path, e))?;
    let list = parse(&text).map_err(|why| EvalError::format(list_path, why))?;
    if !images.is_dir() {
        return Err(EvalError::Layout {
            path: images.to_path_buf(),
            protocol: "LFW",
            problems: "  no such folder of images".into(),
        });
    }
    let mut problems = Problems::new(completeness);
    let mut protocol = Protocol::new(name, images);
    let mut number: HashMap<PathBuf, Option<usize>> = HashMap::new();
    let mut missing = Vec::new();
    let (mut same_pairs, mut different_pairs) = (0, 0);
    for (a, b, same) in list.pairs {
        let mut index = |path: PathBuf| {
            *number.entry(path.clone()).or_insert_with(|| {
                let found = [path.clone(), path.with_extension("png")]
                    .into_iter()
                    .find(|p| images.join(p).is_file());
                let Some(found) = found else {
                    missing.push(path.clone());
                    return None;
                };
                protocol.probe.push(FaceImage {
                    label: person(&found),
                    path: found,
                });
                Some(protocol.probe.len() - 1)
            })
        };
        if let (Some(a), Some(b)) = (index(a), index(b)) {
            protocol.pairs.push(ImagePair { a, b, same });
            if same {
                same_pairs += 1;
            } else {
                different_pairs += 1;
            }
        }
    }
    if let Some(first) = missing.first() {
        problems.partial.push(format!(
            "{} listed images are missing (first: {})",
            missing.len(),
            first.display()
        ));
    }
    let found = protocol.probe.len();
    problems.count(&mut protocol, "images", None, found);
    problems.count(&mut protocol, "same_pairs", None, same_pairs);
    problems.count(&mut protocol, "different_pairs", None, different_pairs);
    if let Some(folds) = list.folds {
        problems.count(&mut protocol, "folds", None, folds);
    }
    problems.finish(protocol, "LFW")
}

/// `Name/Name_0001.jpg` → `Name`.
fn person(path: &Path) -> String {
    let stem = path
        .file_stem()
        .map(|s| s.to_string_lossy().into_owned())
        .unwrap_or_default();
    match stem.rsplit_once('_') {
        Some((name, digits)) if digits.chars().all(|c| c.is_ascii_digit()) => name.to_owned(),
        _ => stem,
    }
}

fn parse(text: &str) -> std::result::Result<PairList, String> {
    let lines: Vec<(usize, Vec<&str>)> = text
        .trim_start_matches('\u{feff}')
        .lines()
        .enumerate()
        .map(|(i, line)| {
            let line = line.trim();
            let words: Vec<&str> = if line.contains('\t') {
                line.split('\t').map(str::trim).collect()
            } else {
                line.split_whitespace().collect()
            };
            (i + 1, words)
        })
        .filter(|(_, words)| words.iter().any(|w| !w.is_empty()))
        .collect();
    let Some((_, first)) = lines.first() else {
        return Err("the pair list is empty".into());
    };
    let numbers: Vec<usize> = first.iter().filter_map(|w| w.parse().ok()).collect();
    if numbers.len() == first.len() && first.len() <= 2 {
        return parse_lfw(&lines[1..], &numbers);
    }
    if super::is_image(first[0]) {
        return parse_flat(&lines);
    }
    // LFW's development lists have no fold count in front of the pairs either.
    parse_lfw(&lines, &[])
}

fn parse_lfw(
    lines: &[(usize, Vec<&str>)],
    head: &[usize],
) -> std::result::Result<PairList, String> {
    let mut pairs = Vec::new();
    let file = |line: usize, name: &str, number: &str| {
        safe_name(name).map_err(|why| format!("line {line}: {why}"))?;
        let number: usize = number
            .parse()
            .map_err(|_| format!("line {line}: `{number}` is not an image number"))?;
        Ok::<_, String>(Path::new(name).join(format!("{name}_{number:04}.jpg")))
    };
    for (line, words) in lines {
        match words[..] {
            [name, a, b] => pairs.push((file(*line, name, a)?, file(*line, name, b)?, true)),
            [name, a, other, b] => {
                pairs.push((file(*line, name, a)?, file(*line, other, b)?, false));
            }
            _ => {
                return Err(format!(
                    "line {line}: {} fields, expected 3 (same) or 4 (different)",
                    words.len()
                ));
            }
        }
    }
    let (folds, each) = match head {
        [folds, each] => (Some(*folds), Some(folds * each * 2)),
        // A single number counts the pairs of each kind.
        [each] => (None, Some(each * 2)),
        _ => (None, None),
    };
    match each {
        Some(expected) if expected != pairs.len() => Err(format!(
            "the first line announces {expected} pairs, the list has {}",
            pairs.len()
        )),
        _ => Ok(PairList { folds, pairs }),
    }
}

fn parse_flat(lines: &[(usize, Vec<&str>)]) -> std::result::Result<PairList, String> {
    let entry = |(line, words): &(usize, Vec<&str>)| match words[..] {
        [name, label] => {
            safe_name(name).map_err(|why| format!("line {line}: {why}"))?;
            let label: i64 = label
                .parse()
                .map_err(|_| format!("line {line}: `{label}` is not a number"))?;
            Ok((PathBuf::from(name), label))
        }
        _ => Err(format!(
            "line {line}: {} fields, expected `image label`",
            words.len()
        )),
    };
    if !lines.len().is_multiple_of(2) {
        return Err(format!("{} lines, expected two per pair", lines.len()));
    }
    let mut pairs = Vec::new();
    for two in lines.chunks_exact(2) {
        let ((a, first), (b, second)) = (entry(&two[0])?, entry(&two[1])?);
        if (first == 0) != (second == 0) {
            return Err(format!(
                "lines {} and {}: the labels of a pair contradict each other",
                two[0].0, two[1].0
            ));
        }
        pairs.push((a, b, first != 0));
    }
    Ok(PairList { folds: None, pairs })
}
