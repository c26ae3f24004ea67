//! Which faces a run trains and validates on.

use std::{path::Path, sync::Arc};

use ccface_data::{
    FaceImage, FaceSource, Selection, folds,
    source::{OpenOptions, open},
};

use ccface_eval::Subject;

use crate::{
    TrainError,
    config::{DataConfig, ValidationConfig},
    signals::RunSignals,
    validation::ValidationSet,
};

/// Identities of training and validation, disjoint unless `seen`.
pub(crate) struct Split {
    pub(crate) train: Selection,
    pub(crate) validation: Option<Selection>,
    pub(crate) validation_names: Vec<String>,
    /// Whether validation looks at the training identities.
    pub(crate) seen: bool,
}

/// Opens the selected identities of any source that `ccface-data` reads; `split` names the part of a manifest, if any.
///
/// # Errors
/// A source that cannot be opened, or an unknown identity.
pub(crate) fn open_source(
    path: &Path,
    split: &str,
    selection: &Selection,
) -> Result<Arc<dyn FaceSource>, TrainError> {
    let options = OpenOptions {
        selection: selection.clone(),
        split: (!split.is_empty()).then(|| split.to_owned()),
        ..OpenOptions::default()
    };
    Ok(open(path, &options)?)
}

/// Splits the identities of a source as the configuration says.
///
/// # Errors
/// A source that cannot be opened, an unknown identity, or one that would be in training and validation both.
pub(crate) fn split_identities(
    path: &Path,
    data: &DataConfig,
    validation: &ValidationConfig,
) -> Result<Split, TrainError> {
    let chosen = open_source(path, &data.split, &data.identities)?;
    let names = chosen.identities();
    if data.folds > 0 {
        let folds = folds(names, data.folds, data.fold_seed)?;
        let fold = &folds[data.fold];
        return Ok(Split {
            train: Selection::of(fold.train.iter().cloned()),
            validation: Some(Selection::of(fold.test.iter().cloned())),
            validation_names: fold.test.clone(),
            seen: false,
        });
    }
    let train = Selection::of(names.iter().cloned());
    match validation.identities.as_str() {
        "" => Ok(Split {
            train,
            validation: None,
            validation_names: Vec::new(),
            seen: false,
        }),
        "seen" => Ok(Split {
            validation: Some(train.clone()),
            train,
            validation_names: names.to_vec(),
            seen: true,
        }),
        text => {
            let selection: Selection = text.parse()?;
            let held_out = open_source(path, &data.split, &selection)?
                .identities()
                .to_vec();
            let both: Vec<&str> = held_out
                .iter()
                .filter(|n| names.contains(n))
                .map(String::as_str)
                .collect();
            if !both.is_empty() {
                return Err(TrainError::config(
                    "validation.identities",
                    format!(
                        "{} would be in training and validation both. Change data.identities, or write \"seen\" to look at the training identities knowingly",
                        both.join(", ")
                    ),
                ));
            }
            Ok(Split {
                train,
                validation: Some(selection),
                validation_names: held_out,
                seen: false,
            })
        }
    }
}

/// A label as the evaluation counts people.
pub(crate) fn subject(label: usize) -> Subject {
    Subject::try_from(label).unwrap_or(Subject::MAX)
}

/// Decoded faces of a small set.
pub(crate) struct Faces {
    pub(crate) faces: Vec<FaceImage>,
    pub(crate) labels: Vec<Subject>,
}

impl Faces {
    /// Decodes every image of a source.
    ///
    /// # Errors
    /// The first image that cannot be read.
    pub(crate) fn load(source: &dyn FaceSource) -> Result<Self, TrainError> {
        use rayon::prelude::*;
        let faces = (0..source.len())
            .into_par_iter()
            .map(|i| Ok(FaceImage::from_rgb8(&source.image(i)?)))
            .collect::<Result<Vec<_>, TrainError>>()?;
        Ok(Self {
            faces,
            labels: (0..source.len())
                .map(|i| subject(source.identity(i)))
                .collect(),
        })
    }

    pub(crate) fn into_validation(self, sizes: &[usize], signals: &RunSignals) -> ValidationSet {
        ValidationSet {
            faces: self.faces,
            labels: self.labels,
            sizes: sizes.to_vec(),
            batch: 32,
            signals: signals.clone(),
        }
    }
}
