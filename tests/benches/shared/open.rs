//! The plugin, as C opens it.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;

use pellucid_ffi::*;

/// Opens a plugin for ever.
pub fn open(path: &Path) -> &'static pellucid_api {
    let name = CString::new(path.as_os_str().as_bytes()).expect("no NUL");
    // SAFETY: the plugin under test, opened as the header says.
    let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if library.is_null() {
        // SAFETY: dlopen failed, so there is a text.
        panic!("{}: {:?}", path.display(), unsafe { CStr::from_ptr(libc::dlerror()) });
    }
    // SAFETY: a live library and a NUL-terminated name.
    let symbol = unsafe { libc::dlsym(library, PELLUCID_GET_API.as_ptr().cast()) };
    assert!(!symbol.is_null(), "{} is no plugin", path.display());
    // SAFETY: the header gives the symbol this type.
    let get_api: pellucid_get_api_fn = unsafe { std::mem::transmute(symbol) };
    // SAFETY: the range may be NULL; the table is static.
    unsafe { get_api(PELLUCID_ABI, null_mut()).as_ref() }.expect("this level is spoken")
}
