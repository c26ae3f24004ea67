//! Checkpoints: directories that are whole or not there, verified before they are believed.
//!
//! ```text
//! RUN/checkpoints/step-000000120/
//!   student.bpk      the trainee: student, projector, trainable head      (burnpack, with parameter ids)
//!   optimiser.bpk    the optimiser's state by parameter id
//!   momentum.bpk     the momentum encoder, where there is one
//!   average.bpk      the averaged student, where there is one
//!   queue.bin        the key queue, where there is one: f32 keys, then i64 labels, little endian
//!   progress.json    where the run was: step, epoch and batch, counters, guards, length of the logs
//!   manifest.json    what the run is, and length and BLAKE3 of every other file; written last
//! ```

mod content;
mod manifest;
mod progress;
mod store;

pub(crate) use content::{all_finite, best_of, pack, restore, unpack, write};
pub use manifest::{CHECKPOINT_SCHEMA, FileFacts, Fingerprint, MANIFEST_FILE, Manifest};
pub(crate) use progress::{Cursor, Progress};
pub use store::{CheckpointStore, Draft, Rejection, Search, StoredCheckpoint};
