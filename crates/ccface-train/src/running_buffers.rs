//! Batch norms' running statistics after a forward pass that must not count.

use std::collections::VecDeque;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::Tensor,
};

use crate::trainee::Trainee;

/// Takes the last forward pass out of the running statistics.
///
/// burn keeps the statistics of a pass aside until the next one asks for them, so before they are brought up to date every
/// buffer still holds what it held before the pass.
pub(crate) fn undo(model: Trainee) -> Trainee {
    let mut before = Buffers::default();
    model.visit(&mut before);
    // Brings the statistics up to date and forgets what was kept aside.
    let _ = model.student.frozen();
    model.map(&mut before)
}

/// Every tensor without a gradient, flat, in visiting order.
#[derive(Default)]
struct Buffers(VecDeque<Tensor<1>>);

impl ModuleVisitor for Buffers {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        if !tensor.is_require_grad() {
            let elements = tensor.shape().num_elements();
            self.0.push_back(tensor.reshape([elements]));
        }
    }
}

impl ModuleMapper for Buffers {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if param.val().is_require_grad() {
            return param;
        }
        match self.0.pop_front() {
            Some(before) => param.map(|now| before.reshape(now.shape())),
            None => param,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use burn::tensor::{Device, Distribution};
    use ccface_losses::MarginHead;
    use ccface_model::{BackboneConfig, IResNetConfig, InputSpec};

    use super::*;
    use crate::trainee::{Context, StepContext, StepTask};

    fn statistics(model: &Trainee) -> Vec<Vec<f32>> {
        let mut buffers = Buffers::default();
        // A frozen copy would bring them up to date; this looks at them as they are.
        model.visit(&mut buffers);
        buffers
            .0
            .into_iter()
            .map(|t| t.try_into_vec_as::<f32>().unwrap())
            .collect()
    }

    #[test]
    fn a_pass_that_does_not_count_leaves_the_statistics_as_they_were() {
        let device = Device::flex().autodiff();
        let config = BackboneConfig::IResNet(IResNetConfig {
            blocks: [1; 4],
            width: 4,
            input_size: 16,
            embedding: 8,
            ..IResNetConfig::default()
        });
        let model = Trainee {
            student: config.init_seeded(&device, 1),
            projector: None,
            head: None,
            context: Context(Arc::new(StepContext {
                input: InputSpec::arcface(16),
                embedding: 8,
                task: StepTask::Classify(MarginHead::default()),
            })),
        };
        let images = |device| Tensor::<4>::random([4, 3, 16, 16], Distribution::Default, device);
        let _ = model.student.forward(images(&device));
        let _ = model.student.frozen();
        let before = statistics(&model);
        let _ = model.student.forward(images(&device) * f32::NAN);
        let model = undo(model);
        assert_eq!(statistics(&model), before);
        let _ = model.student.frozen();
        assert_eq!(statistics(&model), before, "nothing is kept aside any more");
        let _ = model.student.forward(images(&device));
        let _ = model.student.frozen();
        assert_ne!(statistics(&model), before);
    }
}
