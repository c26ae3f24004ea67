//! Weight files: safetensors in PyTorch's names, and ONNX.

pub(crate) mod container;
pub(crate) mod file;
mod mobilefacenet;
mod onnx;
mod onnx_proto;
mod safetensors;
mod torch_names;

pub use mobilefacenet::mobilefacenet_from_onnx;
pub use onnx::{FreedBatch, OnnxFile, OnnxInput};
pub use safetensors::{WEIGHTS_FILE, load_model, read_card, save_model};
