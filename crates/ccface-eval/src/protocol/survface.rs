//! QMUL-SurvFace: open-set identification and verification of native surveillance faces.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{
    Completeness, FaceImage, ImagePair, Problems, Protocol, images_in, match_files, name_id_pairs,
    report_repeats, safe_name,
};
use crate::error::{EvalError, Result};
use crate::matfile::read_mat;

/// Pairs of each kind in the verification protocol.
pub const PAIRS: usize = 5319;

/// Reads the identification protocol: gallery, and mated followed by unmated probes.
///
/// `root` holds `Face_Identification_Test_Set/{gallery,mated_probe,unmated_probe}` with `gallery_img_ID_pairs.mat`
/// and `mated_probe_img_ID_pairs.mat`. Unmated probes have labels that no gallery image has.
///
/// # Errors
/// A missing folder or list, missing images (all differences are told at once), a name listed twice, or a mated
/// probe without a mate.
pub fn read_identification(root: impl AsRef<Path>, completeness: Completeness) -> Result<Protocol> {
    let folder = below(root.as_ref(), "Face_Identification_Test_Set", "gallery")?;
    let mut problems = Problems::new(completeness);
    let mut protocol = Protocol::new("survface/identification", &folder);
    let mut listed = |part: &str| -> Result<Vec<FaceImage>> {
        let mat = folder.join(format!("{part}_img_ID_pairs.mat"));
        let pairs = name_id_pairs(&mat, &format!("{part}_set"), &format!("{part}_ids"))?;
        let on_disk = images_in(&folder.join(part))?;
        Ok(match_files(&mut problems, part, pairs, &on_disk)
            .into_iter()
            .map(|(name, id)| FaceImage {
                path: Path::new(part).join(name),
                label: format!("{id}"),
            })
            .collect())
    };
    protocol.gallery = listed("gallery")?;
    protocol.probe = listed("mated_probe")?;
    let mated = protocol.probe.len();
    let known: std::collections::HashSet<&str> =
        protocol.gallery.iter().map(|g| g.label.as_str()).collect();
    let alone = protocol
        .probe
        .iter()
        .filter(|p| !known.contains(p.label.as_str()))
        .count();
    if alone > 0 {
        problems.partial.push(format!(
            "mated_probe: {alone} probes have no mate in the gallery"
        ));
    }
    let unmated = images_in(&folder.join("unmated_probe"))?;
    protocol.probe.extend(unmated.iter().map(|name| FaceImage {
        path: Path::new("unmated_probe").join(name),
        label: format!("unmated {name}"),
    }));
    let gallery = protocol.gallery.len();
    problems.count(&mut protocol, "gallery_images", None, gallery);
    problems.count(&mut protocol, "mated_probe_images", None, mated);
    problems.count(&mut protocol, "unmated_probe_images", None, unmated.len());
    problems.finish(protocol, "QMUL-SurvFace identification")
}

/// Reads the verification protocol: positive pairs, then negative pairs.
///
/// `root` holds `Face_Verification_Test_Set/verification_images` with `positive_pairs_names.mat` and
/// `negative_pairs_names.mat`, each one n × 2 cell array of file names.
///
/// # Errors
/// A missing folder or list, a list of another shape, missing images, or (where it must be whole) another number of
/// pairs than 5,319 of each kind.
pub fn read_verification(root: impl AsRef<Path>, completeness: Completeness) -> Result<Protocol> {
    let folder = below(
        root.as_ref(),
        "Face_Verification_Test_Set",
        "verification_images",
    )?;
    let mut problems = Problems::new(completeness);
    let mut protocol = Protocol::new("survface/verification", &folder);
    let on_disk: std::collections::HashSet<String> =
        images_in(&folder.join("verification_images"))?
            .into_iter()
            .collect();
    let mut number: HashMap<String, usize> = HashMap::new();
    let mut missing = 0;
    for (file, same, what) in [
        ("positive_pairs_names.mat", true, "positive_pairs"),
        ("negative_pairs_names.mat", false, "negative_pairs"),
    ] {
        let path = folder.join(file);
        let pairs = name_pairs(&path)?;
        let joined: Vec<String> = pairs.iter().map(|(a, b)| format!("{a} {b}")).collect();
        report_repeats(&mut problems.fatal, file, joined.iter().map(String::as_str));
        let mut kept = 0;
        for (a, b) in pairs {
            for name in [&a, &b] {
                safe_name(name).map_err(|why| EvalError::format(&path, why))?;
            }
            if !on_disk.contains(&a) || !on_disk.contains(&b) {
                missing += 1;
                continue;
            }
            let mut index = |name: String| {
                *number.entry(name.clone()).or_insert_with(|| {
                    protocol.probe.push(FaceImage {
                        path: Path::new("verification_images").join(&name),
                        label: super::prefix(&name).to_owned(),
                    });
                    protocol.probe.len() - 1
                })
            };
            let (a, b) = (index(a), index(b));
            protocol.pairs.push(ImagePair { a, b, same });
            kept += 1;
        }
        problems.count(&mut protocol, what, Some(PAIRS), kept);
    }
    if missing > 0 {
        problems.partial.push(format!(
            "verification_images: {missing} pairs lack an image"
        ));
    }
    let images = protocol.probe.len();
    problems.count(&mut protocol, "images_in_pairs", None, images);
    problems.finish(protocol, "QMUL-SurvFace verification")
}

/// An n × 2 cell array of names, stored column after column.
fn name_pairs(path: &Path) -> Result<Vec<(String, String)>> {
    let variables = read_mat(path)?;
    let found = variables
        .iter()
        .find_map(|v| v.strings().filter(|_| v.dims.get(1) == Some(&2)));
    let Some(names) = found else {
        return Err(EvalError::format(path, "no n × 2 cell array of file names"));
    };
    let (first, second) = names.split_at(names.len() / 2);
    Ok(first
        .iter()
        .zip(second)
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect())
}

fn below(root: &Path, set: &str, part: &str) -> Result<PathBuf> {
    for base in [
        root.join(set),
        root.join("QMUL-SurvFace").join(set),
        root.to_path_buf(),
    ] {
        if base.join(part).is_dir() {
            return Ok(base);
        }
    }
    Err(EvalError::Layout {
        path: root.to_path_buf(),
        protocol: "QMUL-SurvFace",
        problems: format!("  no folder {set}/{part}; give the folder that holds {set}"),
    })
}
