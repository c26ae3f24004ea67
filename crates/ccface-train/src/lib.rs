//! Teacher, cache, distillation through burn-train, run directories and the choice of device.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | one TOML file per run |
//! | [`checkpoint`] | directories that a run goes on from |
//! | [`encoder`] | teacher, student and strangers' networks behind one trait |
//! | [`doctor`] | what a network most likely expects |
//! | [`embed`] | embeddings of a whole source as a file |
//! | [`teacher`] | cached embeddings, inherited prototypes |
//! | [`run`](mod@run) | from a configuration to a saved model |
//! | [`run_dir`] | what a run leaves behind |
//! | [`tensorboard`] | event files for TensorBoard |
//! | [`runs`] | which runs there are, and whether they can go on |
//! | [`faces`] | evaluation by face size |

mod calibrate;
pub mod card_evaluation;
pub mod checkpoint;
pub mod config;
mod dashboard;
mod data;
mod device;
pub mod doctor;
pub mod embed;
pub mod encoder;
mod error;
mod exact;
pub mod faces;
mod freeze;
pub mod gradient;
mod guard;
mod keeper;
mod loader;
mod lock;
mod memory;
pub mod metrics;
mod optimiser;
pub mod renderer;
pub mod run;
pub mod run_dir;
mod running_buffers;
pub mod runs;
mod schedule;
mod signals;
mod step;
mod strategy;
pub mod teacher;
pub mod tensorboard;
mod trainee;
mod validation;

/// The burn device that a [`DeviceSpec`] resolves to.
pub use burn::tensor::Device;
pub use calibrate::calibrate;
pub use config::{ConfigSource, RunConfig, Task};
pub use device::{Backend, DeviceSpec};
pub use error::TrainError;
pub use run::{Resume, RunEstimate, RunRequest, RunSummary, estimate, run};
pub use schedule::LearningRate;
pub use signals::RunSignals;
