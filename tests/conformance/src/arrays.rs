//! Arrays and structs of the ABI.

use std::mem::{MaybeUninit, size_of};

use pellucid_ffi::*;

use crate::check::{Fault, ensure};

/// A zeroed struct with its `struct_size`; `T` is one of the ABI's.
pub(crate) fn sized<T: Copy>() -> T {
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: zero is valid for every struct of the ABI, and each starts with a u32.
    unsafe {
        value.as_mut_ptr().cast::<u32>().write(size_of::<T>() as u32);
        value.assume_init()
    }
}

/// An element type of arrays.
pub(crate) trait Element: Copy {
    /// Its number.
    const DTYPE: i32;
}

macro_rules! elements {
    ($($rust:ty = $dtype:ident;)*) => {$(impl Element for $rust { const DTYPE: i32 = $dtype; })*};
}
elements! { f32 = PELLUCID_F32; f64 = PELLUCID_F64; u8 = PELLUCID_U8; i32 = PELLUCID_I32; u32 = PELLUCID_U32; }

/// Describes `data` in C order; the result borrows it without saying so.
pub(crate) fn array<T: Element>(data: &[T], shape: &[usize]) -> pellucid_array {
    assert_eq!(data.len(), shape.iter().product::<usize>());
    let mut array: pellucid_array = sized();
    array.data = data.as_ptr().cast();
    array.dtype = T::DTYPE;
    array.ndim = shape.len() as i32;
    let mut stride = size_of::<T>() as i64;
    for axis in (0..shape.len()).rev() {
        array.shape[axis] = shape[axis] as i64;
        array.stride[axis] = stride;
        stride *= shape[axis] as i64;
    }
    array
}

/// Checks an outbound array against the header: float32, read-only, C order, of this shape.
pub(crate) fn inspect(array: &pellucid_array, shape: &[usize]) -> Result<(), Fault> {
    ensure!(array.dtype == PELLUCID_F32, "an array's dtype is {}, need F32", array.dtype);
    ensure!(array.flags == PELLUCID_ARRAY_READ_ONLY, "an array's flags are {}", array.flags);
    ensure!(array.struct_size as usize == size_of::<pellucid_array>(), "struct_size was changed");
    let mut expected: pellucid_array = array_of_nothing(shape);
    (expected.data, expected.owner) = (array.data, array.owner);
    let [got, need] = [array, &expected].map(|a| (a.ndim, a.shape, a.stride));
    ensure!(got == need, "an array's (ndim, shape, stride) is {got:?}, need {need:?}");
    ensure!(!array.data.is_null() && array.release.is_some(), "an array has no data or release");
    Ok(())
}

fn array_of_nothing(shape: &[usize]) -> pellucid_array {
    let mut array: pellucid_array = sized();
    array.ndim = shape.len() as i32;
    let mut stride = 4;
    for axis in (0..shape.len()).rev() {
        array.shape[axis] = shape[axis] as i64;
        array.stride[axis] = stride;
        stride *= shape[axis] as i64;
    }
    array
}

/// The values of an outbound array of this shape.
pub(crate) fn values(array: &pellucid_array, shape: &[usize]) -> Result<Vec<f32>, Fault> {
    inspect(array, shape)?;
    // SAFETY: inspected: that many f32 in C order.
    let values =
        unsafe { std::slice::from_raw_parts(array.data.cast::<f32>(), shape.iter().product()) };
    Ok(values.to_vec())
}

/// The values of an outbound array, which is released.
pub(crate) fn take(mut array: pellucid_array, shape: &[usize]) -> Result<Vec<f32>, Fault> {
    let values = values(&array, shape)?;
    release(&mut array)?;
    Ok(values)
}

/// Releases an outbound array.
pub(crate) fn release(array: &mut pellucid_array) -> Result<(), Fault> {
    let Some(release) = array.release else { return Err("an array has no release".into()) };
    // SAFETY: filled in by the library.
    unsafe { release(array) };
    ensure!(
        array.release.is_none() && array.data.is_null(),
        "release leaves an array's data or release set"
    );
    Ok(())
}

/// Fails unless two images agree everywhere within `tolerance`; returns the largest difference.
pub(crate) fn agree(what: &str, got: &[f32], need: &[f32], tolerance: f32) -> Result<f32, Fault> {
    ensure!(got.len() == need.len(), "{what}: {} values, need {}", got.len(), need.len());
    let mut worst = (0.0_f32, 0);
    for (k, (g, n)) in got.iter().zip(need).enumerate() {
        let both_nan = g.is_nan() && n.is_nan();
        let difference = if both_nan { 0.0 } else { (g - n).abs() };
        // Also for NaN.
        if difference.is_nan() || difference > worst.0 {
            worst = (difference, k);
        }
    }
    let (difference, k) = worst;
    let ok = difference <= tolerance;
    ensure!(ok, "{what}: value {k} is {}, need {} within {tolerance}", got[k], need[k]);
    Ok(difference)
}
