//! The sections of a configuration; each field says meaning, unit, range, default and the literature's value.

use std::path::PathBuf;

use ccface_data::Selection;
use ccface_losses::{MarginHead, ObjectiveConfig};
use ccface_model::{BackboneConfig, Colour, InputSpec};
use serde::{Deserialize, Serialize};

use crate::TrainError;

pub(super) fn check(mistakes: &mut Vec<String>, ok: bool, message: impl Into<String>) {
    if !ok {
        mistakes.push(message.into());
    }
}

/// A path, or several of which the first that exists is used. Relative paths start at the working directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PathChoice {
    /// One path.
    One(String),
    /// Alternatives in order of preference.
    Many(Vec<String>),
}

impl Default for PathChoice {
    fn default() -> Self {
        Self::One(String::new())
    }
}

impl From<&str> for PathChoice {
    fn from(path: &str) -> Self {
        Self::One(path.into())
    }
}

impl PathChoice {
    /// The alternatives in order.
    pub fn candidates(&self) -> &[String] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Many(paths) => paths,
        }
    }

    /// Whether no path was given.
    pub fn is_empty(&self) -> bool {
        self.candidates().iter().all(String::is_empty)
    }

    /// The first alternative that exists.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the key and every path that was tried.
    pub fn resolve(&self, key: &str) -> Result<PathBuf, TrainError> {
        let candidates = self.candidates();
        candidates.iter().map(PathBuf::from).find(|path| path.exists()).ok_or_else(|| {
            TrainError::config(
                key,
                format!(
                    "nothing exists at {}. Give the right path with --set {key}=PATH (scripts/fetch_orl.sh fetches the example data)",
                    candidates.join(" or ")
                ),
            )
        })
    }
}

/// Where faces come from and which identities train and validate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Aligned faces: an image folder `identity/image`, a `.rec` file or a folder with one, TinyFace's training set, or a `.csv`
    /// manifest.
    pub path: PathChoice,
    /// The split of a manifest to use. Default empty: all rows.
    pub split: String,
    /// Identities to use: `all`, names, and inclusive ranges over the sorted names (`s01..s20`). Default `all`.
    pub identities: Selection,
    /// Split the identities into this many disjoint folds and validate on one; 0 (default) uses no folds.
    pub folds: usize,
    /// Which fold validates, from 0. Default 0.
    pub fold: usize,
    /// Seed of the fold assignment, apart from the run's seed so that seeds share folds. Default 0.
    pub fold_seed: u64,
    /// Share of training images that may be unreadable, 0..1: others of the same people stand in for them. Default 0.001; beyond
    /// it the run ends with the first of them named.
    pub error_budget: f64,
    /// Licence of the data, inherited by the model's card. Default `unstated`.
    pub licence: String,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            path: PathChoice::default(),
            split: String::new(),
            identities: Selection::All,
            folds: 0,
            fold: 0,
            fold_seed: 0,
            error_budget: 0.001,
            licence: "unstated".into(),
        }
    }
}

impl DataConfig {
    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        check(
            mistakes,
            !self.path.is_empty(),
            "data.path is missing: name a folder of aligned faces, identity/image",
        );
        check(
            mistakes,
            (0.0..=1.0).contains(&self.error_budget),
            "data.error_budget is a share of the images, 0 to 1",
        );
        check(
            mistakes,
            self.folds != 1,
            "data.folds: 1 leaves nothing to train on; use 0 (none) or at least 2",
        );
        check(
            mistakes,
            self.folds == 0 || self.fold < self.folds,
            format!(
                "data.fold {} does not exist among {} folds; they count from 0",
                self.fold, self.folds
            ),
        );
    }
}

/// Which prototypes the student inherits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrototypeKind {
    /// Normalised means of the teacher's HR embeddings of each class.
    #[default]
    ClassMeans,
    /// Class means; the HR score of an image is taken against the mean of the class's *other* images.
    LeaveOneOut,
    /// A classifier trained on the teacher's cached HR embeddings.
    Refit,
    /// The head that lies beside the teacher (`prototypes.safetensors`), as `ccface train` writes it.
    Inherited,
}

/// Which view the teacher embeds when the student's view is flipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TeacherFlip {
    /// The same flip as the student's view.
    #[default]
    Shared,
    /// Always the unflipped image.
    Never,
}

/// The HR teacher and what is taken from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TeacherConfig {
    /// An ONNX network, or a model directory that `ccface train` or `ccface distill` wrote.
    pub path: PathChoice,
    /// Colour order that an ONNX teacher expects. Default `rgb`; AdaFace-type networks take `bgr`.
    pub colour: Colour,
    /// Subtracted from each 0..255 channel before an ONNX teacher. Default 127.5 each.
    pub mean: [f32; 3],
    /// Divisor of each channel before an ONNX teacher. Default 127.5 each.
    pub std: [f32; 3],
    /// Licence of an ONNX teacher, inherited by the student's card. Default `unstated`.
    pub licence: String,
    /// Which prototypes the student inherits. Default `class_means`.
    pub prototypes: PrototypeKind,
    /// Whether the teacher's view shares the student's flip. Default `shared`.
    pub flip: TeacherFlip,
    /// Directory of the embedding cache; empty puts it beside the run directory.
    pub cache: String,
    /// Images per teacher call. Default 32.
    pub batch: usize,
}

impl Default for TeacherConfig {
    fn default() -> Self {
        Self {
            path: PathChoice::default(),
            colour: Colour::Rgb,
            mean: [127.5; 3],
            std: [127.5; 3],
            licence: "unstated".into(),
            prototypes: PrototypeKind::default(),
            flip: TeacherFlip::default(),
            cache: String::new(),
            batch: 32,
        }
    }
}

impl TeacherConfig {
    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        check(
            mistakes,
            !self.path.is_empty(),
            "teacher.path is missing: name an ONNX file or a model directory",
        );
        check(mistakes, self.batch > 0, "teacher.batch must be at least 1");
        check(
            mistakes,
            self.std.iter().all(|s| s.is_finite() && *s > 0.0)
                && self.mean.iter().all(|m| m.is_finite()),
            "teacher.mean and teacher.std must be finite, std above 0",
        );
    }

    /// The input that an ONNX teacher of side `size` expects.
    pub fn input(&self, size: usize) -> InputSpec {
        InputSpec {
            colour: self.colour,
            mean: self.mean,
            std: self.std,
            ..InputSpec::arcface(size)
        }
    }
}

/// The network that is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StudentConfig {
    /// `teacher` (the teacher's own weights), `scratch`, or a model directory to go on from. Default `teacher`.
    pub start: String,
    /// Share of the starting weights in the network that is validated and saved, 0..1. Needs a start with weights. Default 0:
    /// the trained weights alone.
    ///
    /// ```text
    /// θ_saved = start_share·θ_start + (1 − start_share)·θ_trained
    /// ```
    ///
    /// Weights between the start and what fine-tuning made of them forget less of the start and overfit less; batch norm's
    /// running statistics are mixed alike. Source: verbatim, WiSE-FT (Wortsman et al., CVPR 2022), with α = 1 − start_share.
    pub start_share: f64,
    /// Parts of the network that stay as they are during the first `freeze_epochs`, by the names of their parameters (`layer1`,
    /// `conv1`, …): every parameter whose name contains one of them, batch norms included. Default none.
    pub freeze: Vec<String>,
    /// Epochs for which `freeze` holds. Default 0.
    pub freeze_epochs: usize,
    /// Architecture of a student from `scratch`. Default: the paper's MobileFaceNet.
    pub backbone: BackboneConfig,
    /// Colour order of a student from `scratch`. Default `rgb`.
    pub colour: Colour,
    /// Channel mean of a student from `scratch`, 0..255 scale. Default 127.5 each.
    pub mean: [f32; 3],
    /// Channel divisor of a student from `scratch`. Default 127.5 each.
    pub std: [f32; 3],
}

impl Default for StudentConfig {
    fn default() -> Self {
        Self {
            start: "teacher".into(),
            start_share: 0.0,
            freeze: Vec::new(),
            freeze_epochs: 0,
            backbone: BackboneConfig::MobileFaceNet(Default::default()),
            colour: Colour::Rgb,
            mean: [127.5; 3],
            std: [127.5; 3],
        }
    }
}

impl StudentConfig {
    /// Whether the student's first weights are the teacher's.
    pub fn starts_from_teacher(&self) -> bool {
        self.start == "teacher"
    }

    /// Whether the student's first weights are drawn.
    pub fn starts_from_scratch(&self) -> bool {
        self.start == "scratch"
    }

    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        check(
            mistakes,
            !self.start.is_empty(),
            "student.start is empty: write teacher, scratch or a model directory",
        );
        check(
            mistakes,
            (0.0..1.0).contains(&self.start_share),
            format!(
                "student.start_share is {}, must be 0 (the trained weights alone) or a share below 1",
                self.start_share
            ),
        );
        check(
            mistakes,
            self.start_share == 0.0 || !self.starts_from_scratch(),
            "student.start_share mixes the starting weights in, but a student from scratch has none worth keeping",
        );
        check(
            mistakes,
            self.freeze.is_empty() == (self.freeze_epochs == 0),
            "student.freeze and student.freeze_epochs belong together: which parts, and for how many epochs",
        );
        if self.starts_from_scratch()
            && let Err(found) = self.backbone.validate()
        {
            mistakes.extend(found.into_iter().map(|m| format!("student.backbone: {m}")));
        }
        check(
            mistakes,
            self.std.iter().all(|s| s.is_finite() && *s > 0.0)
                && self.mean.iter().all(|m| m.is_finite()),
            "student.mean and student.std must be finite, std above 0",
        );
    }

    /// The input of a student from `scratch`.
    pub fn input(&self) -> InputSpec {
        InputSpec {
            colour: self.colour,
            mean: self.mean,
            std: self.std,
            ..InputSpec::arcface(self.backbone.input_size())
        }
    }
}

/// The objective: a preset and the values that differ from it.
///
/// In TOML every key of the objective may follow `preset`; what is not written comes from the preset.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectiveSection {
    /// `ccface` (the method as described) or `recommended` (what measurement supports).
    pub preset: String,
    resolved: ObjectiveConfig,
}

impl Default for ObjectiveSection {
    fn default() -> Self {
        Self {
            preset: "ccface".into(),
            resolved: ObjectiveConfig::ccface(),
        }
    }
}

impl ObjectiveSection {
    /// The preset with the section's values over it.
    pub fn resolve(&self) -> &ObjectiveConfig {
        &self.resolved
    }
}

impl Serialize for ObjectiveSection {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let mut table = toml::Table::try_from(&self.resolved).map_err(S::Error::custom)?;
        table.insert("preset".into(), self.preset.clone().into());
        table.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ObjectiveSection {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let mut given = toml::Table::deserialize(deserializer)?;
        let preset = match given.remove("preset") {
            None => "ccface".to_string(),
            Some(toml::Value::String(name)) => name,
            Some(other) => {
                return Err(D::Error::custom(format!(
                    "objective.preset must be a name, not {other}"
                )));
            }
        };
        let base = match preset.as_str() {
            "ccface" => ObjectiveConfig::ccface(),
            "recommended" => ObjectiveConfig::recommended(),
            other => return Err(D::Error::unknown_variant(other, &["ccface", "recommended"])),
        };
        let mut table = toml::Table::try_from(&base).map_err(D::Error::custom)?;
        for (key, value) in given {
            // TOML tells 5 from 5.0; a user need not.
            let value = match (table.get(&key), value) {
                (Some(toml::Value::Float(_)), toml::Value::Integer(number)) => {
                    toml::Value::Float(number as f64)
                }
                (_, value) => value,
            };
            table.insert(key, value);
        }
        let resolved =
            ObjectiveConfig::deserialize(toml::Value::Table(table)).map_err(D::Error::custom)?;
        Ok(Self { preset, resolved })
    }
}

/// Who encodes the HR view into the contrast's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// The frozen teacher.
    #[default]
    Teacher,
    /// An exponential moving average of the student.
    Momentum,
}

/// Where the contrast's keys come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContrastConfig {
    /// `teacher` (default) or `momentum`.
    pub keys: KeySource,
    /// Decay μ of the momentum encoder, 0..1. Default 0.999 (MoCo).
    pub momentum: f64,
}

impl Default for ContrastConfig {
    fn default() -> Self {
        Self {
            keys: KeySource::Teacher,
            momentum: 0.999,
        }
    }
}

impl ContrastConfig {
    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        check(
            mistakes,
            (0.0..1.0).contains(&self.momentum),
            format!(
                "contrast.momentum is {}, must be in 0..1 (below 1)",
                self.momentum
            ),
        );
    }
}

/// Where trainable prototypes start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadStart {
    /// Drawn from a normal distribution of deviation 0.01, as arcface_torch does.
    #[default]
    Random,
    /// The teacher's class means, as the distilled student has them (the fair control).
    ClassMeans,
}

/// The margin softmax head with trainable prototypes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeadConfig {
    /// Which loss: ArcFace (default), CosFace or AdaFace, with its scale and margin.
    pub loss: MarginHead,
    /// Where the prototypes start. Default `random`.
    pub start: HeadStart,
    /// Epochs over which the margin grows linearly from 0 to its value. Default 0: the whole margin at once.
    pub margin_warmup_epochs: f64,
}

impl HeadConfig {
    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        if let Err(found) = self.loss.validate() {
            mistakes.extend(found.into_iter().map(|m| format!("head.loss: {m}")));
        }
        check(
            mistakes,
            self.margin_warmup_epochs >= 0.0 && self.margin_warmup_epochs.is_finite(),
            "head.margin_warmup_epochs must be 0 or more",
        );
    }
}

/// The optimiser's kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimiserKind {
    /// Stochastic gradient descent with momentum, as PyTorch computes it (no dampening).
    #[default]
    Sgd,
    /// Adam with decoupled weight decay.
    Adamw,
}

/// How the learning rate falls after warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Half a cosine down to 0.
    #[default]
    Cosine,
    /// `(1 − t)²`, arcface_torch's polynomial.
    Polynomial,
    /// No fall.
    Constant,
}

/// Optimiser and learning-rate schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimiserConfig {
    /// `sgd` (default) or `adamw`.
    pub kind: OptimiserKind,
    /// Peak learning rate. Default 0.01.
    pub learning_rate: f64,
    /// Momentum of SGD, 0..1. Default 0.9.
    pub momentum: f64,
    /// Weight decay. Default 5e-4.
    pub weight_decay: f64,
    /// Also decay biases, batch-norm and PReLU parameters. Default false.
    pub decay_all: bool,
    /// Clip the global gradient norm to this; 0 never clips. Default 5.
    pub clip_norm: f64,
    /// `cosine` (default), `polynomial` or `constant`.
    pub schedule: Schedule,
    /// Epochs of linear warm-up, fractions allowed. Default 0.
    pub warmup_epochs: f64,
}

impl Default for OptimiserConfig {
    fn default() -> Self {
        Self {
            kind: OptimiserKind::Sgd,
            learning_rate: 0.01,
            momentum: 0.9,
            weight_decay: 5e-4,
            decay_all: false,
            clip_norm: 5.0,
            schedule: Schedule::Cosine,
            warmup_epochs: 0.0,
        }
    }
}

impl OptimiserConfig {
    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        let positive = |v: f64| v.is_finite() && v > 0.0;
        let not_negative = |v: f64| v.is_finite() && v >= 0.0;
        check(
            mistakes,
            positive(self.learning_rate),
            "optimiser.learning_rate must be above 0",
        );
        check(
            mistakes,
            (0.0..1.0).contains(&self.momentum),
            "optimiser.momentum must be in 0..1 (below 1)",
        );
        check(
            mistakes,
            not_negative(self.weight_decay),
            "optimiser.weight_decay must be 0 or more",
        );
        check(
            mistakes,
            not_negative(self.clip_norm),
            "optimiser.clip_norm must be 0 (never) or more",
        );
        check(
            mistakes,
            not_negative(self.warmup_epochs),
            "optimiser.warmup_epochs must be 0 or more",
        );
    }
}

/// Length, batch and loading of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSection {
    /// Passes over the data, of each member where there are several. Default 12.
    pub epochs: usize,
    /// Faces per batch. Default 40.
    pub batch: usize,
    /// Batches behind each update of the weights; their gradients are averaged over all their faces. Default 1.
    ///
    /// Equal to one larger batch where no layer and no term looks across the batch; batch norms and the contrast's
    /// in-batch negatives see each batch on its own.
    pub accumulate: usize,
    /// Loader threads; the result is the same for any number. 0 loads in the training thread. Default 1.
    pub workers: usize,
    /// Decoded faces kept in memory, in MiB. Default 512.
    pub cache_mib: usize,
    /// Decay of an exponential moving average of the student's weights, 0..1. Where it is on, the average is validated
    /// and saved instead of the last weights. Default 0: off; 0.99 averages over the last hundred steps or so.
    ///
    /// ```text
    /// θ̄ ← average·θ̄ + (1 − average)·θ      after every step, from θ̄ = θ at the start
    /// ```
    pub average: f64,
    /// Share of the run, at its end, over which the student's weights are averaged with equal weights, 0..=1; the average is
    /// validated and saved instead of the last weights. Default 0: off. Goes well with `optimiser.schedule = "constant"`.
    ///
    /// ```text
    /// θ̄ = mean of θ after each of the last ⌈average_tail · steps⌉ steps
    /// ```
    ///
    /// Source: reconstructed, stochastic weight averaging (Izmailov et al., UAI 2018); batch norms' running statistics are
    /// averaged alike instead of measured anew.
    pub average_tail: f64,
    /// Students that are trained one after the other, each for `epochs` from the same first weights, with optimiser, key queue,
    /// learning-rate schedule and draws of its own; their mean is validated and saved. Default 1.
    ///
    /// Fine-tuning few images lands somewhere else with every seed; the mean is better than its members. A head with
    /// trainable prototypes is that of the last member. Source: reconstructed, uniform model soup (Wortsman et al., ICML 2022).
    pub members: usize,
}

impl Default for TrainSection {
    fn default() -> Self {
        Self {
            epochs: 12,
            batch: 40,
            accumulate: 1,
            workers: 1,
            cache_mib: 512,
            average: 0.0,
            average_tail: 0.0,
            members: 1,
        }
    }
}

impl TrainSection {
    /// Passes over the data of all members together.
    pub fn total_epochs(&self) -> usize {
        self.epochs * self.members
    }

    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        check(mistakes, self.epochs > 0, "train.epochs must be at least 1");
        check(mistakes, self.batch > 0, "train.batch must be at least 1");
        check(
            mistakes,
            self.accumulate > 0,
            "train.accumulate must be at least 1",
        );
        check(
            mistakes,
            self.workers <= 256,
            format!("train.workers is {}, 256 at most", self.workers),
        );
        check(
            mistakes,
            (0.0..1.0).contains(&self.average),
            format!(
                "train.average is {}, must be 0 (off) or a decay below 1, as in 0.99",
                self.average
            ),
        );
        check(
            mistakes,
            (0.0..=1.0).contains(&self.average_tail),
            format!(
                "train.average_tail is {}, must be 0 (off) or a share of the run up to 1, as in 0.5",
                self.average_tail
            ),
        );
        check(
            mistakes,
            self.average == 0.0 || self.average_tail == 0.0,
            "train.average and train.average_tail are two ways of averaging: set one of them to 0",
        );
        check(
            mistakes,
            (1..=100).contains(&self.members),
            format!("train.members is {}, must be 1 to 100", self.members),
        );
        check(
            mistakes,
            self.members == 1 || (self.average == 0.0 && self.average_tail == 0.0),
            "train.members above 1 averages already: set train.average and train.average_tail to 0",
        );
    }
}

/// Validation by face size, after every `every` epochs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ValidationConfig {
    /// Identities to validate on (a selection of the data folder), `seen` (the training identities: a check of the
    /// fit, not of generalisation), or empty for none. With `data.folds` the held-out fold is used instead.
    pub identities: String,
    /// Face sizes of the LR probes, pixels. Default 8, 12, 16.
    pub sizes: Vec<usize>,
    /// Epochs between validations; the last epoch always validates. Default 1.
    pub every: usize,
}

impl Default for ValidationConfig {
    fn default() -> Self {
        Self {
            identities: String::new(),
            sizes: vec![8, 12, 16],
            every: 1,
        }
    }
}

impl ValidationConfig {
    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        check(
            mistakes,
            self.every > 0,
            "validation.every must be at least 1",
        );
        check(
            mistakes,
            self.sizes.iter().all(|s| *s >= 2),
            "validation.sizes: a face has at least 2 pixels",
        );
    }
}
