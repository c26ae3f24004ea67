//! The module that burn-train trains, and one step of it.

use std::{fmt, sync::Arc};

use burn::{
    module::{Module, Param},
    nn::Linear,
    optim::GradientsParams,
    tensor::{Int, Tensor, TensorData},
    train::{InferenceStep, TrainOutput, TrainStep},
};
use ccface_data::Batch;
use ccface_losses::{MarginHead, Objective, ObjectiveInput, RunningStatistics};
use ccface_model::{Backbone, InputSpec};

use crate::{
    encoder::{to_tensor, write_planes},
    metrics::{Bins, Report},
    teacher::{InheritedHead, TeacherEmbeddings},
    validation::ValidationSet,
};

/// Share of a batch in the running statistics of the HR score.
const SCORE_RATE: f64 = 0.01;

/// The student, what is trained beside it, and what its steps read.
#[derive(Module, Debug)]
pub(crate) struct Trainee {
    /// The network that is kept.
    pub(crate) student: Backbone,
    /// Maps the student's embedding to the teacher's length for the embedding term; dropped afterwards.
    pub(crate) projector: Option<Linear>,
    /// Trainable prototypes `[classes, dim]`; none when they are inherited and frozen.
    pub(crate) head: Option<Param<Tensor<2>>>,
    #[module(skip)]
    pub(crate) context: Context,
}

/// What a step reads beside its batch; shared, never changed.
#[derive(Clone)]
pub(crate) struct Context(pub(crate) Arc<StepContext>);

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context")
    }
}

pub(crate) struct StepContext {
    pub(crate) input: InputSpec,
    /// Length of the student's embedding.
    pub(crate) embedding: usize,
    pub(crate) task: StepTask,
}

pub(crate) enum StepTask {
    /// Under a teacher, with its frozen prototypes.
    Distill(Box<DistillContext>),
    /// A margin softmax with trainable prototypes.
    Classify(MarginHead),
}

pub(crate) struct DistillContext {
    pub(crate) objective: Objective,
    pub(crate) teacher: TeacherEmbeddings,
    pub(crate) head: InheritedHead,
    /// The head's prototypes on the training device; no gradient reaches them.
    pub(crate) prototypes: Tensor<2>,
    /// Whether the teacher's view shares the student's flip.
    pub(crate) shared_flip: bool,
}

/// Bins of the margins' distribution in the metrics stream.
const MARGIN_BINS: usize = 20;

/// Numbers that one step hands to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Running {
    /// AdaFace's statistics of the feature norm.
    pub(crate) norms: Option<RunningStatistics>,
    /// Statistics of the HR score, where it is standardised.
    pub(crate) score: Option<RunningStatistics>,
}

/// A batch and what the strategy adds to it: state that lives longer than a step.
pub(crate) struct TrainItem {
    pub(crate) batch: Batch,
    /// Keys of the momentum encoder; `None` uses the teacher's embeddings.
    pub(crate) keys: Option<Tensor<2>>,
    /// Past keys and their labels.
    pub(crate) queue: Option<(Tensor<2>, Tensor<1, Int>)>,
    /// The teacher's embeddings of the LR views.
    pub(crate) teacher_lr: Option<Tensor<2>>,
    /// Permutation of the batch for the shuffled-margin control.
    pub(crate) permutation: Option<Vec<usize>>,
    /// What the last step handed over.
    pub(crate) running: Running,
    /// Share of the head's full margin during margin warm-up.
    pub(crate) margin_share: f64,
}

impl TrainItem {
    pub(crate) fn new(batch: Batch) -> Self {
        Self {
            batch,
            keys: None,
            queue: None,
            teacher_lr: None,
            permutation: None,
            running: Running::default(),
            margin_share: 1.0,
        }
    }
}

impl Trainee {
    /// Length of a teacher's key of the contrast.
    pub(crate) fn key_dim(&self) -> usize {
        match &self.context.0.task {
            StepTask::Distill(distill) => distill.teacher.dim,
            StepTask::Classify(_) => self.context.0.embedding,
        }
    }

    /// The batch's student views as the student expects them.
    pub(crate) fn student_pixels(&self, batch: &Batch) -> Vec<f32> {
        let mut pixels = Vec::with_capacity(batch.student.len());
        for face in batch
            .student
            .chunks_exact(3 * batch.student_size * batch.student_size)
        {
            write_planes(face, &self.context.0.input, &mut pixels);
        }
        pixels
    }

    /// Forward and objective: the report, the loss to go backwards from, and what the next step needs to know.
    pub(crate) fn forward(&self, item: &TrainItem) -> (Tensor<1>, Report, Running) {
        let batch = &item.batch;
        let device = self.student.devices()[0].clone();
        let images = to_tensor(
            self.student_pixels(batch),
            batch.len(),
            batch.student_size,
            &device,
        );
        let embeddings = self.student.forward(images);
        let labels = int_tensor(&batch.labels, &device);
        match (&self.context.0.task, &self.head) {
            (StepTask::Distill(distill), _) => self.distill(distill, item, embeddings, labels),
            (StepTask::Classify(head), Some(prototypes)) => {
                classify(head, prototypes.val(), item, embeddings, labels)
            }
            (StepTask::Classify(_), None) => {
                unreachable!("a classifying trainee is built with its prototypes")
            }
        }
    }

    fn distill(
        &self,
        distill: &DistillContext,
        item: &TrainItem,
        embeddings: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> (Tensor<1>, Report, Running) {
        let (batch, device) = (&item.batch, embeddings.device());
        let (dim, count) = (distill.teacher.dim, batch.len());
        let mut rows = Vec::with_capacity(count * dim);
        let mut scores = Vec::with_capacity(count);
        for (index, flipped) in batch.indices.iter().zip(&batch.flipped) {
            let mirrored = *flipped && distill.shared_flip;
            rows.extend_from_slice(distill.teacher.row(*index, mirrored));
            scores.push(distill.head.score(*index, mirrored));
        }
        let teacher = Tensor::<2>::from_data(TensorData::new(rows, [count, dim]), &device);
        // A student of another length meets the teacher's space through the projector, in every term.
        let student = match &self.projector {
            Some(projector) => projector.forward(embeddings),
            None => embeddings,
        };
        let output = distill.objective.forward(ObjectiveInput {
            student,
            projected: None,
            score_statistics: item.running.score,
            teacher_hr: teacher,
            teacher_lr: item.teacher_lr.clone(),
            teacher_score: Some(Tensor::from_data(TensorData::new(scores, [count]), &device)),
            prototypes: distill.prototypes.clone(),
            labels,
            keys: item.keys.clone(),
            queue: item.queue.clone(),
            permutation: item.permutation.as_ref().map(|p| int_tensor(p, &device)),
        });
        let margins = output.margins.clone();
        let mut names = vec!["loss".to_string()];
        let mut values = vec![output.total.clone().reshape([1])];
        for (term, per_sample) in &output.terms {
            names.push(term.name().to_string());
            values.push(per_sample.clone().mean());
        }
        let mean = margins.clone().mean();
        names.extend([
            "margin_mean".into(),
            "margin_spread".into(),
            "target_cosine".into(),
            "lr_accuracy".into(),
        ]);
        values.push(mean.clone());
        values.push((margins.clone() - mean).powf_scalar(2.0).mean().sqrt());
        values.push(output.target_cosine.mean());
        values.push(output.correct.mean());
        if let Some(share) = output.push_share {
            names.push("push_share".into());
            values.push(share.mean());
        }
        let mut running = item.running;
        if distill.objective.config.standardise_score {
            let scores = crate::encoder::read_rows(output.hr_score).unwrap_or_default();
            let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
            running.score = match running.score {
                Some(before) => Some(before.updated(&scores, SCORE_RATE)),
                None => RunningStatistics::of(&scores),
            };
        }
        // The margins travel to the host behind the numbers, in the same transfer.
        values.push(margins);
        let (mut report, margins) = read_report(names, values, count);
        let widest = distill.objective.config.margin_max;
        if widest > 0.0 {
            let bins = Bins::count(&margins, 0.0, widest, MARGIN_BINS);
            report.histograms.push(("margins".into(), bins));
        }
        (output.total, report, running)
    }
}

fn classify(
    head: &MarginHead,
    prototypes: Tensor<2>,
    item: &TrainItem,
    embeddings: Tensor<2>,
    labels: Tensor<1, Int>,
) -> (Tensor<1>, Report, Running) {
    let head = head.with_margin_share(item.margin_share);
    let output = head.forward_no_reduction(embeddings, prototypes, labels, item.running.norms);
    let loss = output.loss.mean();
    let names = ["loss", "target_cosine", "lr_accuracy"]
        .map(String::from)
        .to_vec();
    let values = vec![
        loss.clone(),
        output.target_cosine.mean(),
        output.correct.mean(),
    ];
    let running = Running {
        norms: output.norms,
        ..item.running
    };
    let (report, _) = read_report(names, values, item.batch.len());
    (loss, report, running)
}

/// Reads all numbers of a step in one transfer, and with them what stands behind the named ones.
fn read_report(names: Vec<String>, values: Vec<Tensor<1>>, samples: usize) -> (Report, Vec<f32>) {
    let row = Tensor::cat(values, 0).inner();
    let mut values = crate::encoder::read_rows(row).unwrap_or_else(|_| vec![f32::NAN; names.len()]);
    let rest = values.split_off(names.len().min(values.len()));
    let report = Report {
        samples,
        scalars: names
            .into_iter()
            .zip(values.into_iter().map(f64::from))
            .collect(),
        histograms: Vec::new(),
    };
    (report, rest)
}

pub(crate) fn int_tensor(values: &[usize], device: &burn::tensor::Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values
        .iter()
        .map(|v| i32::try_from(*v).unwrap_or(i32::MAX))
        .collect();
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}

impl TrainStep for Trainee {
    type Input = TrainItem;
    type Output = Report;

    fn step(&self, item: TrainItem) -> TrainOutput<Report> {
        let (loss, report, _) = self.forward(&item);
        TrainOutput {
            grads: GradientsParams::from_grads(loss.backward(), self),
            item: report,
        }
    }
}

impl InferenceStep for Trainee {
    type Input = Arc<ValidationSet>;
    type Output = Report;

    fn step(&self, set: Arc<ValidationSet>) -> Report {
        set.evaluate(&self.student, &self.context.0)
            .unwrap_or_default()
    }
}
