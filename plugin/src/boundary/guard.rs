//! The wall: no panic passes it, and no callback calls back through it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Once};

use pellucid_ffi::*;

use super::error::BoundaryError;
use super::{borrow, handle};
use crate::slots::errors::ErrorObject;
use crate::status::Failure;

thread_local! {
    /// Calls and callbacks of the plugin on this thread.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Whether a host callback runs on this thread.
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
    /// Where the last panic on this thread happened.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs the body of a slot that reports errors.
///
/// # Safety
/// `error` is NULL or points to a place for a pointer.
pub(crate) unsafe fn call(
    error: *mut *mut pellucid_error,
    body: impl FnOnce() -> Result<(), Failure>,
) -> pellucid_status {
    let failure = catch(|| {
        handle::check_process()?;
        body()
    })
    .err();
    let status = failure.as_ref().map_or(PELLUCID_OK, |failure| failure.code);
    if error.is_null() || !error.is_aligned() {
        return status;
    }
    let object = match failure {
        None => std::ptr::null_mut(),
        // A child must not touch the table of handles, whose lock may be lost.
        Some(failure) if failure.code == PELLUCID_E_FORKED => crate::slots::errors::forked(),
        Some(failure) => catch(|| Ok(handle::mint(Arc::new(ErrorObject::new(&failure)))))
            .unwrap_or(std::ptr::null_mut()),
    };
    // SAFETY: not NULL and aligned; by the contract above it points to a pointer.
    unsafe { borrow::write(error, object) };
    status
}

/// Runs the body of a slot that returns a plain value; `otherwise` stands for a panic.
pub(crate) fn plain<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch(|| Ok(body())).unwrap_or(otherwise)
}

/// Fails inside a host callback.
pub(crate) fn check_callback() -> Result<(), BoundaryError> {
    if IN_CALLBACK.get() { Err(BoundaryError::InCallback) } else { Ok(()) }
}

/// Whether a host callback runs on this thread.
pub(crate) fn in_callback() -> bool {
    IN_CALLBACK.try_with(Cell::get).unwrap_or(false)
}

/// Runs `body`, which calls the host.
pub(crate) fn calling_host<T>(body: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            IN_CALLBACK.set(self.0);
        }
    }
    let _restore = Restore(IN_CALLBACK.replace(true));
    body()
}

/// Runs `body` and turns a panic into [`BoundaryError::Panic`].
pub(crate) fn catch<T>(body: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    DEPTH.set(DEPTH.get() + 1);
    let result = panic::catch_unwind(AssertUnwindSafe(body));
    DEPTH.set(DEPTH.get() - 1);
    result.unwrap_or_else(|payload| {
        let message = message(payload.as_ref());
        // Any other payload is a foreign value whose destructor may panic in turn: not worth the risk.
        if !payload.is::<String>() {
            std::mem::forget(payload);
        }
        let place = PLACE.with(|place| std::mem::take(&mut *place.borrow_mut()));
        let message = if place.is_empty() { message } else { format!("{message} ({place})") };
        Err(BoundaryError::Panic { message }.into())
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "panic with a payload that is not text".to_owned()
    }
}

/// Sends panics to the log instead of the host's standard error.
///
/// The hook belongs to this library's own copy of std. Linked as a Rust library into a program, it
/// leaves panics outside the plugin's calls and workers to the hook that was there.
pub(crate) fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            if DEPTH.try_with(Cell::get).unwrap_or(0) > 0 {
                // Reported by the error that `catch` makes of it.
                // Without a panic of its own, which would abort.
                let _ = PLACE.try_with(|slot| slot.try_borrow_mut().map(|mut slot| *slot = place));
            } else if is_worker() {
                log::error!("worker panicked at {place}: {}", message(info.payload()));
            } else {
                before(info);
            }
        }));
    });
}

fn is_worker() -> bool {
    std::thread::current().name().is_some_and(|name| name.starts_with("pellucid"))
}
