//! `ccface export`.

use std::{fmt::Write, fs, path::Path};

use ccface_model::{
    Backbone, ModelCard, OnnxFile, export_onnx, export_safetensors, load_model, onnx_bytes,
    quantise_onnx,
};
use ccface_train::{
    DeviceSpec, calibrate,
    faces::{FacesRequest, evaluate_faces},
    run_dir::model_path,
};

use super::data::open_at;
use crate::{CliError, cli::ExportArgs, output, progress::Progress};

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
    if (fold || args.int8.is_some()) && format != "onnx" {
        return Err(CliError::Usage(
            "--fold-batch-norm and --int8 are for --format onnx: PyTorch's module wants its batch norms and floats"
                .into(),
        ));
    }
    let device = DeviceSpec::default().resolve()?;
    let (backbone, card) = load_model(&model_path(&args.model), &device)?;
    if let Some(parent) = out.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(CliError::io(parent, "create"))?;
    }
    let shape = format!(
        "image [batch, 3, {0}, {0}] → embedding [batch, {1}]",
        card.input.size, card.embedding.dim
    );
    let told = match (format, &args.int8) {
        ("onnx", Some(faces)) => {
            let bytes = int8(args, faces, &backbone, &card)?;
            format!("ONNX, 8 bits, {:.1} MB; {shape}", bytes as f64 / 1e6)
        }
        ("onnx", None) => {
            let done = export_onnx(out, &backbone, &card, fold)?;
            format!(
                "ONNX, {} nodes, {} batch norms folded, {} kept, {:.1} MB; {shape}",
                done.nodes,
                done.folded,
                done.kept,
                done.bytes as f64 / 1e6
            )
        }
        _ => {
            export_safetensors(out, &backbone, &card)?;
            "safetensors in arcface_torch's names".into()
        }
    };
    output::result(&output::printable(&format!("{}: {told}\n", out.display())));
    if let Some(faces) = &args.evaluate {
        output::result(&table(args, faces)?);
    }
    output::note(&format!("what it expects: {card}"));
    Ok(())
}

/// Measures ranges and writes the network in 8 bits; gives its bytes.
fn int8(
    args: &ExportArgs,
    faces: &Path,
    backbone: &Backbone,
    card: &ModelCard,
) -> Result<usize, CliError> {
    let source = open_at(faces, None, args.identities.parse()?)?;
    let (bytes, _) = onnx_bytes(backbone, card, true)?;
    let network = OnnxFile::from_bytes(&args.out, &bytes)?;
    let mut progress = Progress::new();
    let ranges = calibrate(
        &network,
        source.as_ref(),
        &card.input,
        &args.sizes,
        args.images,
        &mut |done, total| progress.update("faces measured", done, total),
    )?;
    drop(progress);
    let quantised = quantise_onnx(&network, &ranges)?;
    output::write_bytes(&args.out, &quantised)?;
    Ok(quantised.len())
}

/// EER by face size of the model as it is and of the written network.
fn table(args: &ExportArgs, faces: &Path) -> Result<String, CliError> {
    let mut text = format!("\n{:<10}", "EER in %");
    for size in &args.sizes {
        let _ = write!(text, "{:>9}", format!("{size} px"));
    }
    text.push('\n');
    for (name, model) in [("float", &args.model), ("8 bits", &args.out)] {
        let device = DeviceSpec::default().resolve()?;
        let mut request = FacesRequest::new(model.clone(), faces.to_path_buf(), device);
        request.identities = args.evaluate_identities.parse()?;
        request.sizes.clone_from(&args.sizes);
        request.alone = true;
        let mut progress = Progress::new();
        let result = evaluate_faces(&request, &mut |who, done, total| {
            progress.update(&format!("{name}, {who}: views embedded"), done, total);
        })?
        .result;
        let _ = write!(text, "{name:<10}");
        for size in &args.sizes {
            let eer = result.pairing("student-student", *size);
            let _ = write!(text, "{:>9.2}", eer.map_or(f64::NAN, |r| 100.0 * r.eer));
        }
        text.push('\n');
    }
    Ok(text)
}
