//! libpellucid.so.1 as installed: a table whose slots load the engine when first called.
//!
//! Loading the engine maps libtorch and runs its static initialisers: 0.2 s and 110 MB, which a host
//! that only lists its plugins, or negotiates a version, should not pay. This library is the same
//! contract in front of it. `pellucid_get_api`, `version_string` and `get_extension` answer at once;
//! any other slot opens `pellucid/libpellucid_engine.so` beside this file and hands its call on,
//! arguments untouched. If that fails, fallible slots report `PELLUCID_E_UNSUPPORTED` with what the
//! dynamic loader said, and releases do nothing.

mod load;
mod stable;

use std::ffi::{CStr, c_char, c_void};
use std::ptr;

use pellucid_ffi::*;

use load::{Failure, MISSING, loaded, prediction};

const VERSION: &CStr = match CStr::from_bytes_with_nul(
    concat!("pellucid ", env!("CARGO_PKG_VERSION"), " (engine: libtorch, loaded on demand)\0")
        .as_bytes(),
) {
    Ok(version) => version,
    Err(_) => panic!("the text ends with its only NUL"),
};

/// Slots that end in an error out-parameter.
macro_rules! fallible {
    ($from:ident: $($slot:ident($($arg:ident: $type:ty),*);)*) => {$(
        unsafe extern "C" fn $slot(
            $($arg: $type,)*
            error: *mut *mut pellucid_error,
        ) -> pellucid_status {
            match $from().map(|table| table.$slot) {
                // SAFETY: the caller's arguments for the same slot.
                Ok(Some(slot)) => unsafe { slot($($arg,)* error) },
                // SAFETY: NULL, or memory for a handle, by the header's contract.
                Ok(None) | Err(_) => unsafe { refuse(error) },
            }
        }
    )*};
}

/// Slots whose argument is to be freed: without an engine there is none.
macro_rules! release {
    ($($slot:ident($type:ty);)*) => {$(
        unsafe extern "C" fn $slot(object: *mut $type) {
            if let Ok(Some(slot)) = loaded().map(|table| table.$slot) {
                // SAFETY: the caller's argument for the same slot.
                unsafe { slot(object) };
            }
        }
    )*};
}

fallible! { loaded:
    devices(list: *mut pellucid_device, n: *mut usize);
    engine_create(config: *const c_char, host: *const pellucid_host, out: *mut *mut pellucid_engine);
    list_models(engine: *mut pellucid_engine, out: *mut *const c_char);
    engine_memory(engine: *mut pellucid_engine, out: *mut pellucid_mem);
    wcs_from_fits_header(engine: *mut pellucid_engine, cards: *const c_char, length: usize,
        tables: *const pellucid_lookup_table, n: usize, out: *mut *mut pellucid_wcs);
    wcs_from_grid(engine: *mut pellucid_engine, sky: *const pellucid_array, x0: f64, y0: f64, step: f64,
        out: *mut *mut pellucid_wcs);
    wcs_from_callback(engine: *mut pellucid_engine, callback: *const pellucid_wcs_callback,
        out: *mut *mut pellucid_wcs);
    psf_from_array(engine: *mut pellucid_engine, kernel: *const pellucid_array, oversample: i32,
        flags: u32, out: *mut *mut pellucid_psf);
    psf_from_callback(engine: *mut pellucid_engine, callback: *const pellucid_psf_callback,
        out: *mut *mut pellucid_psf);
    psf_from_grid(engine: *mut pellucid_engine, kernels: *const pellucid_array, x: *const f64,
        y: *const f64, oversample: i32, flags: u32, out: *mut *mut pellucid_psf);
    exposure_create(engine: *mut pellucid_engine, desc: *const pellucid_exposure_desc,
        out: *mut *mut pellucid_exposure);
    job_estimate(engine: *mut pellucid_engine, desc: *const pellucid_job_desc, out: *mut pellucid_mem);
    job_submit(engine: *mut pellucid_engine, desc: *const pellucid_job_desc,
        out: *mut *mut pellucid_job);
    job_poll(job: *mut pellucid_job, out: *mut pellucid_progress);
    job_wait(job: *mut pellucid_job, timeout_ms: i64);
    job_result(job: *mut pellucid_job, out: *mut *mut pellucid_result);
    result_samples(result: *mut pellucid_result, first: i64, count: i64, out: *mut pellucid_array);
    result_stat(result: *mut pellucid_result, name: *const c_char, out: *mut pellucid_array);
    result_percentiles(result: *mut pellucid_result, q: *const f64, n: usize,
        out: *mut pellucid_array);
    result_residuals(result: *mut pellucid_result, sample: i64, exposure: usize,
        out: *mut pellucid_array);
    result_diagnostics(result: *mut pellucid_result, out: *mut *const c_char);
    result_header(result: *mut pellucid_result, out: *mut *const c_char, length: *mut usize);
}

fallible! { prediction:
    predict(engine: *mut pellucid_engine, exposures: *const *mut pellucid_exposure, n: usize, ra: f64,
        dec: f64, pixscale: f64, model: *const pellucid_array, out: *mut pellucid_array);
}

release! {
    engine_release(pellucid_engine);
    wcs_release(pellucid_wcs);
    psf_release(pellucid_psf);
    exposure_release(pellucid_exposure);
    job_release(pellucid_job);
    result_release(pellucid_result);
}

unsafe extern "C" fn job_cancel(job: *mut pellucid_job) -> pellucid_status {
    match loaded().map(|table| table.job_cancel) {
        // SAFETY: the caller's argument for the same slot.
        Ok(Some(slot)) => unsafe { slot(job) },
        Ok(None) | Err(_) => MISSING,
    }
}

unsafe extern "C" fn log_drain(engine: *mut pellucid_engine, most: usize) -> usize {
    match loaded().map(|table| table.log_drain) {
        // SAFETY: the caller's arguments for the same slot.
        Ok(Some(slot)) => unsafe { slot(engine, most) },
        Ok(None) | Err(_) => 0,
    }
}

/// An error of this library: its handle is the address of the message, which lives for ever.
unsafe fn refuse(error: *mut *mut pellucid_error) -> pellucid_status {
    if let (false, Err(failure)) = (error.is_null(), loaded()) {
        // SAFETY: not NULL, so memory for a handle by the contract above.
        unsafe { error.write(ptr::from_ref(failure).cast_mut().cast()) };
    }
    MISSING
}

fn own(error: *const pellucid_error) -> Option<&'static Failure> {
    loaded().err().filter(|failure| ptr::addr_eq(*failure, error))
}

unsafe extern "C" fn error_code(error: *const pellucid_error) -> pellucid_status {
    match (own(error), loaded().ok().and_then(|table| table.error_code)) {
        (Some(_), _) => MISSING,
        // SAFETY: the caller's argument for the same slot.
        (None, Some(slot)) => unsafe { slot(error) },
        (None, None) => PELLUCID_E_ARG,
    }
}

macro_rules! error_text {
    ($($slot:ident, $own:ident;)*) => {$(
        unsafe extern "C" fn $slot(error: *const pellucid_error) -> *const c_char {
            match (own(error), loaded().ok().and_then(|table| table.$slot)) {
                (Some(failure), _) => failure.$own.as_ptr(),
                // SAFETY: the caller's argument for the same slot.
                (None, Some(slot)) => unsafe { slot(error) },
                (None, None) => c"".as_ptr(),
            }
        }
    )*};
}
error_text! { error_message, message; error_json, json; }

unsafe extern "C" fn error_release(error: *mut pellucid_error) {
    if let Ok(Some(slot)) = loaded().map(|table| table.error_release) {
        // SAFETY: the caller's argument for the same slot.
        unsafe { slot(error) };
    }
}

unsafe extern "C" fn version_string() -> *const c_char {
    VERSION.as_ptr()
}

unsafe extern "C" fn status_name(code: pellucid_status) -> *const c_char {
    match loaded().map(|table| table.status_name) {
        // SAFETY: any number is allowed.
        Ok(Some(slot)) => unsafe { slot(code) },
        // Nothing else can come of it.
        Ok(None) | Err(_) if code == MISSING => c"PELLUCID_E_UNSUPPORTED".as_ptr(),
        Ok(None) | Err(_) => c"unknown status".as_ptr(),
    }
}

unsafe extern "C" fn get_extension(id: *const c_char) -> *const c_void {
    // SAFETY: NULL or NUL-terminated by the header's contract.
    if !id.is_null() && unsafe { CStr::from_ptr(id) }.to_bytes() == PELLUCID_EXT_PREDICT.as_bytes()
    {
        return ptr::from_ref(&PREDICT).cast();
    }
    match loaded().map(|table| table.get_extension) {
        // SAFETY: the caller's argument for the same slot.
        Ok(Some(slot)) => unsafe { slot(id) },
        Ok(None) | Err(_) => ptr::null(),
    }
}

static PREDICT: pellucid_predict_ext = pellucid_predict_ext {
    struct_size: size_of::<pellucid_predict_ext>() as u32,
    reserved: 0,
    predict: Some(predict),
};

macro_rules! api {
    ($($slot:ident)*) => {
        pellucid_api {
            struct_size: size_of::<pellucid_api>() as u32,
            abi: PELLUCID_ABI,
            minor: PELLUCID_ABI_MINOR,
            reserved: 0,
            $($slot: Some($slot),)*
        }
    };
}

static API: pellucid_api = api! {
    version_string status_name get_extension error_code error_message error_json error_release devices
    engine_create engine_release list_models engine_memory log_drain wcs_from_fits_header
    wcs_from_grid wcs_from_callback psf_from_array psf_from_callback wcs_release psf_release
    exposure_create exposure_release job_estimate job_submit job_poll job_wait job_cancel job_result
    job_release result_samples result_stat result_percentiles result_residuals result_diagnostics
    result_header result_release psf_from_grid
};

/// The function table of a breaking level, or NULL.
///
/// # Safety
/// `range` is NULL or points to memory for two `u32`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pellucid_get_api(abi: u32, range: *mut u32) -> *const pellucid_api {
    if !range.is_null() {
        // SAFETY: memory for two by the contract above.
        unsafe { range.cast::<[u32; 2]>().write([PELLUCID_ABI; 2]) };
    }
    if abi == PELLUCID_ABI { &API } else { ptr::null() }
}

#[cfg(test)]
mod tests;
