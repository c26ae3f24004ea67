//! Layers computed so that their gradients are cheap, to the same values.
//!
//! burn's own gradients of these two take several times the forward pass on a CPU: that of a 1×1 convolution's weights
//! is a convolution with one kernel as large as the picture, that of a PReLU builds masks. Where no gradient is asked
//! for, burn's own layers run.

use burn::nn::PRelu;
use burn::nn::conv::Conv2d;
use burn::tensor::{Tensor, activation};

/// The convolution; a pointwise one (never padded here) is a matrix product for each image.
///
/// # Shapes
///
/// - x: `[batch, inputs, height, width]`
/// - output: `[batch, outputs, height', width']`
pub(super) fn convolve(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    let pointwise = conv.kernel_size == [1; 2] && conv.stride == [1; 2] && conv.groups == 1;
    if !pointwise || !x.device().is_autodiff() {
        return conv.forward(x);
    }
    let [batch, inputs, height, width] = x.dims();
    let [outputs, ..] = conv.weight.dims();
    let weight = conv.weight.val().reshape([1, outputs, inputs]);
    let y = weight.matmul(x.reshape([batch, inputs, height * width]));
    let y = match &conv.bias {
        Some(bias) => y + bias.val().reshape([1, outputs, 1]),
        None => y,
    };
    y.reshape([batch, outputs, height, width])
}

/// max(x, 0) + α·min(x, 0), with one α a channel; the gradient at 0 is α, as elsewhere.
///
/// # Shapes
///
/// - x, output: `[batch, channels, height, width]`
pub(super) fn prelu(layer: &PRelu, x: Tensor<4>) -> Tensor<4> {
    if !x.device().is_autodiff() {
        return layer.forward(x);
    }
    let [channels] = layer.alpha.dims();
    let alpha = layer.alpha.val().reshape([1, channels, 1, 1]);
    let positive = activation::relu(x.clone());
    positive.clone() + (x - positive) * alpha
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::module::Param;
    use burn::nn::PReluConfig;
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::{Device, Distribution, Gradients, Tolerance};

    use super::*;

    const SHAPE: [usize; 4] = [3, 4, 5, 6];

    fn device() -> Device {
        Device::flex().autodiff()
    }

    fn random(shape: [usize; 4]) -> Tensor<4> {
        Tensor::random(shape, Distribution::Normal(0.3, 1.5), &device())
    }

    fn same<const D: usize>(a: &Tensor<D>, b: &Tensor<D>) {
        let tolerance = Tolerance::<f32>::rel_abs(1e-4, 1e-4);
        a.to_data().assert_approx_eq(&b.to_data(), tolerance);
    }

    /// Output, gradient of the input, and gradients of the parameters (made flat by `parameters`) of both ways, compared.
    fn compare(
        theirs: impl Fn(Tensor<4>) -> Tensor<4>,
        ours: impl Fn(Tensor<4>) -> Tensor<4>,
        parameters: impl Fn(&Gradients) -> Vec<Tensor<1>>,
    ) {
        let x = random(SHAPE);
        let weights = random(theirs(x.clone()).dims());
        let run = |f: &dyn Fn(Tensor<4>) -> Tensor<4>| {
            let input = x.clone().detach().require_grad();
            let y = f(input.clone());
            let grads = (y.clone() * weights.clone()).sum().backward();
            (y, input.grad(&grads).unwrap(), parameters(&grads))
        };
        let (a, b) = (run(&theirs), run(&ours));
        same(&a.0, &b.0);
        same(&a.1, &b.1);
        assert_eq!(a.2.len(), b.2.len());
        for (a, b) in a.2.iter().zip(&b.2) {
            same(a, b);
        }
    }

    #[test]
    fn a_pointwise_convolution_is_burns_with_its_gradients() {
        let conv = Conv2dConfig::new([4, 7], [1, 1]).init(&device());
        let bias = conv.bias.as_ref().unwrap();
        compare(
            |x| conv.forward(x),
            |x| convolve(&conv, x),
            |grads| {
                let weight = conv.weight.val().grad(grads).unwrap();
                vec![weight.flatten(0, 3), bias.val().grad(grads).unwrap()]
            },
        );
        let x = random(SHAPE);
        let other = Conv2dConfig::new([4, 7], [3, 3]).init(&device());
        same(&other.forward(x.clone()), &convolve(&other, x));
    }

    #[test]
    fn a_prelu_is_burns_with_its_gradients_also_at_zero() {
        let mut layer = PReluConfig::new().with_num_parameters(4).init(&device());
        layer.alpha = Param::from_tensor(Tensor::from_floats([0.25, 0.0, -0.5, 1.5], &device()));
        compare(
            |x| layer.forward(x),
            |x| prelu(&layer, x),
            |grads| vec![layer.alpha.val().grad(grads).unwrap()],
        );
        let zero: Tensor<4> = Tensor::zeros([1, 4, 1, 1], &device()).require_grad();
        let grads = prelu(&layer, zero.clone()).sum().backward();
        let slope = zero.grad(&grads).unwrap().reshape([4]);
        same(&slope, &layer.alpha.val().inner());
    }
}
