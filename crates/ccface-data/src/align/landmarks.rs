//! Landmarks from a CSV file.

use std::collections::HashMap;
use std::path::{Component, Path};

use super::similarity::MAX_COORDINATE;
use super::{AlignError, Landmarks};
use crate::decode::one_line;

/// The columns of a landmark file, in their usual order.
const COLUMNS: [&str; 11] = [
    "path", "x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4", "x5", "y5",
];

/// One face of a landmark file.
#[derive(Debug, Clone, PartialEq)]
pub struct LandmarkRow {
    /// The picture, relative to the folder of pictures, with `/` between folders.
    pub path: String,
    /// The line of the file, the header being line 1.
    pub line: u64,
    /// The five points in pixels of that picture, whole numbers at the centres of pixels.
    pub points: Landmarks,
}

/// Reads a CSV file with the header `path,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5`.
///
/// Columns may come in any order and others may lie between them. The points are left eye, right eye, nose tip,
/// left and right mouth corner, as seen in the picture, in pixels with (0, 0) at the centre of the first one.
///
/// # Errors
/// [`AlignError::Landmarks`] with the line and the column of the first mistake: a missing column or value, a
/// number that is none, a path that leaves the folder of pictures (absolute, or with `..`), or a path that comes
/// twice. [`AlignError::Missing`] and [`AlignError::Io`] where the file cannot be read.
pub fn read_landmarks(path: &Path) -> Result<Vec<LandmarkRow>, AlignError> {
    if !path.is_file() {
        return Err(AlignError::Missing {
            path: path.to_path_buf(),
            what: "landmark file",
        });
    }
    let text = std::fs::read(path).map_err(|source| AlignError::Io {
        path: path.to_path_buf(),
        source,
    })?;
    parse(path, text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text))
}

fn parse(file: &Path, text: &[u8]) -> Result<Vec<LandmarkRow>, AlignError> {
    let mistake = |line: u64, column: &str, problem: String| AlignError::Landmarks {
        path: file.to_path_buf(),
        line,
        column: column.to_string(),
        problem,
    };
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text);
    let broken = |e: csv::Error| {
        let line = e.position().map_or(1, |position| line_of(text, position));
        mistake(
            line,
            "path",
            format!("not readable as CSV in UTF-8 ({})", one_line(&e)),
        )
    };
    let header = reader.headers().map_err(broken)?.clone();
    let mut places = [0; COLUMNS.len()];
    for (place, name) in places.iter_mut().zip(COLUMNS) {
        *place = header
            .iter()
            .position(|column| column == name)
            .ok_or_else(|| {
                mistake(
                    1,
                    name,
                    format!("no such column; the header must be {}", COLUMNS.join(",")),
                )
            })?;
    }

    let mut rows: Vec<LandmarkRow> = Vec::new();
    let mut seen = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(broken)?;
        let line = record
            .position()
            .map_or(0, |position| line_of(text, position));
        let value = |i: usize| {
            let value = record.get(places[i]).filter(|value| !value.is_empty());
            value.ok_or_else(|| mistake(line, COLUMNS[i], "the value is missing".to_string()))
        };
        let path = value(0)?;
        check_path(path).map_err(|problem| mistake(line, "path", problem))?;
        let mut points = Landmarks::default();
        for (i, coordinate) in points.iter_mut().flatten().enumerate() {
            let text = value(i + 1)?;
            let number = text
                .parse::<f64>()
                .ok()
                .filter(|v| v.abs() <= MAX_COORDINATE);
            *coordinate = number.ok_or_else(|| {
                let problem = format!("'{}' is no position in pixels", one_line(&text));
                mistake(line, COLUMNS[i + 1], problem)
            })?;
        }
        // Faces are written with the extension .png, so `a.pgm` and `a.jpg` meet in one file.
        if let Some(first) = seen.insert(Path::new(path).with_extension(""), line) {
            let problem = format!(
                "'{path}' gives the same aligned face as line {first}; keep one of the two"
            );
            return Err(mistake(line, "path", problem));
        }
        rows.push(LandmarkRow {
            path: path.to_string(),
            line,
            points,
        });
    }
    if rows.is_empty() {
        return Err(mistake(
            2,
            "path",
            "no face is listed below the header".to_string(),
        ));
    }
    Ok(rows)
}

/// The line of a record; the reader's own position lies before the empty lines that it skips.
fn line_of(text: &[u8], position: &csv::Position) -> u64 {
    let rest = usize::try_from(position.byte())
        .ok()
        .and_then(|start| text.get(start..));
    let ends = rest
        .unwrap_or_default()
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + ends.filter(|byte| **byte == b'\n').count() as u64
}

/// Whether `path` names a file inside a folder, on every system.
fn check_path(path: &str) -> Result<(), String> {
    let shown = one_line(&path);
    if path.contains(['\\', ':']) || path.chars().any(char::is_control) {
        return Err(format!(
            "'{shown}' holds a character that not every system allows in a path; write '/' between folders"
        ));
    }
    let inside = Path::new(path)
        .components()
        .all(|c| matches!(c, Component::Normal(_)));
    if inside && !path.ends_with('/') {
        return Ok(());
    }
    Err(format!(
        "'{shown}' is not a file inside the folder of pictures; write paths relative to that folder, without '.' and '..'"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::align::ARCFACE_TEMPLATE_112;

    const HEADER: &str = "path,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5\n";

    fn read(text: &str) -> Result<Vec<LandmarkRow>, String> {
        parse(Path::new("marks.csv"), text.as_bytes()).map_err(|e| e.to_string())
    }

    #[test]
    fn rows_are_read_whatever_the_order_of_the_columns() {
        let rows = read(&format!("{HEADER}a/1.pgm,1,2,3,4,5,6,7,8,9,10.5\n")).unwrap();
        let points = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 10.5]];
        assert_eq!(
            rows,
            [LandmarkRow {
                path: "a/1.pgm".to_string(),
                line: 2,
                points
            }]
        );
        let text = "score,y1,x1,x2,y2,x3,y3,x4,y4,x5,y5,path\r\n0.9, 2,1,3,4,5,6,7,8,9,10.5,\"a/1.pgm\"\r\n";
        assert_eq!(read(text).unwrap(), rows);
    }

    #[test]
    fn the_first_mistake_is_named_by_line_and_column() {
        let good = "a/1.pgm,1,2,3,4,5,6,7,8,9,10\n";
        for (text, expected) in [
            (
                "path,x1,y1,x2,y2,x3,y3,x4,y4,x5\n".to_string(),
                "line 1, column 'y5': no such column",
            ),
            (String::new(), "line 1, column 'path': no such column"),
            (
                HEADER.to_string(),
                "line 2, column 'path': no face is listed",
            ),
            (
                format!("{HEADER}{good}b/1.pgm,1,2,3\n"),
                "line 3, column 'y2': the value is missing",
            ),
            (
                format!("{HEADER}b/1.pgm,1,2,3,4,5,six,7,8,9,10\n"),
                "column 'y3': 'six' is no position",
            ),
            (
                format!("{HEADER}b/1.pgm,1,2,3,4,5,NaN,7,8,9,10\n"),
                "column 'y3': 'NaN' is no position",
            ),
            (
                format!("{HEADER}b/1.pgm,1,2,3,4,1e30,6,7,8,9,10\n"),
                "column 'x3': '1e30' is no position",
            ),
            (
                format!("{HEADER}{good}\n\n{good}"),
                "line 5, column 'path': 'a/1.pgm' gives the same aligned face as line 2",
            ),
            (
                format!("{HEADER}{good}{}", good.replace("pgm", "png")),
                "line 3, column 'path': 'a/1.png'",
            ),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(expected), "{error}\nshould hold: {expected}");
            assert!(error.starts_with("marks.csv, "), "{error}");
        }
        let bytes = [HEADER.as_bytes(), b"\xff\xfe.pgm,1,2,3,4,5,6,7,8,9,10\n"].concat();
        let error = parse(Path::new("marks.csv"), &bytes)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 2") && error.contains("UTF-8"),
            "{error}"
        );
    }

    #[test]
    fn paths_that_leave_the_folder_are_refused() {
        for path in [
            "../1.pgm",
            "a/../../1.pgm",
            "/etc/passwd",
            "./1.pgm",
            "a/",
            "C:/1.pgm",
            "..\\1.pgm",
            "a\u{1b}[2J",
        ] {
            let error = read(&format!("{HEADER}{path},1,2,3,4,5,6,7,8,9,10\n")).unwrap_err();
            assert!(error.contains("line 2, column 'path': "), "{path}: {error}");
            assert!(!error.contains('\u{1b}'));
        }
    }

    #[test]
    fn a_missing_file_is_named_and_a_byte_order_mark_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("marks.csv");
        assert!(
            read_landmarks(&file)
                .unwrap_err()
                .to_string()
                .contains("no such landmark file")
        );
        std::fs::write(
            &file,
            format!("\u{feff}{HEADER}1.pgm,1,2,3,4,5,6,7,8,9,10\n"),
        )
        .unwrap();
        assert_eq!(read_landmarks(&file).unwrap()[0].path, "1.pgm");
    }

    #[test]
    fn the_projects_own_landmarks_list_the_400_faces_of_orl() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../scripts/orl_landmarks.csv"
        );
        let rows = read_landmarks(Path::new(file)).unwrap();
        assert_eq!(rows.len(), 400);
        for (i, row) in rows.iter().enumerate() {
            assert_eq!(
                row.path,
                format!("s{:02}/{:02}.pgm", i / 10 + 1, i % 10 + 1)
            );
            let fit = super::super::similarity_from_landmarks(&row.points, &ARCFACE_TEMPLATE_112);
            assert!((0.5..2.0).contains(&fit.unwrap().scale()), "{row:?}");
        }
    }
}
