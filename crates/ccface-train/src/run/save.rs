//! What a run leaves: the student with its card, and the head.

use burn::{module::Param, tensor::Tensor};
use ccface_model::{Backbone, ModelCard, Prototypes, save_model};

use super::plan::Plan;
use crate::{TrainError, run_dir::RunDir};

/// Saves a student and the head beside it: the inherited one, or the trained rows.
///
/// # Errors
/// A file that cannot be written.
pub(super) fn save(
    plan: &Plan,
    run: &RunDir,
    student: &Backbone,
    head: Option<&Param<Tensor<2>>>,
) -> Result<(), TrainError> {
    let dir = run.model_dir();
    let mut card = ModelCard::new(plan.backbone.clone(), plan.input.clone());
    card.licence.clone_from(&plan.card_licence);
    card.data = Some(ccface_model::Provenance {
        name: plan.record.data.clone(),
        hash: plan.record.data_hash.clone(),
    });
    card.teacher = plan
        .record
        .teacher
        .as_ref()
        .map(|teacher| ccface_model::Provenance {
            name: teacher.path.display().to_string(),
            hash: teacher.hash.clone(),
        });
    save_model(&dir, student, &card)?;
    let head = match (&plan.inherited, head) {
        (Some(inherited), _) => Some(inherited.clone()),
        (None, Some(rows)) => Some(trained_head(plan, rows.val())?),
        (None, None) => None,
    };
    if let Some(head) = head {
        head.save(&crate::run_dir::head_file(&dir))?;
    }
    Ok(())
}

fn trained_head(plan: &Plan, rows: Tensor<2>) -> Result<Prototypes, TrainError> {
    let [classes, dim] = rows.dims();
    let data = crate::encoder::read_rows(rows)?;
    Ok(Prototypes::new(classes, dim, data)?.with_identities(plan.source.identities().to_vec())?)
}
