//! Parts of a source's embeddings become one file again.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{
    EmbedDocument, Shard, differences, file_hash, hidden, rows::header, write_companions,
    write_document,
};
use crate::TrainError;

/// What a merge made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeSummary {
    /// Rows in all.
    pub rows: usize,
    /// Length of a row.
    pub dim: usize,
    /// Images that could not be read.
    pub failed: usize,
}

/// Joins the parts of one source in their order, whatever the order they are given in.
///
/// Each part's hash is compared with its document, all documents must agree in everything but the part, and every part
/// must be there once.
///
/// # Errors
/// [`TrainError::Embedding`] names the file that does not fit and why.
pub fn merge(parts: &[PathBuf], out: &Path, overwrite: bool) -> Result<MergeSummary, TrainError> {
    let refuse = |path: &Path, message: String| TrainError::Embedding {
        path: path.to_path_buf(),
        message,
    };
    if out.exists() && !overwrite {
        return Err(refuse(
            out,
            "exists already; give --overwrite to replace it".into(),
        ));
    }
    let mut found: Vec<(&Path, EmbedDocument)> = Vec::with_capacity(parts.len());
    for part in parts {
        let path = part.with_extension("json");
        let text = fs::read_to_string(&path).map_err(TrainError::io(&path, "read"))?;
        let document: EmbedDocument = serde_json::from_str(&text)
            .map_err(|e| refuse(&path, format!("is no document of `ccface embed`: {e}")))?;
        found.push((part, document));
    }
    found.sort_by_key(|(_, document)| document.facts.shard.index);
    let Some((first_path, first)) = found.first() else {
        return Err(refuse(out, "there is no part to merge".into()));
    };
    let count = first.facts.shard.count;
    for (path, document) in &found {
        let mut facts = document.facts.clone();
        facts.shard.index = first.facts.shard.index;
        if facts != first.facts {
            return Err(refuse(
                path,
                format!(
                    "does not belong with {}: it has {}",
                    first_path.display(),
                    differences(&facts, &first.facts)
                ),
            ));
        }
    }
    for (expected, (path, document)) in found.iter().enumerate() {
        if document.facts.shard.index != expected {
            return Err(refuse(
                path,
                format!(
                    "is part {}, expected {expected}: give each of the {count} parts once",
                    document.facts.shard.index
                ),
            ));
        }
        let rows = document.facts.shard.range(document.facts.images).len();
        if document.rows != rows {
            return Err(refuse(
                path,
                format!("has {} rows, expected {rows}", document.rows),
            ));
        }
        if file_hash(path)? != document.blake3 {
            return Err(refuse(
                path,
                "is not the file that its document describes: it was changed or truncated; embed this part again".into(),
            ));
        }
    }
    if found.len() != count {
        return Err(refuse(
            out,
            format!(
                "{} parts were given, there are {count}: part {} is missing",
                found.len(),
                found.len()
            ),
        ));
    }
    let (rows, dim) = (first.facts.images, first.facts.dim);
    let target = hidden(out, "part");
    let io = || TrainError::io(&target, "write");
    let mut file = io::BufWriter::new(File::create(&target).map_err(io())?);
    file.write_all(&header(out, rows, dim)?).map_err(io())?;
    let (mut names, mut labels) = (String::new(), String::new());
    for (path, document) in &found {
        // Both formats end with the rows.
        let bytes = 4 * (document.rows * dim) as u64;
        let mut part = File::open(path).map_err(TrainError::io(path, "read"))?;
        let length = part.metadata().map_err(TrainError::io(path, "read"))?.len();
        let begin = length
            .checked_sub(bytes)
            .ok_or_else(|| refuse(path, format!("is shorter than its {} rows", document.rows)))?;
        part.seek(SeekFrom::Start(begin))
            .map_err(TrainError::io(path, "read"))?;
        io::copy(&mut part.take(bytes), &mut file).map_err(io())?;
        for (ending, text) in [("names.txt", &mut names), ("labels.txt", &mut labels)] {
            let path = path.with_extension(ending);
            let lines = fs::read_to_string(&path).map_err(TrainError::io(&path, "read"))?;
            if lines.lines().count() != document.rows {
                return Err(refuse(
                    &path,
                    format!("has not one line for each of {} rows", document.rows),
                ));
            }
            text.push_str(&lines);
        }
    }
    file.flush()
        .and_then(|()| file.get_ref().sync_all())
        .map_err(io())?;
    let mut facts = first.facts.clone();
    facts.shard = Shard::WHOLE;
    let document = EmbedDocument {
        facts,
        rows,
        failed: found.iter().flat_map(|(_, d)| d.failed.clone()).collect(),
        blake3: file_hash(&target)?,
    };
    write_companions(out, &names, &labels)?;
    fs::rename(&target, out).map_err(TrainError::io(out, "write"))?;
    write_document(out, &document)?;
    Ok(MergeSummary {
        rows,
        dim,
        failed: document.failed.len(),
    })
}
