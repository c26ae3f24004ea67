//! A checked matrix of embeddings.

use rayon::prelude::*;

use crate::error::{EvalError, Result};

/// A checked matrix of embeddings, one row per image.
///
/// Every value is finite and no row is zero, so that every cosine exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    data: Vec<f32>,
    dim: usize,
}

impl Embeddings {
    /// Takes a row-major matrix of `data.len() / dim` rows.
    ///
    /// # Errors
    /// No row, a length that is no multiple of `dim`, NaN or infinity, or a zero row.
    pub fn new(data: Vec<f32>, dim: usize) -> Result<Self> {
        let (kept, failed) = Self::new_excluding_zeros(data, dim)?;
        match failed.first() {
            None => Ok(kept),
            Some(&row) => Err(EvalError::ZeroEmbedding {
                row,
                bad_rows: failed.len(),
            }),
        }
    }

    /// As [`Embeddings::new`], but leaves out zero rows and says which they were.
    ///
    /// A zero row is how many tools write an image that could not be enrolled. The caller drops the same labels
    /// and reports the count.
    ///
    /// # Errors
    /// No row left, a length that is no multiple of `dim`, or NaN or infinity anywhere.
    pub fn new_excluding_zeros(data: Vec<f32>, dim: usize) -> Result<(Self, Vec<usize>)> {
        if dim == 0 || data.is_empty() {
            return Err(EvalError::Empty { what: "embeddings" });
        }
        if !data.len().is_multiple_of(dim) {
            return Err(EvalError::Dimension {
                what: format!("the last embedding row ({} values in all)", data.len()),
                expected: dim,
                found: data.len() % dim,
            });
        }
        let bad = |row: &[f32]| row.iter().position(|x| !x.is_finite());
        let bad_rows = data
            .par_chunks(dim)
            .filter(|row| bad(row).is_some())
            .count();
        if bad_rows > 0 {
            let (row, column) = data
                .chunks(dim)
                .enumerate()
                .find_map(|(row, values)| bad(values).map(|column| (row, column)))
                .unwrap_or((0, 0));
            return Err(EvalError::NotFiniteEmbedding {
                row,
                column,
                value: data[row * dim + column],
                bad_rows,
            });
        }
        let zeros: Vec<usize> = data
            .par_chunks(dim)
            .enumerate()
            .filter(|(_, row)| row.iter().all(|&x| x == 0.0))
            .map(|(row, _)| row)
            .collect();
        if zeros.is_empty() {
            return Ok((Self { data, dim }, zeros));
        }
        let mut kept = Vec::with_capacity(data.len() - zeros.len() * dim);
        let mut next_zero = zeros.iter().copied().peekable();
        for (row, values) in data.chunks(dim).enumerate() {
            if next_zero.next_if_eq(&row).is_none() {
                kept.extend_from_slice(values);
            }
        }
        if kept.is_empty() {
            return Err(EvalError::ZeroEmbedding {
                row: 0,
                bad_rows: zeros.len(),
            });
        }
        Ok((Self { data: kept, dim }, zeros))
    }

    /// Joins rows given one by one.
    ///
    /// # Errors
    /// As [`Embeddings::new`], or rows of different lengths.
    pub fn from_rows<R: AsRef<[f32]>>(rows: &[R]) -> Result<Self> {
        let dim = rows.first().map_or(0, |row| row.as_ref().len());
        let mut data = Vec::with_capacity(rows.len() * dim);
        for (index, row) in rows.iter().enumerate() {
            if row.as_ref().len() != dim {
                return Err(EvalError::Dimension {
                    what: format!("embedding row {index}"),
                    expected: dim,
                    found: row.as_ref().len(),
                });
            }
            data.extend_from_slice(row.as_ref());
        }
        Self::new(data, dim)
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len() / self.dim
    }

    /// Never true: an empty matrix is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Length of one embedding.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All values, row after row.
    #[must_use]
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// One embedding.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, index: usize) -> &[f32] {
        &self.data[index * self.dim..(index + 1) * self.dim]
    }

    /// Every row divided by its length.
    #[must_use]
    pub fn normalise(&self) -> Self {
        let mut data = self.data.clone();
        data.par_chunks_mut(self.dim).for_each(|row| {
            let scale = 1.0 / length(row);
            for x in row {
                *x = (f64::from(*x) * scale) as f32;
            }
        });
        Self {
            data,
            dim: self.dim,
        }
    }

    /// The rows chosen by `indices`, in that order.
    ///
    /// # Errors
    /// No index, or one past the last row.
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        let mut data = Vec::with_capacity(indices.len() * self.dim);
        for &index in indices {
            if index >= self.len() {
                return Err(EvalError::Length {
                    what: format!("embedding row {index} was asked for"),
                    expected: index + 1,
                    found: self.len(),
                });
            }
            data.extend_from_slice(self.row(index));
        }
        Self::new(data, self.dim)
    }

    /// The unit rows in double precision, for exact scores.
    pub(crate) fn unit_f64(&self) -> Vec<f64> {
        let mut unit = vec![0.0; self.data.len()];
        unit.par_chunks_mut(self.dim)
            .zip(self.data.par_chunks(self.dim))
            .for_each(|(to, from)| {
                let scale = 1.0 / length(from);
                for (t, f) in to.iter_mut().zip(from) {
                    *t = f64::from(*f) * scale;
                }
            });
        unit
    }
}

/// Euclidean length, in double precision so that no square of a single-precision value overflows or vanishes.
fn length(row: &[f32]) -> f64 {
    row.iter()
        .map(|x| f64::from(*x) * f64::from(*x))
        .sum::<f64>()
        .sqrt()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn normalised_rows_have_length_one_even_from_tiny_or_huge_values() {
        let rows = Embeddings::from_rows(&[vec![3e-30_f32, 4e-30], vec![3e30, 4e30]]).unwrap();
        let unit = rows.normalise();
        for i in 0..2 {
            assert!((unit.row(i)[0] - 0.6).abs() < 1e-6 && (unit.row(i)[1] - 0.8).abs() < 1e-6);
        }
    }

    #[test]
    fn nan_rows_are_refused_with_their_place_and_count() {
        let error = Embeddings::new(vec![1.0, 2.0, 3.0, f32::NAN, f32::INFINITY, 1.0], 2)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("row 1 holds NaN at column 1 (2 such rows"),
            "{error}"
        );
    }

    #[test]
    fn zero_rows_are_refused_or_left_out_and_named() {
        let data = vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0];
        let error = Embeddings::new(data.clone(), 2).unwrap_err().to_string();
        assert!(error.contains("row 1 is all zeros (2 such rows"), "{error}");
        let (kept, out) = Embeddings::new_excluding_zeros(data, 2).unwrap();
        assert_eq!(out, [1, 3]);
        assert_eq!(kept.data(), [1.0, 0.0, 0.0, 1.0]);
        assert!(Embeddings::new_excluding_zeros(vec![0.0; 4], 2).is_err());
    }
}
