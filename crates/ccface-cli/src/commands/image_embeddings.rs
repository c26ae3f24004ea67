//! Embeddings of listed images: made by a model, or read from a file and brought into the list's order.

use std::{collections::HashMap, path::Path};

use ccface_data::{DataError, FaceImage, FaceMask};
use ccface_eval::{Matrix, ProtocolFacts, read_labels, read_matrix, write_npy};
use ccface_model::{Alignment, Colour};
use ccface_train::{
    DeviceSpec,
    encoder::{FlipFusion, embed_faces, open_encoder},
};
use image::RgbImage;
use rayon::prelude::*;

use super::evaluate_faces::assumptions;
use crate::{CliError, cli::EmbeddingSource, progress::Progress};

/// Images that can be asked for one by one.
pub(super) struct Images<'a> {
    /// Their names, in the protocol's order.
    pub(super) names: Vec<String>,
    /// What is in the list, for messages.
    pub(super) told: String,
    /// Reads one; called from several threads.
    pub(super) read: &'a (dyn Fn(usize) -> Result<RgbImage, DataError> + Sync),
}

/// One row per image, all zeros where an image failed.
pub(super) struct Embedded {
    pub(super) rows: Matrix,
    pub(super) facts: ProtocolFacts,
    pub(super) warnings: Vec<String>,
}

/// Gets the embeddings of `images` where the flags say.
pub(super) fn embed(images: &Images<'_>, source: &EmbeddingSource) -> Result<Embedded, CliError> {
    match (&source.model, &source.embeddings) {
        (Some(model), _) => by_model(images, model, source),
        (None, Some(file)) => from_file(images, file, source.names.as_deref()),
        (None, None) => Err(CliError::Usage(
            "give --model to embed the images, or --embeddings made elsewhere".into(),
        )),
    }
}

fn from_file(images: &Images<'_>, file: &Path, names: Option<&Path>) -> Result<Embedded, CliError> {
    let matrix = read_matrix(file)?;
    finite(file, &matrix.data, matrix.columns)?;
    let mut warnings = Vec::new();
    let rows = match names {
        Some(path) => by_name(images, matrix, path, &mut warnings)?,
        None if matrix.rows == images.names.len() => matrix,
        None => {
            return Err(CliError::Usage(format!(
                "{}: {} rows, expected {} ({}); make them in the order that --list writes, or say with --names what each row is",
                file.display(),
                matrix.rows,
                images.names.len(),
                images.told
            )));
        }
    };
    Ok(Embedded {
        rows,
        facts: ProtocolFacts {
            alignment: Some("unknown: embeddings were given".into()),
            ..ProtocolFacts::default()
        },
        warnings,
    })
}

/// Refuses NaN and infinity with the file, row and column.
pub(super) fn finite(file: &Path, data: &[f32], columns: usize) -> Result<(), CliError> {
    match data.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(at) => Err(CliError::Usage(format!(
            "{}: row {} holds {} at column {} (counted from 0); write a row of zeros for an image that failed",
            file.display(),
            at / columns.max(1),
            data[at],
            at % columns.max(1)
        ))),
    }
}

/// The rows of `matrix`, whose names stand in the file `names`, in the order of `images`.
fn by_name(
    images: &Images<'_>,
    matrix: Matrix,
    names: &Path,
    warnings: &mut Vec<String>,
) -> Result<Matrix, CliError> {
    let usage = |why: String| CliError::Usage(format!("{}: {why}", names.display()));
    let given = read_labels(names)?;
    if given.len() != matrix.rows {
        return Err(usage(format!(
            "{} names for {} rows of embeddings; give one a row",
            given.len(),
            matrix.rows
        )));
    }
    let mut row_of = HashMap::with_capacity(given.len());
    for (row, name) in given.iter().enumerate() {
        if let Some(earlier) = row_of.insert(name.trim_start_matches("./"), row) {
            return Err(usage(format!(
                "{name} stands in lines {} and {}; which row is meant?",
                earlier + 1,
                row + 1
            )));
        }
    }
    let missing: Vec<&String> = images
        .names
        .iter()
        .filter(|name| !row_of.contains_key(name.as_str()))
        .collect();
    if let Some(first) = missing.first() {
        return Err(usage(format!(
            "{} of {} images of the protocol have no row (first: {first}); names are paths as --list writes them",
            missing.len(),
            images.names.len()
        )));
    }
    let left = given.len() - images.names.len();
    if left > 0 {
        warnings.push(format!(
            "{left} rows of embeddings are not in the protocol and are left out"
        ));
    }
    let columns = matrix.columns;
    let mut data = Vec::with_capacity(images.names.len() * columns);
    for name in &images.names {
        let row = row_of.get(name.as_str()).copied().unwrap_or_default();
        data.extend_from_slice(&matrix.data[row * columns..(row + 1) * columns]);
    }
    Ok(Matrix {
        data,
        rows: images.names.len(),
        columns,
    })
}

fn by_model(
    images: &Images<'_>,
    model: &Path,
    source: &EmbeddingSource,
) -> Result<Embedded, CliError> {
    let device: DeviceSpec = source.device.parse()?;
    let encoder = open_encoder(model, &assumptions(&source.onnx)?, &device.resolve()?)?;
    let (count, columns) = (images.names.len(), encoder.dim());
    let mut data = vec![0.0; count * columns];
    let mut failed: Vec<String> = Vec::new();
    let mut progress = Progress::new();
    let batch = source.batch.max(1);
    let mask = FaceMask::from(source.mask);
    for start in (0..count).step_by(batch) {
        let here = start..count.min(start + batch);
        let faces: Vec<Result<FaceImage, DataError>> = here
            .clone()
            .into_par_iter()
            .map(|i| (images.read)(i).map(|picture| mask.apply(FaceImage::from_rgb8(&picture))))
            .collect();
        let (mut good, mut places) = (Vec::new(), Vec::new());
        for (face, i) in faces.into_iter().zip(here.clone()) {
            match face {
                Ok(face) => {
                    good.push(face);
                    places.push(i);
                }
                Err(error) => failed.push(error.to_string()),
            }
        }
        let rows = embed_faces(encoder.as_ref(), &good, source.flip.into())?;
        for (row, i) in rows.chunks_exact(columns).zip(places) {
            data[i * columns..(i + 1) * columns].copy_from_slice(row);
        }
        progress.update("images embedded", here.end, count);
    }
    drop(progress);
    let mut warnings = Vec::new();
    if let Some(first) = failed.first() {
        warnings.push(format!(
            "{} of {count} images cannot be read and count as failures to enrol; the first: {first}",
            failed.len()
        ));
    }
    let rows = Matrix {
        data,
        rows: count,
        columns,
    };
    if let Some(path) = &source.save_embeddings {
        write_npy(path, &rows)?;
    }
    let input = encoder.input();
    let expected = match input.alignment {
        Alignment::Arcface112 => "ArcFace’s five points",
        Alignment::None => "no alignment",
    };
    Ok(Embedded {
        rows,
        facts: ProtocolFacts {
            alignment: Some(mask.beside(&format!(
                "none done here: images as they lie on disk, resized to {0}×{0}; the network expects {expected}",
                input.size
            ))),
            colour_order: Some(
                match input.colour {
                    Colour::Rgb => "RGB",
                    Colour::Bgr => "BGR",
                }
                .into(),
            ),
            fusion: Some(FlipFusion::from(source.flip).description().into()),
            model_hash: Some(encoder.hash().to_owned()),
            ..ProtocolFacts::default()
        },
        warnings,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn matrix(values: &[f32]) -> Matrix {
        Matrix {
            data: values.to_vec(),
            rows: values.len(),
            columns: 1,
        }
    }

    #[test]
    fn rows_are_put_into_the_protocols_order_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("names.txt");
        let images = Images {
            names: vec!["Probe/a.jpg".into(), "Probe/b.jpg".into()],
            told: String::new(),
            read: &|_| unreachable!("no image is read"),
        };
        let mut warnings = Vec::new();
        std::fs::write(&file, "Probe/b.jpg\nother.jpg\n./Probe/a.jpg\n").unwrap();
        let rows = by_name(&images, matrix(&[1.0, 2.0, 3.0]), &file, &mut warnings).unwrap();
        assert_eq!(rows.data, [3.0, 1.0]);
        assert!(warnings[0].starts_with("1 rows"));
        for (text, said) in [
            ("Probe/a.jpg\n", "1 names for 2 rows"),
            ("Probe/a.jpg\nProbe/a.jpg\n", "lines 1 and 2"),
            ("Probe/a.jpg\nb.jpg\n", "1 of 2 images"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = by_name(&images, matrix(&[1.0, 2.0]), &file, &mut warnings).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
