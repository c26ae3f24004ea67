//! Ctrl-C as a flag that long work looks at.

use std::sync::{Arc, atomic::AtomicBool};

use signal_hook::{consts::SIGINT, flag};

/// Exit code of work that SIGINT ended, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;

/// The first Ctrl-C sets the flag, so that work stops at a clean place; the second ends the program at once.
pub(crate) fn stop_on_interrupt(stop: &Arc<AtomicBool>) {
    let code = i32::from(INTERRUPTED);
    let registered = flag::register_conditional_shutdown(SIGINT, code, stop.clone())
        .and_then(|_| flag::register(SIGINT, stop.clone()));
    if let Err(error) = registered {
        log::warn!("Ctrl-C will end the program at once: {error}");
    }
}
