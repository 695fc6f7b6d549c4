//! The one exported symbol.

use std::ptr;

use pellucid_ffi::*;

use crate::boundary::{borrow, guard};
use crate::slots;

#[cfg(feature = "torch")]
type Shipped = crate::real::TorchEngine;
#[cfg(not(feature = "torch"))]
type Shipped = crate::stub::StubEngine;

/// The function table of a breaking level, or NULL.
///
/// # Safety
/// `range` is NULL or points to memory for two `u32`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pellucid_get_api(abi: u32, range: *mut u32) -> *const pellucid_api {
    guard::plain(ptr::null(), || {
        if borrow::check(range, "range").is_ok() {
            // SAFETY: checked, and memory for two by the contract above.
            unsafe {
                borrow::write(range, PELLUCID_ABI);
                borrow::write(range.add(1), PELLUCID_ABI);
            }
        }
        if abi == PELLUCID_ABI { slots::table::<Shipped>() } else { ptr::null() }
    })
}
