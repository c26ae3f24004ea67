//! The head that the student inherits: prototypes and the HR score of each image.

use std::path::Path;

use burn::{
    module::{Module, Param},
    optim::{AdamConfig, GradientsParams},
    tensor::{Device, Tensor, TensorData},
};
use ccface_losses::{CosFace, MarginHead};
use ccface_model::{Prototypes, class_means, leave_one_out_scores};

use super::TeacherEmbeddings;
use crate::{TrainError, config::PrototypeKind, trainee::int_tensor};

/// Frozen prototypes and what they say of each training image.
#[derive(Clone, Debug, PartialEq)]
pub struct InheritedHead {
    /// Unit-norm prototypes, one row for each identity.
    pub prototypes: Prototypes,
    /// HR score `⟨t_i, w_y⟩` of each image, as it is and mirrored, one after the other.
    scores: Vec<f32>,
    /// Identities with a single image, for which leave-one-out falls back to the plain mean.
    pub single_image_identities: usize,
}

impl InheritedHead {
    /// The HR score of a view.
    ///
    /// # Panics
    /// If `index` is beyond the data set.
    pub fn score(&self, index: usize, mirrored: bool) -> f32 {
        self.scores[2 * index + usize::from(mirrored)]
    }
}

/// Steps of a refit.
const REFIT_STEPS: usize = 300;

/// Takes prototypes and HR scores from the teacher's embeddings of the training images.
///
/// ```text
/// class_means    w_c = normalise( Σ_{y_i = c} t_i ),              score_i = ⟨t_i, w_y⟩
/// leave_one_out  w_c as above,                                    score_i = ⟨t_i, normalise( Σ_{y_j = y_i, j ≠ i} t_j )⟩
/// refit          w = argmin Σ_i −log softmax_j( s⟨t_i, w_j⟩ )[y_i],  score_i = ⟨t_i, w_y⟩   (Adam, full batch, from the means)
/// inherited      w from `prototypes.safetensors` beside the teacher, rows found by identity name (in the order of identities where the head has no names)
/// ```
///
/// Prototypes are means over the images as they are; mirrored views are scored against the same prototypes (leave-one-out: against
/// the other mirrored views).
///
/// # Errors
/// An inherited head that is missing, of another length, or lacks an identity.
pub fn inherit(
    kind: PrototypeKind,
    embeddings: &TeacherEmbeddings,
    labels: &[usize],
    identities: &[String],
    teacher: &Path,
    scale: f64,
    device: &Device,
) -> Result<InheritedHead, TrainError> {
    let (dim, classes) = (embeddings.dim, identities.len());
    let mut prototypes = class_means(&embeddings.plain, dim, labels, classes)?;
    let single_image_identities = (0..classes)
        .filter(|c| labels.iter().filter(|label| *label == c).count() == 1)
        .count();
    match kind {
        PrototypeKind::ClassMeans | PrototypeKind::LeaveOneOut => {}
        PrototypeKind::Refit => prototypes = refit(&prototypes, embeddings, labels, scale, device)?,
        PrototypeKind::Inherited => prototypes = load_head(teacher, dim, identities)?,
    }
    prototypes = prototypes.with_identities(identities.to_vec())?;
    let plain_scores = |rows: &[f32]| -> Vec<f32> {
        rows.chunks_exact(dim)
            .zip(labels)
            .map(|(row, label)| dot(row, prototypes.row(*label)))
            .collect()
    };
    let (plain, mirrored) = match kind {
        PrototypeKind::LeaveOneOut => {
            let of = |rows: &[f32]| {
                leave_one_out_scores(rows, dim, labels, classes).map(|found| found.scores)
            };
            (of(&embeddings.plain)?, of(&embeddings.mirrored)?)
        }
        _ => (
            plain_scores(&embeddings.plain),
            plain_scores(&embeddings.mirrored),
        ),
    };
    let scores = plain
        .into_iter()
        .zip(mirrored)
        .flat_map(|(a, b)| [a, b])
        .collect();
    Ok(InheritedHead {
        prototypes,
        scores,
        single_image_identities,
    })
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter()
        .zip(b)
        .map(|(x, y)| f64::from(*x) * f64::from(*y))
        .sum::<f64>() as f32
}

/// Trainable rows, so that burn's optimiser can hold them.
#[derive(Module, Debug)]
struct Rows {
    rows: Param<Tensor<2>>,
}

fn refit(
    start: &Prototypes,
    embeddings: &TeacherEmbeddings,
    labels: &[usize],
    scale: f64,
    device: &Device,
) -> Result<Prototypes, TrainError> {
    let device = device.clone().autodiff();
    let dim = embeddings.dim;
    let head = MarginHead::CosFace(CosFace { scale, margin: 0.0 });
    let faces = [embeddings.plain.as_slice(), &embeddings.mirrored].concat();
    let count = faces.len() / dim;
    let faces = Tensor::<2>::from_data(TensorData::new(faces, [count, dim]), &device);
    let labels = int_tensor(&[labels, labels].concat(), &device);
    let mut module = Rows {
        rows: Param::from_tensor(start.to_tensor(&device)),
    };
    let mut optimiser = AdamConfig::new().init();
    for step in 0..REFIT_STEPS {
        let rate = 0.01 * (1.0 - step as f64 / REFIT_STEPS as f64);
        let output =
            head.forward_no_reduction(faces.clone(), module.rows.val(), labels.clone(), None);
        let gradients = GradientsParams::from_grads(output.loss.mean().backward(), &module);
        module = optimiser.step(rate, module, gradients);
    }
    let mut rows = crate::encoder::read_rows(module.rows.val().inner())?;
    for row in rows.chunks_exact_mut(dim) {
        crate::encoder::normalise(row).ok_or_else(|| {
            TrainError::Training("refitting the prototypes diverged; use class_means".into())
        })?;
    }
    Ok(Prototypes {
        data: rows,
        ..start.clone()
    })
}

fn load_head(teacher: &Path, dim: usize, identities: &[String]) -> Result<Prototypes, TrainError> {
    let refuse = |message: String| TrainError::Teacher {
        path: teacher.to_path_buf(),
        message,
    };
    let head = Prototypes::load(&crate::run_dir::head_file(teacher))?;
    if head.dim != dim {
        return Err(refuse(format!(
            "its head has rows of {} numbers, its embeddings {dim}",
            head.dim
        )));
    }
    // A published head has no names: its rows are the identities in their order, if there are as many.
    if head.identities.is_empty() {
        if head.classes == identities.len() {
            return Ok(head);
        }
        return Err(refuse(format!(
            "its head has {} classes without names, the data {} identities: name its rows when it is imported (ccface teacher import --identities FILE), or use teacher.prototypes = \"class_means\"",
            head.classes,
            identities.len()
        )));
    }
    let mut data = Vec::with_capacity(identities.len() * dim);
    let mut missing = Vec::new();
    for name in identities {
        match head.identities.iter().position(|known| known == name) {
            Some(class) => data.extend_from_slice(head.row(class)),
            None => missing.push(name.as_str()),
        }
    }
    if !missing.is_empty() {
        return Err(refuse(format!(
            "its head lacks {} of the data's {} identities ({}, …); it was trained on others. Use teacher.prototypes = \"class_means\"",
            missing.len(),
            identities.len(),
            missing[0]
        )));
    }
    Ok(Prototypes {
        classes: identities.len(),
        data,
        ..head
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn embeddings() -> (TeacherEmbeddings, Vec<usize>) {
        let rows = vec![1.0, 0.0, 0.8, 0.6, 0.0, 1.0, -0.6, 0.8];
        (
            TeacherEmbeddings {
                dim: 2,
                plain: rows.clone(),
                mirrored: rows,
            },
            vec![0, 0, 1, 1],
        )
    }

    fn head(kind: PrototypeKind) -> InheritedHead {
        let (embeddings, labels) = embeddings();
        let names = ["a".to_string(), "b".to_string()];
        inherit(
            kind,
            &embeddings,
            &labels,
            &names,
            Path::new("none"),
            30.0,
            &Device::flex(),
        )
        .unwrap()
    }

    #[test]
    fn class_means_score_an_image_against_a_mean_it_is_part_of() {
        let head = head(PrototypeKind::ClassMeans);
        let expected = (1.8f64 / (1.8f64 * 1.8 + 0.36).sqrt()) as f32;
        assert!((head.score(0, false) - expected).abs() < 1e-6);
    }

    #[test]
    fn leave_one_out_scores_against_the_others_only() {
        assert!((head(PrototypeKind::LeaveOneOut).score(0, true) - 0.8).abs() < 1e-6);
    }

    #[test]
    fn refit_keeps_unit_rows_and_separates_the_classes() {
        let head = head(PrototypeKind::Refit);
        for row in head.prototypes.data.chunks_exact(2) {
            assert!((dot(row, row) - 1.0).abs() < 1e-5);
        }
        let (embeddings, _) = embeddings();
        let own = dot(embeddings.row(3, false), head.prototypes.row(1));
        let other = dot(embeddings.row(3, false), head.prototypes.row(0));
        assert!(own > other + 0.5, "{own} {other}");
    }
}
