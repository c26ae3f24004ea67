//! Puts numbers into a module: seeded initial weights, or weights read from another format.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};

/// One float tensor of a module.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    /// Its name in a PyTorch state dict.
    pub(crate) name: &'a str,
    /// The type of the layer that owns it, as burn writes it: `Conv2d`, `Linear`, `BatchNorm`, `PRelu`.
    pub(crate) layer: &'a str,
    /// Its shape in burn's layout (a linear weight is `[inputs, outputs]`).
    pub(crate) shape: &'a [usize],
}

impl Site<'_> {
    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Inputs that feed one output of a convolution.
    pub(crate) fn fan_in(&self) -> usize {
        self.shape.iter().skip(1).product()
    }
}

/// Replaces every float tensor for which `values` has an answer.
///
/// Whether a tensor wants gradients is kept. Nothing is drawn from the device's own random generator.
///
/// # Panics
///
/// Panics when the answer has another number of elements than the tensor.
pub(crate) fn fill<M: Module>(
    module: M,
    values: &mut dyn FnMut(&Site<'_>) -> Option<Vec<f32>>,
) -> M {
    module.map(&mut Filler {
        values,
        path: Vec::new(),
        containers: Vec::new(),
    })
}

struct Filler<'a> {
    values: &'a mut dyn FnMut(&Site<'_>) -> Option<Vec<f32>>,
    path: Vec<String>,
    containers: Vec<String>,
}

impl ModuleMapper for Filler<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push(name.to_string());
        self.containers.push(container_type.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
        self.containers.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let container = self.containers.last().map_or("", String::as_str);
        let layer = container.strip_prefix("Struct:").unwrap_or(container);
        let burn_name = self.path.last().map_or("", String::as_str);
        let own_name = pytorch_parameter(layer, burn_name).unwrap_or(burn_name);
        let mut path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        if let Some(last) = path.last_mut() {
            *last = own_name;
        }
        let name = path.join(".");
        let shape = param.lazy_shape();
        let site = Site {
            name: &name,
            layer,
            shape: shape.as_slice(),
        };
        let Some(values) = (self.values)(&site) else {
            return param;
        };
        let device = param.lazy_device();
        let tensor = Tensor::from_data(TensorData::new(values, shape), &device);
        let id = param.id;
        param.transform_for_load(tensor, id)
    }
}

/// PyTorch's name of a parameter where burn's differs.
pub(crate) fn pytorch_parameter(layer: &str, burn_name: &str) -> Option<&'static str> {
    match (layer, burn_name) {
        ("BatchNorm", "gamma") | ("PRelu", "alpha") => Some("weight"),
        ("BatchNorm", "beta") => Some("bias"),
        _ => None,
    }
}
