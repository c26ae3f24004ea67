//! The choice of device: the only file of the workspace that knows backend features.

use std::{fmt, str::FromStr};

use burn::tensor::Device;

use crate::TrainError;

/// A backend by its command-line name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Pure-Rust CPU, the default.
    Flex,
    /// The older pure-Rust CPU backend; deprecated upstream.
    NdArray,
    /// Any GPU through WebGPU's shading language.
    Wgpu,
    /// Vulkan with SPIR-V shaders.
    Vulkan,
    /// Apple GPUs.
    Metal,
    /// NVIDIA GPUs.
    Cuda,
    /// AMD GPUs.
    Rocm,
}

impl Backend {
    /// Every backend this project passes through to burn.
    pub const ALL: [Self; 7] = [
        Self::Flex,
        Self::NdArray,
        Self::Wgpu,
        Self::Vulkan,
        Self::Metal,
        Self::Cuda,
        Self::Rocm,
    ];

    /// The command-line name, which is also the cargo feature.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::NdArray => "ndarray",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
        }
    }

    /// Whether this program was built with the backend's feature.
    pub fn compiled_in(self) -> bool {
        match self {
            Self::Flex => cfg!(feature = "flex"),
            Self::NdArray => cfg!(feature = "ndarray"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Rocm => cfg!(feature = "rocm"),
        }
    }

    /// Whether it computes on the CPU's cores.
    pub fn is_cpu(self) -> bool {
        matches!(self, Self::Flex | Self::NdArray)
    }

    /// Whether a device number means anything to the backend.
    fn takes_index(self) -> bool {
        !self.is_cpu()
    }
}

/// A device as a user names it: a backend and, for GPUs, a number (`flex`, `wgpu`, `cuda:1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceSpec {
    /// The backend.
    pub backend: Backend,
    /// Which of its devices; `None` lets the backend choose.
    pub index: Option<usize>,
}

impl Default for DeviceSpec {
    fn default() -> Self {
        Self {
            backend: Backend::Flex,
            index: None,
        }
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}:{index}", self.backend.name()),
            None => f.write_str(self.backend.name()),
        }
    }
}

impl FromStr for DeviceSpec {
    type Err = TrainError;

    /// Parses `backend` or `backend:number`.
    ///
    /// # Errors
    /// An unknown backend (with the nearest known name), or a number that is none.
    fn from_str(text: &str) -> Result<Self, TrainError> {
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, Some(index)),
            None => (text, None),
        };
        let Some(backend) = Backend::ALL.into_iter().find(|b| b.name() == name) else {
            let known: Vec<&str> = Backend::ALL.into_iter().map(Backend::name).collect();
            let nearest = crate::config::nearest(name, known.iter().copied())
                .map(|near| format!(" Did you mean `{near}`?"))
                .unwrap_or_default();
            return Err(TrainError::Device(format!(
                "unknown device `{text}`.{nearest} Known: {}; GPUs take a number, as in `wgpu:1`",
                known.join(", ")
            )));
        };
        let index = index
            .map(|digits| {
                digits.parse().map_err(|_| {
                    TrainError::Device(format!("device `{text}`: `{digits}` is no device number; write for example `{name}:0`"))
                })
            })
            .transpose()?;
        if index.is_some() && !backend.takes_index() {
            return Err(TrainError::Device(format!(
                "device `{text}`: {name} has no numbered devices; write `{name}`"
            )));
        }
        Ok(Self { backend, index })
    }
}

impl DeviceSpec {
    /// The burn device.
    ///
    /// # Errors
    /// A backend that is not compiled in (the message names the feature), or one that finds no device on this machine.
    pub fn resolve(self) -> Result<Device, TrainError> {
        if !self.backend.compiled_in() {
            let name = self.backend.name();
            return Err(TrainError::Device(format!(
                "device `{self}` is not compiled into this program. Build it with the feature: \
                 cargo build --release --features {name}"
            )));
        }
        // A backend without an adapter panics on its first tensor: ask for one here, where it can be explained.
        let build = std::panic::AssertUnwindSafe(|| {
            let device = self.build();
            let probe = burn::tensor::Tensor::<1>::ones([2], &device).sum();
            let value: f32 = probe.into_scalar();
            (device, value)
        });
        match quietly(build) {
            Ok((device, 2.0)) => Ok(device),
            Ok((_, value)) => Err(TrainError::Device(format!(
                "device `{self}` computes wrongly here: 1 + 1 came out as {value}. Try another driver or device; docs/devices.md lists known cases"
            ))),
            Err(message) => Err(TrainError::Device(format!(
                "device `{self}` cannot be used on this machine: {message}. `ccface devices` lists what works here"
            ))),
        }
    }

    fn build(self) -> Device {
        #[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal"))]
        let kind = match self.index {
            Some(index) => burn::tensor::DeviceKind::DiscreteGpu(index),
            None => burn::tensor::DeviceKind::DefaultDevice,
        };
        match self.backend {
            #[cfg(feature = "flex")]
            Backend::Flex => Device::flex(),
            #[cfg(feature = "ndarray")]
            #[allow(deprecated)]
            // deprecated upstream, still shipped in 0.22: kept for comparisons
            Backend::NdArray => Device::ndarray(),
            #[cfg(feature = "wgpu")]
            Backend::Wgpu => Device::wgpu(kind),
            #[cfg(feature = "vulkan")]
            Backend::Vulkan => Device::vulkan(kind),
            #[cfg(feature = "metal")]
            Backend::Metal => Device::metal(kind),
            #[cfg(feature = "cuda")]
            Backend::Cuda => Device::cuda(self.index.unwrap_or(0)),
            #[cfg(feature = "rocm")]
            Backend::Rocm => Device::rocm(self.index.unwrap_or(0)),
            #[allow(unreachable_patterns)] // every backend is compiled in
            other => unreachable!("{} passed the check of `compiled_in`", other.name()),
        }
    }
}

/// Runs `f`, turning a panic into its message and keeping the panic hook silent meanwhile.
fn quietly<T>(f: impl FnOnce() -> T + std::panic::UnwindSafe) -> Result<T, String> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = std::panic::catch_unwind(f);
    std::panic::set_hook(hook);
    result.map_err(|payload| {
        let message = payload
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_else(|| "the driver gave no reason".into());
        message
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(200)
            .collect()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_and_a_number_are_parsed_and_shown() {
        let spec: DeviceSpec = "cuda:1".parse().unwrap();
        assert_eq!((spec.backend, spec.index), (Backend::Cuda, Some(1)));
        assert_eq!(spec.to_string(), "cuda:1");
        assert_eq!("flex".parse::<DeviceSpec>().unwrap(), DeviceSpec::default());
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest_one() {
        let message = "wgpuu".parse::<DeviceSpec>().unwrap_err().to_string();
        assert!(message.contains("Did you mean `wgpu`?"), "{message}");
        assert!("flex:0".parse::<DeviceSpec>().is_err());
        assert!("cuda:x".parse::<DeviceSpec>().is_err());
    }

    #[test]
    fn a_backend_that_is_not_compiled_in_names_its_feature() {
        if Backend::Rocm.compiled_in() {
            return;
        }
        let message = "rocm"
            .parse::<DeviceSpec>()
            .unwrap()
            .resolve()
            .unwrap_err()
            .to_string();
        assert!(message.contains("--features rocm"), "{message}");
    }

    #[test]
    fn flex_resolves() {
        assert!(DeviceSpec::default().resolve().is_ok());
    }
}
