//! The `.idx` file: which key lies where.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::framing::{part, skip};
use super::header::Header;
use crate::error::DataError;
use crate::source::positioned::PositionedFile;

/// Keys with their byte offsets, sorted by key.
pub(super) type Entries = Vec<(u64, u64)>;

/// Longest line that an index may hold.
const LINE: u64 = 64;

/// Reads `key<TAB>offset` lines in any order.
pub(super) fn read(path: &Path) -> Result<Entries, DataError> {
    let file = fs::File::open(path).map_err(|e| DataError::io(path, e))?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut entries = Vec::new();
    let mut line = Vec::new();
    let mut at = 0;
    loop {
        line.clear();
        let limited = &mut std::io::Read::take(&mut reader, LINE);
        let n = limited
            .read_until(b'\n', &mut line)
            .map_err(|e| DataError::io(path, e))?;
        if n == 0 {
            break;
        }
        if !line.trim_ascii().is_empty() {
            let entry = std::str::from_utf8(&line).ok().and_then(|text| {
                let (key, offset) = text.trim().split_once(['\t', ' '])?;
                Some((key.parse().ok()?, offset.trim().parse().ok()?))
            });
            entries.push(entry.ok_or_else(|| {
                DataError::format(
                    path,
                    at,
                    "a line is not `key<TAB>offset`; rebuild the index",
                )
            })?);
        }
        at += n as u64;
    }
    entries.sort_unstable();
    if let Some(twice) = entries.windows(2).find(|w| w[0].0 == w[1].0) {
        let text = format!("key {} comes twice; rebuild the index", twice[0].0);
        return Err(DataError::format(path, 0, text));
    }
    Ok(entries)
}

/// Finds every record by walking through the `.rec` file.
///
/// Keys are the ids in the record headers where those are all different, and the order in the file otherwise. A
/// damaged stretch ends the walk; what lies before it is kept, with the reason.
pub(super) fn scan(file: &PositionedFile) -> (Entries, Option<String>) {
    let mut found: Entries = Vec::new();
    let mut at = 0;
    let mut damage = None;
    while at < file.len() {
        match skip(file, at) {
            Ok(next) => {
                let id = id_at(file, at).unwrap_or(u64::MAX);
                found.push((id, at));
                at = next;
            }
            Err(reason) => {
                damage = Some(reason);
                break;
            }
        }
    }
    let mut by_id = found.clone();
    by_id.sort_unstable();
    if by_id.windows(2).any(|w| w[0].0 == w[1].0) || by_id.last().is_some_and(|e| e.0 == u64::MAX) {
        by_id = found
            .iter()
            .enumerate()
            .map(|(i, (_, at))| (i as u64, *at))
            .collect();
    }
    (by_id, damage)
}

/// The id of the record at `offset`, where its first part holds the fixed header.
fn id_at(file: &PositionedFile, offset: u64) -> Option<u64> {
    let part = part(file, offset).ok()?;
    let mut head = [0; super::header::FIXED];
    if part.length < head.len() as u64 {
        return None;
    }
    file.read(part.data, &mut head).ok()?;
    Header::fixed(&head).ok().map(|header| header.id)
}

/// The text of an index.
pub(super) fn text(entries: &Entries) -> String {
    entries
        .iter()
        .map(|(key, at)| format!("{key}\t{at}\n"))
        .collect()
}
