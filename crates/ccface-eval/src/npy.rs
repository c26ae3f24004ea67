//! numpy's `.npy` files: two-dimensional float matrices, read and written.

use std::path::Path;

use crate::error::{EvalError, Result};

/// A row-major matrix of single-precision values.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Row after row.
    pub data: Vec<f32>,
    /// Number of rows.
    pub rows: usize,
    /// Values per row.
    pub columns: usize,
}

/// Reads a `.npy` file of two dimensions, `<f4`, `<f8` or `<f2`, in C order.
///
/// # Errors
/// A missing or truncated file, another magic, version, dtype, order or number of dimensions; each message says
/// what to call in numpy.
pub fn read_npy(path: impl AsRef<Path>) -> Result<Matrix> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|e| EvalError::io(path, e))?;
    parse_npy(&bytes).map_err(|why| EvalError::format(path, why))
}

/// Writes a `.npy` file of version 1.0, `<f4`, C order.
///
/// # Errors
/// A matrix whose size does not fit its values, or a file that cannot be written.
pub fn write_npy(path: impl AsRef<Path>, matrix: &Matrix) -> Result<()> {
    let path = path.as_ref();
    if matrix.rows * matrix.columns != matrix.data.len() {
        return Err(EvalError::Length {
            what: format!("values of a {} × {} matrix", matrix.rows, matrix.columns),
            expected: matrix.rows * matrix.columns,
            found: matrix.data.len(),
        });
    }
    let mut header = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}",
        matrix.rows, matrix.columns
    );
    // Magic, version and length take 10 bytes; the data begin at a multiple of 64.
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(matrix.data.iter().flat_map(|x| x.to_le_bytes()));
    std::fs::write(path, bytes).map_err(|e| EvalError::io(path, e))
}

fn parse_npy(bytes: &[u8]) -> std::result::Result<Matrix, String> {
    if bytes.len() < 10 || &bytes[..6] != b"\x93NUMPY" {
        return Err(
            "not a .npy file (its first bytes are not \\x93NUMPY); write it with numpy.save".into(),
        );
    }
    let (length, start): (usize, usize) = match bytes[6] {
        1 => (usize::from(u16::from_le_bytes([bytes[8], bytes[9]])), 10),
        2 | 3 if bytes.len() >= 12 => {
            let length = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
            (length as usize, 12)
        }
        version => {
            return Err(format!(
                ".npy version {version} is unknown or its header is cut off"
            ));
        }
    };
    let header = start
        .checked_add(length)
        .and_then(|end| bytes.get(start..end))
        .ok_or_else(|| {
            format!(
                "truncated: the header says {length} bytes, the file has {} in all; write it again",
                bytes.len()
            )
        })?;
    let header = std::str::from_utf8(header).map_err(|_| "the header is not text".to_owned())?;
    let dtype = quoted_field(header, "descr")?;
    let width = match dtype {
        "<f4" => 4,
        "<f8" => 8,
        "<f2" => 2,
        other => {
            return Err(format!(
                "dtype `{other}` is not supported (little-endian <f4, <f8, <f2 are); convert with .astype('float32')"
            ));
        }
    };
    let order = field(header, "fortran_order")?;
    if order.starts_with("True") {
        return Err(
            "the array is in Fortran order; convert with numpy.ascontiguousarray before saving"
                .into(),
        );
    }
    if !order.starts_with("False") {
        return Err("the header's `fortran_order` is neither True nor False".into());
    }
    let shape = shape(header)?;
    let [rows, columns] = shape[..] else {
        return Err(format!(
            "the array has {} dimensions, expected 2: one row per image; use .reshape(len(x), -1)",
            shape.len()
        ));
    };
    let needed = rows
        .checked_mul(columns)
        .and_then(|n| n.checked_mul(width))
        .ok_or_else(|| format!("shape ({rows}, {columns}) is impossible"))?;
    let data = &bytes[start + length..];
    if data.len() < needed {
        return Err(format!(
            "truncated: shape ({rows}, {columns}) of {dtype} needs {needed} bytes of data, the file has {}; write it again",
            data.len()
        ));
    }
    if data.len() > needed {
        return Err(format!(
            "{} bytes too many after the data of shape ({rows}, {columns})",
            data.len() - needed
        ));
    }
    Ok(Matrix {
        data: decode_floats(data, width),
        rows,
        columns,
    })
}

/// Little-endian floats of 2, 4 or 8 bytes.
pub(crate) fn decode_floats(data: &[u8], width: usize) -> Vec<f32> {
    match width {
        2 => data
            .chunks_exact(2)
            .map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect(),
        8 => data
            .chunks_exact(8)
            .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32)
            .collect(),
        _ => data
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect(),
    }
}

/// What stands after `'name':` in the header's dictionary.
fn field<'a>(header: &'a str, name: &str) -> std::result::Result<&'a str, String> {
    for quote in ['\'', '"'] {
        let key = format!("{quote}{name}{quote}");
        if let Some(at) = header.find(&key) {
            let rest = header[at + key.len()..].trim_start();
            if let Some(value) = rest.strip_prefix(':') {
                return Ok(value.trim_start());
            }
        }
    }
    Err(format!("the header has no `{name}`"))
}

fn quoted_field<'a>(header: &'a str, name: &str) -> std::result::Result<&'a str, String> {
    let value = field(header, name)?;
    let quote = value.chars().next().filter(|c| "'\"".contains(*c));
    quote
        .and_then(|q| value[1..].split(q).next())
        .ok_or_else(|| {
            format!("the header's `{name}` is a structured type; save a plain float array")
        })
}

fn shape(header: &str) -> std::result::Result<Vec<usize>, String> {
    let value = field(header, "shape")?;
    let inside = value
        .strip_prefix('(')
        .and_then(|v| v.split_once(')'))
        .map(|(inside, _)| inside)
        .ok_or_else(|| "the header's `shape` is not a tuple".to_owned())?;
    inside
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            part.parse()
                .map_err(|_| format!("`{part}` in the header's shape is not a number"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn file(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header =
            format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn a_written_matrix_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.npy");
        let matrix = Matrix {
            data: (0..35).map(|i| i as f32 / 3.0).collect(),
            rows: 5,
            columns: 7,
        };
        write_npy(&path, &matrix).unwrap();
        assert_eq!(read_npy(&path).unwrap(), matrix);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((bytes.len() - 140) % 64, 0);
        let wrong = Matrix { rows: 4, ..matrix };
        assert!(write_npy(&path, &wrong).is_err());
    }

    #[test]
    fn doubles_and_halves_become_singles() {
        let doubles: Vec<u8> = [1.5_f64, -2.0]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let read = parse_npy(&file("'<f8'", "False", "(1, 2)", &doubles)).unwrap();
        assert_eq!(read.data, [1.5, -2.0]);
        let halves = [0x00, 0x3e, 0x00, 0xc0];
        let read = parse_npy(&file("'<f2'", "False", "(2, 1)", &halves)).unwrap();
        assert_eq!((read.data, read.rows), (vec![1.5, -2.0], 2));
    }

    #[test]
    fn every_wrong_file_is_told_apart() {
        let error = |bytes: &[u8]| parse_npy(bytes).unwrap_err();
        assert!(error(b"PK\x03\x04aaaaaaaaaa").contains("not a .npy file"));
        assert!(
            error(&file("'<f4'", "False", "(2, 3)", &[0; 23]))
                .contains("needs 24 bytes of data, the file has 23")
        );
        assert!(error(&file("'<f4'", "False", "(2, 3)", &[0; 25])).contains("1 bytes too many"));
        assert!(error(&file("'<i8'", "False", "(2, 3)", &[0; 48])).contains("dtype `<i8`"));
        assert!(error(&file("'>f4'", "False", "(2, 3)", &[0; 24])).contains("dtype `>f4`"));
        assert!(error(&file("[('a', '<f4')]", "False", "(2,)", &[0; 8])).contains("structured"));
        assert!(error(&file("'<f4'", "True", "(2, 3)", &[0; 24])).contains("Fortran order"));
        assert!(error(&file("'<f4'", "False", "(6,)", &[0; 24])).contains("has 1 dimensions"));
        assert!(error(&file("'<f4'", "False", "(x, 3)", &[0; 24])).contains("`x`"));
        let whole = file("'<f4'", "False", "(2, 3)", &[0; 24]);
        assert!(error(&whole[..40]).contains("truncated"));
        assert!(
            error(&file("'<f4'", "False", "(99999999999, 99999999999)", &[]))
                .contains("impossible")
        );
        for cut in 0..whole.len() {
            assert!(parse_npy(&whole[..cut]).is_err());
        }
    }
}
