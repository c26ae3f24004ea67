//! A protocol of one's own: image lists and pair lists as CSV.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Completeness, FaceImage, ImagePair, Problems, Protocol, report_repeats, safe_name};
use crate::error::{EvalError, Result};

/// Reads image lists (`path,label`) for probe and gallery; the gallery may be left out.
///
/// Paths are relative to `root`. The first line names the columns; `path` and `label` are needed, others ignored.
///
/// # Errors
/// A missing column or file, a path that leads out of the root, a path listed twice in one list, or missing images.
pub fn read_lists(
    root: impl AsRef<Path>,
    probe: impl AsRef<Path>,
    gallery: Option<&Path>,
    completeness: Completeness,
) -> Result<Protocol> {
    let root = root.as_ref();
    let mut problems = Problems::new(completeness);
    let mut protocol = Protocol::new("csv", root);
    protocol.probe = image_list(root, probe.as_ref(), &mut problems)?;
    if let Some(gallery) = gallery {
        protocol.gallery = image_list(root, gallery, &mut problems)?;
    }
    let (probes, gallery) = (protocol.probe.len(), protocol.gallery.len());
    problems.count(&mut protocol, "probe_images", None, probes);
    problems.count(&mut protocol, "gallery_images", None, gallery);
    problems.finish(protocol, "CSV")
}

/// Reads a pair list (`path_a,path_b,mated`).
///
/// # Errors
/// As [`read_lists`], or a `mated` that is none of 1, 0, true, false.
pub fn read_pairs(
    root: impl AsRef<Path>,
    pairs: impl AsRef<Path>,
    completeness: Completeness,
) -> Result<Protocol> {
    let (root, path) = (root.as_ref(), pairs.as_ref());
    let mut problems = Problems::new(completeness);
    let mut protocol = Protocol::new("csv/pairs", root);
    let mut number: HashMap<String, usize> = HashMap::new();
    let mut missing = Vec::new();
    for (line, cells) in table(path, &["path_a", "path_b", "mated"])? {
        let same = match cells[2].to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" => true,
            "0" | "false" | "no" => false,
            other => {
                return Err(EvalError::format(
                    path,
                    format!("line {line}: mated is `{other}`, expected 1 or 0"),
                ));
            }
        };
        let absent = cells[..2].iter().find(|name| !root.join(name).is_file());
        if let Some(name) = absent {
            missing.push(name.clone());
            continue;
        }
        let mut index = |name: &String| {
            *number.entry(name.clone()).or_insert_with(|| {
                protocol.probe.push(FaceImage {
                    path: PathBuf::from(name),
                    label: name.clone(),
                });
                protocol.probe.len() - 1
            })
        };
        let (a, b) = (index(&cells[0]), index(&cells[1]));
        protocol.pairs.push(ImagePair { a, b, same });
    }
    if let Some(first) = missing.first() {
        problems.partial.push(format!(
            "{} pairs lack an image (first: {first})",
            missing.len()
        ));
    }
    let (images, found) = (protocol.probe.len(), protocol.pairs.len());
    problems.count(&mut protocol, "images", None, images);
    problems.count(&mut protocol, "pairs", None, found);
    problems.finish(protocol, "CSV")
}

fn image_list(root: &Path, path: &Path, problems: &mut Problems) -> Result<Vec<FaceImage>> {
    let rows = table(path, &["path", "label"])?;
    let list = path.display().to_string();
    report_repeats(
        &mut problems.fatal,
        &list,
        rows.iter().map(|(_, cells)| cells[0].as_str()),
    );
    let total = rows.len();
    let (present, missing): (Vec<_>, Vec<_>) = rows
        .into_iter()
        .map(|(_, cells)| FaceImage {
            path: PathBuf::from(&cells[0]),
            label: cells[1].clone(),
        })
        .partition(|image| root.join(&image.path).is_file());
    if let Some(first) = missing.first() {
        problems.partial.push(format!(
            "{list}: {} of {total} images are missing (first: {})",
            missing.len(),
            first.path.display()
        ));
    }
    Ok(present)
}

/// The wanted columns of a CSV file, with line numbers; the columns that begin with `path` are checked.
fn table(path: &Path, columns: &[&str]) -> Result<Vec<(u64, Vec<String>)>> {
    let wrong = |why: String| EvalError::format(path, why);
    let file = std::fs::File::open(path).map_err(|e| EvalError::io(path, e))?;
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(file);
    let headers = reader.headers().map_err(|e| wrong(e.to_string()))?.clone();
    let places = columns
        .iter()
        .map(|column| {
            headers
                .iter()
                .position(|h| h.trim_start_matches('\u{feff}') == *column)
                .ok_or_else(|| {
                    wrong(format!(
                        "no column `{column}`; the first line must name {}",
                        columns.join(",")
                    ))
                })
        })
        .collect::<Result<Vec<usize>>>()?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| wrong(e.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let cells: Vec<String> = places
            .iter()
            .map(|&i| record.get(i).unwrap_or("").to_owned())
            .collect();
        for (column, cell) in columns.iter().zip(&cells) {
            if column.starts_with("path") {
                safe_name(cell).map_err(|why| wrong(format!("line {line}: {why}")))?;
            } else if cell.is_empty() {
                return Err(wrong(format!("line {line}: `{column}` is empty")));
            }
        }
        rows.push((line, cells));
    }
    if rows.is_empty() {
        return Err(wrong("no row under the header line".into()));
    }
    Ok(rows)
}
