//! Scores from a CSV file: `score,mated` and what else is known of each comparison.

use std::collections::BTreeMap;
use std::io::Read;

use crate::error::{EvalError, Result};

/// One comparison of a score table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScoreRow {
    /// Similarity; `None` for a comparison that failed (an empty cell).
    pub score: Option<f64>,
    /// Whether both images are of one person.
    pub mated: bool,
    /// Who is on the probe.
    pub probe_subject: Option<String>,
    /// Who is on the gallery image.
    pub gallery_subject: Option<String>,
    /// A group the comparison belongs to.
    pub group: Option<String>,
    /// Face size of the probe in pixels.
    pub size: Option<f64>,
    /// Confidences by source (columns `confidence` or `confidence_NAME`).
    pub confidence: BTreeMap<String, f64>,
}

/// Reads a score table.
///
/// The first line names the columns: `score` and `mated` (1/0, true/false, yes/no), optionally `probe_subject`,
/// `gallery_subject`, `group`, `size`, `confidence` or any `confidence_NAME`. Others are refused. An empty score is
/// a failed comparison. `name` stands in messages.
///
/// # Errors
/// A missing, doubled or unknown column, a cell that cannot be read (with its line), `mated` against equal or
/// different subjects, or an unreadable file.
pub fn read_scores(input: impl Read, name: &str) -> Result<Vec<ScoreRow>> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(input);
    let headers = reader
        .headers()
        .map_err(|e| EvalError::format(name, e.to_string()))?
        .clone();
    let mut columns = Vec::new();
    for (i, header) in headers.iter().enumerate() {
        let header = header.trim_start_matches('\u{feff}');
        let known = [
            "score",
            "mated",
            "probe_subject",
            "gallery_subject",
            "group",
            "size",
        ];
        if !known.contains(&header) && !header.starts_with("confidence") {
            return Err(EvalError::format(
                name,
                format!(
                    "unknown column `{header}`; known are {}, confidence, confidence_NAME",
                    known.join(", ")
                ),
            ));
        }
        if columns.iter().any(|c| c == header) {
            return Err(EvalError::format(
                name,
                format!("column `{header}` stands twice (again as column {})", i + 1),
            ));
        }
        columns.push(header.to_owned());
    }
    for needed in ["score", "mated"] {
        if !columns.iter().any(|c| c == needed) {
            return Err(EvalError::format(
                name,
                format!(
                    "no column `{needed}`; the first line must name the columns, at least `score,mated`"
                ),
            ));
        }
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| EvalError::format(name, e.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let row = read_row(&columns, &record)
            .map_err(|why| EvalError::format(name, format!("line {line}: {why}")))?;
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(EvalError::format(
            name,
            "no comparison under the header line",
        ));
    }
    Ok(rows)
}

fn read_row(
    columns: &[String],
    record: &csv::StringRecord,
) -> std::result::Result<ScoreRow, String> {
    let mut row = ScoreRow::default();
    let number = |column: &str, cell: &str| {
        cell.parse::<f64>()
            .ok()
            .filter(|x| x.is_finite())
            .ok_or_else(|| format!("`{cell}` in column `{column}` is not a finite number"))
    };
    let text = |cell: &str| (!cell.is_empty()).then(|| cell.to_owned());
    for (column, cell) in columns.iter().zip(record) {
        match column.as_str() {
            "score" if cell.is_empty() => {}
            "score" => row.score = Some(number(column, cell)?),
            "mated" => {
                row.mated = match cell.to_ascii_lowercase().as_str() {
                    "1" | "true" | "yes" => true,
                    "0" | "false" | "no" => false,
                    _ => {
                        return Err(format!(
                            "`{cell}` in column `mated` is none of 1, 0, true, false, yes, no"
                        ));
                    }
                }
            }
            "probe_subject" => row.probe_subject = text(cell),
            "gallery_subject" => row.gallery_subject = text(cell),
            "group" => row.group = text(cell),
            "size" if cell.is_empty() => {}
            "size" => row.size = Some(number(column, cell)?),
            _ if cell.is_empty() => {}
            _ => {
                row.confidence.insert(column.clone(), number(column, cell)?);
            }
        }
    }
    if let (Some(p), Some(g)) = (&row.probe_subject, &row.gallery_subject)
        && (p == g) != row.mated
    {
        return Err(format!(
            "mated is {}, but the subjects are `{p}` and `{g}`",
            u8::from(row.mated)
        ));
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn error(text: &str) -> String {
        read_scores(text.as_bytes(), "s.csv")
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn all_columns_are_read_in_any_order() {
        let text = "\u{feff}mated,score,size,probe_subject,gallery_subject,group,confidence_norm\n\
                    1, 0.5 ,12,a,a,x,3.5\nfalse,,,a,b,,\n";
        let rows = read_scores(text.as_bytes(), "s.csv").unwrap();
        assert_eq!(rows[0].score, Some(0.5));
        assert_eq!(rows[0].size, Some(12.0));
        assert_eq!(rows[0].confidence["confidence_norm"], 3.5);
        assert_eq!(rows[0].group.as_deref(), Some("x"));
        assert!(rows[0].mated && !rows[1].mated);
        assert_eq!((rows[1].score, rows[1].size), (None, None));
        assert_eq!(rows[1].gallery_subject.as_deref(), Some("b"));
    }

    #[test]
    fn wrong_cells_are_named_with_their_line() {
        assert!(error("score,mated\n0.5,1\nabc,0\n").contains("line 3: `abc` in column `score`"));
        assert!(
            error("score,mated\nnan,1\n")
                .contains("line 2: `nan` in column `score` is not a finite")
        );
        assert!(error("score,mated\n0.5,maybe\n").contains("`maybe` in column `mated`"));
        assert!(
            error("score,mated,probe_subject,gallery_subject\n1,1,a,b\n")
                .contains("mated is 1, but")
        );
        assert!(error("score,mated\n0.5\n").contains("s.csv"));
    }

    #[test]
    fn wrong_headers_are_named() {
        assert!(error("score\n1\n").contains("no column `mated`"));
        assert!(error("score,mated,sise\n1,1,1\n").contains("unknown column `sise`"));
        assert!(error("score,mated,score\n1,1,1\n").contains("stands twice"));
        assert!(error("score,mated\n").contains("no comparison"));
        assert!(error("").contains("no column `score`"));
    }
}
