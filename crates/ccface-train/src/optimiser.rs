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
            let adamw = |decay: f64| AdamWConfig::new().with_weight_decay(decay as f32).build();
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
