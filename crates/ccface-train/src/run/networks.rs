//! The networks of a run: the teacher and its embeddings, and the student it begins with.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ccface_data::{
    FaceSource,
    rng::{Purpose, Stream},
};
use ccface_model::{Backbone, BackboneConfig, InputSpec, OnnxFile, load_model};

use super::RunRequest;
use crate::{
    RunConfig, Task, TrainError,
    config::HeadStart,
    encoder::{FaceEncoder, Opened, is_onnx, open_encoder, stoppable},
    renderer::Say,
    run_dir::model_path,
    teacher::{CacheOutcome, TeacherEmbeddings, embed_source},
};

/// Purpose number of embeddings that only stand in.
const STAND_IN: Purpose = Purpose::Other(3);

/// Where the teacher's embeddings of the training images come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Embed {
    /// From the teacher, or its cache.
    Teacher,
    /// From random numbers, where only shapes and speed matter.
    StandIn,
}

/// Unit vectors in the place of a teacher's embeddings.
pub(super) fn stand_in(dim: usize, images: usize, seed: u64) -> TeacherEmbeddings {
    let mut stream = Stream::new(seed, 0, 0, STAND_IN);
    let mut rows = || {
        let mut rows: Vec<f32> = (0..images * dim).map(|_| stream.normal() as f32).collect();
        for row in rows.chunks_exact_mut(dim.max(1)) {
            let _ = crate::encoder::normalise(row);
        }
        rows
    };
    TeacherEmbeddings {
        dim,
        plain: rows(),
        mirrored: rows(),
    }
}

/// The teacher, where the task needs one.
///
/// # Errors
/// A path that does not exist, or a file that is no network.
pub(super) fn open_teacher(
    task: Task,
    config: &RunConfig,
    device: &Device,
) -> Result<Option<Opened>, TrainError> {
    let needed = task == Task::Distill
        || config.student.starts_from_teacher()
        || config.head.start == HeadStart::ClassMeans;
    if !needed {
        return Ok(None);
    }
    let path = config.teacher.path.resolve("teacher.path")?;
    let assume = crate::encoder::Assumptions {
        input: config.teacher.input(0),
        licence: config.teacher.licence.clone(),
    };
    let encoder = open_encoder(&path, &assume, device)?;
    Ok(Some((path, encoder)))
}

/// The student as it begins: drawn, the teacher's weights, or another run's.
///
/// # Errors
/// A model that cannot be read.
pub(super) fn open_student(
    config: &RunConfig,
    teacher: Option<&Path>,
    device: &Device,
) -> Result<(Backbone, BackboneConfig, InputSpec), TrainError> {
    let student = &config.student;
    if student.starts_from_scratch() {
        return Ok((
            student.backbone.init_seeded(device, config.seed),
            student.backbone.clone(),
            student.input(),
        ));
    }
    let path = match (student.starts_from_teacher(), teacher) {
        (true, Some(teacher)) => teacher.to_path_buf(),
        (true, None) => {
            return Err(TrainError::config(
                "student.start",
                "there is no teacher to start from",
            ));
        }
        (false, _) => PathBuf::from(&student.start),
    };
    if is_onnx(&path) {
        let file = OnnxFile::read(&path)?;
        let (backbone, architecture) = ccface_model::mobilefacenet_from_onnx(&file, device)?;
        let input = config.teacher.input(architecture.input_size());
        return Ok((backbone, architecture, input));
    }
    let (backbone, card) = load_model(&model_path(&path), device)?;
    Ok((backbone, card.architecture, card.input))
}

/// The teacher's embeddings of the training images, from its cache or computed.
///
/// # Errors
/// An unreadable image beyond the budget, a cache that cannot be written, or what the teacher reports.
pub(super) fn embed_training_images(
    request: &RunRequest,
    config: &RunConfig,
    teacher: &dyn FaceEncoder,
    source: &dyn FaceSource,
    say: &Say,
) -> Result<(TeacherEmbeddings, CacheOutcome), TrainError> {
    let beside = request
        .out
        .parent()
        .unwrap_or(Path::new(""))
        .join("teacher-cache");
    let dir = if config.teacher.cache.is_empty() {
        beside
    } else {
        PathBuf::from(&config.teacher.cache)
    };
    let mut last = std::time::Instant::now();
    let (embeddings, outcome) = embed_source(
        &stoppable(teacher, &request.signals),
        source,
        config.teacher.batch,
        Some(&dir),
        config.data.error_budget,
        &mut |done, total| {
            if last.elapsed().as_secs() >= 5 {
                last = std::time::Instant::now();
                say.line(&format!("teacher    {done}/{total} views embedded"));
            }
        },
    )?;
    if let Some(why) = &outcome.rejected {
        say.line(&format!("teacher    cache set aside: {why}"));
    }
    for reason in &outcome.unreadable {
        say.line(&format!("teacher    left out: {reason}"));
    }
    say.line(&format!(
        "teacher    embeddings: {} images from the cache, {} computed",
        outcome.hits, outcome.misses
    ));
    Ok((embeddings, outcome))
}
