//! Progress of long work on standard error.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

/// A line that is rewritten on a terminal and repeated every few seconds elsewhere.
pub(crate) struct Progress {
    started: Instant,
    last: Option<Instant>,
    terminal: bool,
    open: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            last: None,
            terminal: io::stderr().is_terminal(),
            open: false,
        }
    }

    /// Says how far `what` is.
    pub(crate) fn update(&mut self, what: &str, done: usize, total: usize) {
        let pause = if self.terminal {
            Duration::from_millis(100)
        } else {
            Duration::from_secs(5)
        };
        if done < total && self.last.is_some_and(|last| last.elapsed() < pause) {
            return;
        }
        if !self.terminal && self.last.is_none() && done < total {
            self.last = Some(Instant::now());
            return;
        }
        self.last = Some(Instant::now());
        let left = if done > 0 && done < total {
            let left = self
                .started
                .elapsed()
                .mul_f64((total - done) as f64 / done as f64);
            format!("  {} s left", left.as_secs())
        } else {
            String::new()
        };
        let mut out = io::stderr();
        let _ = if self.terminal {
            self.open = true;
            write!(out, "\r\x1b[K{what} {done}/{total}{left}")
        } else {
            writeln!(out, "{what} {done}/{total}{left}")
        };
        let _ = out.flush();
        if done >= total {
            self.finish();
        }
    }

    /// Ends the line.
    pub(crate) fn finish(&mut self) {
        if self.open {
            let _ = writeln!(io::stderr());
            self.open = false;
        }
        self.started = Instant::now();
        self.last = None;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
