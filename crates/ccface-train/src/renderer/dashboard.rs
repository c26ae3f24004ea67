//! burn's terminal dashboard, with Ctrl-C given back and its kill key tamed.

use std::{
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::Ordering,
};

use burn::train::{
    Interrupter, LearnerSummary,
    logger::{EvaluationProgressLogger, TrainingProgressLogger},
    metric::MetricDefinition,
    renderer::{
        EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
        MetricsRendererTraining, tui::TuiMetricsRendererWrapper,
    },
};

use crate::signals::RunSignals;

/// burn's dashboard behind its own interface.
///
/// burn puts the terminal into raw mode, in which Ctrl-C is a key that nobody reads; here it stays a signal. burn's kill
/// key panics; here it asks the run to stop, as Ctrl-C does, and the dashboard is gone.
pub(crate) struct TerminalDashboard {
    inner: Option<TuiMetricsRendererWrapper>,
    signals: RunSignals,
}

impl TerminalDashboard {
    /// Takes the terminal over.
    pub(crate) fn new(
        interrupter: Interrupter,
        checkpoint: Option<usize>,
        signals: RunSignals,
    ) -> Self {
        terminal::remember();
        Self {
            inner: Some(TuiMetricsRendererWrapper::new(interrupter, checkpoint)),
            signals,
        }
    }

    fn show(&mut self, event: impl FnOnce(&mut TuiMetricsRendererWrapper)) {
        let Some(inner) = &mut self.inner else {
            return;
        };
        if catch_unwind(AssertUnwindSafe(|| event(inner))).is_err() {
            // The kill key.
            self.signals.stop.store(true, Ordering::Release);
            self.close();
        }
    }

    fn close(&mut self) {
        let inner = self.inner.take();
        // After the kill key burn panics once more when the dashboard is dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(inner)));
    }
}

impl Drop for TerminalDashboard {
    fn drop(&mut self) {
        self.close();
    }
}

impl MetricsRendererTraining for TerminalDashboard {
    fn update_train(&mut self, state: MetricState) {
        self.show(|inner| inner.update_train(state));
    }

    fn update_valid(&mut self, state: MetricState) {
        self.show(|inner| inner.update_valid(state));
    }

    fn on_train_end(&mut self, _summary: Option<LearnerSummary>) -> Result<(), Box<dyn Error>> {
        // burn resets the interrupter here, and with it why the run ended; there is nothing else to do.
        Ok(())
    }
}

impl TrainingProgressLogger for TerminalDashboard {
    fn start(&mut self, epochs: usize, first: usize, items: Option<usize>, label: Option<&str>) {
        self.show(|inner| inner.start(epochs, first, items, label));
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.show(|inner| inner.update_epoch(epoch));
    }

    fn start_split(&mut self, split: &str, total_items: usize) {
        self.show(|inner| inner.start_split(split, total_items));
    }

    fn update_split(&mut self, items_processed: usize) {
        // burn's thread enters raw mode in its own time: it is looked at again with every step.
        if self.inner.is_some() {
            terminal::give_back_ctrl_c();
        }
        self.show(|inner| inner.update_split(items_processed));
    }

    fn end_split(&mut self) {
        self.show(TrainingProgressLogger::end_split);
    }

    fn end(&mut self) {
        self.show(TrainingProgressLogger::end);
    }

    fn log_event_training(&mut self, event: String) {
        self.show(|inner| inner.log_event_training(event));
    }
}

impl EvaluationProgressLogger for TerminalDashboard {
    fn start_global_progress(&mut self, _total_tests: usize) {}
    fn start_test(&mut self, _name: &str, _total_items: usize) {}
    fn update_test_progress(&mut self, _items_processed: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _event: String) {}
}

impl MetricsRendererEvaluation for TerminalDashboard {
    fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}
}

impl MetricsRenderer for TerminalDashboard {
    fn manual_close(&mut self) {
        self.show(MetricsRenderer::manual_close);
    }

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.show(|inner| inner.register_metric(definition));
    }
}

/// Puts the terminal in order where a dashboard had it: for a program that ends at once.
pub fn restore_terminal() {
    terminal::restore();
}

#[cfg(unix)]
mod terminal {
    use std::{
        fs::File,
        io::Write,
        sync::{Mutex, PoisonError},
    };

    use rustix::termios::{
        LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
    };

    /// The terminal's modes before the dashboard took it.
    static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

    /// Leaves mouse capture and the alternate screen, and shows the cursor.
    const LEAVE: &[u8] =
        b"\x1b[?1006l\x1b[?1015l\x1b[?1003l\x1b[?1002l\x1b[?1000l\x1b[?1049l\x1b[?25h";

    fn device() -> Option<File> {
        File::options().read(true).write(true).open("/dev/tty").ok()
    }

    pub(super) fn remember() {
        let modes = device().and_then(|tty| tcgetattr(&tty).ok());
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = modes;
    }

    /// Lets the terminal turn Ctrl-C into SIGINT again; Ctrl-Z and Ctrl-\ stay keys, for they would leave the screen as it is.
    pub(super) fn give_back_ctrl_c() {
        let Some(tty) = device() else { return };
        let Ok(mut modes) = tcgetattr(&tty) else {
            return;
        };
        if modes.local_modes.contains(LocalModes::ISIG) {
            return;
        }
        modes.local_modes.insert(LocalModes::ISIG);
        modes.special_codes[SpecialCodeIndex::VSUSP] = 0;
        modes.special_codes[SpecialCodeIndex::VQUIT] = 0;
        let _ = tcsetattr(&tty, OptionalActions::Now, &modes);
    }

    pub(super) fn restore() {
        let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(modes), Some(mut tty)) = (before, device()) {
            let _ = tty.write_all(LEAVE).and_then(|()| tty.flush());
            let _ = tcsetattr(&tty, OptionalActions::Now, &modes);
        }
    }
}

#[cfg(not(unix))]
mod terminal {
    pub(super) fn remember() {}
    pub(super) fn give_back_ctrl_c() {}
    pub(super) fn restore() {}
}
