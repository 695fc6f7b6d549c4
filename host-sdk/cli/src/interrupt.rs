//! Ctrl-C, SIGTERM and SIGHUP: remembered, and honoured at the next safe point.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Starts to listen.
pub fn watch() {
    let listening = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed));
    if let Err(error) = listening {
        log::warn!("Ctrl-C will end the program at once: {error}");
    }
}

/// Whether the user wants to stop.
pub fn requested() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Stops here if the user wants to.
///
/// # Errors
/// [`Failure::Cancelled`].
pub fn check() -> Result<(), Failure> {
    match requested() {
        true => Err(Failure::Cancelled),
        false => Ok(()),
    }
}
