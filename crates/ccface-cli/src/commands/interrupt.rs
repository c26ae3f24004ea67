//! Signals as flags that long work looks at.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use ccface_train::RunSignals;
use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGUSR1},
    flag,
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
    /// program at once; SIGUSR1 asks for a checkpoint.
    pub(crate) fn listen() -> Self {
        let signals = Self::default();
        let stop = &signals.run.stop;
        let registered = flag::register_conditional_shutdown(SIGINT, code(SIGINT), stop.clone())
            .and_then(|_| flag::register_conditional_shutdown(SIGTERM, code(SIGTERM), stop.clone()))
            // Which of the two it was comes before the stop itself, so that nobody reads one without the other.
            .and_then(|_| flag::register(SIGTERM, signals.terminated.clone()))
            .and_then(|_| flag::register(SIGTERM, stop.clone()))
            .and_then(|_| flag::register(SIGINT, stop.clone()))
            .and_then(|_| flag::register(SIGUSR1, signals.run.save.clone()));
        if let Err(error) = registered {
            log::warn!("signals will end the program at once: {error}");
        }
        signals
    }

    /// The exit code of work that was stopped, as shells have it: 130 for Ctrl-C, 143 for SIGTERM.
    pub(crate) fn exit_code(&self) -> ExitCode {
        let signal = if self.terminated.load(Ordering::Relaxed) {
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
