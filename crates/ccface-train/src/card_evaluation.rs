//! Decision thresholds by face size, and a summary of how they were measured, in a model's card.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use ccface_data::{Part, Selection};
use ccface_eval::{OperatingPoint, Rate, Rule};
use ccface_model::find_card;
use serde::{Deserialize, Serialize};

use crate::{
    TrainError,
    data::open_source,
    encoder::is_onnx,
    faces::{FacesEvaluation, FacesResult},
    run_dir::{RunDir, is_run, model_path},
};

/// What the card's `evaluation` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CardEvaluation {
    /// Version of the program that measured.
    pub ccface_version: String,
    /// Name of the protocol.
    pub protocol: String,
    /// Data folder.
    pub data: String,
    /// BLAKE3 of the images.
    pub data_hash: String,
    /// Number of people, none of them trained on as far as the run tells.
    pub identities: usize,
    /// Number of images.
    pub images: usize,
    /// How probes were made.
    pub degradation: String,
    /// Who meets whom: LR probe and HR gallery, both by this network.
    pub pairing: String,
    /// FAR of the card's thresholds, conservative rule: the lowest threshold with FMR ≤ FAR.
    pub far: f64,
    /// In ascending order of size.
    pub sizes: Vec<SizeEvaluation>,
}

/// One face size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SizeEvaluation {
    /// Side of the probe's face in pixels.
    pub size: u32,
    /// The threshold with the errors measured at it.
    #[serde(flatten)]
    pub at: OperatingPoint,
    /// Equal error rate.
    pub eer: f64,
    /// TAR at FAR 1 %.
    #[serde(rename = "tar@far=0.01")]
    pub tar_1e2: Rate,
    /// Leave-one-out rank 1.
    pub rank1: Rate,
}

/// Writes thresholds at `far` and the summary into the card of the evaluated network; returns the card's path.
///
/// The weights stay as they are; earlier thresholds and an earlier summary are replaced.
///
/// # Errors
/// [`TrainError::Evaluation`] where people of the evaluation were trained on, or a size has fewer than 1/FAR impostor
/// comparisons; [`TrainError::Model`] where the network has no card (an ONNX file) or the card cannot be written.
pub fn write_card_evaluation(
    model: &Path,
    evaluation: &FacesEvaluation,
    far: f64,
) -> Result<PathBuf, TrainError> {
    let result = &evaluation.result;
    unseen(model, result)?;
    if is_onnx(model) {
        return Err(TrainError::Evaluation(format!(
            "{} is an ONNX file, whose card cannot be changed: `ccface teacher import` makes a model with a card",
            model.display()
        )));
    }
    let (path, mut card) = find_card(&model_path(model))?;
    let sizes = result
        .sizes
        .iter()
        .map(|size| size_evaluation(evaluation, *size, far))
        .collect::<Result<Vec<_>, _>>()?;
    card.thresholds = sizes.iter().map(|s| (s.size, s.at.threshold)).collect();
    let protocol = &result.protocol;
    let summary = CardEvaluation {
        ccface_version: result.ccface_version.clone(),
        protocol: protocol.name.clone(),
        data: protocol.data.clone(),
        data_hash: protocol.data_hash.clone(),
        identities: protocol.identities,
        images: protocol.images,
        degradation: protocol.degradation.clone(),
        pairing: "student-student".into(),
        far,
        sizes,
    };
    let summary = serde_json::to_value(summary)
        .map_err(|e| TrainError::Evaluation(format!("the card's summary: {e}")))?;
    card.evaluation = Some(summary);
    card.write(&path)?;
    Ok(path)
}

/// Refuses people that the run was trained on: their thresholds would promise too much.
///
/// Names alone say little, since `0001` is in many sets: where both sets have names in common, the images of the training
/// people decide, wherever they lie by now.
fn unseen(model: &Path, result: &FacesResult) -> Result<(), TrainError> {
    if !is_run(model) {
        return Ok(());
    }
    let record = RunDir::open(model)?.read_record()?;
    let trained: BTreeSet<&String> = record.identities.iter().collect();
    let known: Vec<&String> = result
        .protocol
        .identity_names
        .iter()
        .filter(|name| trained.contains(name))
        .collect();
    let Some(first) = known.first() else {
        return Ok(());
    };
    let parts = record.identities.iter().cloned().map(Part::One).collect();
    // People of the training set that are not here, or images that cannot be read, make it another set.
    let same = open_source(
        Path::new(&result.protocol.data),
        "",
        &Selection::Parts(parts),
    )
    .and_then(|source| Ok(source.hash()? == record.data_hash))
    .unwrap_or(false);
    if !same {
        return Ok(());
    }
    Err(TrainError::Evaluation(format!(
        "{} of the {} people are ones this run was trained on ({first}, …): thresholds for the card must come from others. Choose them with --identities",
        known.len(),
        result.protocol.identities
    )))
}

fn size_evaluation(
    evaluation: &FacesEvaluation,
    size: usize,
    far: f64,
) -> Result<SizeEvaluation, TrainError> {
    let problem = |e: ccface_eval::EvalError| TrainError::Evaluation(format!("{size} px: {e}"));
    let (Some(comparisons), Some(pairing)) = (
        evaluation.comparisons(size),
        evaluation.result.pairing("student-student", size),
    ) else {
        return Err(TrainError::Evaluation(format!(
            "{size} px was not evaluated"
        )));
    };
    let comparisons = comparisons.map_err(problem)?;
    let needed = (1.0 / far).ceil();
    if (comparisons.impostor.len() as f64) < needed {
        return Err(TrainError::Evaluation(format!(
            "FAR {far} needs at least {needed} impostor comparisons, there are {}: take more people or a higher FAR",
            comparisons.impostor.len()
        )));
    }
    let at = comparisons
        .scores()
        .and_then(|scores| scores.threshold_at_fmr(far, Rule::Conservative))
        .map_err(problem)?;
    Ok(SizeEvaluation {
        size: size as u32,
        at,
        eer: pairing.eer,
        tar_1e2: pairing.tar_1e2.clone(),
        rank1: pairing.rank1.clone(),
    })
}
