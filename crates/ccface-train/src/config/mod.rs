//! One TOML file per run: its sections, its defaults, its checks. Each field says meaning, unit, range, default and the literature's value.

mod contrast;
mod data;
mod head;
mod load;
mod log;
mod objective;
mod optimiser;
mod path;
mod student;
mod teacher;
mod train;
mod unattended;
mod validation;

pub use contrast::{ContrastConfig, KeySource};
pub use data::DataConfig;
pub use head::{HeadConfig, HeadStart};
pub use load::{ConfigSource, nearest};
pub use log::LogConfig;
pub use objective::ObjectiveSection;
pub use optimiser::{OptimiserConfig, OptimiserKind, Schedule};
pub use path::PathChoice;
pub use student::StudentConfig;
pub use teacher::{PrototypeKind, TeacherConfig, TeacherFlip};
pub use train::TrainSection;
pub use unattended::{CheckpointConfig, GuardConfig};
pub use validation::ValidationConfig;

use ccface_data::PairConfig;
use serde::{Deserialize, Serialize};

use crate::TrainError;

fn check(mistakes: &mut Vec<String>, ok: bool, message: impl Into<String>) {
    if !ok {
        mistakes.push(message.into());
    }
}

/// Everything that decides a run, as read from TOML plus `--set` overrides.
///
/// Two runs with equal resolved configurations on the same device and thread count are equal bit for bit on flex.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// Master seed of every draw (initial weights, order, sizes, flips). Default 0.
    pub seed: u64,
    /// Device: `flex`, `ndarray`, `wgpu[:n]`, `vulkan[:n]`, `metal`, `cuda[:n]`, `rocm[:n]`. Empty means `flex`.
    pub device: String,
    /// Where faces come from and which identities train and validate.
    pub data: DataConfig,
    /// How an HR/LR pair is made from a face.
    pub pairs: PairConfig,
    /// The HR teacher and what is taken from it.
    pub teacher: TeacherConfig,
    /// The network that is trained.
    pub student: StudentConfig,
    /// The CCFace objective (`distill`).
    pub objective: ObjectiveSection,
    /// Where the contrast's keys come from (`distill`).
    pub contrast: ContrastConfig,
    /// The margin softmax head with trainable prototypes (`train`).
    pub head: HeadConfig,
    /// Optimiser and learning-rate schedule.
    pub optimiser: OptimiserConfig,
    /// Length, batch and loading of a run.
    pub train: TrainSection,
    /// Validation by face size.
    pub validation: ValidationConfig,
    /// What is written for those who watch.
    pub log: LogConfig,
    /// When checkpoints are written, and how many stay.
    pub checkpoint: CheckpointConfig,
    /// What is done about numbers that are not finite.
    pub guard: GuardConfig,
}

/// Which command a configuration is checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// `ccface distill`: a student under a frozen teacher and its frozen prototypes.
    Distill,
    /// `ccface train`: a margin softmax head with trainable prototypes (a teacher, or the control).
    Train,
}

impl RunConfig {
    /// Checks every value and reports all mistakes at once, before any tensor exists.
    ///
    /// # Errors
    /// [`TrainError::Config`] with one line for each mistake.
    pub fn validate(&self, task: Task, origin: &str) -> Result<(), TrainError> {
        let mut mistakes = Vec::new();
        self.data.check(&mut mistakes);
        mistakes.extend(
            self.pairs
                .problems()
                .iter()
                .map(|problem| format!("pairs: {problem}")),
        );
        if task == Task::Distill && self.pairs.degradation.plan().has_shared_geometry() {
            mistakes.push(
                "pairs.degradation crops or turns both views, but the teacher's embeddings are cached of the whole face; \
                 choose a recipe that changes the LR view alone"
                    .into(),
            );
        }
        if task == Task::Distill || self.student.starts_from_teacher() {
            self.teacher.check(&mut mistakes);
        }
        self.student.check(&mut mistakes);
        match task {
            Task::Distill => {
                if let Err(found) = self.objective.resolve().validate() {
                    mistakes.extend(found.into_iter().map(|m| format!("objective: {m}")));
                }
                self.contrast.check(&mut mistakes);
            }
            Task::Train => self.head.check(&mut mistakes),
        }
        self.optimiser.check(&mut mistakes);
        self.train.check(&mut mistakes);
        if self.train.members > 1 && self.pairs.curriculum_epochs > 0.0 {
            mistakes.push(
                "pairs.curriculum_epochs goes by the run's first epochs, so with train.members above 1 only the first member \
                 would have it: set one of them back"
                    .into(),
            );
        }
        self.validation.check(&mut mistakes);
        self.log.check(&mut mistakes);
        self.checkpoint.check(&mut mistakes);
        self.guard.check(&mut mistakes);
        if let Err(error) = self.device_spec() {
            mistakes.push(error.to_string());
        }
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(TrainError::Config {
                origin: origin.into(),
                mistakes,
            })
        }
    }

    /// The device the configuration asks for; an empty string means flex.
    ///
    /// # Errors
    /// [`TrainError::Device`] for an unknown name.
    pub fn device_spec(&self) -> Result<crate::DeviceSpec, TrainError> {
        if self.device.is_empty() {
            Ok(crate::DeviceSpec::default())
        } else {
            self.device.parse()
        }
    }

    /// The configuration as TOML, every value written out.
    pub fn to_toml(&self) -> String {
        toml::to_string(self)
            .unwrap_or_else(|error| format!("# cannot be written as TOML: {error}\n"))
    }

    /// Every value by its dotted key, as TOML writes it, in the order of the sections.
    pub fn values(&self) -> Vec<(String, String)> {
        fn walk(prefix: &str, table: &toml::Table, out: &mut Vec<(String, String)>) {
            for (key, value) in table {
                let key = if prefix.is_empty() {
                    key.clone()
                } else {
                    format!("{prefix}.{key}")
                };
                match value {
                    toml::Value::Table(inner) => walk(&key, inner, out),
                    value => out.push((key, value.to_string())),
                }
            }
        }
        let mut out = Vec::new();
        if let Ok(table) = toml::Table::try_from(self) {
            walk("", &table, &mut out);
        }
        out
    }

    /// BLAKE3 of what decides the run, in hex: the resolved configuration with the defaults of `[log]`.
    pub fn hash(&self) -> String {
        let mut decisive = self.clone();
        decisive.log = LogConfig::default();
        blake3::hash(decisive.to_toml().as_bytes())
            .to_hex()
            .to_string()
    }

    /// BLAKE3 of what decides the run's numbers: the configuration without checkpoint intervals, loader threads, the cache's
    /// size, the device's name, and the paths of data and teacher, which are known by their own hashes.
    pub fn result_hash(&self) -> String {
        let mut same = self.clone();
        same.checkpoint = CheckpointConfig::default();
        same.device = String::new();
        same.data.path = PathChoice::default();
        same.data.licence = String::new();
        same.teacher.path = PathChoice::default();
        same.teacher.cache = String::new();
        same.teacher.licence = String::new();
        let defaults = TrainSection::default();
        same.train.workers = defaults.workers;
        same.train.cache_mib = defaults.cache_mib;
        same.guard.probe = true;
        same.hash()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_no_number_changes_no_result_hash() {
        let plain = RunConfig::default();
        let mut moved = plain.clone();
        moved.data.path = "elsewhere".into();
        moved.train.workers = 7;
        moved.checkpoint.every_steps = 5;
        assert_eq!(moved.result_hash(), plain.result_hash());
        assert_ne!(moved.hash(), plain.hash());
        let mut other = plain.clone();
        other.train.batch += 1;
        assert_ne!(other.result_hash(), plain.result_hash());
    }
}
