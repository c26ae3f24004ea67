//! TinyFace: identification of 3,728 native low-resolution probes among 157,871 faces.

use std::path::{Path, PathBuf};

use super::{
    Completeness, FaceImage, Problems, Protocol, images_in, match_files, name_id_pairs, prefix,
    report_repeats,
};
use crate::embedding_set::DISTRACTOR;
use crate::error::{EvalError, Result};

/// Probes in the authors' release.
pub const PROBES: usize = 3728;
/// Mated gallery images in the authors' release.
pub const MATCHES: usize = 4443;
/// Distractors in the authors' release.
pub const DISTRACTORS: usize = 153_428;
/// Images of the training set.
pub const TRAINING_IMAGES: usize = 7804;
/// Identities of the training set.
pub const TRAINING_IDENTITIES: usize = 2570;

/// The name of AdaFace's folder of aligned crops.
pub const ALIGNED: &str = "aligned_pad_0.1_pad_high";

/// Which of the two layouts was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The authors' release: `Testing_Set` with the MAT pair files. Crops are not aligned.
    Release,
    /// AdaFace's aligned crops, labels from the file names.
    Aligned,
}

/// Finds the layout under `root`: the root itself, or its `tinyface`, `Testing_Set` or aligned folder.
///
/// # Errors
/// A folder in which neither is found; the message says what was looked for.
pub fn find(root: &Path) -> Result<(Layout, PathBuf)> {
    for base in [root.to_path_buf(), root.join("tinyface")] {
        for (folder, layout) in [
            (base.join("Testing_Set"), Layout::Release),
            (base.join(ALIGNED), Layout::Aligned),
            (base.clone(), Layout::Aligned),
        ] {
            if folder.join("Probe").is_dir() {
                let lists = folder.join("probe_img_ID_pairs.mat").is_file();
                return Ok((if lists { Layout::Release } else { layout }, folder));
            }
        }
    }
    Err(EvalError::Layout {
        path: root.to_path_buf(),
        protocol: "TinyFace",
        problems: format!(
            "  no folder `Probe`; looked for Testing_Set/Probe (the authors' release), {ALIGNED}/Probe (AdaFace's \
             aligned crops) and Probe, here and under `tinyface`"
        ),
    })
}

/// Reads the test protocol: probes, and matches followed by distractors as the gallery.
///
/// A label is the identity number; distractors have [`DISTRACTOR`]. In the release layout the MAT files rule and
/// file-name prefixes must agree with them; in the aligned layout the prefixes are the labels.
///
/// # Errors
/// A layout that is incomplete (all differences are told at once), a name listed twice, an id that contradicts
/// its file name, or a probe without a mate in the gallery.
pub fn read(root: impl AsRef<Path>, completeness: Completeness) -> Result<Protocol> {
    let (layout, folder) = find(root.as_ref())?;
    let mut problems = Problems::new(completeness);
    let mut protocol = Protocol::new("tinyface", &folder);
    let mut read_part = |part: &str, mat: Option<[&str; 3]>| -> Result<Vec<(String, String)>> {
        let inside = folder.join(part);
        let on_disk = images_in(&inside)?;
        let listed = match (layout, mat) {
            (Layout::Release, Some([file, names, ids])) => {
                let listed = name_id_pairs(&folder.join(file), names, ids)?;
                let mut wrong = listed
                    .iter()
                    .filter(|(name, id)| prefix(name) != format!("{id}"));
                if let Some((name, id)) = wrong.next() {
                    let others = wrong.count();
                    problems.fatal.push(format!(
                        "{file}: {name} has id {id}, its file name says {} ({others} more like this)",
                        prefix(name)
                    ));
                }
                match_files(&mut problems, part, listed, &on_disk)
                    .into_iter()
                    .map(|(name, id)| (name, format!("{id}")))
                    .collect()
            }
            _ => on_disk
                .into_iter()
                .map(|name| {
                    let id = prefix(&name).to_owned();
                    (name, id)
                })
                .collect(),
        };
        Ok(listed)
    };
    let probe = read_part(
        "Probe",
        Some(["probe_img_ID_pairs.mat", "probe_set", "probe_ids"]),
    )?;
    let matches = read_part(
        "Gallery_Match",
        Some([
            "gallery_match_img_ID_pairs.mat",
            "gallery_set",
            "gallery_ids",
        ]),
    )?;
    let distractors = read_part("Gallery_Distractor", None)?;

    problems.count(&mut protocol, "probe_images", Some(PROBES), probe.len());
    problems.count(
        &mut protocol,
        "gallery_match_images",
        Some(MATCHES),
        matches.len(),
    );
    problems.count(
        &mut protocol,
        "gallery_distractor_images",
        Some(DISTRACTORS),
        distractors.len(),
    );
    report_repeats(
        &mut problems.fatal,
        "Probe",
        probe.iter().map(|p| p.0.as_str()),
    );
    let known: std::collections::HashSet<&str> = matches.iter().map(|m| m.1.as_str()).collect();
    let mut alone = probe.iter().filter(|(_, id)| !known.contains(id.as_str()));
    if let Some((first, _)) = alone.next() {
        let others = alone.count();
        let text = format!(
            "{} probes have no mate in Gallery_Match (first: {first}); they cannot be identified",
            others + 1
        );
        problems.partial.push(text);
    }
    let place = |part: &str, list: Vec<(String, String)>| {
        let part = PathBuf::from(part);
        list.into_iter().map(move |(name, label)| FaceImage {
            path: part.join(name),
            label,
        })
    };
    protocol.probe = place("Probe", probe).collect();
    protocol.gallery = place("Gallery_Match", matches)
        .chain(
            place("Gallery_Distractor", distractors).map(|image| FaceImage {
                label: DISTRACTOR.to_owned(),
                ..image
            }),
        )
        .collect();
    if layout == Layout::Release {
        protocol.warnings.push(
            "the release's crops are not aligned; published figures use aligned crops and differ by tens of points"
                .into(),
        );
    }
    problems.finish(protocol, "TinyFace")
}

/// Reads the training set, `Training_Set/<identity>/*.jpg`, as the probe list of a protocol `tinyface/train`.
///
/// # Errors
/// No such folder, or (where it must be whole) other counts than the authors'.
pub fn read_training(root: impl AsRef<Path>, completeness: Completeness) -> Result<Protocol> {
    let root = root.as_ref();
    let folder = [
        root.join("Training_Set"),
        root.join("tinyface/Training_Set"),
    ]
    .into_iter()
    .find(|f| f.is_dir())
    .unwrap_or_else(|| root.to_path_buf());
    let mut problems = Problems::new(completeness);
    let mut protocol = Protocol::new("tinyface/train", &folder);
    let mut identities = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(|e| EvalError::io(&folder, e))? {
        let entry = entry.map_err(|e| EvalError::io(&folder, e))?;
        if entry.path().is_dir() {
            identities.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    identities.sort();
    for id in &identities {
        for name in images_in(&folder.join(id))? {
            protocol.probe.push(FaceImage {
                path: Path::new(id).join(name),
                label: id.clone(),
            });
        }
    }
    let found = protocol.probe.len();
    problems.count(
        &mut protocol,
        "training_identities",
        Some(TRAINING_IDENTITIES),
        identities.len(),
    );
    problems.count(
        &mut protocol,
        "training_images",
        Some(TRAINING_IMAGES),
        found,
    );
    problems.finish(protocol, "TinyFace training set")
}
