//! ndarray views as ABI arrays, and the plugin's arrays as ndarray views.

#![expect(unsafe_code, reason = "raw array memory in both directions")]

use std::marker::PhantomData;

use ndarray::{ArrayView, Dim, Dimension, IntoDimension, ShapeBuilder};
use pellucid_ffi as ffi;

use crate::error::{HostError, Result};

/// An element type the ABI knows.
pub(super) trait Element: Copy {
    const DTYPE: i32;
}
impl Element for f32 {
    const DTYPE: i32 = ffi::PELLUCID_F32;
}
impl Element for f64 {
    const DTYPE: i32 = ffi::PELLUCID_F64;
}
impl Element for u32 {
    const DTYPE: i32 = ffi::PELLUCID_U32;
}

/// A view lent to the plugin for one call; the plugin copies it.
pub(super) struct Lent<'a> {
    raw: ffi::pellucid_array,
    _view: PhantomData<&'a ()>,
}

impl<'a> Lent<'a> {
    /// Any number of axes up to the ABI's 6.
    pub(super) fn new<A: Element, D: Dimension>(view: ArrayView<'a, A, D>) -> Self {
        // SAFETY: all-zero bytes are a valid value of every ABI struct.
        let mut raw: ffi::pellucid_array = unsafe { std::mem::zeroed() };
        raw.struct_size = size_of_val(&raw) as u32;
        raw.flags = ffi::PELLUCID_ARRAY_READ_ONLY;
        raw.data = view.as_ptr().cast();
        raw.dtype = A::DTYPE;
        raw.ndim = view.ndim() as i32;
        for axis in 0..view.ndim() {
            raw.shape[axis] = view.shape()[axis] as i64;
            raw.stride[axis] = view.strides()[axis] as i64 * size_of::<A>() as i64;
        }
        Self { raw, _view: PhantomData }
    }

    pub(super) fn as_ptr(&self) -> *const ffi::pellucid_array {
        &self.raw
    }
}

/// An array of the plugin's, freed when dropped.
pub(super) struct Owned {
    raw: ffi::pellucid_array,
}

// SAFETY: the ABI lets any thread read and release an array.
unsafe impl Send for Owned {}
// SAFETY: as above; reading needs no lock.
unsafe impl Sync for Owned {}

impl Owned {
    /// An array for the plugin to fill in.
    pub(super) fn blank() -> Self {
        // SAFETY: all-zero bytes are a valid value of every ABI struct.
        let mut raw: ffi::pellucid_array = unsafe { std::mem::zeroed() };
        raw.struct_size = size_of_val(&raw) as u32;
        Self { raw }
    }

    /// Takes over an array the plugin filled in.
    pub(super) fn from_raw(raw: ffi::pellucid_array) -> Self {
        Self { raw }
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut ffi::pellucid_array {
        &mut self.raw
    }

    /// Its elements, `N` axes, slowest first.
    ///
    /// # Errors
    /// [`HostError::Answer`] if it is not f32 with `N` axes and whole-element strides.
    pub(super) fn view<const N: usize>(
        &self,
        what: &'static str,
    ) -> Result<ArrayView<'_, f32, Dim<[usize; N]>>>
    where
        [usize; N]: IntoDimension<Dim = Dim<[usize; N]>>,
        Dim<[usize; N]>: Dimension,
    {
        let raw = &self.raw;
        let wrong = |reason: String| HostError::Answer { what, reason };
        if raw.dtype != ffi::PELLUCID_F32 || raw.ndim != N as i32 || raw.data.is_null() {
            let got = format!("dtype {}, {} axes", raw.dtype, raw.ndim);
            return Err(wrong(format!("needed float32 with {N} axes, got {got}")));
        }
        let size = size_of::<f32>() as i64;
        let (mut shape, mut strides) = ([0usize; N], [0usize; N]);
        for axis in 0..N {
            let (n, stride) = (raw.shape[axis], raw.stride[axis]);
            if n < 0 || stride < 0 || stride % size != 0 || !raw.data.cast::<f32>().is_aligned() {
                return Err(wrong(format!("axis {axis}: length {n}, stride {stride} bytes")));
            }
            shape[axis] = n as usize;
            strides[axis] = (stride / size) as usize;
        }
        let shape = shape.into_dimension().strides(strides.into_dimension());
        // SAFETY: the plugin promises shape, strides and data of a live, aligned f32 array, which
        // `self` keeps alive for as long as the view.
        Ok(unsafe { ArrayView::from_shape_ptr(shape, raw.data.cast()) })
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(release) = self.raw.release {
            // SAFETY: the plugin set `release` for this struct; it is called once.
            unsafe { release(&mut self.raw) };
        }
    }
}
