//! A file of rows that grows in order: `.npy` or `.safetensors`, its header written for all rows from the start.

use std::{
    fs::{File, OpenOptions},
    io::{BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::TrainError;

/// A growing file of rows.
pub(super) struct RowFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl RowFile {
    /// Opens `part` for `rows` rows, of which `done` are there and stay; `out` tells the format.
    pub(super) fn open(
        part: &Path,
        out: &Path,
        rows: usize,
        dim: usize,
        done: usize,
    ) -> Result<Self, TrainError> {
        let header = header(out, rows, dim)?;
        let io = || TrainError::io(part, "write");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(part)
            .map_err(io())?;
        let kept = header.len() as u64 + 4 * dim as u64 * done as u64;
        if done > 0 && file.metadata().map_err(io())?.len() < kept {
            return Err(TrainError::Embedding {
                path: part.to_path_buf(),
                message: format!(
                    "holds fewer than the {done} rows that its progress file counts: it was changed. Give --overwrite to \
                     begin anew"
                ),
            });
        }
        // What lies beyond was never counted as done.
        file.set_len(kept).map_err(io())?;
        file.seek(SeekFrom::Start(0)).map_err(io())?;
        file.write_all(&header).map_err(io())?;
        file.seek(SeekFrom::End(0)).map_err(io())?;
        Ok(Self {
            path: part.to_path_buf(),
            file: BufWriter::with_capacity(1 << 20, file),
        })
    }

    pub(super) fn append(&mut self, values: &[f32]) -> Result<(), TrainError> {
        values
            .iter()
            .try_for_each(|value| self.file.write_all(&value.to_le_bytes()))
            .map_err(TrainError::io(&self.path, "write"))
    }

    /// Forces everything to disk.
    pub(super) fn sync(&mut self) -> Result<(), TrainError> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_data())
            .map_err(TrainError::io(&self.path, "write"))
    }
}

/// The bytes before the first row.
pub(super) fn header(out: &Path, rows: usize, dim: usize) -> Result<Vec<u8>, TrainError> {
    let ending = out.extension().and_then(|e| e.to_str()).unwrap_or("");
    match ending.to_ascii_lowercase().as_str() {
        "npy" => {
            let mut text =
                format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dim}), }}");
            // Magic, version and length take 10 bytes; the data begin at a multiple of 64.
            let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
            text.push_str(&" ".repeat(length - text.len() - 1));
            text.push('\n');
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((text.len() as u16).to_le_bytes());
            bytes.extend(text.as_bytes());
            Ok(bytes)
        }
        "safetensors" => {
            let mut text = format!(
                "{{\"embeddings\":{{\"dtype\":\"F32\",\"shape\":[{rows},{dim}],\"data_offsets\":[0,{}]}}}}",
                4 * rows as u128 * dim as u128
            );
            text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
            let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
            bytes.extend(text.as_bytes());
            Ok(bytes)
        }
        _ => Err(TrainError::Embedding {
            path: out.to_path_buf(),
            message: "embeddings are written as .npy or .safetensors; choose one of these endings"
                .into(),
        }),
    }
}
