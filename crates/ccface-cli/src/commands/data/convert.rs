//! `ccface data convert`.

use std::fs;

use ccface_data::{
    convert::{Target, convert},
    source::RecordLayout,
};

use crate::{CliError, cli::ConvertArgs, output};

pub(crate) fn run(args: &ConvertArgs) -> Result<(), CliError> {
    super::within_budget(0, 0, args.budget)?;
    let out = &args.out;
    let extension = out.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let target = match extension.to_ascii_lowercase().as_str() {
        "rec" if args.layout == "plain" => Target::Records(RecordLayout::Plain),
        "rec" => Target::Records(RecordLayout::InsightFace),
        "csv" | "tsv" | "bin" | "idx" | "lst" => {
            return Err(CliError::Usage(format!(
                "{}: .{extension} is not written; name a .rec file or a folder",
                out.display()
            )));
        }
        _ => Target::Folder,
    };
    let source = super::open_source(&args.source)?;
    if let Some(parent) = out.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(CliError::io(parent, "create"))?;
    }
    output::note(&format!("converting {} images", source.len()));
    let done = convert(source.as_ref(), out, target)?;
    for bad in &done.left_out {
        output::note(&format!("left out: {}: {}", bad.name, bad.reason));
    }
    for bad in source.rejected() {
        output::note(&format!("left out: {}: {}", bad.name, bad.reason));
    }
    output::result(&output::printable(&format!(
        "{}: {} images of {} identities\n",
        out.display(),
        done.images,
        done.identities
    )));
    super::within_budget(
        done.left_out.len() + source.rejected().len(),
        source.len() + source.rejected().len(),
        args.budget,
    )
}
