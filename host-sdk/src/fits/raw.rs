//! The cfitsio calls the `fitsio` crate does not wrap, or wraps with buffers a byte too small.

#![expect(unsafe_code, reason = "cfitsio is C; nothing outside this file touches its pointers")]

use std::ffi::{CStr, CString, c_char, c_int, c_long};
use std::path::Path;
use std::ptr;

use fitsio::sys::{ffcnvthdr2str, ffdkopn, fffree, ffgcdw, ffgcno, ffgcvs, ffgerr, ffgnrw, ffgtcl};
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

/// A column of the current HDU, a table, as strings.
///
/// `fitsio` 0.21 reads them into buffers without room for the NUL that cfitsio appends: a column as wide as
/// the allocator's block corrupts the heap.
pub(super) fn text_column(file: &mut FitsFile, name: &str) -> Result<Vec<String>, String> {
    let template = CString::new(name).map_err(|_| "the column's name holds a NUL byte")?;
    let (mut column, mut kind, mut display, mut status): (c_int, c_int, c_int, c_int) =
        (0, 0, 0, 0);
    let (mut rows, mut repeat, mut width): (c_long, c_long, c_long) = (0, 0, 0);
    // SAFETY: the handle is open as long as `file` lives, `template` is NUL-terminated and only read, the
    // out-parameters are ours; after a failure cfitsio's calls return at once.
    unsafe {
        let raw = file.as_raw();
        ffgcno(raw, 1, template.as_ptr().cast_mut(), &mut column, &mut status);
        ffgtcl(raw, column, &mut kind, &mut repeat, &mut width, &mut status);
        ffgcdw(raw, column, &mut display, &mut status);
        ffgnrw(raw, &mut rows, &mut status);
    }
    check(status)?;
    if kind < 0 {
        return Err(format!("column {name} has variable length, which is not read here"));
    }
    // The widest that cfitsio may write: a text's bytes or a number's digits, and NUL.
    let widest = repeat.max(width).max(c_long::from(display));
    let size = usize::try_from(widest).map_err(|e| e.to_string())? + 1;
    let rows = usize::try_from(rows).map_err(|e| e.to_string())?;
    let mut texts = vec![vec![0 as c_char; size]; rows];
    let mut places: Vec<*mut c_char> = texts.iter_mut().map(|t| t.as_mut_ptr()).collect();
    let null = ptr::null_mut();
    // SAFETY: `places` has one pointer a row to a buffer that holds the widest text and its NUL; no null value is
    // asked for, nor told of.
    unsafe {
        let (raw, count) = (file.as_raw(), rows as i64);
        ffgcvs(raw, column, 1, 1, count, null, places.as_mut_ptr(), ptr::null_mut(), &mut status);
    }
    check(status)?;
    let text = |buffer: &Vec<c_char>| -> String {
        let bytes = buffer.iter().map(|c| *c as u8).take_while(|b| *b != 0);
        String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).trim_end().to_owned()
    };
    Ok(texts.iter().map(text).collect())
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
