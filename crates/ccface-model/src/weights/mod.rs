//! Weight files: safetensors in PyTorch's names, and ONNX.

mod checkpoint;
pub(crate) mod container;
mod export;
pub(crate) mod file;
mod import;
mod mobilefacenet;
mod onnx;
mod onnx_proto;
mod safetensors;
mod torch_names;

pub use checkpoint::Checkpoint;
pub use export::{
    OnnxExport, export_onnx, export_safetensors, onnx_bytes, quantise_onnx, quantised_values,
};
pub use import::{
    ImportedBackbone, ImportedHead, WeightLayout, head_inside, import_backbone, import_head,
};
pub use mobilefacenet::mobilefacenet_from_onnx;
pub use onnx::{FreedBatch, OnnxFile, OnnxInput};
pub use safetensors::{WEIGHTS_FILE, find_card, load_model, read_card, save_model};

/// A folder of development data beside the project or under `CCFACE_SHARED`, for tests only.
#[cfg(test)]
#[allow(clippy::print_stderr)]
pub(crate) fn shared_folder(name: &str) -> Option<std::path::PathBuf> {
    let beside = || concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into();
    let root = std::env::var_os("CCFACE_SHARED").unwrap_or_else(beside);
    let folder = std::path::Path::new(&root).join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!(
        "skipped: {} is missing (set CCFACE_SHARED)",
        folder.display()
    );
    None
}
