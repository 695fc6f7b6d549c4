//! The slots of the function table. Each is a guard, checks, one call and the outputs.
//!
//! What a caller must ensure of the pointers it passes is the contract of the slot in `pellucid.h`,
//! to which the SAFETY comments here refer as "the header's contract".

mod engine;
pub(crate) mod errors;
mod exposure;
mod job;
mod predict;
mod psf;
mod result;
mod wcs;

use std::ffi::{c_char, c_void};
use std::marker::PhantomData;
use std::mem::size_of;
use std::ptr;

use pellucid_ffi::*;

use crate::boundary::{guard, text};
use crate::engine::Engine;
use crate::status;

pub(crate) use engine::EngineObject;

/// The function table over an engine type.
#[must_use]
pub fn table<E: Engine>() -> &'static pellucid_api {
    &Tables::<E>::API
}

/// The table of `org.pellucid.predict/1` over an engine type.
#[must_use]
pub fn predict_extension<E: Engine>() -> &'static pellucid_predict_ext {
    &Tables::<E>::PREDICT
}

struct Tables<E>(PhantomData<E>);

impl<E: Engine> Tables<E> {
    const PREDICT: pellucid_predict_ext = pellucid_predict_ext {
        struct_size: size_of::<pellucid_predict_ext>() as u32,
        reserved: 0,
        predict: Some(predict::predict::<E>),
    };

    const API: pellucid_api = pellucid_api {
        struct_size: size_of::<pellucid_api>() as u32,
        abi: PELLUCID_ABI,
        minor: PELLUCID_ABI_MINOR,
        reserved: 0,
        version_string: Some(version_string::<E>),
        status_name: Some(status_name),
        get_extension: Some(get_extension::<E>),
        error_code: Some(errors::error_code),
        error_message: Some(errors::error_message),
        error_json: Some(errors::error_json),
        error_release: Some(errors::error_release),
        devices: Some(engine::devices::<E>),
        engine_create: Some(engine::engine_create::<E>),
        engine_release: Some(engine::engine_release::<E>),
        list_models: Some(engine::list_models::<E>),
        engine_memory: Some(engine::engine_memory::<E>),
        log_drain: Some(engine::log_drain::<E>),
        wcs_from_fits_header: Some(wcs::wcs_from_fits_header::<E>),
        wcs_from_grid: Some(wcs::wcs_from_grid::<E>),
        wcs_from_callback: Some(wcs::wcs_from_callback::<E>),
        psf_from_array: Some(psf::psf_from_array::<E>),
        psf_from_callback: Some(psf::psf_from_callback::<E>),
        wcs_release: Some(wcs::wcs_release),
        psf_release: Some(psf::psf_release),
        exposure_create: Some(exposure::exposure_create::<E>),
        exposure_release: Some(exposure::exposure_release),
        job_estimate: Some(job::job_estimate::<E>),
        job_submit: Some(job::job_submit::<E>),
        job_poll: Some(job::job_poll::<E>),
        job_wait: Some(job::job_wait::<E>),
        job_cancel: Some(job::job_cancel::<E>),
        job_result: Some(job::job_result::<E>),
        job_release: Some(job::job_release::<E>),
        result_samples: Some(result::result_samples::<E>),
        result_stat: Some(result::result_stat::<E>),
        result_percentiles: Some(result::result_percentiles::<E>),
        result_residuals: Some(result::result_residuals::<E>),
        result_diagnostics: Some(result::result_diagnostics::<E>),
        result_header: Some(result::result_header::<E>),
        result_release: Some(result::result_release::<E>),
        psf_from_grid: Some(psf::psf_from_grid::<E>),
    };
}

unsafe extern "C" fn version_string<E: Engine>() -> *const c_char {
    E::VERSION.as_ptr()
}

unsafe extern "C" fn status_name(code: pellucid_status) -> *const c_char {
    status::name(code).as_ptr()
}

unsafe extern "C" fn get_extension<E: Engine>(id: *const c_char) -> *const c_void {
    guard::plain(ptr::null(), || {
        // SAFETY: the header's contract.
        match unsafe { text::optional(id, "id") } {
            Ok(Some(id)) if id == PELLUCID_EXT_PREDICT => {
                ptr::from_ref(predict_extension::<E>()).cast()
            }
            _ => ptr::null(),
        }
    })
}
