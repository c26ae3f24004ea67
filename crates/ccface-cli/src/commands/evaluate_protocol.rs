//! `ccface evaluate tinyface|scface|survface|lfw|bin|csv`: a protocol from disk, and embeddings of its images.

use std::path::Path;

use ccface_data::{
    DataError, FaceImage as Picture, FaceSource,
    decode::{DecodeLimits, decode_rgb},
    source::VerificationSet,
};
use ccface_eval::{
    EmbeddingSet, Embeddings, EvalError, Labels, ResultDocument, WorstError, evaluate_embeddings,
    evaluate_pairs,
    protocol::{
        Completeness, FaceImage, ImagePair, Protocol, csv_lists, lfw,
        scface::{self, Cameras, Distance, IdiapPart, Split},
        survface, tinyface,
    },
    read_labels,
};
use image::RgbImage;

use super::{
    evaluation_output::{settings, write},
    image_embeddings::{Embedded, Images, embed},
};
use crate::{
    CliError,
    cli::{
        BinArgs, CsvArgs, EmbeddingSource, EvaluationOptions, LfwArgs, ScfaceArgs, ScfaceSplit,
        SurvfaceArgs, SurvfaceTask, TinyfaceArgs,
    },
    output,
    report::WorstFaces,
};

pub(crate) fn tinyface(args: &TinyfaceArgs) -> Result<(), CliError> {
    let protocol = tinyface::read(&args.root, completeness(&args.source))?;
    on_disk(&protocol, &args.source, &args.options)
}

pub(crate) fn scface(args: &ScfaceArgs) -> Result<(), CliError> {
    let split = match args.protocol {
        ScfaceSplit::All130 => Split::All130,
        ScfaceSplit::Ft80 => Split::Ft80 {
            test: people(args.people.as_deref())?,
        },
        ScfaceSplit::IdiapTrain => Split::Idiap {
            part: IdiapPart::Train,
        },
        ScfaceSplit::IdiapDev => Split::Idiap {
            part: IdiapPart::Development,
        },
        ScfaceSplit::IdiapEval => Split::Idiap {
            part: IdiapPart::Evaluation,
        },
    };
    let distance = match args.distance {
        1 => Distance::Far,
        2 => Distance::Middle,
        _ => Distance::Near,
    };
    let cameras = match args.cameras.as_str() {
        "visible" => Cameras::Visible,
        "infrared" => Cameras::Infrared,
        other => match other.parse() {
            Ok(camera @ 1..=7) => Cameras::One(camera),
            _ => {
                return Err(CliError::Usage(format!(
                    "--cameras {other} is none of visible, infrared, 1 to 7"
                )));
            }
        },
    };
    let whole = completeness(&args.source);
    let protocol = scface::read(&args.root, &split, distance, cameras, whole)?;
    on_disk(&protocol, &args.source, &args.options)
}

fn people(file: Option<&Path>) -> Result<Vec<u16>, CliError> {
    let Some(file) = file else {
        return Err(CliError::Usage("ft80 needs --people".into()));
    };
    read_labels(file)?
        .iter()
        .map(|line| {
            line.parse().map_err(|_| {
                CliError::Usage(format!(
                    "{}: `{line}` is no number of a person",
                    file.display()
                ))
            })
        })
        .collect()
}

pub(crate) fn survface(args: &SurvfaceArgs) -> Result<(), CliError> {
    let whole = completeness(&args.source);
    let protocol = match args.task {
        SurvfaceTask::Identification => survface::read_identification(&args.root, whole)?,
        SurvfaceTask::Verification => survface::read_verification(&args.root, whole)?,
    };
    on_disk(&protocol, &args.source, &args.options)
}

pub(crate) fn lfw(args: &LfwArgs) -> Result<(), CliError> {
    let own = args.root.join("pairs.txt");
    let pairs = args.pairs.as_ref().unwrap_or(&own);
    // The archive unpacks to a folder of the set's name, with the pair list beside it.
    let inner = args.root.join(&args.name);
    let images = if inner.is_dir() { &inner } else { &args.root };
    let protocol = lfw::read(&args.name, images, pairs, completeness(&args.source))?;
    on_disk(&protocol, &args.source, &args.options)
}

pub(crate) fn csv(args: &CsvArgs) -> Result<(), CliError> {
    let whole = completeness(&args.source);
    let protocol = match (&args.probe, &args.pairs) {
        (Some(probe), _) => {
            csv_lists::read_lists(&args.root, probe, args.gallery.as_deref(), whole)?
        }
        (None, Some(pairs)) => csv_lists::read_pairs(&args.root, pairs, whole)?,
        (None, None) => {
            return Err(CliError::Usage("give --probe or --pairs".into()));
        }
    };
    on_disk(&protocol, &args.source, &args.options)
}

/// A `.bin` set has no files: its images lie in it, pair after pair.
pub(crate) fn bin(args: &BinArgs) -> Result<(), CliError> {
    let set = VerificationSet::open(&args.file, &DecodeLimits::default())?;
    let stem = args.file.file_stem().unwrap_or_default();
    let same = set.same();
    let protocol = Protocol {
        name: format!("bin/{}", stem.to_string_lossy()),
        root: args.file.clone(),
        probe: (0..set.len())
            .map(|i| FaceImage {
                path: set.name(i).into(),
                label: set.name(i),
            })
            .collect(),
        gallery: Vec::new(),
        pairs: (same.iter().enumerate())
            .map(|(i, same)| ImagePair {
                a: 2 * i,
                b: 2 * i + 1,
                same: *same,
            })
            .collect(),
        counts: Vec::new(),
        warnings: Vec::new(),
    };
    let read = |i: usize| set.image(i);
    evaluate(&protocol, &read, &args.source, &args.options)
}

fn completeness(source: &EmbeddingSource) -> Completeness {
    if source.part {
        Completeness::Part
    } else {
        Completeness::Whole
    }
}

fn on_disk(
    protocol: &Protocol,
    source: &EmbeddingSource,
    options: &EvaluationOptions,
) -> Result<(), CliError> {
    let limits = DecodeLimits::default();
    let listed: Vec<&FaceImage> = protocol.probe.iter().chain(&protocol.gallery).collect();
    let read = |i: usize| {
        let path = protocol.root.join(&listed[i].path);
        let bytes = std::fs::read(&path).map_err(|source| DataError::Io {
            path: path.clone(),
            source,
        })?;
        decode_rgb(&bytes, &limits).map_err(|reason| DataError::Image {
            name: path.display().to_string(),
            reason,
        })
    };
    evaluate(protocol, &read, source, options)
}

fn evaluate(
    protocol: &Protocol,
    read: &(dyn Fn(usize) -> Result<RgbImage, DataError> + Sync),
    source: &EmbeddingSource,
    options: &EvaluationOptions,
) -> Result<(), CliError> {
    let names = protocol.probe.iter().chain(&protocol.gallery);
    let images = Images {
        names: names
            .map(|image| image.path.display().to_string())
            .collect(),
        told: format!(
            "{} probes, then {} of the gallery",
            protocol.probe.len(),
            protocol.gallery.len()
        ),
        read,
    };
    if protocol.probe.is_empty() {
        return Err(CliError::Usage(format!(
            "{}: no image of {} is here{}",
            protocol.root.display(),
            protocol.name,
            (protocol.warnings.first()).map_or_else(String::new, |first| format!("; {first}"))
        )));
    }
    if let Some(path) = &source.list {
        return output::write_to(path, &(images.names.join("\n") + "\n"));
    }
    let config = settings(options)?;
    let Embedded {
        rows,
        facts,
        warnings,
    } = embed(&images, source)?;
    let mut notes: Vec<String> = protocol.warnings.iter().chain(&warnings).cloned().collect();
    let mut document = if protocol.pairs.is_empty() {
        let (mut data, dim) = (rows.data, rows.columns);
        let set = |data: Vec<f32>, list: &[FaceImage]| EmbeddingSet {
            data,
            dim,
            labels: list.iter().map(|image| image.label.clone()).collect(),
        };
        // The probes are few: what is left, the gallery, is moved within its place and not copied.
        let probe: Vec<f32> = data.drain(..protocol.probe.len() * dim).collect();
        let gallery = (!protocol.gallery.is_empty()).then(|| set(data, &protocol.gallery));
        evaluate_embeddings(set(probe, &protocol.probe), gallery, &config)?
    } else {
        let labels = labels(protocol, &mut notes);
        let embeddings = Embeddings::new(rows.data, rows.columns).map_err(|error| {
            match error {
                EvalError::ZeroEmbedding { row, .. } => CliError::Usage(format!(
                    "{} has no embedding; every image of a pair list is needed, so leave its pairs out of the list ({})",
                    images.names.get(row).map_or("an image", String::as_str),
                    warnings.first().map_or("its row is all zeros", String::as_str),
                )),
                other => other.into(),
            }
        })?;
        let mut document =
            evaluate_pairs(&embeddings, labels.as_deref(), &protocol.pairs, &config)?;
        document.protocol.data_hash = Some(hash(&images.names, &protocol.pairs));
        document
    };
    describe(&mut document, protocol, facts, notes);
    name_worst(&mut document, &images.names, protocol);
    write(&mut document, options, &|document| {
        worst_faces(document, protocol, read)
    })
}

/// Where the second image of an error stands in the list of all images: the gallery follows the probes.
fn second(protocol: &Protocol, row: usize) -> usize {
    let listed = !protocol.pairs.is_empty() || protocol.gallery.is_empty();
    row + if listed { 0 } else { protocol.probe.len() }
}

fn name_worst(document: &mut ResultDocument, names: &[String], protocol: &Protocol) {
    let Some(worst) = &mut document.worst else {
        return;
    };
    let all = worst.false_matches.iter_mut();
    for error in all.chain(&mut worst.false_non_matches) {
        let name = |i: usize| names.get(i).cloned();
        error.names = name(error.probe).zip(name(second(protocol, error.gallery)));
    }
}

/// The pictures of the worst errors; one that cannot be read any more is left out.
fn worst_faces(
    document: &ResultDocument,
    protocol: &Protocol,
    read: &dyn Fn(usize) -> Result<RgbImage, DataError>,
) -> WorstFaces {
    let face = |i: usize| Some(Picture::from_rgb8(&read(i).ok()?));
    let faces = |errors: &[WorstError]| {
        let pair = |e: &WorstError| [face(e.probe), face(second(protocol, e.gallery))];
        errors.iter().map(pair).collect()
    };
    document
        .worst
        .as_ref()
        .map_or_else(WorstFaces::default, |worst| WorstFaces {
            false_matches: faces(&worst.false_matches),
            false_non_matches: faces(&worst.false_non_matches),
        })
}

/// Who is on the images of listed pairs, where the names say so without contradicting the list.
fn labels(protocol: &Protocol, notes: &mut Vec<String>) -> Option<Vec<u32>> {
    let of = |i: usize| protocol.probe.get(i).map(|image| image.label.as_str());
    let against = protocol
        .pairs
        .iter()
        .filter(|pair| (of(pair.a) == of(pair.b)) != pair.same)
        .count();
    if against > 0 {
        notes.push(format!(
            "file names do not say who is on the images of {against} of {} pairs: pairs are taken as independent",
            protocol.pairs.len()
        ));
        return None;
    }
    let names = protocol.probe.iter().map(|image| &image.label);
    Some(Labels::default().numbers(names))
}

fn hash(names: &[String], pairs: &[ImagePair]) -> String {
    let mut hasher = blake3::Hasher::new();
    for pair in pairs {
        for i in [pair.a, pair.b] {
            hasher.update(names.get(i).map_or("", String::as_str).as_bytes());
            hasher.update(b"\n");
        }
        hasher.update(&[u8::from(pair.same)]);
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

fn describe(
    document: &mut ResultDocument,
    protocol: &Protocol,
    facts: ccface_eval::ProtocolFacts,
    notes: Vec<String>,
) {
    document.describe(facts);
    document.describe(protocol.facts());
    document.warnings.splice(0..0, notes);
}
