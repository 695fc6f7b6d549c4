//! The abi_stable root module beside the C symbol.

use std::ffi::c_void;
use std::ptr;

use abi_stable::export_root_module;
use abi_stable::prefix_type::PrefixTypeTrait;
use pellucid_stable::{PellucidModule, PellucidModuleRef, layouts};

use crate::pellucid_get_api;

/// What Rust hosts load with layout checks; see [`pellucid_stable`].
#[export_root_module]
fn module() -> PellucidModuleRef {
    PellucidModule { layouts, api }.leak_into_prefix()
}

extern "C" fn api(abi: u32) -> *const c_void {
    // SAFETY: the range may be NULL.
    unsafe { pellucid_get_api(abi, ptr::null_mut()) }.cast()
}
