//! Replicas of data sets' layouts: the authors' folders, names and lists, with images of the caller's making.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::error::{EvalError, Result, open_unit};
use crate::matfile::{MatValue, MatVariable, write_mat};
use crate::protocol::{scface, tinyface};

/// A layout that can be replicated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaLayout {
    /// TinyFace as its authors ship it, with MAT pair files and the training set.
    TinyFace,
    /// TinyFace as AdaFace reads it, aligned crops without lists.
    TinyFaceAligned,
    /// SCface: mugshots and eight cameras.
    Scface,
    /// QMUL-SurvFace, identification and verification.
    SurvFace,
    /// LFW with `pairs.txt`.
    Lfw,
}

/// An image that a replica wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaImage {
    /// Where it goes, relative to the replica's root.
    pub path: PathBuf,
    /// Who is on it; images of one label should look alike.
    pub label: String,
    /// Number of the image, different for every image of the replica.
    pub number: usize,
}

/// What a replica holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplicaCounts {
    /// Images written.
    pub images: usize,
    /// List files written.
    pub lists: usize,
}

/// People in TinyFace's test set.
const TINYFACE_PEOPLE: usize = 2569;

/// Writes a replica under `root`, which must be empty or not exist.
///
/// `scale` in (0, 1] shrinks the numbers of people and images; 1 is the authors' size (LFW: only the images of the
/// 6,000 pairs; SurvFace: 5,319 pairs of each kind and about 60,000 images a list). `image` gives each file's bytes
/// and may be called from several threads.
///
/// # Errors
/// A folder that is not empty, a scale outside (0, 1], or files that cannot be written.
pub fn write_replica(
    layout: ReplicaLayout,
    root: impl AsRef<Path>,
    scale: f64,
    image: impl Fn(&ReplicaImage) -> Vec<u8> + Sync,
) -> Result<ReplicaCounts> {
    let root = root.as_ref();
    if scale != 1.0 {
        open_unit("the replica's scale", scale)?;
    }
    if let Ok(mut entries) = std::fs::read_dir(root)
        && entries.next().is_some()
    {
        return Err(EvalError::format(
            root,
            "the folder is not empty; give a new one",
        ));
    }
    let mut plan = Plan::default();
    let shrink = |n: usize| ((n as f64 * scale).round() as usize).max(2);
    match layout {
        ReplicaLayout::TinyFace => tinyface_plan(&mut plan, &shrink, "Testing_Set", true),
        ReplicaLayout::TinyFaceAligned => {
            tinyface_plan(&mut plan, &shrink, tinyface::ALIGNED, false);
        }
        ReplicaLayout::Scface => scface_plan(&mut plan, shrink(usize::from(scface::SUBJECTS))),
        ReplicaLayout::SurvFace => survface_plan(&mut plan, &shrink),
        ReplicaLayout::Lfw => lfw_plan(&mut plan, shrink(300)),
    }
    plan.write(root, image)
}

#[derive(Default)]
struct Plan {
    images: Vec<ReplicaImage>,
    mats: Vec<(PathBuf, Vec<MatVariable>)>,
    texts: Vec<(PathBuf, String)>,
}

impl Plan {
    fn image(&mut self, folder: impl AsRef<Path>, name: &str, label: impl Into<String>) {
        self.images.push(ReplicaImage {
            path: folder.as_ref().join(name),
            label: label.into(),
            number: self.images.len(),
        });
    }

    fn write(
        self,
        root: &Path,
        image: impl Fn(&ReplicaImage) -> Vec<u8> + Sync,
    ) -> Result<ReplicaCounts> {
        let mut folders: Vec<PathBuf> = self
            .images
            .iter()
            .map(|i| &i.path)
            .chain(self.mats.iter().map(|m| &m.0))
            .chain(self.texts.iter().map(|t| &t.0))
            .filter_map(|path| path.parent().map(|p| root.join(p)))
            .collect();
        folders.sort();
        folders.dedup();
        for folder in &folders {
            std::fs::create_dir_all(folder).map_err(|e| EvalError::io(folder, e))?;
        }
        for (path, variables) in &self.mats {
            write_mat(root.join(path), variables)?;
        }
        for (path, text) in &self.texts {
            let path = root.join(path);
            std::fs::write(&path, text).map_err(|e| EvalError::io(&path, e))?;
        }
        self.images.par_iter().try_for_each(|one| {
            let path = root.join(&one.path);
            std::fs::write(&path, image(one)).map_err(|e| EvalError::io(&path, e))
        })?;
        Ok(ReplicaCounts {
            images: self.images.len(),
            lists: self.mats.len() + self.texts.len(),
        })
    }
}

fn names(list: &[(String, usize)]) -> MatValue {
    MatValue::Cells(
        list.iter()
            .map(|(name, _)| MatValue::Text(vec![name.clone()]))
            .collect(),
    )
}

fn pair_list(set: &str, ids: &str, list: &[(String, usize)]) -> Vec<MatVariable> {
    vec![
        MatVariable {
            name: set.to_owned(),
            dims: vec![list.len(), 1],
            value: names(list),
        },
        MatVariable {
            name: ids.to_owned(),
            dims: vec![list.len(), 1],
            value: MatValue::Numbers(list.iter().map(|(_, id)| *id as f64).collect()),
        },
    ]
}

fn tinyface_plan(plan: &mut Plan, shrink: &impl Fn(usize) -> usize, folder: &str, lists: bool) {
    let folder = Path::new(folder);
    let people = shrink(TINYFACE_PEOPLE);
    // Image numbers continue from matches to probes, so that no name stands in both.
    let spread = |total: usize, offset: &dyn Fn(usize) -> usize| -> Vec<(String, usize)> {
        (0..total)
            .map(|i| {
                let id = 1 + i % people;
                (format!("{id}_{}.jpg", 1 + offset(id) + i / people), id)
            })
            .collect()
    };
    let matches = spread(shrink(tinyface::MATCHES).max(people), &|_| 0);
    let per_person = matches.len().div_ceil(people);
    let probes = spread(shrink(tinyface::PROBES).max(people), &|_| per_person);
    for (part, list) in [("Probe", &probes), ("Gallery_Match", &matches)] {
        for (name, id) in list {
            plan.image(folder.join(part), name, id.to_string());
        }
    }
    for i in 0..shrink(tinyface::DISTRACTORS) {
        let name = format!("{}_1.jpg", 100_000 + i);
        plan.image(
            folder.join("Gallery_Distractor"),
            &name,
            format!("distractor {i}"),
        );
    }
    if lists {
        plan.mats.push((
            folder.join("probe_img_ID_pairs.mat"),
            pair_list("probe_set", "probe_ids", &probes),
        ));
        plan.mats.push((
            folder.join("gallery_match_img_ID_pairs.mat"),
            pair_list("gallery_set", "gallery_ids", &matches),
        ));
        let (people, images) = (
            shrink(tinyface::TRAINING_IDENTITIES),
            shrink(tinyface::TRAINING_IMAGES),
        );
        for i in 0..images.max(people) {
            let id = 10_000 + i % people;
            let inside = Path::new("Training_Set").join(id.to_string());
            plan.image(
                inside,
                &format!("{id}_{}.jpg", 1 + i / people),
                id.to_string(),
            );
        }
    }
}

fn scface_plan(plan: &mut Plan, people: usize) {
    for id in 1..=people {
        let label = format!("{id:03}");
        plan.image(
            "mugshot_frontal_original_all",
            &format!("{label}_frontal.jpg"),
            &label,
        );
        for camera in 1..=7 {
            for distance in 1..=3 {
                let name = format!("{label}_cam{camera}_{distance}.jpg");
                plan.image("surveillance_cameras_all", &name, &label);
            }
        }
        plan.image(
            "surveillance_cameras_all",
            &format!("{label}_cam8.jpg"),
            &label,
        );
    }
}

fn survface_plan(plan: &mut Plan, shrink: &impl Fn(usize) -> usize) {
    let folder = Path::new("Face_Identification_Test_Set");
    let people = shrink(3000);
    for (part, images, first) in [
        ("gallery", shrink(60_000), 1),
        ("mated_probe", shrink(60_000), 101),
    ] {
        let list: Vec<(String, usize)> = (0..images.max(people))
            .map(|i| {
                let id = 1 + i % people;
                (format!("{id}_cam1_{}.jpg", first + i / people), id)
            })
            .collect();
        for (name, id) in &list {
            plan.image(folder.join(part), name, id.to_string());
        }
        plan.mats.push((
            folder.join(format!("{part}_img_ID_pairs.mat")),
            pair_list(&format!("{part}_set"), &format!("{part}_ids"), &list),
        ));
    }
    for i in 0..shrink(60_000) {
        let name = format!("{}_cam1_1.jpg", 1_000_000 + i);
        plan.image(folder.join("unmated_probe"), &name, format!("unmated {i}"));
    }
    let folder = Path::new("Face_Verification_Test_Set");
    let pairs = shrink(crate::protocol::survface::PAIRS);
    let name = |id: usize, k: usize| format!("{id}_cam1_{k}.jpg");
    for id in 1..=pairs {
        for k in [1, 2] {
            plan.image(
                folder.join("verification_images"),
                &name(id, k),
                id.to_string(),
            );
        }
    }
    for (file, variable, shift) in [
        ("positive_pairs_names.mat", "positive_pairs_names", 0),
        ("negative_pairs_names.mat", "negative_pairs_names", 1),
    ] {
        let first = (1..=pairs).map(|id| (name(id, 1), id));
        let second = (1..=pairs).map(|id| (name(1 + (id - 1 + shift) % pairs, 2), id));
        let list: Vec<(String, usize)> = first.chain(second).collect();
        plan.mats.push((
            folder.join(file),
            vec![MatVariable {
                name: variable.to_owned(),
                dims: vec![pairs, 2],
                value: names(&list),
            }],
        ));
    }
}

fn lfw_plan(plan: &mut Plan, each: usize) {
    let people = 10 * each;
    let name = |id: usize| format!("Person_{id:05}");
    for id in 0..people {
        for k in 1..=2 {
            let file = format!("{}_{k:04}.jpg", name(id));
            plan.image(Path::new("lfw").join(name(id)), &file, name(id));
        }
    }
    let mut text = format!("10\t{each}\n");
    for fold in 0..10 {
        let people_of_fold = fold * each..(fold + 1) * each;
        for id in people_of_fold.clone() {
            text.push_str(&format!("{}\t1\t2\n", name(id)));
        }
        for id in people_of_fold {
            let other = fold * each + (id + 1 - fold * each) % each;
            text.push_str(&format!("{}\t1\t{}\t2\n", name(id), name(other)));
        }
    }
    plan.texts.push((PathBuf::from("pairs.txt"), text));
}
