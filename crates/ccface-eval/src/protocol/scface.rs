//! SCface: mugshots against surveillance images from three distances.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Completeness, FaceImage, Problems, Protocol, images_in};
use crate::error::{EvalError, Result};

/// Number of people.
pub const SUBJECTS: u16 = 130;

/// Three protocols that share images and nothing else: figures of one must never be compared with another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Split {
    /// All 130 people: 130 mugshots against 650 probes per distance. Nothing of SCface was trained on.
    All130,
    /// 50 people to train on, the other 80 to test. The literature draws them at random: give the test people.
    Ft80 {
        /// The 80 test people.
        test: Vec<u16>,
    },
    /// Idiap's verification split: people 1–43 train, 44–87 development, 88–130 evaluation.
    Idiap {
        /// Which part.
        part: IdiapPart,
    },
}

/// The parts of Idiap's split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdiapPart {
    /// 43 people.
    Train,
    /// 44 people: thresholds are chosen here.
    Development,
    /// 43 people: rates are reported here.
    Evaluation,
}

/// How far the camera stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Distance {
    /// 4.20 m: `d1`, the smallest faces.
    Far = 1,
    /// 2.60 m: `d2`.
    Middle = 2,
    /// 1.00 m: `d3`.
    Near = 3,
}

impl Distance {
    /// All three, far to near.
    pub const ALL: [Self; 3] = [Self::Far, Self::Middle, Self::Near];

    /// In metres.
    #[must_use]
    pub fn metres(self) -> f64 {
        match self {
            Self::Far => 4.2,
            Self::Middle => 2.6,
            Self::Near => 1.0,
        }
    }
}

/// Which cameras' images are probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cameras {
    /// Cameras 1–5 in visible light: the usual probes.
    Visible,
    /// Cameras 6 and 7 in infrared.
    Infrared,
    /// One camera.
    One(u8),
}

impl Cameras {
    fn numbers(self) -> Vec<u8> {
        match self {
            Self::Visible => (1..=5).collect(),
            Self::Infrared => vec![6, 7],
            Self::One(camera) => vec![camera],
        }
    }
}

impl Split {
    fn name(&self) -> &'static str {
        match self {
            Self::All130 => "all130",
            Self::Ft80 { .. } => "ft80",
            Self::Idiap { part } => match part {
                IdiapPart::Train => "idiap-train",
                IdiapPart::Development => "idiap-dev",
                IdiapPart::Evaluation => "idiap-eval",
            },
        }
    }

    fn subjects(&self) -> Vec<u16> {
        match self {
            Self::All130 => (1..=SUBJECTS).collect(),
            Self::Ft80 { test } => {
                let mut test = test.clone();
                test.sort_unstable();
                test
            }
            Self::Idiap { part } => match part {
                IdiapPart::Train => (1..=43).collect(),
                IdiapPart::Development => (44..=87).collect(),
                IdiapPart::Evaluation => (88..=SUBJECTS).collect(),
            },
        }
    }
}

/// Reads one protocol at one distance: mugshots as the gallery, surveillance images as probes.
///
/// `root` holds `mugshot_frontal_original_all` (or `…_cropped_all`) and `surveillance_cameras_all` (or
/// `surveillance_cameras_distance_1..3` with a folder per camera).
///
/// # Errors
/// A missing folder, missing images (all differences are told at once), a file whose name is not `NNN_camC_D`, or,
/// for `ft80`, test people that are not 80 different ones of 1–130.
pub fn read(
    root: impl AsRef<Path>,
    split: &Split,
    distance: Distance,
    cameras: Cameras,
    completeness: Completeness,
) -> Result<Protocol> {
    let root = root.as_ref();
    let mut problems = Problems::new(completeness);
    let light = match cameras {
        Cameras::Visible => String::new(),
        Cameras::Infrared => "/infrared".into(),
        Cameras::One(camera) => format!("/cam{camera}"),
    };
    let name = format!("scface/{}/d{}{light}", split.name(), distance as u8);
    let mut protocol = Protocol::new(name, root);
    let subjects = split.subjects();
    if let Split::Ft80 { .. } = split {
        let mut distinct = subjects.clone();
        distinct.dedup();
        if distinct.len() != 80
            || subjects.len() != 80
            || subjects.iter().any(|s| !(1..=SUBJECTS).contains(s))
        {
            problems.fatal.push(format!(
                "ft80 needs 80 different test people of 1–{SUBJECTS}, {} were given",
                distinct.len()
            ));
        }
        protocol.warnings.push("ft80: the 50/80 split is not part of the release; compare only with figures made on the same 80 people".into());
    }
    let mugshots = mugshots(root)?;
    let surveillance = surveillance(root, &mut problems)?;
    let wanted = cameras.numbers();
    let mut missing = Vec::new();
    for &subject in &subjects {
        let label = format!("{subject:03}");
        match mugshots.get(&subject) {
            Some(path) => protocol.gallery.push(FaceImage {
                path: path.clone(),
                label: label.clone(),
            }),
            None => missing.push(format!("{label}_frontal.jpg")),
        }
        for &camera in &wanted {
            match surveillance.get(&(subject, camera, distance as u8)) {
                Some(path) => protocol.probe.push(FaceImage {
                    path: path.clone(),
                    label: label.clone(),
                }),
                None => missing.push(format!("{label}_cam{camera}_{}.jpg", distance as u8)),
            }
        }
    }
    if let Some(first) = missing.first() {
        problems.partial.push(format!(
            "{} images are missing (first: {first})",
            missing.len()
        ));
    }
    let (gallery, probes) = (protocol.gallery.len(), protocol.probe.len());
    problems.count(
        &mut protocol,
        "gallery_images",
        Some(subjects.len()),
        gallery,
    );
    problems.count(
        &mut protocol,
        "probe_images",
        Some(subjects.len() * wanted.len()),
        probes,
    );
    problems.finish(protocol, "SCface")
}

fn mugshots(root: &Path) -> Result<BTreeMap<u16, PathBuf>> {
    let names = [
        "mugshot_frontal_original_all",
        "mugshot_frontal_cropped_all",
    ];
    let Some(folder) = names.iter().find(|n| root.join(n).is_dir()) else {
        return Err(missing_folder(root, &names));
    };
    Ok(images_in(&root.join(folder))?
        .into_iter()
        .filter_map(|name| {
            let subject = name.split(['_', '.']).next()?.parse().ok()?;
            Some((subject, Path::new(folder).join(name)))
        })
        .collect())
}

type Shots = BTreeMap<(u16, u8, u8), PathBuf>;

fn surveillance(root: &Path, problems: &mut Problems) -> Result<Shots> {
    let all = PathBuf::from("surveillance_cameras_all");
    let mut folders = Vec::new();
    if root.join(&all).is_dir() {
        folders.push(all);
    } else {
        for distance in 1..=3 {
            let folder = PathBuf::from(format!("surveillance_cameras_distance_{distance}"));
            if !root.join(&folder).is_dir() {
                continue;
            }
            let inside = root.join(&folder);
            let mut cameras: Vec<PathBuf> = std::fs::read_dir(&inside)
                .map_err(|e| EvalError::io(&inside, e))?
                .filter_map(|entry| entry.ok())
                .filter(|entry| entry.path().is_dir())
                .map(|entry| folder.join(entry.file_name()))
                .collect();
            cameras.sort();
            folders.push(folder);
            folders.extend(cameras);
        }
    }
    if folders.is_empty() {
        return Err(missing_folder(
            root,
            &[
                "surveillance_cameras_all",
                "surveillance_cameras_distance_1",
            ],
        ));
    }
    let mut shots = Shots::new();
    let mut strange = Vec::new();
    for folder in folders {
        for name in images_in(&root.join(&folder))? {
            match parse(&name) {
                Some(Some(key)) => {
                    shots.insert(key, folder.join(name));
                }
                // The infrared mugshots of camera 8 have no distance.
                Some(None) => {}
                None => strange.push(name),
            }
        }
    }
    if let Some(first) = strange.first() {
        problems.partial.push(format!(
            "{} surveillance images are not called NNN_camC_D (first: {first})",
            strange.len()
        ));
    }
    Ok(shots)
}

/// `001_cam1_2.jpg` → (1, 1, 2); `001_cam8.jpg` → nothing to use; else not a name of SCface.
fn parse(name: &str) -> Option<Option<(u16, u8, u8)>> {
    let stem = name.rsplit_once('.')?.0;
    let mut parts = stem.split('_');
    let subject = parts.next()?.parse().ok()?;
    let camera = parts.next()?.strip_prefix("cam")?.parse().ok()?;
    match parts.next() {
        None => Some(None),
        Some(distance) => Some(Some((subject, camera, distance.parse().ok()?))),
    }
}

fn missing_folder(root: &Path, names: &[&str]) -> EvalError {
    EvalError::Layout {
        path: root.to_path_buf(),
        protocol: "SCface",
        problems: format!(
            "  no folder {}; give the folder that holds the unpacked release",
            names.join(" or ")
        ),
    }
}
