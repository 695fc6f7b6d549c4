//! Memory behind hostile descriptions: wherever the interface may read or write, it is ours. What the
//! descriptions say of it is as wrong as can be told from the description alone.

use std::ptr::null_mut;

use pellucid_ffi::*;

use super::take::Take;

/// Largest `struct_size` the plugin takes for one.
const LARGEST_STRUCT: usize = 4096;
/// Bytes that an array may reach.
const REACH: i64 = 1 << 16;
/// Most elements of an array here: larger ones only take time.
const ELEMENTS: i64 = 4096;

/// One struct or a few in a row, each with a hostile `struct_size`.
pub(super) struct Block {
    memory: Vec<u64>,
    /// From the start of the memory; `None` is NULL.
    offset: Option<usize>,
}

impl Block {
    /// `value`, whose first field is its `struct_size`.
    pub(super) fn of<T: Copy>(take: &mut Take<'_>, value: T) -> Self {
        Self::row(take, &[value])
    }

    /// `values` in a row; the stride is the `struct_size` of the first.
    pub(super) fn row<T: Copy>(take: &mut Take<'_>, values: &[T]) -> Self {
        let right = size_of::<T>();
        let size = match take.odd() {
            false => right,
            true => take.of(&[
                0,
                1,
                4,
                8,
                right - 8,
                right - 1,
                right + 1,
                right + 8,
                LARGEST_STRUCT,
                LARGEST_STRUCT + 1,
                u32::MAX as usize,
            ]),
        };
        let stride = if size <= LARGEST_STRUCT { size.max(right) } else { right };
        let mut memory = vec![0_u64; (stride * values.len() + 2 * LARGEST_STRUCT) / 8 + 2];
        let base = memory.as_mut_ptr().cast::<u8>();
        for (index, value) in values.iter().enumerate() {
            // An unaligned stride is the caller's mistake, and seen as such.
            let at =
                if size >= right && size <= LARGEST_STRUCT { size * index } else { right * index };
            // SAFETY: `stride * values.len()` bytes and more are there.
            unsafe {
                base.add(at).cast::<T>().write_unaligned(*value);
                base.add(at).cast::<u32>().write_unaligned(size as u32);
            }
        }
        if size > right && take.odd() {
            // SAFETY: as above; a field that this version does not know.
            unsafe { base.add(right).write(take.byte()) };
        }
        let offset = match take.odd() {
            false => Some(0),
            true => take.of(&[None, Some(1), Some(4)]),
        };
        Self { memory, offset }
    }

    pub(super) fn pointer<T>(&mut self) -> *mut T {
        match self.offset {
            None => null_mut(),
            Some(offset) => self.memory.as_mut_ptr().wrapping_byte_add(offset).cast(),
        }
    }

    /// The struct as it is now.
    pub(super) fn value<T: Copy>(&self) -> T {
        // SAFETY: `row` wrote one there; the plugin overwrites it with another.
        unsafe { self.memory.as_ptr().cast::<T>().read() }
    }
}

/// Elements of arrays: 64 KiB, by kind.
pub(super) struct Elements(Vec<u64>);

impl Elements {
    pub(super) fn new() -> Self {
        Self(vec![0; REACH as usize / 8 + 16])
    }

    fn fill(&mut self, take: &mut Take<'_>, dtype: i32) -> *mut u8 {
        let value = take.real(1.0);
        let base = self.0.as_mut_ptr();
        for k in 0..self.0.len() {
            let plain = 1.0 + 0.001 * (k % 7) as f64;
            let value = if k % 16 == 3 { value } else { plain };
            let bits = match dtype {
                PELLUCID_F32 => {
                    let bits = u64::from((value as f32).to_bits());
                    bits << 32 | bits
                }
                PELLUCID_F64 => value.to_bits(),
                _ => u64::from(value > 1.004),
            };
            // SAFETY: `k` is below the length.
            unsafe { base.add(k).write(bits) };
        }
        base.cast()
    }

    /// Positions on the sky around (150, 2), [ny, nx, 2].
    fn sky(&mut self, nx: usize) -> *mut u8 {
        for (k, pair) in self.0.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            let (x, y) = ((k % nx) as f64, (k / nx) as f64);
            *pair = [150.0 - x * 5e-5, 2.0 + y * 5e-5].map(f64::to_bits);
        }
        self.0.as_mut_ptr().cast()
    }

    /// A description, usually of `shape` in C order.
    pub(super) fn array(
        &mut self,
        take: &mut Take<'_>,
        dtype: i32,
        shape: &[i64],
    ) -> pellucid_array {
        let item = |dtype: i32| match dtype {
            PELLUCID_F64 => 8,
            PELLUCID_U8 => 1,
            _ => 4,
        };
        let dtype = take.int(dtype);
        let mut array = pellucid_array {
            struct_size: 0,
            flags: take.word32(0),
            release: take.odd().then_some(released),
            owner: null_mut(),
            data: null_mut(),
            dtype,
            ndim: take.int(shape.len() as i32),
            shape: [1; 6],
            stride: [0; 6],
        };
        let mut stride = item(dtype);
        for axis in (0..shape.len()).rev() {
            array.shape[axis] = take.integer(shape[axis]);
            array.stride[axis] = take.integer(stride);
            stride *= shape[axis];
        }
        let data = match shape {
            [_, nx, 2] if dtype == PELLUCID_F64 && !take.odd() => self.sky(*nx as usize),
            _ => self.fill(take, dtype),
        };
        if take.odd() && take.odd() {
            return array;
        }
        let offset = keep_inside(&mut array, item(dtype)) + i64::from(take.byte() % 8);
        array.data = data.wrapping_offset(offset as isize).cast();
        array
    }
}

/// Makes a description that may be believed true; returns where its first element is.
fn keep_inside(array: &mut pellucid_array, item: i64) -> i64 {
    let Some(ndim) = usize::try_from(array.ndim).ok().filter(|n| (1..=6).contains(n)) else {
        return 0;
    };
    let believed = array.shape[..ndim].iter().all(|side| (1..=32_768).contains(side));
    if !believed {
        return 0;
    }
    // Five sides of 32768 still fit an i64 only when cut first.
    let mut product = 1_i64;
    for side in &mut array.shape[..ndim] {
        if product.saturating_mul(*side) > ELEMENTS && product.saturating_mul(*side) <= 1 << 28 {
            *side = 1;
        }
        product = product.saturating_mul(*side);
    }
    if product > 1 << 28 {
        return 0;
    }
    let axes = || array.shape.iter().zip(&array.stride).take(ndim);
    let wide = |n: &i64| i128::from(*n);
    let extent: i128 = axes().map(|(side, stride)| wide(side) * wide(stride).abs()).sum();
    if extent + i128::from(item) > i128::from(i64::MAX) {
        // Refused, since an offset overflows.
        return 0;
    }
    if extent + i128::from(item) > i128::from(REACH) {
        // Every element is the first.
        array.stride = [0; 6];
        return 0;
    }
    let low: i64 = axes().map(|(side, stride)| (side - 1) * stride.min(&0)).sum();
    -low
}

unsafe extern "C" fn released(array: *mut pellucid_array) {
    assert!(!array.is_null(), "release is called with a copy of the struct");
}
