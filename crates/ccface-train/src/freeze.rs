//! Parts of the student that stand still during its first epochs.

use burn::{
    module::{Module, ModuleVisitor, Param, ParamGroup},
    tensor::Tensor,
};

use crate::{TrainError, config::StudentConfig, trainee::Trainee};

/// The model as an epoch, from 1, trains it: with parts frozen during the first epochs, where the configuration says so.
pub(crate) fn apply(config: &StudentConfig, model: Trainee, epoch: usize) -> Trainee {
    if config.freeze_epochs == 0 {
        return model;
    }
    let group = ParamGroup::from_any_predicates(config.freeze.clone());
    if epoch <= config.freeze_epochs {
        model.freeze_group(group)
    } else {
        model.unfreeze_group(group)
    }
}

/// Refuses parts to freeze that the student does not have, or that leave nothing to train.
///
/// # Errors
/// [`TrainError::Config`] with the parts that there are.
pub(crate) fn check(config: &StudentConfig, trainee: &Trainee) -> Result<(), TrainError> {
    struct Names {
        path: Vec<String>,
        found: Vec<String>,
    }
    impl ModuleVisitor for Names {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
            self.found.push(self.path.join("."));
        }
    }
    let parts = &config.freeze;
    if parts.is_empty() {
        return Ok(());
    }
    let mut names = Names {
        path: Vec::new(),
        found: Vec::new(),
    };
    trainee.visit(&mut names);
    let unknown = parts
        .iter()
        .find(|part| !names.found.iter().any(|name| name.contains(part.as_str())));
    if let Some(part) = unknown {
        let mut known: Vec<&str> = names
            .found
            .iter()
            .filter_map(|name| name.strip_prefix("student.")?.split('.').nth(1))
            .collect();
        known.dedup();
        return Err(TrainError::config(
            "student.freeze",
            format!(
                "no parameter's name contains `{part}`; the student's parts are {}",
                known.join(", ")
            ),
        ));
    }
    if names
        .found
        .iter()
        .all(|name| parts.iter().any(|part| name.contains(part.as_str())))
    {
        return Err(TrainError::config(
            "student.freeze",
            "covers every parameter: nothing would be trained",
        ));
    }
    Ok(())
}
