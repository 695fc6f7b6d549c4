//! cfitsio, with every size it reports checked before memory is taken or a pointer is passed.
//!
//! The `fitsio` crate is used for its declarations alone: 0.21 panics on what a damaged file may hold (an
//! unsigned 64-bit image, a column of complex numbers, an image where a table was expected), aborts
//! where a header asks for more memory than there is, and leaves no room for the NUL after a string as wide as
//! its column.

#![expect(unsafe_code, reason = "cfitsio is C; nothing outside this file touches its pointers")]

use std::ffi::{CStr, CString, c_char, c_int, c_long};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::ptr::{self, NonNull};

use fitsio::sys::{
    ffclos, ffcnvthdr2str, ffdkopn, fffree, ffgcno, ffgcvd, ffgcvs, ffgerr, ffghadll, ffghdt,
    ffgidm, ffgidt, ffgiszll, ffgkyjj, ffgnrwll, ffgpv, ffgsv, ffgtcl, ffmahd, ffthdu,
    fits_is_compressed_image, fitsfile,
};

use super::input::Region;
use super::tiles;

/// cfitsio's codes: an image HDU, the element type f64, text, the complex types.
const IMAGE_HDU: c_int = 0;
const TDOUBLE: c_int = 82;
const TSTRING: c_int = 16;
const COMPLEX: [c_int; 2] = [83, 163];
/// Bytes of a block of a FITS file.
const BLOCK: u64 = 2880;
/// FITS allows 999 axes.
const MOST_AXES: usize = 999;
/// No deflated file is shorter by more.
const GZIP_RATIO: u64 = 1032;
/// Pixels that a byte of a tile-compressed image may stand for: twice what PLIO, the densest, packs
/// into long runs.
const PIXELS_PER_BYTE: u64 = 4096;

/// An open file and its current HDU.
pub(super) struct RawFile {
    handle: NonNull<fitsfile>,
    /// What the file may unpack to, bytes.
    capacity: u64,
}

impl Drop for RawFile {
    fn drop(&mut self) {
        let mut status = 0;
        // SAFETY: the handle is open and not used again. Nothing was written that closing could lose.
        unsafe { ffclos(self.handle.as_ptr(), &mut status) };
    }
}

impl RawFile {
    /// Opens `path` read-only exactly as it is named: no brackets, `!` or `scheme://` mean anything.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let capacity = capacity(path)?;
        if let Some(card) = tiles::bad_tile(path).map_err(|e| e.to_string())? {
            return Err(format!("damaged card {card:?}: needed a positive tile size"));
        }
        let name = path.to_str().ok_or("the file name is not UTF-8, which cfitsio cannot open")?;
        let name = CString::new(name).map_err(|_| "the file name holds a NUL byte")?;
        let (mut file, mut status) = (ptr::null_mut(), 0);
        // SAFETY: `name` is NUL-terminated and outlives the call; `file` and `status` are ours.
        unsafe { ffdkopn(&mut file, name.as_ptr(), 0, &mut status) };
        check(status)?;
        let handle = NonNull::new(file).ok_or("cfitsio opened nothing")?;
        Ok(Self { handle, capacity })
    }

    /// Number of HDUs.
    pub(super) fn count(&mut self) -> Result<usize, String> {
        let (mut count, mut status) = (0, 0);
        // SAFETY: the handle is open, here and below as long as `self` lives; the out-parameters are ours.
        unsafe { ffthdu(self.handle.as_ptr(), &mut count, &mut status) };
        check(status)?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Makes an HDU (0-based) the current one.
    pub(super) fn go_to(&mut self, index: usize) -> Result<(), String> {
        let number = c_int::try_from(index + 1).map_err(|_| "there is no such HDU")?;
        let (mut kind, mut status) = (0, 0);
        // SAFETY: as above.
        unsafe { ffmahd(self.handle.as_ptr(), number, &mut kind, &mut status) };
        check(status)
    }

    /// Whether the file goes on to the end of the current HDU's data. Where it does not, HDUs may be missing
    /// behind it, a DQ plane among them, and cfitsio says nothing.
    pub(super) fn check_end(&mut self) -> Result<(), String> {
        let (mut header, mut data, mut end, mut status) = (0, 0, 0, 0);
        // SAFETY: as above.
        unsafe {
            ffghadll(self.handle.as_ptr(), &mut header, &mut data, &mut end, &mut status);
        }
        check(status)?;
        // Some programs do not fill the last block.
        let least = u64::try_from(end).unwrap_or(u64::MAX).saturating_sub(BLOCK);
        match end > data && least >= self.capacity {
            true => Err(format!("its data end at byte {end}, the file before: it is cut short")),
            false => Ok(()),
        }
    }

    /// Axes of the current HDU in C order; empty for a table. A tile-compressed image is an image.
    pub(super) fn shape(&mut self) -> Result<Vec<usize>, String> {
        let (mut kind, mut axes, mut status) = (0, 0, 0);
        // SAFETY: as above.
        unsafe { ffghdt(self.handle.as_ptr(), &mut kind, &mut status) };
        check(status)?;
        if kind != IMAGE_HDU {
            return Ok(Vec::new());
        }
        // SAFETY: as above.
        unsafe { ffgidm(self.handle.as_ptr(), &mut axes, &mut status) };
        check(status)?;
        let n = usize::try_from(axes).ok().filter(|n| *n <= MOST_AXES);
        let n = n.ok_or_else(|| format!("NAXIS is {axes}, at most {MOST_AXES} is possible"))?;
        let mut sides = vec![0; n];
        // SAFETY: `sides` has room for `axes` numbers.
        unsafe { ffgiszll(self.handle.as_ptr(), axes, sides.as_mut_ptr(), &mut status) };
        check(status)?;
        let side = |side: &i64| usize::try_from(*side).map_err(|_| format!("an axis of {side}"));
        sides.iter().rev().map(side).collect()
    }

    /// The current HDU's header as concatenated 80-character cards, END included.
    ///
    /// A tile-compressed image gives the header of the image, not that of the table that holds it.
    /// Bytes outside ASCII become `?`, so that cards keep their length.
    pub(super) fn header_text(&mut self) -> Result<String, String> {
        let (mut text, mut count, mut status) = (ptr::null_mut::<c_char>(), 0, 0);
        // SAFETY: no exclusion list is passed, and the three out-parameters are ours.
        unsafe {
            let none = ptr::null_mut();
            ffcnvthdr2str(self.handle.as_ptr(), 0, none, 0, &mut text, &mut count, &mut status);
        }
        check(status)?;
        // SAFETY: on success cfitsio allocated a NUL-terminated string at `text`.
        let bytes = unsafe { CStr::from_ptr(text) }.to_bytes().to_vec();
        // SAFETY: `text` came from cfitsio's allocator and is not used again.
        unsafe { fffree(text.cast(), &mut status) };
        Ok(bytes.into_iter().map(|b| if b.is_ascii() { b as char } else { '?' }).collect())
    }

    /// All pixels of the current image, which has `shape`.
    pub(super) fn pixels(&mut self, shape: &[usize]) -> Result<Vec<f64>, String> {
        let mut values = self.room(shape)?;
        let (n, mut status) = (values.len() as i64, 0);
        // SAFETY: `values` has room for the n pixels that are asked for; no null value is given.
        unsafe {
            let (null, to) = (ptr::null_mut(), values.as_mut_ptr().cast());
            ffgpv(self.handle.as_ptr(), TDOUBLE, 1, n, null, to, ptr::null_mut(), &mut status);
        }
        check(status)?;
        Ok(values)
    }

    /// A rectangle of the current image, which has two axes and holds it.
    pub(super) fn region(&mut self, region: Region) -> Result<Vec<f64>, String> {
        let mut values = self.room(&[region.ny, region.nx])?;
        let long = |n: usize| c_long::try_from(n).map_err(|_| "too far out".to_owned());
        let mut first = [long(region.x0 + 1)?, long(region.y0 + 1)?];
        let mut last = [long(region.x0 + region.nx)?, long(region.y0 + region.ny)?];
        let (mut step, mut status) = ([1, 1], 0);
        // SAFETY: the caller has checked the rectangle, so that nx ny values are written, for which there is
        // room; the three pairs are ours.
        unsafe {
            ffgsv(
                self.handle.as_ptr(),
                TDOUBLE,
                first.as_mut_ptr(),
                last.as_mut_ptr(),
                step.as_mut_ptr(),
                ptr::null_mut(),
                values.as_mut_ptr().cast(),
                ptr::null_mut(),
                &mut status,
            );
        }
        check(status)?;
        Ok(values)
    }

    /// Memory for pixels of the current image, if the file can hold that many.
    fn room(&mut self, shape: &[usize]) -> Result<Vec<f64>, String> {
        let (mut bits, mut status) = (0, 0);
        // SAFETY: as above.
        let compressed = unsafe { fits_is_compressed_image(self.handle.as_ptr(), &mut status) };
        // SAFETY: as above.
        unsafe { ffgidt(self.handle.as_ptr(), &mut bits, &mut status) };
        check(status)?;
        let most = match compressed {
            0 => self.capacity / u64::from((bits.unsigned_abs() / 8).max(1)),
            _ => self.capacity.saturating_mul(PIXELS_PER_BYTE),
        };
        let need = shape.iter().try_fold(1_usize, |n, side| n.checked_mul(*side));
        match need.filter(|n| *n as u64 <= most) {
            Some(0) => Err("the image has no pixels".into()),
            Some(n) => memory(n),
            None => {
                let sides: Vec<_> = shape.iter().rev().map(usize::to_string).collect();
                let sides = sides.join(" x ");
                Err(format!(
                    "{sides} pixels, more than the file can hold: it is cut short or damaged"
                ))
            }
        }
    }

    /// A column of the current table as numbers, one a row.
    pub(super) fn column(&mut self, name: &str) -> Result<Vec<f64>, String> {
        let (column, rows) = self.find(name)?;
        let (mut kind, mut repeat, mut width, mut status) = (0, 0, 0, 0);
        let table = self.handle.as_ptr();
        // SAFETY: as above.
        unsafe { ffgtcl(table, column, &mut kind, &mut repeat, &mut width, &mut status) };
        check(status)?;
        if repeat != 1 || kind < 0 || kind == TSTRING || COMPLEX.contains(&kind) {
            return Err(format!("column {name} must hold one real number a row"));
        }
        let mut values = memory(rows)?;
        // SAFETY: there is room for one value a row; 0 asks for no replacement of undefined values.
        unsafe {
            let (n, to) = (rows as i64, values.as_mut_ptr());
            ffgcvd(table, column, 1, 1, n, 0.0, to, ptr::null_mut(), &mut status);
        }
        check(status)?;
        Ok(values)
    }

    /// A column of the current table as strings, one a row.
    pub(super) fn text_column(&mut self, name: &str) -> Result<Vec<String>, String> {
        let (column, rows) = self.find(name)?;
        let (mut kind, mut repeat, mut bytes, mut status) = (0, 0, 0, 0);
        let table = self.handle.as_ptr();
        // SAFETY: as above.
        unsafe { ffgtcl(table, column, &mut kind, &mut repeat, &mut bytes, &mut status) };
        check(status)?;
        if kind != TSTRING || repeat != bytes {
            return Err(format!("column {name} must hold one text a row"));
        }
        // All stored bytes are copied, whatever width TDISPn wants them displayed with.
        let width = usize::try_from(bytes).map_err(|_| format!("column {name} is damaged"))? + 1;
        let mut text: Vec<c_char> = memory(rows.checked_mul(width).ok_or("too many rows")?)?;
        let mut places: Vec<*mut c_char> =
            text.chunks_mut(width).map(<[c_char]>::as_mut_ptr).collect();
        // SAFETY: there is a place for each row, with room for the widest string and its NUL; with no null string
        // given, undefined values are taken as they stand.
        unsafe {
            let (null, to) = (ptr::null_mut(), places.as_mut_ptr());
            ffgcvs(table, column, 1, 1, rows as i64, null, to, ptr::null_mut(), &mut status);
        }
        check(status)?;
        let until_nul = |place: &[c_char]| -> Vec<u8> {
            place.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect()
        };
        let one = |place: &[c_char]| String::from_utf8_lossy(&until_nul(place)).into_owned();
        Ok(text.chunks(width).map(one).collect())
    }

    /// Number of a column of the current table, and of its rows, which the file can hold.
    fn find(&mut self, name: &str) -> Result<(c_int, usize), String> {
        let text = CString::new(name).map_err(|_| "the column name holds a NUL byte")?;
        let (mut column, mut rows, mut row_bytes, mut status) = (0, 0, 0, 0);
        // SAFETY: the texts are NUL-terminated, and cfitsio does not write to the name.
        unsafe {
            let table = self.handle.as_ptr();
            ffgcno(table, 1, text.as_ptr().cast_mut(), &mut column, &mut status);
            ffgnrwll(table, &mut rows, &mut status);
            ffgkyjj(table, c"NAXIS1".as_ptr(), &mut row_bytes, ptr::null_mut(), &mut status);
        }
        check(status)?;
        let row_bytes = u64::try_from(row_bytes).unwrap_or(0).max(1);
        match u64::try_from(rows).ok().filter(|rows| *rows <= self.capacity / row_bytes) {
            Some(rows) => Ok((column, rows as usize)),
            None => {
                Err(format!("{rows} rows, more than the file can hold: it is cut short or damaged"))
            }
        }
    }
}

/// Bytes that a file may unpack to: its length, or what gzip at its best makes of it.
///
/// # Errors
/// Of reading; a packed file that announces more, for which cfitsio would take memory at once.
fn capacity(path: &Path) -> Result<u64, String> {
    let read = |e: std::io::Error| e.to_string();
    let mut file = std::fs::File::open(path).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    let mut start = Vec::new();
    file.by_ref().take(26).read_to_end(&mut start).map_err(read)?;
    if start.starts_with(b"SIMPLE") {
        return Ok(length);
    }
    let capacity = length.saturating_mul(GZIP_RATIO);
    let announced = match &start[..] {
        [0x1f, 0x8b, _, _, ..] => {
            let mut end = [0; 4];
            file.seek(SeekFrom::End(-4)).and_then(|_| file.read_exact(&mut end)).map_err(read)?;
            u32::from_le_bytes(end)
        }
        [b'P', b'K', .., a, b, c, d] => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => 0,
    };
    if u64::from(announced) > capacity {
        return Err(format!(
            "it says it unpacks to {announced} bytes, more than {length} can: damaged"
        ));
    }
    Ok(capacity)
}

/// Zeros, or an error where an allocation would abort.
fn memory<T: Default + Clone>(n: usize) -> Result<Vec<T>, String> {
    let mut values = Vec::new();
    values.try_reserve_exact(n).map_err(|_| format!("not enough memory for {n} values"))?;
    values.resize(n, T::default());
    Ok(values)
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
