//! Embeddings and labels from the files that other tools write.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use crate::embedding_set::EmbeddingSet;
use crate::error::{EvalError, Result};
use crate::npy::{Matrix, decode_floats, read_npy};

/// Reads a matrix of embeddings from `.npy` or `.safetensors`, told apart by content.
///
/// A safetensors file must hold one tensor, or one called `embeddings`, of two dimensions in F32, F64, F16 or BF16.
///
/// # Errors
/// An unreadable file, an unknown format, or a tensor of another kind.
pub fn read_matrix(path: impl AsRef<Path>) -> Result<Matrix> {
    use std::io::Read;
    let path = path.as_ref();
    let mut magic = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(6).read_to_end(&mut magic))
        .map_err(|e| EvalError::io(path, e))?;
    if magic == b"\x93NUMPY" || path.extension().is_some_and(|e| e == "npy") {
        return read_npy(path);
    }
    let bytes = std::fs::read(path).map_err(|e| EvalError::io(path, e))?;
    parse_safetensors(&bytes).map_err(|why| EvalError::format(path, why))
}

fn parse_safetensors(bytes: &[u8]) -> std::result::Result<Matrix, String> {
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(|e| format!("neither .npy nor .safetensors ({e}); write it with numpy.save"))?;
    let names = tensors.names();
    let name = match names[..] {
        [only] => only.to_owned(),
        _ if names.contains(&"embeddings") => "embeddings".to_owned(),
        _ => {
            let mut names: Vec<_> = names.iter().map(|n| n.to_string()).collect();
            names.sort();
            return Err(format!(
                "holds {} tensors ({}); keep one, or call one `embeddings`",
                names.len(),
                names.join(", ")
            ));
        }
    };
    let tensor = tensors.tensor(&name).map_err(|e| e.to_string())?;
    let [rows, columns] = tensor.shape()[..] else {
        return Err(format!(
            "tensor `{name}` has {} dimensions, expected 2: one row per image",
            tensor.shape().len()
        ));
    };
    let data = match tensor.dtype() {
        Dtype::F32 => decode_floats(tensor.data(), 4),
        Dtype::F64 => decode_floats(tensor.data(), 8),
        Dtype::F16 => decode_floats(tensor.data(), 2),
        Dtype::BF16 => tensor
            .data()
            .chunks_exact(2)
            .map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect(),
        other => {
            return Err(format!(
                "tensor `{name}` is {other:?}; F32, F64, F16, BF16 are read"
            ));
        }
    };
    Ok(Matrix {
        data,
        rows,
        columns,
    })
}

/// Reads one label a line.
///
/// # Errors
/// An unreadable file, no label, or an empty line that is not the last.
pub fn read_labels(path: impl AsRef<Path>) -> Result<Vec<String>> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(|e| EvalError::io(path, e))?;
    let lines: Vec<&str> = text
        .trim_start_matches('\u{feff}')
        .trim_end()
        .lines()
        .map(str::trim)
        .collect();
    if lines.is_empty() {
        return Err(EvalError::format(
            path,
            "no label; one label a line is expected",
        ));
    }
    if let Some(empty) = lines.iter().position(|l| l.is_empty()) {
        return Err(EvalError::format(
            path,
            format!("line {} is empty; one label a line is expected", empty + 1),
        ));
    }
    Ok(lines.into_iter().map(str::to_owned).collect())
}

/// Reads embeddings with their labels.
///
/// # Errors
/// As [`read_matrix`] and [`read_labels`], or another number of labels than of rows.
pub fn read_embedding_set(
    embeddings: impl AsRef<Path>,
    labels: impl AsRef<Path>,
) -> Result<EmbeddingSet> {
    let (embeddings, labels) = (embeddings.as_ref(), labels.as_ref());
    let matrix = read_matrix(embeddings)?;
    let names = read_labels(labels)?;
    if names.len() != matrix.rows {
        return Err(EvalError::Length {
            what: format!(
                "labels in {} for {}",
                labels.display(),
                embeddings.display()
            ),
            expected: matrix.rows,
            found: names.len(),
        });
    }
    Ok(EmbeddingSet {
        data: matrix.data,
        dim: matrix.columns,
        labels: names,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stderr)]
    use super::*;
    use safetensors::tensor::TensorView;

    fn safetensors(list: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
        let views = list.iter().map(|(name, dtype, shape, data)| {
            (*name, TensorView::new(*dtype, shape.clone(), data).unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    }

    #[test]
    fn safetensors_of_all_float_kinds_are_read() {
        let values = [1.5_f32, -2.0, 0.25, 8.0];
        let shape = vec![2, 2];
        for (dtype, data) in [
            (
                Dtype::F32,
                values
                    .iter()
                    .flat_map(|x| x.to_le_bytes())
                    .collect::<Vec<u8>>(),
            ),
            (
                Dtype::F64,
                values
                    .iter()
                    .flat_map(|x| f64::from(*x).to_le_bytes())
                    .collect(),
            ),
            (
                Dtype::F16,
                values
                    .iter()
                    .flat_map(|x| half::f16::from_f32(*x).to_le_bytes())
                    .collect(),
            ),
            (
                Dtype::BF16,
                values
                    .iter()
                    .flat_map(|x| half::bf16::from_f32(*x).to_le_bytes())
                    .collect(),
            ),
        ] {
            let bytes = safetensors(&[("x", dtype, shape.clone(), data)]);
            let matrix = parse_safetensors(&bytes).unwrap();
            assert_eq!((matrix.rows, matrix.columns), (2, 2));
            assert_eq!(matrix.data, values);
        }
    }

    #[test]
    fn the_tensor_called_embeddings_is_taken_among_several() {
        let one = || vec![0_u8; 4];
        let bytes = safetensors(&[
            ("norms", Dtype::F32, vec![1, 1], one()),
            (
                "embeddings",
                Dtype::F32,
                vec![1, 1],
                7.0_f32.to_le_bytes().to_vec(),
            ),
        ]);
        assert_eq!(parse_safetensors(&bytes).unwrap().data, [7.0]);
        let bytes = safetensors(&[
            ("a", Dtype::F32, vec![1], one()),
            ("b", Dtype::F32, vec![1], one()),
        ]);
        assert!(
            parse_safetensors(&bytes)
                .unwrap_err()
                .contains("2 tensors (a, b)")
        );
        let bytes = safetensors(&[("a", Dtype::I32, vec![1, 1], one())]);
        assert!(parse_safetensors(&bytes).unwrap_err().contains("I32"));
        assert!(
            parse_safetensors(b"hello")
                .unwrap_err()
                .contains("neither .npy nor")
        );
    }

    #[test]
    fn labels_and_rows_must_agree() {
        let folder = tempfile::tempdir().unwrap();
        let (rows, labels) = (folder.path().join("p.npy"), folder.path().join("p.csv"));
        let matrix = Matrix {
            data: vec![1.0; 6],
            rows: 3,
            columns: 2,
        };
        crate::npy::write_npy(&rows, &matrix).unwrap();
        std::fs::write(&labels, "a\nb\nb\n").unwrap();
        assert_eq!(
            read_embedding_set(&rows, &labels).unwrap().labels,
            ["a", "b", "b"]
        );
        std::fs::write(&labels, "a\nb\n").unwrap();
        assert!(
            read_embedding_set(&rows, &labels)
                .unwrap_err()
                .to_string()
                .contains("expected 3 entries, found 2")
        );
        std::fs::write(&labels, "a\n\nb\n").unwrap();
        assert!(
            read_labels(&labels)
                .unwrap_err()
                .to_string()
                .contains("line 2 is empty")
        );
        std::fs::write(&labels, "\n").unwrap();
        assert!(
            read_labels(&labels)
                .unwrap_err()
                .to_string()
                .contains("no label")
        );
        assert!(read_labels(folder.path().join("none.csv")).is_err());
    }

    #[test]
    fn real_face_embeddings_give_the_known_error_rate() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../../shared/golden/orl_mobilefacenet.npy");
        if !path.is_file() {
            eprintln!("skipped: {} is not there", path.display());
            return;
        }
        let matrix = read_matrix(&path).unwrap();
        assert_eq!((matrix.rows, matrix.columns), (400, 512));
        let rows = crate::Embeddings::new(matrix.data, matrix.columns).unwrap();
        // 40 people with 10 images each, in order.
        let labels: Vec<u32> = (0..400).map(|i| i / 10).collect();
        let scores =
            crate::cross_scores(&rows, &labels, &rows, &labels, crate::Pairs::Unordered).unwrap();
        // 0.12 %, computed independently in numpy.
        assert!((scores.eer().value - 0.001_243_589_743_6).abs() < 1e-9);
    }
}
