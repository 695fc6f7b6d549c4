//! Arrays across the boundary: copied on the way in, lent on the way out.

use std::any::Any;
use std::ffi::c_void;
use std::mem::size_of;
use std::sync::Arc;

use ndarray::{ArrayD, IxDyn};
use pellucid_ffi::*;

use super::handle::{self, Object};
use super::{BoundaryError, borrow, guard};
use crate::limits::{MAX_ELEMENTS, MAX_SIDE};

/// A checked inbound array.
pub(crate) struct Input {
    array: pellucid_array,
    shape: Vec<usize>,
    what: &'static str,
}

impl Input {
    /// Checks the description of an array; the elements are read by [`Input::floats`] and the like.
    ///
    /// # Safety
    /// `pointer` is NULL or points to an array whose `data`, for every index within `shape`, is
    /// readable at the offset `stride` gives, and stays so as long as the result is used.
    pub(crate) unsafe fn new(
        pointer: *const pellucid_array,
        what: &'static str,
    ) -> Result<Self, BoundaryError> {
        // SAFETY: part of the contract above.
        let array = unsafe { borrow::read(pointer, what) }?;
        let range = |field, need, got: String| BoundaryError::Range { what: field, need, got };
        if array.flags & !PELLUCID_ARRAY_READ_ONLY != 0 {
            return Err(range("array flags", "0 or READ_ONLY", array.flags.to_string()));
        }
        if array.data.is_null() {
            return Err(BoundaryError::Null { what });
        }
        let item = item_size(array.dtype)
            .ok_or_else(|| range("array dtype", "PELLUCID_F32 to U32", array.dtype.to_string()))?;
        let ndim = usize::try_from(array.ndim).ok().filter(|n| (1..=6).contains(n));
        let ndim = ndim.ok_or_else(|| range("array ndim", "1 to 6", array.ndim.to_string()))?;
        let misshapen = || BoundaryError::Shape {
            what,
            need: format!("sides of 1 to {MAX_SIDE}, at most {MAX_ELEMENTS} elements"),
            got: array.shape[..ndim].to_vec(),
        };
        let mut shape = Vec::with_capacity(ndim);
        let mut elements = 1_usize;
        let mut extent = item as i64;
        for (&side, &stride) in array.shape.iter().zip(&array.stride).take(ndim) {
            let n = usize::try_from(side).ok().filter(|n| (1..=MAX_SIDE).contains(n));
            let n = n.ok_or_else(misshapen)?;
            elements = elements.saturating_mul(n);
            // No offset may wrap, not even the one past the end.
            extent = stride
                .checked_abs()
                .and_then(|stride| stride.checked_mul(side))
                .and_then(|reach| extent.checked_add(reach))
                .ok_or_else(|| range("array stride", "offsets within i64", stride.to_string()))?;
            shape.push(n);
        }
        if elements > MAX_ELEMENTS {
            return Err(misshapen());
        }
        Ok(Self { array, shape, what })
    }

    /// The elements as f64.
    pub(crate) fn floats(&self, ndim: usize) -> Result<ArrayD<f64>, BoundaryError> {
        match self.array.dtype {
            PELLUCID_F32 => self.gather(ndim, |x: f32| f64::from(x)),
            PELLUCID_F64 => self.gather(ndim, |x: f64| x),
            _ => Err(self.wrong_dtype("a float type")),
        }
    }

    /// The elements as bit masks.
    pub(crate) fn masks(&self, ndim: usize) -> Result<ArrayD<u32>, BoundaryError> {
        match self.array.dtype {
            PELLUCID_U8 => self.gather(ndim, |x: u8| u32::from(x)),
            PELLUCID_I32 => self.gather(ndim, |x: i32| x.cast_unsigned()),
            PELLUCID_U32 => self.gather(ndim, |x: u32| x),
            _ => Err(self.wrong_dtype("an integer type")),
        }
    }

    /// Ends the loan of a moved array; to be called when the call has succeeded.
    pub(crate) fn release(self) {
        let Some(release) = self.array.release else {
            return;
        };
        let mut copy = self.array;
        // SAFETY: the header's contract for a moved array: one call, on a copy of the struct.
        guard::calling_host(|| unsafe { release(&raw mut copy) });
    }

    fn wrong_dtype(&self, need: &'static str) -> BoundaryError {
        let got = format!("{} of {}", self.array.dtype, self.what);
        BoundaryError::Range { what: "array dtype", need, got }
    }

    fn gather<S: Copy, T>(
        &self,
        ndim: usize,
        convert: impl Fn(S) -> T,
    ) -> Result<ArrayD<T>, BoundaryError> {
        let misshapen = || BoundaryError::Shape {
            what: self.what,
            need: format!("{ndim} dimensions"),
            got: self.array.shape[..self.shape.len()].to_vec(),
        };
        if self.shape.len() != ndim {
            return Err(misshapen());
        }
        let elements: usize = self.shape.iter().product();
        let mut values = reserve(elements, self.what)?;
        let mut index = vec![0_usize; ndim];
        let mut offset = 0_isize;
        for _ in 0..elements {
            // SAFETY: `index` is within `shape`, `offset` is its offset, and `new`'s contract makes
            // that readable; alignment is not assumed.
            values.push(convert(unsafe {
                self.array.data.byte_offset(offset).cast::<S>().read_unaligned()
            }));
            for axis in (0..ndim).rev() {
                let stride = self.array.stride[axis] as isize;
                index[axis] += 1;
                offset += stride;
                if index[axis] < self.shape[axis] {
                    break;
                }
                offset -= stride * self.shape[axis] as isize;
                index[axis] = 0;
            }
        }
        ArrayD::from_shape_vec(IxDyn(&self.shape), values).map_err(|_| misshapen())
    }
}

/// An empty vector with room, or an error where an allocation would abort.
pub(crate) fn reserve<T>(n: usize, what: &'static str) -> Result<Vec<T>, BoundaryError> {
    let mut values = Vec::new();
    values
        .try_reserve_exact(n)
        .map_err(|_| BoundaryError::Memory { what, bytes: n.saturating_mul(size_of::<T>()) })?;
    Ok(values)
}

fn item_size(dtype: i32) -> Option<usize> {
    match dtype {
        PELLUCID_F32 | PELLUCID_I32 | PELLUCID_U32 => Some(4),
        PELLUCID_F64 => Some(8),
        PELLUCID_U8 => Some(1),
        _ => None,
    }
}

/// What keeps the data of an outbound array alive.
struct Loan {
    _owner: Arc<dyn Any + Send + Sync>,
}

impl Object for Loan {
    type Opaque = c_void;
    const KIND: &'static str = "array";
}

/// Float32 data with its shape, in C order, and the object that holds it.
pub(crate) struct Lent {
    owner: Arc<dyn Any + Send + Sync>,
    data: *const f32,
    shape: Vec<usize>,
}

impl Lent {
    /// A range of values of `owner`; the length of `values` is the product of `shape`.
    pub(crate) fn of<T: Any + Send + Sync>(
        owner: Arc<T>,
        shape: Vec<usize>,
        values: impl FnOnce(&T) -> &[f32],
    ) -> Self {
        let values = values(&owner);
        assert_eq!(values.len(), shape.iter().product::<usize>(), "because shape describes values");
        Self { data: values.as_ptr(), owner, shape }
    }

    /// Values that belong to nobody else.
    pub(crate) fn owned(values: Vec<f32>, shape: Vec<usize>) -> Self {
        Self::of(Arc::new(values), shape, Vec::as_slice)
    }

    /// The C description, which holds a new handle of the loan.
    pub(crate) fn into_array(self) -> pellucid_array {
        let mut array = pellucid_array {
            struct_size: 0,
            flags: PELLUCID_ARRAY_READ_ONLY,
            release: Some(release),
            owner: handle::mint(Arc::new(Loan { _owner: self.owner })),
            data: self.data.cast(),
            dtype: PELLUCID_F32,
            ndim: self.shape.len() as i32,
            shape: [0; 6],
            stride: [0; 6],
        };
        let mut stride = size_of::<f32>() as i64;
        for (axis, &side) in self.shape.iter().enumerate().rev() {
            array.shape[axis] = side as i64;
            array.stride[axis] = stride;
            stride *= side as i64;
        }
        array
    }
}

unsafe extern "C" fn release(array: *mut pellucid_array) {
    guard::plain((), || {
        // SAFETY: the caller passes an array that one of our slots filled in, or NULL.
        let Some(array) = (unsafe { array.as_mut() }) else {
            return;
        };
        drop(handle::take::<Loan>(array.owner));
        array.owner = std::ptr::null_mut();
        array.data = std::ptr::null();
        array.release = None;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describe<T>(data: &[T], dtype: i32, shape: &[i64], stride: &[i64]) -> pellucid_array {
        let mut array = Lent::owned(vec![], vec![0]).into_array();
        drop(handle::take::<Loan>(array.owner));
        array.struct_size = size_of::<pellucid_array>() as u32;
        array.release = None;
        array.data = data.as_ptr().cast();
        array.dtype = dtype;
        array.ndim = shape.len() as i32;
        array.shape[..shape.len()].copy_from_slice(shape);
        array.stride[..stride.len()].copy_from_slice(stride);
        array
    }

    #[test]
    fn strides_may_be_zero_negative_and_unaligned() {
        let data = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut array = describe(&data, PELLUCID_F32, &[2, 3], &[12, 4]);
        // SAFETY: the description fits `data`.
        let read = |array: &pellucid_array| unsafe { Input::new(array, "a") }?.floats(2);
        assert_eq!(read(&array).unwrap()[[1, 0]], 4.0);
        array.stride[..2].copy_from_slice(&[0, 0]);
        assert_eq!(read(&array).unwrap().sum(), 6.0);
        array.data = data.as_ptr().wrapping_add(5).cast();
        array.stride[..2].copy_from_slice(&[-12, -4]);
        assert_eq!(read(&array).unwrap()[[1, 2]], 1.0);
        let mut bytes = [0_u8; 9];
        bytes[1..5].copy_from_slice(&7.0_f32.to_ne_bytes());
        array = describe(&bytes[1..], PELLUCID_F32, &[1, 2], &[8, 4]);
        assert_eq!(read(&array).unwrap()[[0, 0]], 7.0);
    }

    #[test]
    fn nonsense_is_refused() {
        let data = [0_u8; 8];
        let refused = |shape: &[i64], stride: &[i64], dtype| {
            let array = describe(&data, dtype, shape, stride);
            // SAFETY: refused before any element is read.
            unsafe { Input::new(&array, "a") }.is_err()
        };
        assert!(refused(&[0], &[1], PELLUCID_U8));
        assert!(refused(&[-1], &[1], PELLUCID_U8));
        assert!(refused(&[8], &[1], 77));
        assert!(refused(&[1 << 40], &[0], PELLUCID_U8));
        assert!(refused(&[30_000, 30_000], &[0, 0], PELLUCID_U8));
        assert!(refused(&[8], &[i64::MIN], PELLUCID_U8));
        assert!(refused(&[8], &[i64::MAX / 2], PELLUCID_U8));
        assert!(refused(&[1; 7][..0], &[], PELLUCID_U8));
    }
}
