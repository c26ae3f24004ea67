//! Guards on precision and on gradients that every term shares.

use burn::tensor::{DType, Tensor};

/// The tensor without its autodiff association: no gradient flows through what is computed from it.
///
/// `Tensor::detach` is not enough: it keeps `require_grad` on a leaf.
pub(crate) fn constant<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    tensor.without_autodiff()
}

/// The tensor in at least f32: f32 and f64 pass, narrower float types are converted.
pub(crate) fn full_precision<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    match tensor.dtype() {
        DType::F32 | DType::F64 => tensor,
        _ => tensor.cast(DType::F32),
    }
}

/// The value `value` with the first-order gradient `gradient` with respect to `variable`.
///
/// ```text
/// out_i = v_i + (⟨x_i, g_i⟩ − stop⟨x_i, g_i⟩)
/// ```
///
/// `value` and `gradient` are computed on tensors without autodiff, so that no graph over all
/// classes is kept. The bracket is exactly zero in value.
///
/// # Shapes
/// - value: `[batch]`
/// - variable, gradient: `[batch, dim]`
/// - output: `[batch]`
pub(crate) fn with_gradient(
    value: Tensor<1>,
    variable: Tensor<2>,
    gradient: Tensor<2>,
) -> Tensor<1> {
    let directional: Tensor<1> = (variable * gradient).sum_dim(1).squeeze_dim(1);
    value + (directional.clone() - constant(directional))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{autodiff, values};
    use burn::tensor::Device;

    #[test]
    fn a_constant_of_a_leaf_that_requires_gradients_takes_none() {
        let x = Tensor::<1>::from_floats([1.0, 2.0], &autodiff()).require_grad();
        let loss = (constant(x.clone()) * x.clone()).sum();
        let grads = loss.backward();
        // d(stop(x)·x)/dx = x, not 2x
        assert_eq!(values(x.grad(&grads).unwrap()), vec![1.0, 2.0]);
    }

    #[test]
    fn half_precision_becomes_f32_and_wider_types_stay() {
        let device = Device::default();
        let x = Tensor::<1>::from_floats([1.0], &device);
        assert_eq!(
            full_precision(x.clone().cast(DType::BF16)).dtype(),
            DType::F32
        );
        assert_eq!(full_precision(x.clone()).dtype(), DType::F32);
        assert_eq!(full_precision(x.cast(DType::F64)).dtype(), DType::F64);
    }

    #[test]
    fn a_planted_gradient_leaves_the_value_untouched() {
        let device = autodiff();
        let x = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &device).require_grad();
        let g = Tensor::<2>::from_floats([[0.5, -1.0], [7.0, 0.0]], &device.clone().inner());
        let v = Tensor::<1>::from_floats([10.0, 20.0], &device.inner());
        let out = with_gradient(v, x.clone(), g.clone());
        assert_eq!(values(out.clone()), vec![10.0, 20.0]);
        let grads = out.sum().backward();
        assert_eq!(values(x.grad(&grads).unwrap()), values(g));
    }
}
