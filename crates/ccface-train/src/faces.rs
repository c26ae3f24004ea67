//! Evaluation by face size: LR probes against an HR gallery, and LR against LR.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use ccface_data::{FaceImage, FaceMask, Selection, degrade::lr_view};
use ccface_eval::{
    Bootstrap, CollapseResult, Comparisons, Embeddings, EvalError, PairedOutcome, PairingResult,
    Pairs, Rule, Subject, cross_comparisons, evaluate_collapse, evaluate_pairing, hr_threshold,
    paired_test,
};
use ccface_model::InputSpec;
use serde::{Deserialize, Serialize};

use crate::{
    TrainError,
    data::{Faces, open_source},
    encoder::{Assumptions, FaceEncoder, FlipFusion, Opened, embed_joined, open_encoder},
    run_dir::{RunDir, is_run},
};

/// Version of the JSON document's schema.
pub const FACES_SCHEMA: u32 = 1;

/// FMR at which the threshold is fixed on HR for the LR–LR evaluation.
pub const HR_FMR: f64 = 0.01;

/// What is evaluated on what.
#[derive(Clone, Debug)]
pub struct FacesRequest {
    /// A run directory, a model directory or file, or an ONNX network.
    pub model: PathBuf,
    /// Image folder of aligned faces.
    pub data: PathBuf,
    /// Which identities.
    pub identities: Selection,
    /// Face sizes of the probes in pixels.
    pub sizes: Vec<usize>,
    /// The teacher, where the model's run does not name it or it has moved.
    pub teacher: Option<PathBuf>,
    /// Leave the teacher out, even where the run names one.
    pub alone: bool,
    /// How the embedding of a view is joined with that of its mirror image, probes and gallery alike.
    pub flip: FlipFusion,
    /// What of each view is shown, probes and gallery alike.
    pub mask: FaceMask,
    /// How to read ONNX files.
    pub assume: Assumptions,
    /// Device for burn modules.
    pub device: Device,
    /// Faces per call.
    pub batch: usize,
}

impl FacesRequest {
    /// Everybody in `data`, at the usual sizes, in the way of a CCFace model.
    pub fn new(model: PathBuf, data: PathBuf, device: Device) -> Self {
        Self {
            model,
            data,
            identities: Selection::All,
            sizes: vec![8, 12, 16, 24, 112],
            teacher: None,
            alone: false,
            flip: FlipFusion::None,
            mask: FaceMask::None,
            assume: Assumptions {
                input: InputSpec::arcface(112),
                licence: "unstated".into(),
            },
            device,
            batch: 32,
        }
    }
}

/// A network in the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkFacts {
    /// Its file.
    pub path: String,
    /// BLAKE3 of its weights.
    pub hash: String,
    /// Input size, colour order, scale.
    pub input: InputSpec,
    /// Length of an embedding.
    pub embedding: usize,
    /// Its licence.
    pub licence: String,
}

/// Everything that has to be known to repeat or compare the figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProtocolFacts {
    /// Name of the protocol.
    pub name: String,
    /// Data folder.
    pub data: String,
    /// BLAKE3 of the images.
    pub data_hash: String,
    /// Identities used.
    pub identities: usize,
    /// Their names.
    pub identity_names: Vec<String>,
    /// Images used.
    pub images: usize,
    /// How probes are made.
    pub degradation: String,
    /// Alignment of the faces, as assumed.
    pub alignment: String,
    /// Flip and fusion of embeddings.
    pub fusion: String,
    /// Rule behind TAR@FAR.
    pub threshold_rule: String,
    /// FMR at which the HR threshold of `lr-lr` is fixed.
    pub hr_fmr: f64,
}

/// One pairing or one LR–LR evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SizeResult {
    /// LR probe against HR gallery.
    Pairing(Box<PairingResult>),
    /// LR against LR.
    Collapse(Box<CollapseResult>),
}

/// Result by pairing name and size.
pub type Pairings = BTreeMap<String, BTreeMap<String, SizeResult>>;

/// The JSON document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FacesResult {
    /// Version of this schema.
    pub schema_version: u32,
    /// Version of the program.
    pub ccface_version: String,
    /// The evaluated network.
    pub model: NetworkFacts,
    /// Its teacher, if known.
    pub teacher: Option<NetworkFacts>,
    /// What the figures rest on.
    pub protocol: ProtocolFacts,
    /// Probe sizes in pixels.
    pub sizes: Vec<usize>,
    /// `student-student`, `teacher-teacher`, `student-teacher` (student probe, teacher gallery), `lr-lr`, `lr-lr-teacher`.
    pub pairings: Pairings,
}

impl FacesResult {
    /// A pairing's result at a size.
    pub fn pairing(&self, name: &str, size: usize) -> Option<&PairingResult> {
        match self.pairings.get(name)?.get(&size.to_string())? {
            SizeResult::Pairing(result) => Some(result),
            SizeResult::Collapse(_) => None,
        }
    }

    /// An LR–LR result at a size.
    pub fn collapse(&self, name: &str, size: usize) -> Option<&CollapseResult> {
        match self.pairings.get(name)?.get(&size.to_string())? {
            SizeResult::Collapse(result) => Some(result),
            SizeResult::Pairing(_) => None,
        }
    }
}

/// Embeddings of one encoder: of the HR faces and of the LR views by size.
#[derive(Clone, Debug)]
pub struct Views {
    /// HR embeddings.
    pub hr: Embeddings,
    /// LR embeddings by size.
    pub lr: BTreeMap<usize, Embeddings>,
}

/// The result and what a report draws from.
#[derive(Debug)]
pub struct FacesEvaluation {
    /// The JSON document.
    pub result: FacesResult,
    /// The HR faces.
    pub faces: Vec<FaceImage>,
    /// Their labels.
    pub labels: Vec<Subject>,
    /// Their names.
    pub names: Vec<String>,
    /// The student's embeddings.
    pub student: Views,
    /// The teacher's embeddings.
    pub teacher: Option<Views>,
}

/// One of a probe's best matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Index of the gallery image.
    pub image: usize,
    /// Cosine.
    pub score: f64,
    /// Whether it is the same person.
    pub mated: bool,
}

impl FacesEvaluation {
    /// The student's comparisons of LR views with the other images at full resolution; `None` for a size not evaluated.
    pub(crate) fn comparisons(&self, size: usize) -> Option<Result<Comparisons, EvalError>> {
        let lr = self.student.lr.get(&size)?;
        Some(cross_comparisons(
            lr,
            &self.labels,
            &self.student.hr,
            &self.labels,
            Pairs::OtherImages,
        ))
    }

    /// The `count` gallery images most like probe `image` at `size`, best first; the image itself left out.
    pub fn best(&self, views: &Views, size: usize, image: usize, count: usize) -> Vec<Candidate> {
        let Some(lr) = views.lr.get(&size) else {
            return Vec::new();
        };
        let probe = lr.row(image);
        let mut all: Vec<Candidate> = (0..self.labels.len())
            .filter(|other| *other != image)
            .map(|other| Candidate {
                image: other,
                score: probe
                    .iter()
                    .zip(views.hr.row(other))
                    .map(|(a, b)| f64::from(*a) * f64::from(*b))
                    .sum(),
                mated: self.labels[other] == self.labels[image],
            })
            .collect();
        all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.image.cmp(&b.image)));
        all.truncate(count);
        all
    }
}

/// Evaluates a network by face size.
///
/// Each image is a probe, reduced to each size and back, against every other image at full resolution; 200 images of 20 people give
/// 1,800 genuine and 38,000 impostor comparisons a size. `progress(stage, done, total)` follows the embedding.
///
/// # Errors
/// What the data, the networks or the metrics report; see [`TrainError`].
pub fn evaluate_faces(
    request: &FacesRequest,
    progress: &mut dyn FnMut(&str, usize, usize),
) -> Result<FacesEvaluation, TrainError> {
    let sizes = checked_sizes(&request.sizes)?;
    let source = open_source(&request.data, "", &request.identities)?;
    let student = open_encoder(&request.model, &request.assume, &request.device)?;
    let teacher = open_teacher(request)?;
    let faces = Faces::load(source.as_ref())?;
    let too_large = sizes
        .iter()
        .find(|size| faces.faces.iter().any(|face| face.side() < **size));
    if let Some(size) = too_large {
        return Err(TrainError::Evaluation(format!(
            "--sizes has {size}, but some faces in {} are smaller than that: they cannot serve as {size}-px probes",
            request.data.display()
        )));
    }
    let student_views = views(
        student.as_ref(),
        "student",
        &faces.faces,
        &sizes,
        request,
        progress,
    )?;
    let teacher_views = match &teacher {
        Some((_, encoder)) => Some(views(
            encoder.as_ref(),
            "teacher",
            &faces.faces,
            &sizes,
            request,
            progress,
        )?),
        None => None,
    };
    let pairings = pairings(
        &student_views,
        teacher_views.as_ref(),
        &faces.labels,
        &sizes,
    )?;
    let result = FacesResult {
        schema_version: FACES_SCHEMA,
        ccface_version: env!("CARGO_PKG_VERSION").into(),
        model: facts(&request.model, student.as_ref()),
        teacher: teacher.as_ref().map(|(path, encoder)| facts(path, encoder.as_ref())),
        protocol: ProtocolFacts {
            name: "faces by size: every image a probe, every other image the gallery".into(),
            data: request.data.display().to_string(),
            data_hash: source.hash()?,
            identities: source.identities().len(),
            identity_names: source.identities().to_vec(),
            images: source.len(),
            degradation: "area average to r×r, bicubic (a = −0.75) back, in f32".into(),
            alignment: request
                .mask
                .beside("as in the folder; faces must come aligned"),
            fusion: request.flip.description().into(),
            threshold_rule: "conservative: the lowest threshold with FMR ≤ f; `/nearest`: the point whose FMR is nearest to f".into(),
            hr_fmr: HR_FMR,
        },
        sizes,
        pairings,
    };
    let names = (0..source.len()).map(|i| source.name(i)).collect();
    Ok(FacesEvaluation {
        result,
        faces: faces.faces,
        labels: faces.labels,
        names,
        student: student_views,
        teacher: teacher_views,
    })
}

/// Compares two networks on the same genuine pairs at a size: which pairs each accepts at its own FMR 1 % threshold.
///
/// The outcome's difference is the second's share minus the first's, with a subject-level interval.
///
/// # Errors
/// [`TrainError::Evaluation`] where the two evaluations are not of the same faces, or lack the size.
pub fn paired_true_accepts(
    first: &FacesEvaluation,
    second: &FacesEvaluation,
    size: usize,
) -> Result<PairedOutcome, TrainError> {
    if first.names != second.names || first.labels != second.labels {
        return Err(TrainError::Evaluation(
            "a paired test needs the same faces in both evaluations".into(),
        ));
    }
    let accepts = |of: &FacesEvaluation| -> Result<(Vec<Subject>, Vec<bool>), TrainError> {
        let comparisons = of
            .comparisons(size)
            .ok_or_else(|| {
                TrainError::Evaluation(format!(
                    "a paired test at {size} px needs that size in both evaluations"
                ))
            })?
            .map_err(eval)?;
        let threshold = comparisons
            .scores()
            .map_err(eval)?
            .threshold_at_fmr(HR_FMR, Rule::Conservative)
            .map_err(eval)?
            .threshold;
        Ok(comparisons
            .genuine
            .iter()
            .map(|c| (c.probe, c.score >= threshold))
            .unzip())
    };
    let (subjects, a) = accepts(first)?;
    let (_, b) = accepts(second)?;
    paired_test(&subjects, &a, &b, &Bootstrap::default()).map_err(eval)
}

fn checked_sizes(sizes: &[usize]) -> Result<Vec<usize>, TrainError> {
    let mut sizes = sizes.to_vec();
    sizes.sort_unstable();
    sizes.dedup();
    match sizes.first() {
        None => Err(TrainError::Evaluation(
            "--sizes is empty; write for example 8,12,16,24,112".into(),
        )),
        Some(smallest) if *smallest < 2 => Err(TrainError::Evaluation(format!(
            "--sizes has {smallest}; a face has at least 2 pixels"
        ))),
        Some(_) => Ok(sizes),
    }
}

fn open_teacher(request: &FacesRequest) -> Result<Option<Opened>, TrainError> {
    if let Some(path) = &request.teacher {
        return Ok(Some((
            path.clone(),
            open_encoder(path, &request.assume, &request.device)?,
        )));
    }
    if request.alone || !is_run(&request.model) {
        return Ok(None);
    }
    let Some(recorded) = RunDir::open(&request.model)?.read_record()?.teacher else {
        return Ok(None);
    };
    let refuse = |message: String| TrainError::Teacher {
        path: recorded.path.clone(),
        message,
    };
    if !recorded.path.exists() {
        return Err(refuse(
            "the run names this teacher, but it is not there. Give its place with --teacher PATH"
                .into(),
        ));
    }
    let encoder = open_encoder(&recorded.path, &recorded.assumptions(), &request.device)?;
    if encoder.hash() != recorded.hash {
        return Err(refuse("this is not the teacher the run was trained with (its hash differs). Give the right one with --teacher PATH".into()));
    }
    Ok(Some((recorded.path, encoder)))
}

fn facts(path: &Path, encoder: &dyn FaceEncoder) -> NetworkFacts {
    NetworkFacts {
        path: path.display().to_string(),
        hash: encoder.hash().into(),
        input: encoder.input().clone(),
        embedding: encoder.dim(),
        licence: encoder.licence().into(),
    }
}

fn views(
    encoder: &dyn FaceEncoder,
    who: &str,
    faces: &[FaceImage],
    sizes: &[usize],
    request: &FacesRequest,
    progress: &mut dyn FnMut(&str, usize, usize),
) -> Result<Views, TrainError> {
    let side = encoder.input().size;
    let total = faces.len() * (sizes.len() + 1);
    let mut embed = |size: Option<usize>, before: usize| -> Result<Embeddings, TrainError> {
        let view = |i: usize| {
            Ok(request.mask.apply(match size {
                Some(r) => lr_view(&faces[i], r, side),
                None => faces[i].clone(),
            }))
        };
        let rows = embed_joined(
            encoder,
            faces.len(),
            request.batch,
            request.flip,
            &view,
            &mut |done| {
                progress(who, before + done, total);
            },
        )?;
        Embeddings::new(rows, encoder.dim()).map_err(eval)
    };
    let hr = embed(None, 0)?;
    let mut lr = BTreeMap::new();
    for (position, size) in sizes.iter().enumerate() {
        lr.insert(*size, embed(Some(*size), faces.len() * (position + 1))?);
    }
    Ok(Views { hr, lr })
}

fn pairings(
    student: &Views,
    teacher: Option<&Views>,
    labels: &[Subject],
    sizes: &[usize],
) -> Result<Pairings, TrainError> {
    let mut all = Pairings::new();
    let mut add = |name: &str, size: usize, result: SizeResult| {
        all.entry(name.into())
            .or_default()
            .insert(size.to_string(), result);
    };
    let encoders = [
        Some(("student-student", "lr-lr", student)),
        teacher.map(|t| ("teacher-teacher", "lr-lr-teacher", t)),
    ];
    for (pairing, collapse, views) in encoders.into_iter().flatten() {
        let threshold = hr_threshold(&views.hr, labels, HR_FMR)
            .map_err(eval)?
            .threshold;
        for size in sizes {
            let lr = &views.lr[size];
            add(
                pairing,
                *size,
                SizeResult::Pairing(Box::new(
                    evaluate_pairing(lr, &views.hr, labels).map_err(eval)?,
                )),
            );
            add(
                collapse,
                *size,
                SizeResult::Collapse(Box::new(
                    evaluate_collapse(lr, labels, threshold).map_err(eval)?,
                )),
            );
        }
    }
    // Without re-enrolment: the camera side runs the student, the gallery stays as the teacher enrolled it.
    if let Some(teacher) = teacher
        && teacher.hr.dim() == student.hr.dim()
    {
        for size in sizes {
            let result = evaluate_pairing(&student.lr[size], &teacher.hr, labels).map_err(eval)?;
            add(
                "student-teacher",
                *size,
                SizeResult::Pairing(Box::new(result)),
            );
        }
    }
    Ok(all)
}

fn eval(error: EvalError) -> TrainError {
    TrainError::Evaluation(error.to_string())
}
