//! What the outside may ask of a run while it goes on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::TrainError;

/// Flags that a signal handler sets and a run looks at after every step.
#[derive(Clone, Debug, Default)]
pub struct RunSignals {
    /// Finish the step, write a checkpoint, end.
    pub stop: Arc<AtomicBool>,
    /// Write a checkpoint and go on; the run clears it.
    pub save: Arc<AtomicBool>,
}

impl RunSignals {
    /// Whether the run is to end.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether a checkpoint was asked for; asks once.
    pub(crate) fn take_save(&self) -> bool {
        self.save.swap(false, Ordering::Relaxed)
    }

    /// Ends long work between two faces where the run is to end.
    ///
    /// # Errors
    /// [`TrainError::Stopped`].
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        if self.stopping() {
            Err(TrainError::Stopped)
        } else {
            Ok(())
        }
    }
}
