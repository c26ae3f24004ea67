//! `ccface export`.

use std::fs;

use ccface_model::{export_onnx, export_safetensors, load_model};
use ccface_train::{DeviceSpec, run_dir::model_path};

use crate::{CliError, cli::ExportArgs, output};

pub(crate) fn run(args: &ExportArgs) -> Result<(), CliError> {
    let out = &args.out;
    let ending = out
        .extension()
        .and_then(|e| e.to_str())
        .map(str::to_ascii_lowercase);
    let format = match (args.format.as_deref(), ending.as_deref()) {
        (Some(format), _) => format,
        (None, Some("onnx")) => "onnx",
        (None, Some("safetensors")) => "safetensors",
        (None, _) => {
            return Err(CliError::Usage(format!(
                "{}: the ending does not tell the format; give --format safetensors or --format onnx",
                out.display()
            )));
        }
    };
    let fold = args.fold_batch_norm;
    if fold && format != "onnx" {
        return Err(CliError::Usage(
            "--fold-batch-norm is for --format onnx: PyTorch's module wants its batch norms".into(),
        ));
    }
    let device = DeviceSpec::default().resolve()?;
    let (backbone, card) = load_model(&model_path(&args.model), &device)?;
    if let Some(parent) = out.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(CliError::io(parent, "create"))?;
    }
    let told = if format == "onnx" {
        let done = export_onnx(out, &backbone, &card, fold)?;
        format!(
            "{}: ONNX, {} nodes, {} batch norms folded, {} kept, {:.1} MB; image [batch, 3, {side}, {side}] → embedding [batch, {}]\n",
            out.display(),
            done.nodes,
            done.folded,
            done.kept,
            done.bytes as f64 / 1e6,
            card.embedding.dim,
            side = card.input.size
        )
    } else {
        export_safetensors(out, &backbone, &card)?;
        format!("{}: safetensors in arcface_torch's names\n", out.display())
    };
    output::result(&output::printable(&told));
    output::note(&format!("what it expects: {card}"));
    Ok(())
}
