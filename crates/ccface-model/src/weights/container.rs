//! The header of a safetensors file, read under limits before anything else is touched.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::file::known_impostor;
use crate::ModelError;

/// A header lists names and shapes; 64 MiB is far above any network.
pub(crate) const MAX_HEADER_BYTES: u64 = 64 << 20;

/// One tensor in the header.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    /// Its type, `F32` and so on.
    pub(crate) dtype: String,
    /// Its shape.
    pub(crate) shape: Vec<usize>,
    /// Its first byte and the one after its last, counted from the end of the header.
    pub(crate) data_offsets: [u64; 2],
}

/// The header of a safetensors file.
#[derive(Debug)]
pub(crate) struct Header {
    /// Where the data begins.
    pub(crate) data_start: u64,
    /// The length of the whole file.
    pub(crate) length: u64,
    /// The tensors by name.
    pub(crate) entries: BTreeMap<String, Entry>,
    /// Free text by name.
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Header {
    /// Reads the header and leaves the file at its end.
    pub(crate) fn read(path: &Path, file: &mut File) -> Result<Self, ModelError> {
        let length = file.metadata().map_err(ModelError::io(path))?.len();
        let mut start = Vec::with_capacity(64);
        file.by_ref()
            .take(64)
            .read_to_end(&mut start)
            .map_err(ModelError::io(path))?;
        if let Some(impostor) = known_impostor(&start) {
            return Err(ModelError::weight_file(path, impostor));
        }
        let Some((prefix, _)) = start.split_first_chunk::<8>() else {
            return Err(ModelError::weight_file(
                path,
                format!("has only {length} bytes and is no safetensors file"),
            ));
        };
        let header_bytes = u64::from_le_bytes(*prefix);
        if header_bytes > MAX_HEADER_BYTES || header_bytes > length.saturating_sub(8) {
            return Err(ModelError::weight_file(
                path,
                format!(
                    "announces a header of {header_bytes} bytes in a file of {length} (allowed: \
                     {MAX_HEADER_BYTES}): it is no safetensors file, or truncated"
                ),
            ));
        }
        file.seek(SeekFrom::Start(8))
            .map_err(ModelError::io(path))?;
        let mut header = Vec::with_capacity(usize::try_from(header_bytes).unwrap_or(0));
        file.by_ref()
            .take(header_bytes)
            .read_to_end(&mut header)
            .map_err(ModelError::io(path))?;
        let bad = |e: serde_json::Error| {
            ModelError::weight_file(path, format!("has a damaged safetensors header: {e}"))
        };
        let mut map: BTreeMap<String, Value> = serde_json::from_slice(&header).map_err(bad)?;
        let metadata = match map.remove("__metadata__") {
            Some(value) => serde_json::from_value(value).map_err(bad)?,
            None => BTreeMap::new(),
        };
        let entries = map
            .into_iter()
            .map(|(name, value)| serde_json::from_value(value).map(|entry| (name, entry)))
            .collect::<Result<_, _>>()
            .map_err(bad)?;
        Ok(Self {
            data_start: 8 + header_bytes,
            length,
            entries,
            metadata,
        })
    }

    /// Compares the file's length with what the header announces.
    pub(crate) fn check_length(&self, path: &Path) -> Result<(), ModelError> {
        let end = self.entries.values().map(|e| e.data_offsets[1]).max();
        let announced = end.unwrap_or(0).saturating_add(self.data_start);
        if announced == self.length {
            return Ok(());
        }
        Err(ModelError::weight_file(
            path,
            format!(
                "has {} bytes where its header announces {announced}: it is truncated or damaged; copy it again",
                self.length
            ),
        ))
    }
}

/// The bytes in front of the data of a file that holds one f32 tensor.
pub(crate) fn single_tensor_header(
    name: &str,
    shape: &[usize],
    metadata: &BTreeMap<String, String>,
) -> Vec<u8> {
    let bytes = 4 * shape.iter().product::<usize>() as u64;
    header_bytes(
        &BTreeMap::from([(name, ("F32", shape, [0, bytes]))]),
        metadata,
    )
}

/// The bytes in front of the data of a file: each tensor's type, shape and place.
pub(crate) fn header_bytes(
    entries: &BTreeMap<&str, (&str, &[usize], [u64; 2])>,
    metadata: &BTreeMap<String, String>,
) -> Vec<u8> {
    let mut json = serde_json::Map::new();
    json.insert("__metadata__".into(), serde_json::json!(metadata));
    for (name, (dtype, shape, offsets)) in entries {
        let entry = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": offsets});
        json.insert((*name).to_string(), entry);
    }
    let mut header = Value::from(json).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut prefix = (header.len() as u64).to_le_bytes().to_vec();
    prefix.append(&mut header);
    prefix
}
