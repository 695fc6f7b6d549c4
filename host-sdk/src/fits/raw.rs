//! The two cfitsio calls the `fitsio` crate does not wrap.

#![expect(unsafe_code, reason = "cfitsio is C; nothing outside this file touches its pointers")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::path::Path;
use std::ptr;

use fitsio::sys::{ffcnvthdr2str, ffdkopn, fffree, ffgerr};
use fitsio::{FileOpenMode, FitsFile};

/// Opens `path` read-only exactly as it is named.
///
/// `FitsFile::open` would interpret brackets, `!` and `scheme://` in a file name.
pub(super) fn open_disk_file(path: &Path) -> Result<FitsFile, String> {
    let name = path.to_str().ok_or("the file name is not UTF-8, which cfitsio cannot open")?;
    let name = CString::new(name).map_err(|_| "the file name holds a NUL byte")?;
    let (mut file, mut status) = (ptr::null_mut(), 0);
    // SAFETY: `name` is NUL-terminated and outlives the call; `file` and `status` are ours.
    unsafe { ffdkopn(&mut file, name.as_ptr(), 0, &mut status) };
    check(status)?;
    // SAFETY: status 0 says that `file` is an open handle; FitsFile becomes its only owner.
    unsafe { FitsFile::from_raw(file, FileOpenMode::READONLY) }.map_err(|e| e.to_string())
}

/// The current HDU's header as concatenated 80-character cards, END included.
///
/// A tile-compressed image gives the header of the image, not that of the table that holds it.
/// Bytes outside ASCII become `?`, so that cards keep their length.
pub(super) fn header_text(file: &mut FitsFile) -> Result<String, String> {
    let (mut text, mut count, mut status): (*mut c_char, c_int, c_int) = (ptr::null_mut(), 0, 0);
    // SAFETY: the handle is open as long as `file` lives, no exclusion list is passed, and the
    // three out-parameters are ours.
    unsafe {
        ffcnvthdr2str(file.as_raw(), 0, ptr::null_mut(), 0, &mut text, &mut count, &mut status);
    }
    check(status)?;
    // SAFETY: on success cfitsio allocated a NUL-terminated string at `text`.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes().to_vec();
    // SAFETY: `text` came from cfitsio's allocator and is not used again.
    unsafe { fffree(text.cast(), &mut status) };
    Ok(bytes.into_iter().map(|b| if b.is_ascii() { b as char } else { '?' }).collect())
}

fn check(status: c_int) -> Result<(), String> {
    if status == 0 {
        return Ok(());
    }
    let mut text = [0 as c_char; 31];
    // SAFETY: cfitsio documents 31 bytes, NUL included, as the size of its status texts.
    let reason = unsafe {
        ffgerr(status, text.as_mut_ptr());
        CStr::from_ptr(text.as_ptr())
    };
    Err(format!("{} (cfitsio status {status})", reason.to_string_lossy()))
}
