//! Faults in statuses, errors and handles.

use std::ffi::c_char;
use std::ptr;
use std::sync::OnceLock;

use pellucid_ffi::*;

use crate::forward;

type ErrorOut = *mut *mut pellucid_error;

pub(crate) unsafe extern "C" fn wrong_status(
    engine: *mut pellucid_engine,
    memory: *mut pellucid_mem,
    error: ErrorOut,
) -> pellucid_status {
    match forward!(engine_memory(engine, memory, error)) {
        PELLUCID_E_ARG => PELLUCID_E_STATE,
        other => other,
    }
}

pub(crate) unsafe extern "C" fn empty_message(_: *const pellucid_error) -> *const c_char {
    c"".as_ptr()
}

pub(crate) unsafe extern "C" fn stale_error(
    engine: *mut pellucid_engine,
    memory: *mut pellucid_mem,
    error: ErrorOut,
) -> pellucid_status {
    match forward!(engine_memory(engine, memory, ptr::null_mut())) {
        PELLUCID_OK => PELLUCID_OK,
        _ => forward!(engine_memory(engine, memory, error)),
    }
}

pub(crate) unsafe extern "C" fn stale_output(
    engine: *mut pellucid_engine,
    kernel: *const pellucid_array,
    oversample: i32,
    flags: u32,
    psf: *mut *mut pellucid_psf,
    error: ErrorOut,
) -> pellucid_status {
    if psf.is_null() {
        return forward!(psf_from_array(engine, kernel, oversample, flags, psf, error));
    }
    let mut made = ptr::null_mut();
    let status = forward!(psf_from_array(engine, kernel, oversample, flags, &mut made, error));
    if status == PELLUCID_OK {
        // SAFETY: not NULL, hence a place for a handle.
        unsafe { psf.write(made) };
    }
    status
}

pub(crate) unsafe extern "C" fn accepts_unknown_key(
    config: *const c_char,
    host: *const pellucid_host,
    engine: *mut *mut pellucid_engine,
    error: ErrorOut,
) -> pellucid_status {
    match forward!(engine_create(config, host, engine, ptr::null_mut())) {
        PELLUCID_E_CONFIG => forward!(engine_create(ptr::null(), host, engine, error)),
        PELLUCID_OK => {
            if !error.is_null() {
                // SAFETY: not NULL, hence a place for an error.
                unsafe { error.write(ptr::null_mut()) };
            }
            PELLUCID_OK
        }
        _ => forward!(engine_create(config, host, engine, error)),
    }
}

pub(crate) unsafe extern "C" fn aborts_on_null(
    job: *mut pellucid_job,
    progress: *mut pellucid_progress,
    error: ErrorOut,
) -> pellucid_status {
    if progress.is_null() {
        std::process::abort();
    }
    forward!(job_poll(job, progress, error))
}

pub(crate) unsafe extern "C" fn trusts_handles(wcs: *mut pellucid_wcs) {
    if wcs.addr() < 4096 && !wcs.addr().is_multiple_of(16) {
        // SAFETY: none; that is the fault.
        unsafe { wcs.cast::<u8>().write_volatile(0) };
    }
    forward!(wcs_release(wcs));
}

/// The process that asked first.
pub(crate) fn process() -> u32 {
    static PROCESS: OnceLock<u32> = OnceLock::new();
    *PROCESS.get_or_init(std::process::id)
}

pub(crate) unsafe extern "C" fn fork_unaware(
    engine: *mut pellucid_engine,
    memory: *mut pellucid_mem,
    error: ErrorOut,
) -> pellucid_status {
    match process() == std::process::id() {
        true => forward!(engine_memory(engine, memory, error)),
        false => PELLUCID_OK,
    }
}

pub(crate) unsafe extern "C" fn writes_too_far(
    engine: *mut pellucid_engine,
    memory: *mut pellucid_mem,
    error: ErrorOut,
) -> pellucid_status {
    let status = forward!(engine_memory(engine, memory, error));
    // SAFETY: only within what the caller says it has.
    unsafe {
        let size = size_of::<pellucid_mem>();
        if status == PELLUCID_OK && (*memory).struct_size as usize >= size + 8 {
            memory.byte_add(size).cast::<u64>().write(1);
        }
    }
    status
}
