//! The cfitsio calls the `fitsio` crate does not wrap, or wraps with a fault.

#![expect(unsafe_code, reason = "cfitsio is C; nothing outside this file touches its pointers")]

use std::ffi::{CStr, CString, c_char, c_int, c_long};
use std::path::Path;
use std::ptr;

use fitsio::sys::{ffcnvthdr2str, ffdkopn, fffree, ffgcdw, ffgcno, ffgcvs, ffgerr, ffgnrw};
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

/// A column of the current table as strings.
///
/// `fitsio` 0.21 leaves no room for the NUL after a string as wide as its column, and cfitsio writes it.
pub(super) fn text_column(file: &mut FitsFile, name: &str) -> Result<Vec<String>, String> {
    let name = CString::new(name).map_err(|_| "the column name holds a NUL byte")?;
    let (mut column, mut width, mut rows, mut status): (c_int, c_int, c_long, c_int) = (0, 0, 0, 0);
    // SAFETY: the handle is open as long as `file` lives, `name` is NUL-terminated, which cfitsio reads and
    // does not write, and the out-parameters are ours.
    unsafe {
        let table = file.as_raw();
        ffgcno(table, 1, name.as_ptr().cast_mut(), &mut column, &mut status);
        ffgcdw(table, column, &mut width, &mut status);
        ffgnrw(table, &mut rows, &mut status);
    }
    check(status)?;
    let (width, count) = (width.max(0) as usize + 1, rows.max(0) as usize);
    let mut text = vec![0 as c_char; width * count];
    let mut places: Vec<*mut c_char> = text.chunks_mut(width).map(<[c_char]>::as_mut_ptr).collect();
    // SAFETY: there is a place for each row, with room for the widest string and its NUL; with no null string
    // given, undefined values are taken as they stand.
    unsafe {
        ffgcvs(
            file.as_raw(),
            column,
            1,
            1,
            count as i64,
            ptr::null_mut(),
            places.as_mut_ptr(),
            ptr::null_mut(),
            &mut status,
        );
    }
    check(status)?;
    let until_nul = |place: &[c_char]| -> Vec<u8> {
        place.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect()
    };
    Ok(text.chunks(width).map(|p| String::from_utf8_lossy(&until_nul(p)).into_owned()).collect())
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
