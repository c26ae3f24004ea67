//! The optimiser of a run.

use burn::{
    module::{Module, ModuleVisitor, Param, ParamGroup, ParamId},
    optim::{
        AdamWConfig, ModuleOptimizer, SgdConfig, decay::WeightDecayConfig, momentum::MomentumConfig,
    },
    tensor::Tensor,
};

use crate::config::{OptimiserConfig, OptimiserKind};

/// Builds the optimiser; biases, batch-norm and PReLU parameters are not decayed unless `decay_all`.
///
/// SGD is PyTorch's: momentum without dampening, weight decay added to the gradient. Source: verbatim,
/// `torch.optim.SGD` and `torch.optim.AdamW`.
pub(crate) fn build<M: Module>(config: &OptimiserConfig, module: &M) -> ModuleOptimizer {
    let kept = if config.decay_all {
        Vec::new()
    } else {
        vectors(module)
    };
    match config.kind {
        OptimiserKind::Sgd => {
            let sgd = |decay: f64| {
                let momentum = MomentumConfig::new()
                    .with_momentum(config.momentum)
                    .with_dampening(0.0);
                let decay = (decay > 0.0).then(|| WeightDecayConfig::new(decay as f32));
                let momentum = (config.momentum > 0.0).then_some(momentum);
                SgdConfig::new()
                    .with_momentum(momentum)
                    .with_weight_decay(decay)
                    .build()
            };
            let optimiser = ModuleOptimizer::from(sgd(config.weight_decay));
            if kept.is_empty() {
                optimiser
            } else {
                optimiser.with_group(ParamGroup::from_ids(kept), sgd(0.0), None)
            }
        }
        OptimiserKind::Adamw => {
            // burn's ε is 1e-5; PyTorch's matters where gradients are small.
            let adamw = |decay: f64| {
                AdamWConfig::new()
                    .with_epsilon(1e-8)
                    .with_weight_decay(decay as f32)
                    .build()
            };
            let optimiser = ModuleOptimizer::from(adamw(config.weight_decay));
            if kept.is_empty() {
                optimiser
            } else {
                optimiser.with_group(ParamGroup::from_ids(kept), adamw(0.0), None)
            }
        }
    }
}

/// Parameters with one dimension: biases, batch-norm scales, PReLU slopes.
fn vectors<M: Module>(module: &M) -> Vec<ParamId> {
    struct Vectors(Vec<ParamId>);
    impl ModuleVisitor for Vectors {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if D == 1 {
                self.0.push(param.id);
            }
        }
    }
    let mut found = Vectors(Vec::new());
    module.visit(&mut found);
    found.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::{
        nn::{Linear, LinearConfig},
        optim::GradientsParams,
        tensor::Device,
    };

    use super::*;

    /// Three steps at rate 0.1 and decay 0.05, with gradients that grow by their first; the bias is not decayed.
    fn three_steps(kind: OptimiserKind, size: f32) -> (Vec<f32>, Vec<f32>) {
        let device = Device::flex().autodiff();
        let config = OptimiserConfig {
            kind,
            weight_decay: 0.05,
            ..OptimiserConfig::default()
        };
        let mut linear: Linear = LinearConfig::new(2, 2).init(&device);
        linear.weight = Param::from_data([[1.0, -2.0], [0.5, 3.0]], &device);
        linear.bias = Some(Param::from_data([0.1, -0.2], &device));
        let mut optimiser = build(&config, &linear);
        let inner = device.inner();
        for step in 1..=3 {
            let scale = size * step as f32;
            let mut gradients = GradientsParams::new();
            let weight = Tensor::<2>::from_data([[0.1, -0.2], [0.3, 0.4]], &inner);
            let bias = Tensor::<1>::from_data([0.5, -0.6], &inner);
            gradients.register(linear.weight.id, weight * scale);
            gradients.register(linear.bias.as_ref().unwrap().id, bias * scale);
            linear = optimiser.step(0.1, linear, gradients);
        }
        let read = |values: Result<Vec<f32>, _>| -> Vec<f32> { values.unwrap() };
        (
            read(crate::encoder::read_rows(linear.weight.val().inner())),
            read(crate::encoder::read_rows(
                linear.bias.unwrap().val().inner(),
            )),
        )
    }

    fn close(got: &(Vec<f32>, Vec<f32>), weight: [f32; 4], bias: [f32; 2]) {
        let expected = weight.iter().chain(&bias);
        for (got, expected) in got.0.iter().chain(&got.1).zip(expected) {
            assert!((got - expected).abs() < 2e-5, "{got} {expected}");
        }
    }

    // The numbers are torch.optim's (2.x) of the same steps, the bias in a group of its own without decay.
    #[test]
    fn sgd_steps_as_pytorch_does() {
        close(
            &three_steps(OptimiserKind::Sgd, 1.0),
            [0.877_259_6, -1.754_519_2, 0.201_604_17, 2.536_968_5],
            [-0.375_500_02, 0.370_600_01],
        );
    }

    #[test]
    fn adamw_steps_as_pytorch_does_with_large_and_with_small_gradients() {
        close(
            &three_steps(OptimiserKind::Adamw, 1.0),
            [0.694_236_64, -1.679_311_5, 0.201_699_2, 2.664_386_5],
            [-0.192_318_29, 0.092_318_32],
        );
        close(
            &three_steps(OptimiserKind::Adamw, 1e-5),
            [0.696_261_64, -1.680_328, 0.202_377_68, 2.664_895_8],
            [-0.191_908_23, 0.091_976_49],
        );
    }
}
