//! What a run leaves: the student with its card, and the head.

use burn::tensor::Tensor;
use ccface_model::{ModelCard, Prototypes, save_model};

use super::plan::Plan;
use crate::{TrainError, run_dir::RunDir, trainee::Trainee};

pub(super) fn save(plan: &Plan, run: &RunDir, model: &Trainee) -> Result<(), TrainError> {
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
    save_model(&dir, &model.student, &card)?;
    let head = match (&plan.inherited, &model.head) {
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
