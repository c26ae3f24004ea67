//! The writer of MAT files.

use std::io::Write;
use std::path::Path;

use super::{
    MI_COMPRESSED, MI_DOUBLE, MI_INT8, MI_INT32, MI_MATRIX, MI_UINT32, MX_CELL, MX_CHAR, MX_DOUBLE,
    MatValue, MatVariable, Parsed,
};
use crate::error::{EvalError, Result};

/// Writes variables to a level-5 MAT file, each one zlib-compressed, as MATLAB's `save` does.
///
/// Cell arrays and numbers become columns where `dims` is empty.
///
/// # Errors
/// A value of [`MatValue::Other`], or a file that cannot be written.
pub fn write_mat(path: impl AsRef<Path>, variables: &[MatVariable]) -> Result<()> {
    let path = path.as_ref();
    let mut bytes = format!("{:<124}", "MATLAB 5.0 MAT-file, written by ccface").into_bytes();
    bytes.extend(0x0100_u16.to_le_bytes());
    bytes.extend(b"IM");
    for variable in variables {
        let mut element = Vec::new();
        put_matrix(
            &mut element,
            &variable.name,
            &variable.dims,
            &variable.value,
        )
        .map_err(|why| EvalError::format(path, why))?;
        let mut encoder =
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        let packed = encoder
            .write_all(&element)
            .and_then(|()| encoder.finish())
            .map_err(|e| EvalError::io(path, e))?;
        bytes.extend(MI_COMPRESSED.to_le_bytes());
        bytes.extend((packed.len() as u32).to_le_bytes());
        bytes.extend(packed);
    }
    std::fs::write(path, bytes).map_err(|e| EvalError::io(path, e))
}

fn put(out: &mut Vec<u8>, kind: u32, data: &[u8]) {
    out.extend(kind.to_le_bytes());
    out.extend((data.len() as u32).to_le_bytes());
    out.extend(data);
    out.resize(out.len().div_ceil(8) * 8, 0);
}

pub(super) fn put_matrix(
    out: &mut Vec<u8>,
    name: &str,
    dims: &[usize],
    value: &MatValue,
) -> Parsed<()> {
    let (class, natural) = match value {
        MatValue::Numbers(list) => (MX_DOUBLE, [list.len(), 1]),
        MatValue::Cells(list) => (MX_CELL, [list.len(), 1]),
        MatValue::Text(rows) => {
            let width = rows.first().map_or(0, |r| r.encode_utf16().count());
            (MX_CHAR, [rows.len(), width])
        }
        MatValue::Other => return Err(format!("`{name}` is of a kind that cannot be written")),
    };
    let dims = match value {
        MatValue::Text(_) => &natural[..],
        _ if dims.is_empty() => &natural[..],
        _ => dims,
    };
    let mut body = Vec::new();
    put(&mut body, MI_UINT32, &[class, 0, 0, 0, 0, 0, 0, 0]);
    let sizes: Vec<u8> = dims
        .iter()
        .flat_map(|d| (*d as i32).to_le_bytes())
        .collect();
    put(&mut body, MI_INT32, &sizes);
    put(&mut body, MI_INT8, name.as_bytes());
    match value {
        MatValue::Numbers(list) => {
            let data: Vec<u8> = list.iter().flat_map(|x| x.to_le_bytes()).collect();
            put(&mut body, MI_DOUBLE, &data);
        }
        MatValue::Cells(list) => {
            for cell in list {
                put_matrix(&mut body, "", &[], cell)?;
            }
        }
        MatValue::Text(rows) => {
            let rows: Vec<Vec<u16>> = rows.iter().map(|r| r.encode_utf16().collect()).collect();
            let mut data = Vec::new();
            for column in 0..natural[1] {
                for row in &rows {
                    data.extend(row.get(column).copied().unwrap_or(32).to_le_bytes());
                }
            }
            // uint16 code units, as MATLAB writes them.
            put(&mut body, 4, &data);
        }
        MatValue::Other => {}
    }
    put(out, MI_MATRIX, &body);
    Ok(())
}
