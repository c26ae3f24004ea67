//! A stranger's weight file, whatever wrote it: names, shapes, and numbers on demand.

mod pytorch;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};

use super::container::Header;
use super::export::CARD_KEY;
use super::file::known_stranger;
use crate::{ModelCard, ModelError};

/// A weight file that nothing is known of yet.
///
/// Opening reads names and shapes only. PyTorch's pickle is interpreted, never executed; every length that the
/// file announces is compared with what it holds before memory is asked for.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    hash: String,
    length: u64,
    tensors: BTreeMap<String, Stored>,
    card: Option<ModelCard>,
}

/// One tensor where it lies.
#[derive(Debug)]
struct Stored {
    shape: Vec<usize>,
    /// `None` where the numbers are no floats.
    float: Option<Float>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    PyTorch(pytorch_reader::Tensor),
    /// First byte and length in the file.
    Bytes(u64, u64),
}

/// Floats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Float {
    F64,
    F32,
    F16,
    Bf16,
}

impl Float {
    fn bytes(self) -> u64 {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F64 => {
                let (chunks, _) = bytes.as_chunks::<8>();
                chunks
                    .iter()
                    .map(|&b| f64::from_le_bytes(b) as f32)
                    .collect()
            }
            Self::F32 => {
                let (chunks, _) = bytes.as_chunks::<4>();
                chunks.iter().map(|&b| f32::from_le_bytes(b)).collect()
            }
            Self::F16 => {
                let (chunks, _) = bytes.as_chunks::<2>();
                chunks
                    .iter()
                    .map(|&b| f16::from_le_bytes(b).to_f32())
                    .collect()
            }
            Self::Bf16 => {
                let (chunks, _) = bytes.as_chunks::<2>();
                chunks
                    .iter()
                    .map(|&b| bf16::from_le_bytes(b).to_f32())
                    .collect()
            }
        }
    }
}

impl Checkpoint {
    /// Opens a `.pt`, `.pth`, `.ckpt`, `.bin`, `.tar` (PyTorch of any age) or `.safetensors` file, told apart by
    /// content.
    ///
    /// # Errors
    ///
    /// [`ModelError::Io`] if it cannot be read; [`ModelError::WeightFile`] if it is a web page, truncated, of
    /// absurd size, holds no tensors, or asks Python to run something.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let mut file = File::open(path).map_err(ModelError::io(path))?;
        let length = file.metadata().map_err(ModelError::io(path))?.len();
        let mut start = Vec::with_capacity(512);
        file.by_ref()
            .take(512)
            .read_to_end(&mut start)
            .map_err(ModelError::io(path))?;
        if let Some(stranger) = known_stranger(&start) {
            return Err(ModelError::weight_file(path, stranger));
        }
        file.seek(SeekFrom::Start(0))
            .map_err(ModelError::io(path))?;
        let named = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("safetensors"));
        let (tensors, card) = if named || start.get(8) == Some(&b'{') {
            of_safetensors(path, &mut file)?
        } else {
            (pytorch::tensors(path)?, None)
        };
        if tensors.is_empty() {
            return Err(ModelError::weight_file(path, "holds no tensor"));
        }
        file.seek(SeekFrom::Start(0))
            .map_err(ModelError::io(path))?;
        let mut hasher = blake3::Hasher::new();
        hasher
            .update_reader(&mut file)
            .map_err(ModelError::io(path))?;
        Ok(Self {
            path: path.to_path_buf(),
            hash: hasher.finalize().to_hex().to_string(),
            length,
            tensors,
            card,
        })
    }

    /// The card that an export of ours carries in its metadata.
    pub fn card(&self) -> Option<&ModelCard> {
        self.card.as_ref()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// BLAKE3 of the file, hexadecimal.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Names and shapes of all tensors, in order of names.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors
            .iter()
            .map(|(name, stored)| (name.as_str(), stored.shape.as_slice()))
    }

    /// The shape of one tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|stored| stored.shape.as_slice())
    }

    /// Whether the tensor holds floats.
    pub(crate) fn is_float(&self, name: &str) -> bool {
        self.tensors
            .get(name)
            .is_some_and(|stored| stored.float.is_some())
    }

    /// The numbers of one tensor, row major, as 32-bit floats.
    ///
    /// # Errors
    ///
    /// [`ModelError::WeightFile`] if there is no such tensor, it holds no floats, is damaged, or holds a number
    /// that is not finite.
    pub fn values(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let refuse = |reason: String| {
            ModelError::weight_file(&self.path, format!("tensor {name:?} {reason}"))
        };
        let stored = self
            .tensors
            .get(name)
            .ok_or_else(|| refuse("is missing".into()))?;
        let float = stored
            .float
            .ok_or_else(|| refuse("holds no floating-point numbers".into()))?;
        let bytes = stored
            .shape
            .iter()
            .try_fold(float.bytes(), |n, &d| n.checked_mul(d as u64))
            .filter(|&n| n <= self.length)
            .ok_or_else(|| {
                refuse(format!(
                    "of shape {:?} is larger than the whole file: the file is damaged or made to exhaust memory",
                    stored.shape
                ))
            })?;
        let raw = match &stored.place {
            Place::PyTorch(tensor) => tensor
                .read()
                .map_err(|e| refuse(format!("cannot be read: {e}; copy the file again")))?,
            Place::Bytes(start, length) => self.read_at(*start, *length)?,
        };
        if raw.len() as u64 != bytes {
            return Err(refuse(format!(
                "has {} bytes where its shape {:?} needs {bytes}",
                raw.len(),
                stored.shape
            )));
        }
        let values = float.decode(&raw);
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(values),
            Some(at) => Err(refuse(format!(
                "holds {} at position {at}: a training that diverged, or a damaged file",
                values[at]
            ))),
        }
    }

    fn read_at(&self, start: u64, length: u64) -> Result<Vec<u8>, ModelError> {
        let mut file = File::open(&self.path).map_err(ModelError::io(&self.path))?;
        file.seek(SeekFrom::Start(start))
            .map_err(ModelError::io(&self.path))?;
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.take(length)
            .read_to_end(&mut bytes)
            .map_err(ModelError::io(&self.path))?;
        Ok(bytes)
    }
}

type Content = (BTreeMap<String, Stored>, Option<ModelCard>);

fn of_safetensors(path: &Path, file: &mut File) -> Result<Content, ModelError> {
    let header = Header::read(path, file)?;
    header.check_length(path)?;
    let card = header
        .metadata
        .get(CARD_KEY)
        .map(|text| ModelCard::parse(path, text.as_bytes()))
        .transpose()?;
    let tensors = header
        .entries
        .into_iter()
        .map(|(name, entry)| {
            let [start, end] = entry.data_offsets;
            let length = end.checked_sub(start).ok_or_else(|| {
                ModelError::weight_file(path, format!("tensor {name:?} ends before it begins"))
            })?;
            let float = match entry.dtype.as_str() {
                "F64" => Some(Float::F64),
                "F32" => Some(Float::F32),
                "F16" => Some(Float::F16),
                "BF16" => Some(Float::Bf16),
                _ => None,
            };
            let stored = Stored {
                shape: entry.shape,
                float,
                place: Place::Bytes(header.data_start.saturating_add(start), length),
            };
            Ok((name, stored))
        })
        .collect::<Result<_, _>>()?;
    Ok((tensors, card))
}

#[cfg(test)]
mod tests;
