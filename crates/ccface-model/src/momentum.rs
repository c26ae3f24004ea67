//! A slowly moving, gradient-free copy of a backbone.

use std::collections::VecDeque;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::Backbone;

/// The exponential moving average of a backbone: the key encoder of contrastive learning.
///
/// ```text
/// θ̄ ← μ·θ̄ + (1 − μ)·θ
/// ```
///
/// Running means and variances of batch norms are averaged with the same μ as the weights, so that they stay
/// statistics of (nearly) the averaged network. The copy is in inference form: its batch norms use those
/// running statistics, nothing tracks gradients, and nothing is shared with the original.
///
/// Source: verbatim, from MoCo (arXiv:1911.05722); averaging the buffers is ours.
#[derive(Debug, Clone)]
pub struct Momentum {
    module: Backbone,
    mu: f64,
}

impl Momentum {
    /// Starts from a copy of the backbone.
    ///
    /// `mu` is the share of the old average that a step keeps; the literature has 0.999.
    ///
    /// # Panics
    ///
    /// Panics if `mu` is outside `[0, 1]`.
    pub fn new(backbone: &Backbone, mu: f64) -> Self {
        assert!(
            (0.0..=1.0).contains(&mu),
            "mu = {mu} must lie in [0, 1]: it is a share"
        );
        Self {
            module: backbone.frozen(),
            mu,
        }
    }

    /// Moves the average one step towards the backbone.
    ///
    /// # Panics
    ///
    /// Panics if the backbone has another architecture than the one that the average started from.
    pub fn update(&mut self, backbone: &Backbone) {
        self.blend(backbone, self.mu);
    }

    /// As [`update`](Self::update), with another share of the old average for this step: (n − 1)/n makes the average of n
    /// networks with equal weights.
    ///
    /// # Panics
    ///
    /// As [`update`](Self::update).
    pub fn blend(&mut self, backbone: &Backbone, mu: f64) {
        let mut current = Collect::default();
        backbone.frozen().visit(&mut current);
        let mut blend = Blend {
            current: current.tensors,
            mu,
        };
        // A fresh copy, because mapping a clone would write through shared running statistics.
        self.module = self.module.frozen().map(&mut blend);
        assert!(
            blend.current.is_empty(),
            "the backbone has more tensors than the average"
        );
    }

    /// The averaged network, ready for inference.
    pub fn module(&self) -> &Backbone {
        &self.module
    }

    /// The share of the old average that a step keeps.
    pub fn mu(&self) -> f64 {
        self.mu
    }
}

/// Takes every float tensor of a module, flat, in visiting order.
#[derive(Default)]
struct Collect {
    tensors: VecDeque<Tensor<1>>,
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let elements = tensor.shape().num_elements();
        self.tensors.push_back(tensor.reshape([elements]));
    }
}

/// Blends every float tensor of a module with the collected ones.
struct Blend {
    current: VecDeque<Tensor<1>>,
    mu: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(current) = self.current.pop_front() else {
            panic!("the average has more tensors than the backbone");
        };
        param.map(|average| {
            let current = current.reshape(average.shape());
            average
                .mul_scalar(self.mu)
                .add(current.mul_scalar(1.0 - self.mu))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{BackboneConfig, IResNetConfig};
    use burn::tensor::{Device, Distribution};

    fn config() -> BackboneConfig {
        BackboneConfig::IResNet(IResNetConfig {
            blocks: [1; 4],
            width: 4,
            input_size: 16,
            embedding: 8,
            ..IResNetConfig::default()
        })
    }

    fn numbers(backbone: &Backbone) -> Vec<f32> {
        let mut collect = Collect::default();
        backbone.frozen().visit(&mut collect);
        collect
            .tensors
            .into_iter()
            .flat_map(|tensor| tensor.try_into_vec_as::<f32>().unwrap())
            .collect()
    }

    #[test]
    fn an_update_blends_every_weight_and_running_statistic() {
        let device = Device::default();
        let (a, b) = (
            config().init_seeded(&device, 1),
            config().init_seeded(&device, 2),
        );
        let mut average = Momentum::new(&a, 0.75);
        average.update(&b);
        let (a, b) = (numbers(&a), numbers(&b));
        for ((got, a), b) in numbers(average.module()).iter().zip(&a).zip(&b) {
            assert!((got - (0.75 * a + 0.25 * b)).abs() < 1e-6);
        }
    }

    #[test]
    fn training_steps_of_the_student_do_not_reach_the_average() {
        let device = Device::default().autodiff();
        let student = config().init_seeded(&device, 1);
        let mut average = Momentum::new(&student, 0.5);
        let before = numbers(average.module());
        let images = Tensor::<4>::random([4, 3, 16, 16], Distribution::Default, &device);
        // Two forward passes in training mode move the student's running statistics.
        for _ in 0..2 {
            let _ = student.forward(images.clone());
        }
        assert_ne!(numbers(&student), before);
        assert_eq!(numbers(average.module()), before);
        average.update(&student);
        let after = numbers(average.module());
        for ((got, old), new) in after.iter().zip(&before).zip(&numbers(&student)) {
            assert!((got - 0.5 * (old + new)).abs() < 1e-6);
        }
        assert!(!average.module().devices()[0].is_autodiff());
    }

    #[test]
    fn mu_one_keeps_the_average_and_mu_zero_copies() {
        let device = Device::default();
        let (a, b) = (
            config().init_seeded(&device, 1),
            config().init_seeded(&device, 2),
        );
        let mut kept = Momentum::new(&a, 1.0);
        kept.update(&b);
        assert_eq!(numbers(kept.module()), numbers(&a));
        let mut copied = Momentum::new(&a, 0.0);
        copied.update(&b);
        assert_eq!(numbers(copied.module()), numbers(&b));
    }
}
