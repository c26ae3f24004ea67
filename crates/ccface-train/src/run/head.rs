//! The head of a run and what its steps read: inherited and frozen under a teacher, trainable without one.

use std::path::Path;

use burn::{
    module::Param,
    tensor::{Device, Tensor, TensorData},
};
use ccface_data::{
    FaceSource,
    rng::{Purpose, Stream},
};
use ccface_model::{BackboneConfig, Prototypes};

use crate::{
    RunConfig, TrainError,
    config::{HeadStart, TeacherFlip},
    renderer::Say,
    teacher::{TeacherEmbeddings, inherit},
    trainee::{DistillContext, StepTask},
};

/// Purpose number of the draws of trainable prototypes.
const HEAD_WEIGHTS: Purpose = Purpose::Other(2);

/// What the two tasks build their step from.
pub(super) struct Pieces<'a> {
    pub(super) config: &'a RunConfig,
    pub(super) labels: &'a [usize],
    pub(super) source: &'a dyn FaceSource,
    pub(super) device: &'a Device,
    pub(super) training: &'a Device,
}

pub(super) type Parts = (
    StepTask,
    Option<Param<Tensor<2>>>,
    Option<(usize, usize)>,
    Option<Prototypes>,
);

impl Pieces<'_> {
    pub(super) fn distill(
        &self,
        embeddings: Option<TeacherEmbeddings>,
        teacher: Option<&Path>,
        backbone: &BackboneConfig,
        say: &Say,
    ) -> Result<Parts, TrainError> {
        let (Some(teacher), Some(embeddings)) = (teacher, embeddings) else {
            return Err(TrainError::config(
                "teacher.path",
                "distillation needs a teacher",
            ));
        };
        let objective = self.config.objective.resolve();
        let head = inherit(
            self.config.teacher.prototypes,
            &embeddings,
            self.labels,
            self.source.identities(),
            teacher,
            objective.scale,
            self.device,
        )?;
        if head.single_image_identities > 0 {
            say.line(&format!(
                "teacher    {} identities have a single image: their HR score is against themselves",
                head.single_image_identities
            ));
        }
        let (from, to) = (backbone.embedding(), embeddings.dim);
        let projector = (from != to).then_some((from, to));
        if projector.is_some() {
            say.line(&format!(
                "student    {from} numbers against the teacher's {to}: a projector is trained and dropped; student and teacher embeddings do not match each other"
            ));
        }
        let context = StepTask::Distill(Box::new(DistillContext {
            objective: objective.init(),
            prototypes: head.prototypes.to_tensor(self.training),
            shared_flip: self.config.teacher.flip == TeacherFlip::Shared,
            teacher: embeddings,
            head: head.clone(),
        }));
        Ok((context, None, projector, Some(head.prototypes)))
    }

    pub(super) fn classify(
        &self,
        embeddings: Option<TeacherEmbeddings>,
        teacher: Option<&Path>,
        backbone: &BackboneConfig,
    ) -> Result<Parts, TrainError> {
        let (classes, dim) = (self.source.identities().len(), backbone.embedding());
        let data = match self.config.head.start {
            HeadStart::Random => {
                let mut stream = Stream::new(self.config.seed, 0, 0, HEAD_WEIGHTS);
                (0..classes * dim)
                    .map(|_| (0.01 * stream.normal()) as f32)
                    .collect()
            }
            HeadStart::ClassMeans => {
                let (Some(embeddings), Some(teacher)) = (embeddings, teacher) else {
                    return Err(TrainError::config(
                        "head.start",
                        "class_means needs teacher.path",
                    ));
                };
                if embeddings.dim != dim {
                    return Err(TrainError::config(
                        "head.start",
                        format!(
                            "class_means has {} numbers, the student's embedding {dim}; use random",
                            embeddings.dim
                        ),
                    ));
                }
                let kind = crate::config::PrototypeKind::ClassMeans;
                let names = self.source.identities();
                inherit(
                    kind,
                    &embeddings,
                    self.labels,
                    names,
                    teacher,
                    1.0,
                    self.device,
                )?
                .prototypes
                .data
            }
        };
        let rows = Tensor::<2>::from_data(TensorData::new(data, [classes, dim]), self.training);
        Ok((
            StepTask::Classify(self.config.head.loss),
            Some(Param::from_tensor(rows)),
            None,
            None,
        ))
    }
}
