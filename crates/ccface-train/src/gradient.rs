//! Gradients of a whole module: their global norm, its clipping, the check that they are finite.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::Tensor,
};

use crate::TrainError;

/// The L2 norm over all gradients, as PyTorch's `clip_grad_norm_` takes it.
///
/// ```text
/// ‖g‖ = √ Σ_parameters Σ_elements g²
/// ```
///
/// Each tensor is summed row by row (its last dimension first): a full sum of a very large tensor is not repeatable bit for bit on flex.
/// A NaN or infinity anywhere makes the norm not finite.
///
/// # Errors
/// [`TrainError::Training`] where the device does not give the numbers back.
pub fn global_norm<M: Module>(module: &M, gradients: &GradientsParams) -> Result<f64, TrainError> {
    struct Squares<'a> {
        gradients: &'a GradientsParams,
        parts: Vec<Tensor<1>>,
    }
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                let squares = gradient.clone() * gradient;
                let rows = squares.dims()[0];
                let columns = squares.shape().num_elements() / rows.max(1);
                self.parts
                    .push(squares.reshape([rows, columns]).sum_dim(1).reshape([rows]));
            }
        }
    }
    let mut squares = Squares {
        gradients,
        parts: Vec::new(),
    };
    module.visit(&mut squares);
    if squares.parts.is_empty() {
        return Ok(0.0);
    }
    let rows = crate::encoder::read_rows(Tensor::cat(squares.parts, 0))?;
    Ok(rows.into_iter().map(f64::from).sum::<f64>().sqrt())
}

/// The first number of a module's first tensor: reading it waits for everything that leads to it.
///
/// # Errors
/// [`TrainError::Training`] where the device does not give it back.
pub(crate) fn first_number<M: Module>(module: &M) -> Result<Option<f32>, TrainError> {
    struct First(Option<Tensor<1>>);
    impl ModuleVisitor for First {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.0.is_none() {
                let tensor = param.val().without_autodiff();
                let elements = tensor.shape().num_elements();
                self.0 = Some(tensor.reshape([elements]).narrow(0, 0, elements.min(1)));
            }
        }
    }
    let mut first = First(None);
    module.visit(&mut first);
    match first.0 {
        Some(tensor) => Ok(crate::encoder::read_rows(tensor)?.first().copied()),
        None => Ok(None),
    }
}

/// Multiplies every gradient with `factor`.
pub fn scale<M: Module>(module: &M, gradients: &mut GradientsParams, factor: f64) {
    struct Scale<'a> {
        gradients: &'a mut GradientsParams,
        factor: f64,
    }
    impl ModuleVisitor for Scale<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.remove::<D>(param.id) {
                self.gradients
                    .register(param.id, gradient.mul_scalar(self.factor));
            }
        }
    }
    module.visit(&mut Scale { gradients, factor });
}

/// Scales the gradients so that their global norm is at most `limit` (0: never), given the norm.
///
/// ```text
/// g ← g · min(1, limit / (‖g‖ + 1e-6))
/// ```
///
/// Source: verbatim, from PyTorch's `clip_grad_norm_`. Unlike burn's clipping, which takes each parameter on its own.
pub fn clip<M: Module>(module: &M, gradients: &mut GradientsParams, norm: f64, limit: f64) {
    if limit > 0.0 {
        let factor = limit / (norm + 1e-6);
        if factor < 1.0 {
            scale(module, gradients, factor);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use burn::{
        nn::{Linear, LinearConfig},
        tensor::{Device, TensorData},
    };

    fn gradients(weight: [[f32; 2]; 2], bias: [f32; 2]) -> (Linear, GradientsParams) {
        let device = Device::flex();
        let linear = LinearConfig::new(2, 2).init(&device);
        let mut gradients = GradientsParams::new();
        gradients.register(linear.weight.id, Tensor::<2>::from_data(weight, &device));
        gradients.register(
            linear.bias.as_ref().unwrap().id,
            Tensor::<1>::from_data(bias, &device),
        );
        (linear, gradients)
    }

    #[test]
    fn the_norm_goes_over_all_parameters_together() {
        let (linear, gradients) = gradients([[1.0, 2.0], [2.0, 4.0]], [4.0, 2.0]);
        assert!((global_norm(&linear, &gradients).unwrap() - 45f64.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn clipping_equals_pytorchs_global_clip() {
        // torch.nn.utils.clip_grad_norm_ of the same numbers with max_norm 3 multiplies by 3 / (6.7082039 + 1e-6).
        let (linear, mut gradients) = gradients([[1.0, 2.0], [2.0, 4.0]], [4.0, 2.0]);
        let norm = global_norm(&linear, &gradients).unwrap();
        clip(&linear, &mut gradients, norm, 3.0);
        let bias = gradients
            .get::<1>(linear.bias.as_ref().unwrap().id)
            .unwrap();
        bias.into_data().assert_approx_eq::<f32>(
            &TensorData::from([1.788_854, 0.894_427]),
            burn::tensor::Tolerance::absolute(1e-5),
        );
        let after = global_norm(&linear, &gradients).unwrap();
        assert!((after - 3.0).abs() < 1e-5);
        clip(&linear, &mut gradients, after, 5.0);
        assert!((global_norm(&linear, &gradients).unwrap() - after).abs() < 1e-7);
    }

    #[test]
    fn one_nan_shows_in_the_norm() {
        let (linear, gradients) = gradients([[1.0, f32::NAN], [2.0, 4.0]], [4.0, 2.0]);
        assert!(!global_norm(&linear, &gradients).unwrap().is_finite());
    }
}
