//! Text in and out.

use std::ffi::{CStr, CString, c_char};
use std::sync::{Mutex, PoisonError};

use super::BoundaryError;

/// Copies optional NUL-terminated text; NULL is `None`.
///
/// # Safety
/// `pointer` is NULL or points to NUL-terminated bytes that do not change during the call.
pub(crate) unsafe fn optional(
    pointer: *const c_char,
    what: &'static str,
) -> Result<Option<String>, BoundaryError> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, so by the contract above NUL-terminated and stable.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    match bytes.to_str() {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(error) => Err(BoundaryError::Text { what, at: error.valid_up_to() }),
    }
}

/// Copies required NUL-terminated text.
///
/// # Safety
/// As [`optional`].
pub(crate) unsafe fn required(
    pointer: *const c_char,
    what: &'static str,
) -> Result<String, BoundaryError> {
    // SAFETY: the same contract.
    unsafe { optional(pointer, what) }?.ok_or(BoundaryError::Null { what })
}

/// C text; a NUL inside, which C could not see past, becomes a blank.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

/// Texts handed out for the life of their owner: equal texts once, so repeated calls do not grow it.
#[derive(Debug, Default)]
pub(crate) struct Interned(Mutex<Vec<CString>>);

impl Interned {
    /// A pointer to `text` that is valid as long as `self`.
    pub(crate) fn keep(&self, text: &str) -> *const c_char {
        let text = c_text(text);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = kept.iter().position(|old| *old == text).unwrap_or_else(|| {
            kept.push(text);
            kept.len() - 1
        });
        // The bytes are on the heap: they stay where they are when the list grows.
        kept[index].as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_kept_once_and_do_not_move() {
        let kept = Interned::default();
        let first = kept.keep("a");
        for k in 0..100 {
            kept.keep(&k.to_string());
        }
        assert_eq!(first, kept.keep("a"));
        // SAFETY: `kept` lives and its texts are NUL-terminated.
        let text = unsafe { required(first, "text") };
        assert_eq!(text.as_deref().ok(), Some("a"));
        assert_eq!(c_text("a\0b").as_bytes(), b"a b");
    }
}
