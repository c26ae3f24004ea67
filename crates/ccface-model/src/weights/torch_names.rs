//! PyTorch's names and layouts for burn's parameters.

use burn::store::burn_pack::Tensor as PackTensor;
use burn::store::{BurnToPyTorchAdapter, ModuleAdapter, ModuleContext, PyTorchToBurnAdapter};

use crate::backbone::pytorch_parameter;

/// Renames parameters and transposes linear weights on the way out of a module or into one.
///
/// It adds to burn-store's adapters what they lack: the slope of a PReLU, `alpha` in burn, is `weight` in
/// PyTorch.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TorchNames {
    /// From burn's names to PyTorch's.
    Save,
    /// From PyTorch's names to burn's.
    Load,
}

const PRELU: &str = "Struct:PRelu";

impl ModuleAdapter for TorchNames {
    fn adapt(&self, tensor: PackTensor, ctx: ModuleContext<'_>) -> PackTensor {
        match self {
            Self::Save => {
                let mut tensor = BurnToPyTorchAdapter.adapt(tensor, ctx);
                if ctx.module_type() == Some(PRELU)
                    && let Some(parent) = tensor.name.strip_suffix("alpha")
                {
                    tensor.name = format!("{parent}weight");
                }
                tensor
            }
            Self::Load => PyTorchToBurnAdapter.adapt(tensor, ctx),
        }
    }

    fn get_alternative_param_name(&self, param_name: &str, module_type: &str) -> Option<String> {
        let layer = module_type.strip_prefix("Struct:").unwrap_or(module_type);
        match self {
            Self::Save => None,
            Self::Load => pytorch_parameter(layer, param_name).map(str::to_string),
        }
    }

    fn clone_box(&self) -> Box<dyn ModuleAdapter> {
        Box::new(*self)
    }
}
