//! Class prototypes: the frozen classifier that a student inherits from its teacher.
//!
//! They are plain numbers, not parameters: no gradient reaches them and no optimizer sees them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};

use crate::ModelError;
use crate::weights::container::{Header, MAX_HEADER_BYTES, single_tensor_header};
use crate::weights::file::write_atomic_with;

/// The tensor's name in a file.
const TENSOR: &str = "prototypes";
/// The metadata entry that holds the identities as a JSON list.
const IDENTITIES: &str = "identities";
/// How far a stored row may be from unit norm.
const NORM_TOLERANCE: f64 = 1e-3;

/// One unit vector per class, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Prototypes {
    /// Number of classes.
    pub classes: usize,
    /// Length of a row.
    pub dim: usize,
    /// The rows, `classes × dim` numbers.
    pub data: Vec<f32>,
    /// The classes' names in row order; empty if nobody gave any.
    pub identities: Vec<String>,
}

impl Prototypes {
    /// Takes rows of any length and brings each to unit norm.
    ///
    /// # Errors
    ///
    /// [`ModelError::Prototypes`] if the sizes do not fit, or a row is zero or not finite.
    pub fn new(classes: usize, dim: usize, mut data: Vec<f32>) -> Result<Self, ModelError> {
        if dim == 0 || classes.checked_mul(dim) != Some(data.len()) {
            return Err(wrong(format!(
                "{} numbers do not make {classes} prototypes of {dim} dimensions",
                data.len()
            )));
        }
        for (class, row) in data.chunks_exact_mut(dim).enumerate() {
            let norm = norm(row);
            if !norm.is_finite() || norm == 0.0 {
                return Err(wrong(format!(
                    "the prototype of class {class} has norm {norm}, so it has no direction"
                )));
            }
            for value in row {
                *value = (f64::from(*value) / norm) as f32;
            }
        }
        Ok(Self {
            classes,
            dim,
            data,
            identities: Vec::new(),
        })
    }

    /// Names the classes.
    ///
    /// # Errors
    ///
    /// [`ModelError::Prototypes`] if there is not one name per class.
    pub fn with_identities(mut self, identities: Vec<String>) -> Result<Self, ModelError> {
        if identities.len() != self.classes {
            return Err(wrong(format!(
                "{} names for {} classes",
                identities.len(),
                self.classes
            )));
        }
        self.identities = identities;
        Ok(self)
    }

    /// One row.
    ///
    /// # Panics
    ///
    /// Panics if there is no such class.
    pub fn row(&self, class: usize) -> &[f32] {
        &self.data[class * self.dim..(class + 1) * self.dim]
    }

    /// The prototypes as a tensor without gradient, `[classes, dim]`.
    pub fn to_tensor(&self, device: &Device) -> Tensor<2> {
        self.clone().into_tensor(device)
    }

    /// As [`to_tensor`](Self::to_tensor), without a second copy in memory.
    pub fn into_tensor(self, device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(self.data, [self.classes, self.dim]), device)
    }

    /// Writes a safetensors file with the tensor `prototypes` and the identities in its metadata.
    ///
    /// # Errors
    ///
    /// [`ModelError::Io`] if it cannot be written; [`ModelError::Prototypes`] if the names need more than 64 MiB.
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        let mut metadata = BTreeMap::new();
        if !self.identities.is_empty() {
            let names = serde_json::Value::from(self.identities.clone()).to_string();
            metadata.insert(IDENTITIES.to_string(), names);
        }
        let header = single_tensor_header(TENSOR, &[self.classes, self.dim], &metadata);
        if header.len() as u64 > MAX_HEADER_BYTES {
            return Err(wrong(format!(
                "the names of {} identities need {} bytes, more than the {MAX_HEADER_BYTES} of a header: shorten \
                 them",
                self.classes,
                header.len()
            )));
        }
        write_atomic_with(path, |file| {
            file.write_all(&header)?;
            self.data
                .iter()
                .try_for_each(|value| file.write_all(&value.to_le_bytes()))
        })
    }

    /// Reads what [`save`](Self::save) wrote, or any safetensors file with an f32 matrix `prototypes` of unit rows.
    ///
    /// # Errors
    ///
    /// [`ModelError::Io`], [`ModelError::WeightFile`] for a damaged file or another content.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let mut file = File::open(path).map_err(ModelError::io(path))?;
        let header = Header::read(path, &mut file)?;
        let refuse = |reason: String| ModelError::weight_file(path, reason);
        let names: Vec<&String> = header.entries.keys().collect();
        let Some(entry) = header.entries.get(TENSOR).filter(|_| names.len() == 1) else {
            return Err(refuse(format!(
                "holds the tensors {:?} where {TENSOR:?} alone is expected: it is no prototype file",
                names.iter().take(5).collect::<Vec<_>>()
            )));
        };
        let (&[classes, dim], "F32") = (entry.shape.as_slice(), entry.dtype.as_str()) else {
            return Err(refuse(format!(
                "{TENSOR:?} is {} {:?}, expected F32 [classes, dim]",
                entry.dtype, entry.shape
            )));
        };
        header.check_length(path)?;
        let elements = classes.checked_mul(dim).filter(|&n| {
            dim > 0 && (n as u64).checked_mul(4) == Some(header.length - header.data_start)
        });
        let Some(elements) = elements else {
            return Err(refuse(format!(
                "has a shape {:?} that does not fit its length: it is damaged",
                entry.shape
            )));
        };
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut data = Vec::with_capacity(elements);
        let mut buffer = [0u8; 4];
        for _ in 0..elements {
            reader
                .read_exact(&mut buffer)
                .map_err(ModelError::io(path))?;
            data.push(f32::from_le_bytes(buffer));
        }
        for (class, row) in data.chunks_exact(dim).enumerate() {
            let norm = norm(row);
            // Written so that a norm which is not a number fails too.
            if !norm.is_finite() || (norm - 1.0).abs() > NORM_TOLERANCE {
                return Err(refuse(format!(
                    "row {class} has norm {norm}, expected 1: normalise the rows"
                )));
            }
        }
        let identities = match header.metadata.get(IDENTITIES) {
            Some(text) => serde_json::from_str(text)
                .map_err(|e| refuse(format!("has a damaged list of identities: {e}")))?,
            None => Vec::new(),
        };
        let prototypes = Self {
            classes,
            dim,
            data,
            identities: Vec::new(),
        };
        if identities.is_empty() {
            return Ok(prototypes);
        }
        prototypes
            .with_identities(identities)
            .map_err(|e| refuse(e.to_string()))
    }
}

/// The cosine of each image to the mean of its class's other images.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaveOneOut {
    /// One score per image, in −1..=1.
    pub scores: Vec<f32>,
    /// Classes with a single image, whose score falls back to 1, the cosine to their own mean.
    pub single_image_classes: Vec<usize>,
}

/// The normalised mean embedding of every class.
///
/// ```text
/// w_c = normalise( Σ_{i: y_i = c} t_i/‖t_i‖ )
/// ```
///
/// Sums are in f64. Source: reconstructed.
///
/// # Shapes
///
/// - `embeddings`: rows of `dim` numbers, one per label
/// - `labels`: classes in `0..classes`
///
/// # Errors
///
/// [`ModelError::Prototypes`] if sizes do not fit, a label is out of range, a row is zero or not finite, a class has
/// no image, or the images of a class cancel out.
///
/// ```
/// use ccface_model::class_means;
///
/// let means = class_means(&[1.0, 0.0, 0.0, 1.0, 0.0, 2.0], 2, &[0, 0, 1], 2).expect("two classes");
/// assert!((means.row(0)[0] - 0.5f32.sqrt()).abs() < 1e-6);
/// assert_eq!(means.row(1), [0.0, 1.0]);
/// ```
pub fn class_means(
    embeddings: &[f32],
    dim: usize,
    labels: &[usize],
    classes: usize,
) -> Result<Prototypes, ModelError> {
    let sums = class_sums(embeddings, dim, labels, classes)?;
    let mut data = Vec::with_capacity(classes * dim);
    for (class, sum) in sums.rows.chunks_exact(dim).enumerate() {
        let length = dot(sum, sum).sqrt();
        // A mean this short is rounding, not direction.
        if length < 1e-6 * sums.counts[class] as f64 {
            return Err(wrong(format!(
                "the {} images of class {class} cancel out, so their mean has no direction",
                sums.counts[class]
            )));
        }
        data.extend(sum.iter().map(|v| (v / length) as f32));
    }
    Ok(Prototypes {
        classes,
        dim,
        data,
        identities: Vec::new(),
    })
}

/// How well each image agrees with the other images of its class.
///
/// ```text
/// g_i = ⟨ t_i, normalise( Σ_{j≠i, y_j = y_i} t_j ) ⟩
/// ```
///
/// Unlike the cosine to the class mean, the image does not sit in its own mean. A class with a single image falls
/// back to its plain mean and is reported. Source: reconstructed.
///
/// # Errors
///
/// As [`class_means`]; a mean of the others without direction scores 0 instead.
pub fn leave_one_out_scores(
    embeddings: &[f32],
    dim: usize,
    labels: &[usize],
    classes: usize,
) -> Result<LeaveOneOut, ModelError> {
    let sums = class_sums(embeddings, dim, labels, classes)?;
    let scores = embeddings
        .chunks_exact(dim)
        .zip(labels)
        .map(|(row, &class)| {
            if sums.counts[class] == 1 {
                return 1.0;
            }
            let length = norm(row);
            let unit: Vec<f64> = row.iter().map(|&v| f64::from(v) / length).collect();
            let sum = &sums.rows[class * dim..(class + 1) * dim];
            let others: Vec<f64> = sum.iter().zip(&unit).map(|(s, u)| s - u).collect();
            let length = dot(&others, &others).sqrt();
            if length < 1e-6 {
                0.0
            } else {
                (dot(&unit, &others) / length).clamp(-1.0, 1.0) as f32
            }
        })
        .collect();
    let single = |class: &usize| sums.counts[*class] == 1;
    Ok(LeaveOneOut {
        scores,
        single_image_classes: (0..classes).filter(single).collect(),
    })
}

/// Sums of unit rows by class.
struct ClassSums {
    rows: Vec<f64>,
    counts: Vec<usize>,
}

fn class_sums(
    embeddings: &[f32],
    dim: usize,
    labels: &[usize],
    classes: usize,
) -> Result<ClassSums, ModelError> {
    if dim == 0 || labels.len().checked_mul(dim) != Some(embeddings.len()) {
        return Err(wrong(format!(
            "{} numbers do not make {} embeddings of {dim} dimensions",
            embeddings.len(),
            labels.len()
        )));
    }
    let mut sums = ClassSums {
        rows: vec![0.0; classes * dim],
        counts: vec![0; classes],
    };
    for (index, (row, &class)) in embeddings.chunks_exact(dim).zip(labels).enumerate() {
        if class >= classes {
            return Err(wrong(format!(
                "image {index} has label {class}, but there are {classes} classes (0..{classes})"
            )));
        }
        let length = norm(row);
        if !length.is_finite() || length == 0.0 {
            return Err(wrong(format!(
                "the embedding of image {index} has norm {length}: the teacher gave no usable answer"
            )));
        }
        sums.counts[class] += 1;
        let sum = &mut sums.rows[class * dim..(class + 1) * dim];
        for (sum, &value) in sum.iter_mut().zip(row) {
            *sum += f64::from(value) / length;
        }
    }
    let empty: Vec<usize> = (0..classes).filter(|&c| sums.counts[c] == 0).collect();
    if empty.is_empty() {
        return Ok(sums);
    }
    Err(wrong(format!(
        "{} of {classes} classes have no image, the first: {:?}",
        empty.len(),
        &empty[..empty.len().min(5)]
    )))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(row: &[f32]) -> f64 {
    row.iter()
        .map(|&v| f64::from(v) * f64::from(v))
        .sum::<f64>()
        .sqrt()
}

fn wrong(reason: String) -> ModelError {
    ModelError::Prototypes(reason)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Six rows in three dimensions: three images of class 0, two of class 1, one of class 2.
    const ROWS: [f32; 18] = [
        1.0, 0.0, 0.0, //
        0.0, 2.0, 0.0, //
        0.6, 0.0, 0.8, //
        0.0, 0.0, 1.0, //
        0.0, 1.0, 0.0, //
        0.0, -3.0, 4.0,
    ];
    const LABELS: [usize; 6] = [0, 0, 0, 1, 1, 2];

    #[test]
    fn class_means_are_the_normalised_sums_of_unit_rows() {
        let means = class_means(&ROWS, 3, &LABELS, 3).unwrap();
        let length = (1.6f32 * 1.6 + 1.0 + 0.64).sqrt();
        let expected = [
            1.6 / length,
            1.0 / length,
            0.8 / length,
            0.0,
            0.5f32.sqrt(),
            0.5f32.sqrt(),
            0.0,
            -0.6,
            0.8,
        ];
        for (got, expected) in means.data.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6, "{got} {expected}");
        }
    }

    #[test]
    fn leave_one_out_scores_do_not_see_the_image_itself() {
        let result = leave_one_out_scores(&ROWS, 3, &LABELS, 3).unwrap();
        // Image 0 against (0,1,0) + (0.6,0,0.8).
        assert!((result.scores[0] - 0.6 / 2.0f32.sqrt()).abs() < 1e-6);
        // Two orthogonal images of class 1.
        assert_eq!(result.scores[3..5], [0.0, 0.0]);
        assert_eq!(result.scores[5], 1.0);
        assert_eq!(result.single_image_classes, [2]);
    }

    #[test]
    fn mistakes_in_the_input_are_named() {
        let error = |e: Result<Prototypes, ModelError>| e.unwrap_err().to_string();
        assert!(error(class_means(&ROWS, 4, &LABELS, 3)).contains("18 numbers"));
        assert!(error(class_means(&ROWS, 3, &LABELS, 2)).contains("label 2"));
        assert!(error(class_means(&ROWS, 3, &LABELS, 4)).contains("[3]"));
        assert!(error(class_means(&[0.0, 0.0], 2, &[0], 1)).contains("norm 0"));
        assert!(error(class_means(&[f32::NAN, 0.0], 2, &[0], 1)).contains("NaN"));
        assert!(error(class_means(&[1.0, -1.0], 1, &[0, 0], 1)).contains("cancel"));
        assert!(error(Prototypes::new(1, 2, vec![0.0, 0.0])).contains("class 0"));
        assert!(class_means(&[], 3, &[], 0).unwrap().data.is_empty());
    }

    #[test]
    fn prototypes_survive_the_way_to_disk_and_back_bit_for_bit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("prototypes.safetensors");
        let names = ["a", "b \"quoted\"", "ü"].map(String::from).to_vec();
        let named = class_means(&ROWS, 3, &LABELS, 3)
            .unwrap()
            .with_identities(names)
            .unwrap();
        named.save(&path).unwrap();
        assert_eq!(Prototypes::load(&path).unwrap(), named);
        let tensor = named.to_tensor(&Device::default());
        assert_eq!(tensor.dims(), [3, 3]);
        assert_eq!(tensor.try_into_vec_as::<f32>().unwrap(), named.data);
    }

    #[test]
    fn a_damaged_prototype_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("prototypes.safetensors");
        class_means(&ROWS, 3, &LABELS, 3)
            .unwrap()
            .save(&path)
            .unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for cut in [0, 5, 20, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            assert!(Prototypes::load(&path).is_err(), "cut at {cut}");
        }
        let mut scaled = bytes;
        let last = scaled.len() - 1;
        scaled[last] ^= 0x40;
        std::fs::write(&path, &scaled).unwrap();
        let error = Prototypes::load(&path).unwrap_err().to_string();
        assert!(error.contains("row 2 has norm"), "{error}");
    }

    #[test]
    fn the_file_is_a_valid_safetensors_file_for_other_readers() {
        use burn::store::{ModuleStore, SafetensorsStore};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("prototypes.safetensors");
        class_means(&ROWS, 3, &LABELS, 3)
            .unwrap()
            .save(&path)
            .unwrap();
        let mut store = SafetensorsStore::from_file(&path);
        assert_eq!(store.keys().unwrap(), ["prototypes"]);
    }
}
