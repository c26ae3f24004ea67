//! Records within a `.rec` file: magic, length, parts.

use crate::source::positioned::PositionedFile;

/// The number that begins every part of a record.
pub(super) const MAGIC: u32 = 0xced7_230a;
/// Largest length that a part's 29 bits can hold.
pub(super) const MAX_PART: usize = (1 << 29) - 1;

/// The header of one part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// 0 whole, 1 first, 2 middle, 3 last.
    pub(super) flag: u32,
    /// Bytes of data.
    pub(super) length: u64,
    /// Where the data begins.
    pub(super) data: u64,
    /// Where the next part begins.
    pub(super) next: u64,
}

/// Reads the header of the part at `offset`.
pub(super) fn part(file: &PositionedFile, offset: u64) -> Result<Part, String> {
    if !offset.is_multiple_of(4) || offset.saturating_add(8) > file.len() {
        return Err(format!(
            "no record can begin at byte {offset} of {}",
            file.len()
        ));
    }
    let mut head = [0; 8];
    file.read(offset, &mut head).map_err(|e| e.to_string())?;
    let [m0, m1, m2, m3, l0, l1, l2, l3] = head;
    if u32::from_le_bytes([m0, m1, m2, m3]) != MAGIC {
        return Err(format!(
            "byte {offset} does not begin a record (no magic number)"
        ));
    }
    let word = u32::from_le_bytes([l0, l1, l2, l3]);
    let length = u64::from(word & MAX_PART as u32);
    let data = offset + 8;
    if data + length > file.len() {
        return Err(format!(
            "the record at byte {offset} claims {length} bytes, but the file ends after {}",
            file.len() - data
        ));
    }
    let next = (data + length.next_multiple_of(4)).min(file.len());
    Ok(Part {
        flag: word >> 29,
        length,
        data,
        next,
    })
}

/// Reads the whole record at `offset`, its parts joined by the magic number, and where the next one begins.
pub(super) fn record(
    file: &PositionedFile,
    offset: u64,
    limit: u64,
) -> Result<(Vec<u8>, u64), String> {
    let mut joined = Vec::new();
    let mut at = offset;
    loop {
        let part = part(file, at)?;
        let first = at == offset;
        match (first, part.flag) {
            (true, 0 | 1) | (false, 2 | 3) => {}
            (_, flag) => {
                return Err(format!(
                    "the record part at byte {at} has the flag {flag} out of turn"
                ));
            }
        }
        if !first {
            joined.extend_from_slice(&MAGIC.to_le_bytes());
        }
        let before = joined.len();
        if before as u64 + part.length > limit {
            return Err(format!(
                "the record at byte {offset} is larger than the limit of {limit} bytes"
            ));
        }
        joined.resize(before + part.length as usize, 0);
        file.read(part.data, &mut joined[before..])
            .map_err(|e| e.to_string())?;
        at = part.next;
        if matches!(part.flag, 0 | 3) {
            return Ok((joined, at));
        }
    }
}

/// Where the next record begins after the one at `offset`, without reading its data.
pub(super) fn skip(file: &PositionedFile, offset: u64) -> Result<u64, String> {
    let mut at = offset;
    loop {
        let part = part(file, at)?;
        match (at == offset, part.flag) {
            (true, 0) | (false, 3) => return Ok(part.next),
            (true, 1) | (false, 2) => at = part.next,
            (_, flag) => {
                return Err(format!(
                    "the record part at byte {at} has the flag {flag} out of turn"
                ));
            }
        }
    }
}

/// Appends a record to `out`, split wherever the data holds the magic number at a place divisible by four.
///
/// The caller keeps `data` within [`MAX_PART`].
pub(super) fn append(out: &mut Vec<u8>, data: &[u8]) {
    let magic = MAGIC.to_le_bytes();
    let mut from = 0;
    let mut put = |flag: u32, part: &[u8]| {
        out.extend_from_slice(&magic);
        out.extend_from_slice(&((flag << 29) | part.len() as u32).to_le_bytes());
        out.extend_from_slice(part);
        out.resize(out.len() + part.len().next_multiple_of(4) - part.len(), 0);
    };
    let (words, _) = data.as_chunks::<4>();
    for (i, _) in words.iter().enumerate().filter(|(_, word)| **word == magic) {
        put(if from == 0 { 1 } else { 2 }, &data[from..4 * i]);
        from = 4 * i + 4;
    }
    put(if from == 0 { 0 } else { 3 }, &data[from..]);
}
