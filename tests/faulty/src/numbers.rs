//! Faults in numbers.

use std::collections::BTreeSet;
use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::sync::Mutex;

use pellucid_ffi::*;

use crate::forward;

type ErrorOut = *mut *mut pellucid_error;

pub(crate) unsafe extern "C" fn half_pixel(
    engine: *mut pellucid_engine,
    radec: *const pellucid_array,
    x0: f64,
    y0: f64,
    step: f64,
    wcs: *mut *mut pellucid_wcs,
    error: ErrorOut,
) -> pellucid_status {
    forward!(wcs_from_grid(engine, radec, x0 + 0.5, y0 + 0.5, step, wcs, error))
}

pub(crate) unsafe extern "C" fn flipped_psf(
    engine: *mut pellucid_engine,
    kernel: *const pellucid_array,
    oversample: i32,
    flags: u32,
    psf: *mut *mut pellucid_psf,
    error: ErrorOut,
) -> pellucid_status {
    // SAFETY: NULL or an array as the header says.
    let image = unsafe { kernel.as_ref() }
        .filter(|array| array.ndim == 2 && array.shape[..2].iter().all(|n| *n > 0));
    let Some(array) = image else {
        return forward!(psf_from_array(engine, kernel, oversample, flags, psf, error));
    };
    // From the last element backwards.
    let mut flipped = *array;
    for axis in 0..2 {
        let last = (array.shape[axis] - 1).wrapping_mul(array.stride[axis]);
        flipped.data = flipped.data.wrapping_byte_offset(last as isize);
        flipped.stride[axis] = array.stride[axis].wrapping_neg();
    }
    forward!(psf_from_array(engine, &flipped, oversample, flags, psf, error))
}

/// The values of an array of the wrapped library, which is on the heap and not shared yet.
unsafe fn values<'a>(array: &pellucid_array) -> &'a mut [f32] {
    let n: i64 = array.shape[..array.ndim as usize].iter().product();
    // SAFETY: the wrapped library's arrays are float32 in C order. Writing is the fault.
    unsafe { std::slice::from_raw_parts_mut(array.data.cast_mut().cast(), n as usize) }
}

fn real_predict() -> &'static pellucid_predict_ext {
    let table = forward!(get_extension(c"org.pellucid.predict/1".as_ptr()));
    // SAFETY: static, of this type by its name.
    unsafe { table.cast::<pellucid_predict_ext>().as_ref() }.expect("the wrapped library has it")
}

unsafe extern "C" fn predict(
    engine: *mut pellucid_engine,
    exposures: *const *mut pellucid_exposure,
    n: usize,
    ra: f64,
    dec: f64,
    pixscale: f64,
    model: *const pellucid_array,
    out: *mut pellucid_array,
    error: ErrorOut,
) -> pellucid_status {
    let real = real_predict().predict.expect("the wrapped library is whole");
    // SAFETY: the caller's arguments; `n` arrays of the struct_size of the first.
    unsafe {
        let status = real(engine, exposures, n, ra, dec, pixscale, model, out, error);
        if status == PELLUCID_OK {
            for k in 0..n {
                let array = &*out.byte_add(k * (*out).struct_size as usize);
                values(array).iter_mut().for_each(|v| *v *= 1.01);
            }
        }
        status
    }
}

pub(crate) unsafe extern "C" fn flux_one_percent(id: *const c_char) -> *const c_void {
    static TABLE: pellucid_predict_ext = pellucid_predict_ext {
        struct_size: size_of::<pellucid_predict_ext>() as u32,
        reserved: 0,
        predict: Some(predict),
    };
    // SAFETY: NULL or NUL-terminated text.
    let is_predict = !id.is_null() && unsafe { CStr::from_ptr(id) } == c"org.pellucid.predict/1";
    if is_predict { ptr::from_ref(&TABLE).cast() } else { forward!(get_extension(id)) }
}

pub(crate) unsafe extern "C" fn ignores_mask(
    engine: *mut pellucid_engine,
    desc: *const pellucid_exposure_desc,
    exposure: *mut *mut pellucid_exposure,
    error: ErrorOut,
) -> pellucid_status {
    // SAFETY: NULL or a description as the header says, here of this version.
    match unsafe { desc.as_ref() } {
        Some(known) if known.struct_size as usize == size_of::<pellucid_exposure_desc>() => {
            let unmasked = pellucid_exposure_desc { dq: ptr::null(), ..*known };
            forward!(exposure_create(engine, &unmasked, exposure, error))
        }
        _ => forward!(exposure_create(engine, desc, exposure, error)),
    }
}

/// Changes the samples of a job's result, once: `change` gets the mean, the standard deviation and
/// the value of a pixel.
unsafe fn spoilt(
    job: *mut pellucid_job,
    result: *mut *mut pellucid_result,
    error: ErrorOut,
    change: impl Fn(f32, f32, f32) -> f32,
) -> pellucid_status {
    static DONE: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());
    let status = forward!(job_result(job, result, error));
    let mut done = DONE.lock().expect("because no holder panics");
    if status != PELLUCID_OK || !done.insert(job.addr()) {
        return status;
    }
    // SAFETY: zero is a valid array.
    let mut array = unsafe { std::mem::zeroed::<pellucid_array>() };
    array.struct_size = size_of::<pellucid_array>() as u32;
    // SAFETY: set by the call above.
    let result = unsafe { result.read() };
    forward!(result_samples(result, 0, -1, &mut array, ptr::null_mut()));
    // SAFETY: nobody else has seen the samples yet.
    let (n, values) = (array.shape[0] as usize, unsafe { values(&array) });
    let image = values.len() / n;
    for pixel in 0..image {
        let of = |k: usize| k * image + pixel;
        let mean = (0..n).map(|k| values[of(k)]).sum::<f32>() / n as f32;
        let square = (0..n).map(|k| (values[of(k)] - mean).powi(2)).sum::<f32>();
        let sigma = (square / n as f32).sqrt();
        (0..n).for_each(|k| values[of(k)] = change(mean, sigma, values[of(k)]));
    }
    let release = array.release.expect("an array out has a release");
    // SAFETY: filled in by the wrapped library.
    unsafe { release(&mut array) };
    status
}

pub(crate) unsafe extern "C" fn overconfident(
    job: *mut pellucid_job,
    result: *mut *mut pellucid_result,
    error: ErrorOut,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe { spoilt(job, result, error, |mean, _, value| mean + 0.8 * (value - mean)) }
}

pub(crate) unsafe extern "C" fn biased(
    job: *mut pellucid_job,
    result: *mut *mut pellucid_result,
    error: ErrorOut,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe { spoilt(job, result, error, |_, sigma, value| value + 0.2 * sigma) }
}
