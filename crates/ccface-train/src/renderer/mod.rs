//! What is shown while a run goes on: plain lines, or burn's terminal dashboard.

mod dashboard;
mod plain;

pub(crate) use dashboard::TerminalDashboard;
pub use dashboard::restore_terminal;
pub use plain::PlainRenderer;

use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

/// Where progress lines go; shared so that the caller may write between them.
pub type ProgressSink = Arc<Mutex<dyn Write + Send>>;

/// Short lines beside the progress of steps.
#[derive(Clone)]
pub(crate) struct Say {
    sink: ProgressSink,
    held: Arc<Mutex<Option<Vec<String>>>>,
}

impl Say {
    /// Lines that go to `sink`.
    pub(crate) fn new(sink: ProgressSink) -> Self {
        Self {
            sink,
            held: Arc::default(),
        }
    }

    /// Keeps lines back: the dashboard has the screen, and they would tear it.
    pub(crate) fn hold(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// Says what was kept back, and nothing is kept back any more.
    pub(crate) fn release(&self) {
        let held = self
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        held.into_iter()
            .flatten()
            .for_each(|text| self.write(&text));
    }

    /// One line; a closed pipe is no error.
    pub(crate) fn line(&self, text: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.as_mut() {
            Some(lines) => lines.push(text.into()),
            None => self.write(text),
        }
    }

    fn write(&self, text: &str) {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(sink, "{text}").and_then(|()| sink.flush());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_wait_while_the_dashboard_has_the_screen() {
        let sink: Arc<Mutex<Vec<u8>>> = Arc::default();
        let say = Say::new(sink.clone());
        let text = || String::from_utf8(sink.lock().unwrap().clone()).unwrap();
        say.line("one");
        say.hold();
        say.clone().line("two");
        assert_eq!(text(), "one\n");
        say.release();
        say.line("three");
        assert_eq!(text(), "one\ntwo\nthree\n");
    }
}
