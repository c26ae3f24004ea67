//! Signals as flags that long work looks at.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use ccface_train::{RunSignals, renderer::restore_terminal};
use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGUSR1},
    iterator,
    low_level::exit,
};

/// What the first Ctrl-C or SIGTERM asked for, and what SIGUSR1 asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    /// What a run looks at.
    pub(crate) run: RunSignals,
    terminated: Arc<AtomicBool>,
}

impl Signals {
    /// Listens: the first Ctrl-C or SIGTERM sets the stop flag, so that work ends at a clean place, the second ends the
    /// program at once, the terminal put in order; SIGUSR1 asks for a checkpoint.
    pub(crate) fn listen() -> Self {
        let signals = Self::default();
        let heard = signals.clone();
        match iterator::Signals::new([SIGINT, SIGTERM, SIGUSR1]) {
            Ok(mut incoming) => {
                std::thread::spawn(move || {
                    incoming.forever().for_each(|signal| heard.hear(signal));
                });
            }
            Err(error) => log::warn!("signals will end the program at once: {error}"),
        }
        signals
    }

    fn hear(&self, signal: i32) {
        if signal == SIGUSR1 {
            self.run.save.store(true, Ordering::Relaxed);
            return;
        }
        if self.run.stopping() {
            restore_terminal();
            exit(code(signal));
        }
        // Which of the two it was comes first, so that nobody sees the stop without it.
        self.terminated.store(signal == SIGTERM, Ordering::Release);
        self.run.stop.store(true, Ordering::Release);
    }

    /// The exit code of work that was stopped, as shells have it: 130 for Ctrl-C, 143 for SIGTERM.
    pub(crate) fn exit_code(&self) -> ExitCode {
        let signal = if self.terminated.load(Ordering::Acquire) {
            SIGTERM
        } else {
            SIGINT
        };
        ExitCode::from(u8::try_from(code(signal)).unwrap_or(u8::MAX))
    }
}

fn code(signal: i32) -> i32 {
    128 + signal
}
