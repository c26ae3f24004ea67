//! MATLAB level-5 MAT files: cell arrays of strings and numeric columns, read and written.

mod write;

use std::io::Read;
use std::path::Path;

use crate::error::{EvalError, Result};

pub use write::write_mat;

/// The largest size one compressed element may unpack to.
const MOST_BYTES: u64 = 1 << 30;
/// Cells within cells deeper than this are refused.
const MOST_DEPTH: usize = 8;

const MI_INT8: u32 = 1;
const MI_UINT8: u32 = 2;
const MI_INT32: u32 = 5;
const MI_UINT32: u32 = 6;
const MI_DOUBLE: u32 = 9;
const MI_MATRIX: u32 = 14;
const MI_COMPRESSED: u32 = 15;
const MI_UTF8: u32 = 16;
const MI_UTF16: u32 = 17;

const MX_CELL: u8 = 1;
const MX_CHAR: u8 = 4;
const MX_DOUBLE: u8 = 6;

/// What a variable holds.
#[derive(Debug, Clone, PartialEq)]
pub enum MatValue {
    /// A numeric array, column after column.
    Numbers(Vec<f64>),
    /// A char array, one string per row.
    Text(Vec<String>),
    /// A cell array, column after column.
    Cells(Vec<MatValue>),
    /// Something else (struct, sparse, object …), not read.
    Other,
}

/// One variable of a MAT file.
#[derive(Debug, Clone, PartialEq)]
pub struct MatVariable {
    /// Its name.
    pub name: String,
    /// Rows, columns, …
    pub dims: Vec<usize>,
    /// Its content.
    pub value: MatValue,
}

impl MatVariable {
    /// The strings of a cell array of strings or of a char matrix.
    #[must_use]
    pub fn strings(&self) -> Option<Vec<&str>> {
        match &self.value {
            MatValue::Text(rows) => Some(rows.iter().map(|r| r.trim_end()).collect()),
            MatValue::Cells(cells) => cells
                .iter()
                .map(|cell| match cell {
                    MatValue::Text(rows) if rows.len() == 1 => Some(rows[0].as_str()),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }

    /// The numbers of a numeric array, or of a cell array of single numbers.
    #[must_use]
    pub fn numbers(&self) -> Option<Vec<f64>> {
        match &self.value {
            MatValue::Numbers(list) => Some(list.clone()),
            MatValue::Cells(cells) => cells
                .iter()
                .map(|cell| match cell {
                    MatValue::Numbers(list) if list.len() == 1 => Some(list[0]),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }
}

/// Reads all variables of a MAT file (level 5, as `save` and `save -v7` write it; zlib-compressed or not).
///
/// # Errors
/// A missing or damaged file, or a version 7.3 file, which is HDF5 (the message says how to convert it).
pub fn read_mat(path: impl AsRef<Path>) -> Result<Vec<MatVariable>> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|e| EvalError::io(path, e))?;
    parse_mat(&bytes).map_err(|why| EvalError::format(path, why))
}

type Parsed<T> = std::result::Result<T, String>;

fn parse_mat(bytes: &[u8]) -> Parsed<Vec<MatVariable>> {
    if bytes.starts_with(b"MATLAB 7.3") || bytes.starts_with(b"\x89HDF") {
        return Err(
            "a version 7.3 MAT file (HDF5); load it in MATLAB or Octave and save with -v7".into(),
        );
    }
    if bytes.len() < 128 {
        return Err(format!(
            "not a MAT file: {} bytes, the header alone has 128",
            bytes.len()
        ));
    }
    let big = match &bytes[126..128] {
        b"IM" => false,
        b"MI" => true,
        _ => return Err("not a level-5 MAT file (no endian mark at byte 126)".into()),
    };
    let mut cursor = Cursor {
        bytes: &bytes[128..],
        big,
    };
    let mut variables = Vec::new();
    while !cursor.bytes.is_empty() {
        let (kind, data) = cursor.element()?;
        let variable = match kind {
            MI_COMPRESSED => {
                let mut unpacked = Vec::new();
                flate2::read::ZlibDecoder::new(data)
                    .take(MOST_BYTES + 1)
                    .read_to_end(&mut unpacked)
                    .map_err(|e| format!("a compressed variable is damaged: {e}"))?;
                if unpacked.len() as u64 > MOST_BYTES {
                    return Err("a variable unpacks to more than 1 GiB".into());
                }
                let mut inner = Cursor {
                    bytes: &unpacked,
                    big,
                };
                match inner.element()? {
                    (MI_MATRIX, data) => matrix(data, big, 0)?,
                    (kind, _) => {
                        return Err(format!("a compressed variable holds element type {kind}"));
                    }
                }
            }
            MI_MATRIX => matrix(data, big, 0)?,
            // Other top-level elements carry no variable.
            _ => continue,
        };
        variables.push(variable);
    }
    Ok(variables)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    big: bool,
}

impl<'a> Cursor<'a> {
    fn u32_at(&self, at: usize) -> Parsed<u32> {
        let word: [u8; 4] = self
            .bytes
            .get(at..at + 4)
            .and_then(|b| b.try_into().ok())
            .ok_or_else(|| "truncated: an element's tag is cut off".to_owned())?;
        Ok(if self.big {
            u32::from_be_bytes(word)
        } else {
            u32::from_le_bytes(word)
        })
    }

    /// The next element's type and data; moves past its padding.
    fn element(&mut self) -> Parsed<(u32, &'a [u8])> {
        let tag = self.u32_at(0)?;
        // Small elements keep up to four bytes of data within the tag.
        let (kind, size, start) = if tag >> 16 != 0 {
            (tag & 0xffff, (tag >> 16) as usize, 4)
        } else {
            (tag, self.u32_at(4)? as usize, 8)
        };
        if start == 4 && size > 4 {
            return Err(format!("damaged: a small element of {size} bytes"));
        }
        let data = self.bytes.get(start..start + size).ok_or_else(|| {
            format!(
                "truncated: an element of {size} bytes, of which {} are there; copy the file again",
                self.bytes.len().saturating_sub(start)
            )
        })?;
        let whole = match (start, kind) {
            (4, _) => 8,
            // Compressed elements are not padded.
            (_, MI_COMPRESSED) => start + size,
            _ => start + size.div_ceil(8) * 8,
        };
        self.bytes = &self.bytes[whole.min(self.bytes.len())..];
        Ok((kind, data))
    }
}

fn matrix(data: &[u8], big: bool, depth: usize) -> Parsed<MatVariable> {
    if depth > MOST_DEPTH {
        return Err(format!("cells within cells more than {MOST_DEPTH} deep"));
    }
    let mut cursor = Cursor { bytes: data, big };
    if data.is_empty() {
        // MATLAB writes empty cells like this.
        return Ok(MatVariable {
            name: String::new(),
            dims: vec![0, 0],
            value: MatValue::Numbers(Vec::new()),
        });
    }
    let (_, flags) = cursor.element()?;
    let class = match (flags.len(), big) {
        (8.., false) => flags[0],
        (8.., true) => flags[3],
        _ => return Err("damaged: array flags are cut off".into()),
    };
    let (_, dims) = cursor.element()?;
    let dims: Vec<usize> = dims
        .chunks_exact(4)
        .map(|b| {
            let word = [b[0], b[1], b[2], b[3]];
            let n = if big {
                i32::from_be_bytes(word)
            } else {
                i32::from_le_bytes(word)
            };
            usize::try_from(n).map_err(|_| format!("damaged: dimension {n}"))
        })
        .collect::<Parsed<_>>()?;
    let count = dims
        .iter()
        .try_fold(1_usize, |n, d| n.checked_mul(*d))
        .filter(|n| *n as u64 <= MOST_BYTES)
        .ok_or_else(|| format!("damaged: dimensions {dims:?}"))?;
    let (_, name) = cursor.element()?;
    let name = String::from_utf8_lossy(name).into_owned();
    let value = match class {
        MX_CELL => {
            let mut cells = Vec::new();
            for index in 0..count {
                match cursor.element() {
                    Ok((MI_MATRIX, data)) => cells.push(matrix(data, big, depth + 1)?.value),
                    Ok((kind, _)) => {
                        return Err(format!("`{name}`: cell {index} has element type {kind}"));
                    }
                    Err(why) => return Err(format!("`{name}`: cell {index} of {count}: {why}")),
                }
            }
            MatValue::Cells(cells)
        }
        MX_CHAR => {
            let units = if count == 0 {
                Vec::new()
            } else {
                let (kind, data) = cursor.element()?;
                characters(kind, data, big)?
            };
            let rows = dims.first().copied().unwrap_or(0);
            if units.len() < count {
                return Err(format!(
                    "`{name}`: {} characters, expected {count}",
                    units.len()
                ));
            }
            let columns = count.checked_div(rows).unwrap_or(0);
            let rows = if count == 0 { 1 } else { rows };
            MatValue::Text(
                (0..rows)
                    .map(|r| (0..columns).map(|c| units[c * rows + r]).collect())
                    .collect(),
            )
        }
        MX_DOUBLE..=15 => {
            let numbers = if count == 0 {
                Vec::new()
            } else {
                let (kind, data) = cursor.element()?;
                numbers(kind, data, big)?
            };
            if numbers.len() != count {
                return Err(format!(
                    "`{name}`: {} numbers, expected {count}",
                    numbers.len()
                ));
            }
            MatValue::Numbers(numbers)
        }
        _ => MatValue::Other,
    };
    Ok(MatVariable { name, dims, value })
}

fn characters(kind: u32, data: &[u8], big: bool) -> Parsed<Vec<char>> {
    match kind {
        MI_UTF8 => Ok(String::from_utf8_lossy(data).chars().collect()),
        MI_INT8 | MI_UINT8 => Ok(data.iter().map(|b| char::from(*b)).collect()),
        // Text is stored as UTF-16, or as unsigned 16-bit code units.
        MI_UTF16 | 4 => {
            let units = data.chunks_exact(2).map(|b| {
                if big {
                    u16::from_be_bytes([b[0], b[1]])
                } else {
                    u16::from_le_bytes([b[0], b[1]])
                }
            });
            Ok(char::decode_utf16(units)
                .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect())
        }
        other => Err(format!("text of element type {other}")),
    }
}

/// Numbers are often stored in a smaller type than their class.
fn numbers(kind: u32, data: &[u8], big: bool) -> Parsed<Vec<f64>> {
    macro_rules! read {
        ($kind:ty) => {
            data.chunks_exact(size_of::<$kind>())
                .filter_map(|b| b.try_into().ok())
                .map(|b| {
                    (if big {
                        <$kind>::from_be_bytes(b)
                    } else {
                        <$kind>::from_le_bytes(b)
                    }) as f64
                })
                .collect()
        };
    }
    Ok(match kind {
        MI_INT8 => read!(i8),
        MI_UINT8 => read!(u8),
        3 => read!(i16),
        4 => read!(u16),
        MI_INT32 => read!(i32),
        MI_UINT32 => read!(u32),
        7 => read!(f32),
        MI_DOUBLE => read!(f64),
        12 => read!(i64),
        13 => read!(u64),
        other => return Err(format!("numbers of element type {other}")),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::write::put_matrix;
    use super::*;

    fn variables() -> Vec<MatVariable> {
        let text = |s: &str| MatValue::Text(vec![s.to_owned()]);
        vec![
            MatVariable {
                name: "gallery_set".into(),
                dims: vec![3, 1],
                value: MatValue::Cells(vec![text("1_2.jpg"), text("a"), text("ünï_3.jpg")]),
            },
            MatVariable {
                name: "gallery_ids".into(),
                dims: vec![3, 1],
                value: MatValue::Numbers(vec![1.0, -100.0, 2.5]),
            },
        ]
    }

    fn written() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.mat");
        write_mat(&path, &variables()).unwrap();
        std::fs::read(&path).unwrap()
    }

    #[test]
    fn cells_of_strings_and_numbers_are_read_back() {
        let read = parse_mat(&written()).unwrap();
        assert_eq!(read, variables());
        assert_eq!(read[0].strings().unwrap(), ["1_2.jpg", "a", "ünï_3.jpg"]);
        assert_eq!(read[1].numbers().unwrap(), [1.0, -100.0, 2.5]);
        assert_eq!(read[1].strings(), None);
        assert_eq!(read[0].numbers(), None);
    }

    #[test]
    fn small_elements_big_endian_and_byte_sized_numbers_are_read() {
        // An uncompressed big-endian file: x = uint8-stored double column [7; 9].
        let mut bytes = vec![b' '; 124];
        bytes.extend([1, 0]);
        bytes.extend(b"MI");
        let mut body = Vec::new();
        body.extend([0, 0, 0, 6, 0, 0, 0, 8, 0, 0, 0, 6, 0, 0, 0, 0]);
        body.extend([0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 1]);
        // Name and data as small elements: size in the upper half of the tag.
        body.extend([0, 1, 0, 1, b'x', 0, 0, 0]);
        body.extend([0, 2, 0, 2, 7, 9, 0, 0]);
        bytes.extend([0, 0, 0, 14, 0, 0, 0, body.len() as u8]);
        bytes.extend(body);
        let read = parse_mat(&bytes).unwrap();
        assert_eq!(read[0].name, "x");
        assert_eq!(read[0].numbers().unwrap(), [7.0, 9.0]);
    }

    #[test]
    fn every_cut_of_a_file_gives_an_error_or_fewer_variables_and_no_panic() {
        let whole = written();
        for cut in 0..whole.len() {
            if let Ok(read) = parse_mat(&whole[..cut]) {
                assert!(read.len() < 2, "{cut}");
            }
        }
    }

    #[test]
    fn flipped_bytes_never_panic() {
        let mut plain = written()[..128].to_vec();
        for v in variables() {
            put_matrix(&mut plain, &v.name, &v.dims, &v.value).unwrap();
        }
        assert_eq!(parse_mat(&plain).unwrap(), variables());
        for at in 128..plain.len() {
            for flip in [0xff_u8, 0x80, 0x01] {
                let mut damaged = plain.clone();
                damaged[at] ^= flip;
                let _ = parse_mat(&damaged);
            }
        }
    }

    #[test]
    fn version_7_3_and_other_files_are_told_apart() {
        assert!(
            parse_mat(b"MATLAB 7.3 MAT-file")
                .unwrap_err()
                .contains("-v7")
        );
        assert!(parse_mat(b"hello").unwrap_err().contains("not a MAT file"));
        assert!(parse_mat(&[0; 200]).unwrap_err().contains("no endian mark"));
    }
}
