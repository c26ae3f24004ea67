//! `ccface teacher import`.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use ccface_eval::read_labels;
use ccface_model::{
    Backbone, BackboneConfig, Checkpoint, Colour, ImportedHead, InputSpec, ModelCard, OnnxFile,
    Provenance, head_inside, import_backbone, import_head, mobilefacenet_from_onnx, save_model,
};
use ccface_train::{DeviceSpec, encoder::is_onnx, run_dir::head_file};

use super::evaluate_faces::scale;
use crate::{CliError, cli::ImportArgs, output};

/// A network of another project, before it is written.
struct Taken {
    backbone: Backbone,
    architecture: BackboneConfig,
    colour: Colour,
    card: Option<ModelCard>,
    told: String,
    hash: String,
    head: Option<ImportedHead>,
}

pub(crate) fn run(args: &ImportArgs) -> Result<(), CliError> {
    let out = &args.out;
    if !args.dry_run && out.join(ccface_model::CARD_FILE).exists() && !args.overwrite {
        return Err(CliError::Usage(format!(
            "{}: holds a model already. Give another --out, or --overwrite to replace it",
            out.display()
        )));
    }
    let (mean, std) = scale(&args.mean, &args.std)?;
    let taken = take(args)?;
    let colour = match args.colour.as_deref() {
        Some("bgr") => Colour::Bgr,
        Some(_) => Colour::Rgb,
        None => taken.colour,
    };
    let input = InputSpec {
        colour,
        mean,
        std,
        ..InputSpec::arcface(taken.architecture.input_size())
    };
    // An export of ours says itself what it expects.
    let mut card = match taken.card {
        Some(card) => card,
        None => ModelCard::new(taken.architecture.clone(), input),
    };
    if args.colour.is_some() {
        card.input.colour = colour;
    }
    if let Some(licence) = &args.licence {
        card.licence.clone_from(licence);
    }
    card.imported_from = Some(Provenance {
        name: file_name(&args.file),
        hash: taken.hash,
    });
    if let Some(name) = args.trained_on.clone() {
        card.data = Some(Provenance {
            name,
            hash: "unknown".into(),
        });
    }
    let mut text = taken.told;
    let _ = writeln!(text, "model      {card}");
    let prototypes = match taken.head {
        Some(head) => {
            let _ = writeln!(
                text,
                "head       {} classes of {} numbers, from {}",
                head.classes,
                head.dim,
                head.parts.join("; ")
            );
            let mut prototypes = head.into_prototypes()?;
            if let Some(file) = &args.identities {
                prototypes = prototypes.with_identities(read_labels(file)?)?;
            }
            Some(prototypes)
        }
        None if args.identities.is_some() => {
            return Err(CliError::Usage(
                "--identities names the rows of a head, but there is none: give --head".into(),
            ));
        }
        None => {
            text += "head       none: students take class means (teacher.prototypes = \"class_means\")\n";
            None
        }
    };
    output::result(&output::printable(&text));
    if args.dry_run {
        output::note("nothing was written (--dry-run)");
        return Ok(());
    }
    save_model(out, &taken.backbone, &card)?;
    let prototypes_file = head_file(out);
    match prototypes {
        Some(prototypes) => prototypes.save(&prototypes_file)?,
        // The head of a model that was replaced does not belong to this one.
        None if prototypes_file.exists() => {
            std::fs::remove_file(&prototypes_file)
                .map_err(CliError::io(&prototypes_file, "remove"))?;
        }
        None => {}
    }
    let told = out.display();
    output::note(&format!(
        "written: {told}. Use it as teacher.path = \"{told}\", or look at it: ccface evaluate faces {told} --data DIR; \
         ccface doctor {told} --data DIR says whether colour order and scale are right"
    ));
    Ok(())
}

/// Reads weights and head.
fn take(args: &ImportArgs) -> Result<Taken, CliError> {
    let device = DeviceSpec::default().resolve()?;
    let heads = args
        .head
        .iter()
        .map(|path| Checkpoint::open(path))
        .collect::<Result<Vec<_>, _>>()?;
    let named_head = |dim| -> Result<Option<ImportedHead>, CliError> {
        match heads.as_slice() {
            [] => Ok(None),
            files => Ok(Some(import_head(files, dim)?)),
        }
    };
    if is_onnx(&args.file) {
        let file = OnnxFile::read(&args.file)?;
        let (backbone, architecture) = mobilefacenet_from_onnx(&file, &device)?;
        return Ok(Taken {
            colour: Colour::Rgb,
            card: file.card()?,
            told: "layout     ONNX MobileFaceNet with folded batch norms\n".into(),
            hash: file.hash().to_string(),
            head: named_head(architecture.embedding())?,
            backbone,
            architecture,
        });
    }
    let checkpoint = Checkpoint::open(&args.file)?;
    let found = import_backbone(&checkpoint, args.prefix.as_deref(), &device)?;
    let dim = found.architecture.embedding();
    let head = match named_head(dim)? {
        Some(head) => Some(head),
        None => head_inside(&checkpoint, dim)?,
    };
    let mut told = format!("layout     {}", found.layout);
    if !found.prefix.is_empty() {
        let _ = write!(told, ", names begin with {:?}", found.prefix);
    }
    let _ = writeln!(
        told,
        "\ntensors    {} taken{}",
        found.used,
        left_out(&found.left_out)
    );
    Ok(Taken {
        colour: found.layout.colour(),
        card: checkpoint
            .card()
            .filter(|card| card.architecture == found.architecture)
            .cloned(),
        told,
        hash: checkpoint.hash().to_string(),
        head,
        backbone: found.backbone,
        architecture: found.architecture,
    })
}

fn left_out(groups: &BTreeMap<String, usize>) -> String {
    if groups.is_empty() {
        return String::new();
    }
    let told: Vec<String> = groups
        .iter()
        .take(8)
        .map(|(group, n)| format!("{n} of {group}"))
        .collect();
    format!("; not part of the network: {}", told.join(", "))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
