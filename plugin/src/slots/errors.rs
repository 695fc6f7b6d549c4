//! Error objects.

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use pellucid_ffi::*;
use serde_json::json;

use crate::boundary::error::FORKED;
use crate::boundary::guard;
use crate::boundary::handle::{self, Object};
use crate::boundary::text::c_text;
use crate::status::{self, Failure};

/// An error as the host owns it.
pub(crate) struct ErrorObject {
    code: pellucid_status,
    message: CString,
    json: CString,
}

impl Object for ErrorObject {
    type Opaque = pellucid_error;
    const KIND: &'static str = "error";
}

impl ErrorObject {
    pub(crate) fn new(failure: &Failure) -> Self {
        let message = failure.chain.join(": ");
        let json = json!({
            "code": failure.code,
            "name": status::name(failure.code).to_string_lossy(),
            "message": message,
            "chain": failure.chain,
        });
        Self { code: failure.code, message: c_text(&message), json: c_text(&json.to_string()) }
    }
}

/// The error of a forked child, which must not touch the table of handles. Odd, so never a handle of
/// that table.
pub(crate) fn forked() -> *mut pellucid_error {
    ptr::without_provenance_mut(9)
}

/// That error, in a forked child; elsewhere the number is one of many that mean nothing.
fn is_forked(error: *const pellucid_error) -> bool {
    error == forked() && handle::check_process().is_err()
}

const FORKED_JSON: &CStr = c"{\"code\":12,\"name\":\"PELLUCID_E_FORKED\",\"message\":\"this process was forked after pellucid was first used; load and use it in one process\",\"chain\":[\"this process was forked after pellucid was first used; load and use it in one process\"]}";

pub(super) unsafe extern "C" fn error_code(error: *const pellucid_error) -> pellucid_status {
    if is_forked(error) {
        return PELLUCID_E_FORKED;
    }
    guard::plain(PELLUCID_E_ARG, || {
        handle::find::<ErrorObject>(error).map_or(PELLUCID_E_ARG, |error| error.code)
    })
}

pub(super) unsafe extern "C" fn error_message(error: *const pellucid_error) -> *const c_char {
    text(error, FORKED, c"", |error| &error.message)
}

pub(super) unsafe extern "C" fn error_json(error: *const pellucid_error) -> *const c_char {
    text(error, FORKED_JSON, c"{}", |error| &error.json)
}

pub(super) unsafe extern "C" fn error_release(error: *mut pellucid_error) {
    guard::plain((), || drop(handle::take::<ErrorObject>(error)));
}

/// A text of an error, which lives until its handle is released.
fn text(
    error: *const pellucid_error,
    when_forked: &'static CStr,
    when_dead: &'static CStr,
    of: fn(&ErrorObject) -> &CString,
) -> *const c_char {
    if is_forked(error) {
        return when_forked.as_ptr();
    }
    guard::plain(when_dead.as_ptr(), || {
        handle::find::<ErrorObject>(error).map_or(when_dead.as_ptr(), |error| of(&error).as_ptr())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::BoundaryError;

    #[test]
    fn the_static_error_of_a_fork_reads_like_a_made_one() {
        let made = ErrorObject::new(&BoundaryError::Forked.into());
        let parse = |text: &CStr| serde_json::from_slice::<serde_json::Value>(text.to_bytes());
        assert_eq!(parse(&made.json).unwrap(), parse(FORKED_JSON).unwrap());
        assert_eq!(made.message.as_c_str(), FORKED);
    }
}
