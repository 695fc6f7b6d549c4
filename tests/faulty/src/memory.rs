//! Faults in ownership.

use std::ffi::c_char;
use std::thread;

use pellucid_ffi::*;

use crate::{forward, idle};

type ErrorOut = *mut *mut pellucid_error;

pub(crate) unsafe extern "C" fn leaks_release(
    engine: *mut pellucid_engine,
    kernel: *const pellucid_array,
    oversample: i32,
    flags: u32,
    psf: *mut *mut pellucid_psf,
    error: ErrorOut,
) -> pellucid_status {
    // SAFETY: NULL or an array as the header says.
    match unsafe { kernel.as_ref() } {
        Some(array) if array.release.is_some() => {
            let borrowed = pellucid_array { release: None, ..*array };
            forward!(psf_from_array(engine, &borrowed, oversample, flags, psf, error))
        }
        _ => forward!(psf_from_array(engine, kernel, oversample, flags, psf, error)),
    }
}

/// Calls the release of an array once more.
fn release(kernel: *const pellucid_array) {
    // SAFETY: an array the library took, whose release tolerates what is asked of it here.
    unsafe {
        if let Some(mut copy) = kernel.as_ref().copied()
            && let Some(release) = copy.release
        {
            release(&mut copy);
        }
    }
}

pub(crate) unsafe extern "C" fn releases_twice(
    engine: *mut pellucid_engine,
    kernel: *const pellucid_array,
    oversample: i32,
    flags: u32,
    psf: *mut *mut pellucid_psf,
    error: ErrorOut,
) -> pellucid_status {
    let status = forward!(psf_from_array(engine, kernel, oversample, flags, psf, error));
    if status == PELLUCID_OK {
        release(kernel);
    }
    status
}

pub(crate) unsafe extern "C" fn releases_on_failure(
    engine: *mut pellucid_engine,
    kernel: *const pellucid_array,
    oversample: i32,
    flags: u32,
    psf: *mut *mut pellucid_psf,
    error: ErrorOut,
) -> pellucid_status {
    let status = forward!(psf_from_array(engine, kernel, oversample, flags, psf, error));
    // Not an array that is itself what is wrong.
    if status == PELLUCID_E_ARG && oversample < 1 {
        release(kernel);
    }
    status
}

pub(crate) unsafe extern "C" fn leaks_memory(
    engine: *mut pellucid_engine,
    desc: *const pellucid_exposure_desc,
    exposure: *mut *mut pellucid_exposure,
    error: ErrorOut,
) -> pellucid_status {
    std::mem::forget(std::hint::black_box(vec![1_u8; 1 << 20]));
    forward!(exposure_create(engine, desc, exposure, error))
}

pub(crate) unsafe extern "C" fn leaks_thread(
    config: *const c_char,
    host: *const pellucid_host,
    engine: *mut *mut pellucid_engine,
    error: ErrorOut,
) -> pellucid_status {
    let status = forward!(engine_create(config, host, engine, error));
    if status == PELLUCID_OK {
        thread::spawn(idle);
    }
    status
}
