//! Teacher, cache, distillation through burn-train, run directories and the choice of device.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | one TOML file per run |
//! | [`encoder`] | teacher, student and strangers' networks behind one trait |
//! | [`doctor`] | what a network most likely expects |
//! | [`embed`] | embeddings of a whole source as a file |
//! | [`teacher`] | cached embeddings, inherited prototypes |
//! | [`run`](mod@run) | from a configuration to a saved model |
//! | [`run_dir`] | what a run leaves behind |
//! | [`faces`] | evaluation by face size |

mod calibrate;
pub mod config;
mod data;
mod device;
pub mod doctor;
pub mod embed;
pub mod encoder;
mod error;
pub mod faces;
pub mod gradient;
mod loader;
pub mod metrics;
mod optimiser;
pub mod renderer;
pub mod run;
pub mod run_dir;
mod schedule;
mod strategy;
pub mod teacher;
mod trainee;
mod validation;

/// The burn device that a [`DeviceSpec`] resolves to.
pub use burn::tensor::Device;
pub use calibrate::calibrate;
pub use config::{ConfigSource, RunConfig, Task};
pub use device::{Backend, DeviceSpec};
pub use error::TrainError;
pub use run::{RunRequest, RunSummary, run};
pub use schedule::LearningRate;
