//! Cross-crate tests: ABI, C hosts, lifecycle, golden, statistical.
//!
//! This library is what they share: a host over the stub engine in the test's own process
//! ([`Host`]), C programs ([`c`]) and model files ([`prior`]).

#![allow(
    clippy::not_unsafe_ptr_arg_deref,
    clippy::macro_metavars_in_unsafe,
    reason = "tests hand handles and pointers around the way a C program does"
)]

pub mod c;
mod host;
pub mod prior;

pub use host::*;

/// Calls a slot of a table; panics if the slot is empty.
///
/// Tests pass pointers that are valid or that the contract allows to be wrong (NULL, dead handles).
#[macro_export]
macro_rules! slot {
    ($api:expr, $name:ident($($arg:expr),* $(,)?)) => {{
        let slot = $api.$name.expect(concat!("slot ", stringify!($name), " exists"));
        // SAFETY: see the macro.
        unsafe { slot($($arg),*) }
    }};
}
