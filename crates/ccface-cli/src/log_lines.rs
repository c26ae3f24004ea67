//! Where log lines go: to standard error, or held back while something else draws on the terminal.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Lines that are kept while they are held back; of more, the latest.
const KEPT: usize = 500;

static HELD: Mutex<Option<Held>> = Mutex::new(None);

/// Lines that wait.
#[derive(Debug, Default)]
struct Held {
    lines: VecDeque<Vec<u8>>,
    dropped: usize,
}

impl Held {
    fn push(&mut self, line: &[u8]) {
        if self.lines.len() == KEPT {
            self.lines.pop_front();
            self.dropped += 1;
        }
        self.lines.push_back(line.to_vec());
    }

    fn write(self, out: &mut impl Write) -> io::Result<()> {
        if self.dropped > 0 {
            writeln!(out, "{} earlier lines are left out", self.dropped)?;
        }
        for line in self.lines {
            out.write_all(&line)?;
        }
        out.flush()
    }
}

/// Log lines wait as long as this lives, and are written when it ends.
pub(crate) struct HeldBack(());

impl HeldBack {
    /// Holds log lines back from now on.
    pub(crate) fn new() -> Self {
        lock().get_or_insert_default();
        Self(())
    }
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        if let Some(held) = lock().take() {
            // A terminal that is gone must not end the program.
            let _ = held.write(&mut io::stderr());
        }
    }
}

/// What the logger writes to; it hands over a line at a time.
pub(crate) struct LogLines;

impl Write for LogLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match lock().as_mut() {
            Some(held) => held.push(line),
            None => io::stderr().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn lock() -> MutexGuard<'static, Option<Held>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn held_lines_come_in_order_and_say_how_many_are_missing() {
        let mut held = Held::default();
        for number in 0..KEPT + 2 {
            held.push(format!("line {number}\n").as_bytes());
        }
        let mut out = Vec::new();
        held.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("2 earlier lines are left out\nline 2\nline 3\n"));
        assert!(text.ends_with(&format!("line {}\n", KEPT + 1)));
    }

    #[test]
    fn nothing_reaches_the_terminal_while_lines_are_held() {
        let held = HeldBack::new();
        LogLines.write_all(b"a warning\n").unwrap();
        assert_eq!(lock().as_ref().unwrap().lines.len(), 1);
        drop(held);
        assert!(lock().is_none());
    }
}
