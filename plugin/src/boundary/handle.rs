//! Handles: numbers that look like pointers.
//!
//! A handle is never dereferenced. It is looked up among the live ones, under its type, so a NULL,
//! released or mistyped handle is an error and never undefined behaviour; numbers are not used
//! twice. A call keeps its object alive by its own `Arc`, whatever is released meanwhile.
//!
//! This table and the process id beside it are the plugin's only process-wide state apart from the
//! logger and the panic hook: handles of all engines share it.

use std::any::Any;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::BoundaryError;

/// A type that a handle can stand for.
pub(crate) trait Object: Any + Send + Sync {
    /// The opaque C type.
    type Opaque;
    /// What messages call it.
    const KIND: &'static str;
}

struct Entry {
    kind: &'static str,
    object: Arc<dyn Any + Send + Sync>,
}

static LIVE: RwLock<BTreeMap<usize, Entry>> = RwLock::new(BTreeMap::new());
static NEXT: AtomicUsize = AtomicUsize::new(1);
/// Process that made the first handle; 0 before.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Fails in a forked child of the process that made the first handle.
///
/// There the lock of [`LIVE`] may be held for ever by a thread that does not exist, and the workers
/// are gone: nothing but this check may come first.
pub(crate) fn check_process() -> Result<(), BoundaryError> {
    match PROCESS.load(Ordering::Acquire) {
        0 => Ok(()),
        pid if pid == std::process::id() => Ok(()),
        _ => Err(BoundaryError::Forked),
    }
}

/// A new handle of `object`.
pub(crate) fn mint<T: Object>(object: Arc<T>) -> *mut T::Opaque {
    let _ = PROCESS.compare_exchange(0, std::process::id(), Ordering::AcqRel, Ordering::Acquire);
    // Multiples of 16, so that a handle looks aligned for anything.
    let number = NEXT.fetch_add(1, Ordering::Relaxed) << 4;
    let entry = Entry { kind: T::KIND, object };
    LIVE.write().unwrap_or_else(PoisonError::into_inner).insert(number, entry);
    ptr::without_provenance_mut(number)
}

/// The object of a live handle.
pub(crate) fn find<T: Object>(handle: *const T::Opaque) -> Result<Arc<T>, BoundaryError> {
    check_process()?;
    if handle.is_null() {
        return Err(BoundaryError::Null { what: T::KIND });
    }
    let live = LIVE.read().unwrap_or_else(PoisonError::into_inner);
    let entry = live.get(&handle.addr()).ok_or(BoundaryError::NotLive { what: T::KIND })?;
    let (got, object) = (entry.kind, Arc::clone(&entry.object));
    object.downcast().map_err(|_| BoundaryError::WrongKind { need: T::KIND, got })
}

/// Ends a handle and returns its object; `None` if it was not a live one of this type.
pub(crate) fn take<T: Object>(handle: *mut T::Opaque) -> Option<Arc<T>> {
    check_process().ok()?;
    let mut live = LIVE.write().unwrap_or_else(PoisonError::into_inner);
    if !live.get(&handle.addr())?.object.is::<T>() {
        return None;
    }
    let entry = live.remove(&handle.addr())?;
    // Dropping the object may call the host: not under the lock.
    drop(live);
    entry.object.downcast().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Apple;
    struct Pear;
    impl Object for Apple {
        type Opaque = Apple;
        const KIND: &'static str = "apple";
    }
    impl Object for Pear {
        type Opaque = Pear;
        const KIND: &'static str = "pear";
    }

    #[test]
    fn only_live_handles_of_the_right_kind_are_found() {
        let apple = mint(Arc::new(Apple));
        assert!(find::<Apple>(apple).is_ok());
        assert!(matches!(
            find::<Pear>(apple.cast()),
            Err(BoundaryError::WrongKind { need: "pear", got: "apple" })
        ));
        assert!(take::<Pear>(apple.cast()).is_none());
        assert!(take::<Apple>(apple).is_some());
        assert!(take::<Apple>(apple).is_none());
        assert!(matches!(find::<Apple>(apple), Err(BoundaryError::NotLive { .. })));
        assert!(matches!(find::<Apple>(ptr::null()), Err(BoundaryError::Null { .. })));
    }
}
