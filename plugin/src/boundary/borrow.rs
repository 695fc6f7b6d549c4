//! Foreign memory, read and written with as little trust as C allows.

use std::mem::{MaybeUninit, offset_of, size_of};
use std::ptr;

use pellucid_ffi::*;

use super::BoundaryError;
use crate::limits::MAX_STRUCT;

/// A struct that starts with `struct_size: u32` and may grow at its end.
///
/// # Safety
/// The type is `repr(C)`, starts with `struct_size: u32`, and all-zero bytes are a valid value.
pub(crate) unsafe trait Versioned: Copy {
    /// Size of the first version: fields beyond it are optional.
    const MIN: usize;
}

macro_rules! versioned {
    ($($name:ident $min:expr;)*) => {$(
        // SAFETY: `repr(C)` with `struct_size` first (ffi), and made of integers, floats, raw
        // pointers and optional functions, for all of which zero is valid.
        unsafe impl Versioned for $name {
            const MIN: usize = $min;
        }
        const _: () = assert!(offset_of!($name, struct_size) == 0);
    )*};
}

versioned! {
    pellucid_array size_of::<pellucid_array>();
    pellucid_host size_of::<pellucid_host>();
    pellucid_device size_of::<pellucid_device>();
    pellucid_lookup_table size_of::<pellucid_lookup_table>();
    pellucid_wcs_callback size_of::<pellucid_wcs_callback>();
    pellucid_psf_callback size_of::<pellucid_psf_callback>();
    pellucid_exposure_desc offset_of!(pellucid_exposure_desc, flux_convention);
    pellucid_job_desc offset_of!(pellucid_job_desc, user);
    pellucid_progress size_of::<pellucid_progress>();
    pellucid_mem size_of::<pellucid_mem>();
}

/// NULL and alignment checks of a pointer to one `T`.
pub(crate) fn check<T>(pointer: *const T, what: &'static str) -> Result<(), BoundaryError> {
    if pointer.is_null() {
        return Err(BoundaryError::Null { what });
    }
    if !pointer.is_aligned() {
        return Err(BoundaryError::Misaligned { what });
    }
    Ok(())
}

/// Copies a struct of any version: absent fields are zero, unknown ones must be.
///
/// # Safety
/// `pointer` is NULL or points to `struct_size` readable bytes, of which the first four hold that
/// number.
pub(crate) unsafe fn read<T: Versioned>(
    pointer: *const T,
    what: &'static str,
) -> Result<T, BoundaryError> {
    // SAFETY: the same contract.
    let size = unsafe { struct_size(pointer, what) }?;
    let bytes = pointer.cast::<u8>();
    for at in size_of::<T>()..size {
        // SAFETY: `at < size`, all readable.
        if unsafe { bytes.add(at).read() } != 0 {
            return Err(BoundaryError::UnknownField { what, at });
        }
    }
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: both sides hold at least min(size, size_of::<T>()) bytes and are distinct; the result
    // is a valid T because zero bytes are and the caller wrote the rest as one.
    unsafe {
        ptr::copy_nonoverlapping(bytes, value.as_mut_ptr().cast(), size.min(size_of::<T>()));
        Ok(value.assume_init())
    }
}

/// The checked `struct_size` of a struct.
///
/// # Safety
/// `pointer` is NULL or points to at least four readable bytes.
pub(crate) unsafe fn struct_size<T: Versioned>(
    pointer: *const T,
    what: &'static str,
) -> Result<usize, BoundaryError> {
    check(pointer, what)?;
    // SAFETY: not NULL and aligned for T, hence for its first field.
    let got = unsafe { pointer.cast::<u32>().read() } as usize;
    if (T::MIN..=MAX_STRUCT).contains(&got) {
        Ok(got)
    } else {
        Err(BoundaryError::StructSize { what, need: T::MIN, got })
    }
}

/// Writes as much of a struct as its caller knows, keeping `struct_size`.
///
/// # Safety
/// `pointer` passed [`struct_size`], which returned `size`, and that many bytes are writable.
pub(crate) unsafe fn write_struct<T: Versioned>(pointer: *mut T, size: usize, value: &T) {
    let head = size_of::<u32>();
    let source = ptr::from_ref(value).cast::<u8>();
    // SAFETY: both sides hold min(size, size_of::<T>()) bytes, which is at least `head`.
    unsafe {
        ptr::copy_nonoverlapping(
            source.add(head),
            pointer.cast::<u8>().add(head),
            size.min(size_of::<T>()) - head,
        );
    }
}

/// Element `index` of an array of structs, whose stride is the `struct_size` of its first element.
///
/// # Safety
/// `first` is the start of an array with more than `index` elements of `size` bytes.
pub(crate) unsafe fn element<T>(first: *const T, size: usize, index: usize) -> *const T {
    // SAFETY: inside the array by the contract above.
    unsafe { first.byte_add(size * index) }
}

/// Writes one value.
///
/// # Safety
/// `pointer` is aligned and points to memory for a `T`.
pub(crate) unsafe fn write<T: Copy>(pointer: *mut T, value: T) {
    // SAFETY: by the contract above.
    unsafe { pointer.write(value) }
}

/// A pointer output: NULL until set.
pub(crate) struct Out<T>(*mut *mut T);

impl<T> Out<T> {
    /// Checks the place and clears it.
    ///
    /// # Safety
    /// `place` is NULL or points to memory for a pointer that stays valid during the call.
    pub(crate) unsafe fn new(
        place: *mut *mut T,
        what: &'static str,
    ) -> Result<Self, BoundaryError> {
        check(place, what)?;
        // SAFETY: not NULL, aligned, and writable by the contract above.
        unsafe { write(place, ptr::null_mut()) };
        Ok(Self(place))
    }

    /// Sets the output.
    pub(crate) fn set(self, value: *mut T) {
        // SAFETY: checked by `new`, whose contract keeps it valid during the call.
        unsafe { write(self.0, value) }
    }
}

/// Copies `n` values.
///
/// # Safety
/// `pointer` is NULL or points to `n` readable values.
pub(crate) unsafe fn slice<T: Copy>(
    pointer: *const T,
    n: usize,
    what: &'static str,
) -> Result<Vec<T>, BoundaryError> {
    if n == 0 {
        return Ok(Vec::new());
    }
    check(pointer, what)?;
    // SAFETY: not NULL and aligned; `n` values are readable by the contract above.
    Ok(unsafe { std::slice::from_raw_parts(pointer, n) }.to_vec())
}
