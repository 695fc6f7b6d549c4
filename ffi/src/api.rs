//! The function tables and the entry symbol.

use core::ffi::{c_char, c_void};

use crate::*;

macro_rules! table {
    ($(#[$doc:meta])* $table:ident [$($head:ident)*] { $($slot:ident($($arg:ty),*) $(-> $out:ty)?;)* }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        pub struct $table {
            $(#[doc = concat!("`", stringify!($head), "` of the header.")] pub $head: u32,)*
            $(#[doc = concat!("Slot `", stringify!($slot), "` of the header.")]
            pub $slot: Option<unsafe extern "C" fn($($arg),*) $(-> $out)?>,)*
        }

        impl $table {
            /// Name and offset in bytes of every field, in order.
            pub const FIELDS: &[(&str, usize)] = &[
                $((stringify!($head), core::mem::offset_of!($table, $head)),)*
                $((stringify!($slot), core::mem::offset_of!($table, $slot)),)*
            ];
            /// Name, argument types and return type of every slot, as written here.
            pub const SIGNATURES: &[(&str, &[&str], &str)] =
                &[$((stringify!($slot), &[$(stringify!($arg)),*], stringify!($($out)?)),)*];
        }
    };
}

type Err = *mut *mut pellucid_error;

table! {
    /// The function table; append-only.
    pellucid_api [struct_size abi minor reserved] {
        version_string() -> *const c_char;
        status_name(pellucid_status) -> *const c_char;
        get_extension(*const c_char) -> *const c_void;
        error_code(*const pellucid_error) -> pellucid_status;
        error_message(*const pellucid_error) -> *const c_char;
        error_json(*const pellucid_error) -> *const c_char;
        error_release(*mut pellucid_error);
        devices(*mut pellucid_device, *mut usize, Err) -> pellucid_status;
        engine_create(*const c_char, *const pellucid_host, *mut *mut pellucid_engine, Err) -> pellucid_status;
        engine_release(*mut pellucid_engine);
        list_models(*mut pellucid_engine, *mut *const c_char, Err) -> pellucid_status;
        engine_memory(*mut pellucid_engine, *mut pellucid_mem, Err) -> pellucid_status;
        log_drain(*mut pellucid_engine, usize) -> usize;
        wcs_from_fits_header(*mut pellucid_engine, *const c_char, usize, *const pellucid_lookup_table, usize, *mut *mut pellucid_wcs, Err) -> pellucid_status;
        wcs_from_grid(*mut pellucid_engine, *const pellucid_array, f64, f64, f64, *mut *mut pellucid_wcs, Err) -> pellucid_status;
        wcs_from_callback(*mut pellucid_engine, *const pellucid_wcs_callback, *mut *mut pellucid_wcs, Err) -> pellucid_status;
        psf_from_array(*mut pellucid_engine, *const pellucid_array, i32, u32, *mut *mut pellucid_psf, Err) -> pellucid_status;
        psf_from_callback(*mut pellucid_engine, *const pellucid_psf_callback, *mut *mut pellucid_psf, Err) -> pellucid_status;
        wcs_release(*mut pellucid_wcs);
        psf_release(*mut pellucid_psf);
        exposure_create(*mut pellucid_engine, *const pellucid_exposure_desc, *mut *mut pellucid_exposure, Err) -> pellucid_status;
        exposure_release(*mut pellucid_exposure);
        job_estimate(*mut pellucid_engine, *const pellucid_job_desc, *mut pellucid_mem, Err) -> pellucid_status;
        job_submit(*mut pellucid_engine, *const pellucid_job_desc, *mut *mut pellucid_job, Err) -> pellucid_status;
        job_poll(*mut pellucid_job, *mut pellucid_progress, Err) -> pellucid_status;
        job_wait(*mut pellucid_job, i64, Err) -> pellucid_status;
        job_cancel(*mut pellucid_job) -> pellucid_status;
        job_result(*mut pellucid_job, *mut *mut pellucid_result, Err) -> pellucid_status;
        job_release(*mut pellucid_job);
        result_samples(*mut pellucid_result, i64, i64, *mut pellucid_array, Err) -> pellucid_status;
        result_stat(*mut pellucid_result, *const c_char, *mut pellucid_array, Err) -> pellucid_status;
        result_percentiles(*mut pellucid_result, *const f64, usize, *mut pellucid_array, Err) -> pellucid_status;
        result_residuals(*mut pellucid_result, i64, usize, *mut pellucid_array, Err) -> pellucid_status;
        result_diagnostics(*mut pellucid_result, *mut *const c_char, Err) -> pellucid_status;
        result_header(*mut pellucid_result, *mut *const c_char, *mut usize, Err) -> pellucid_status;
        result_release(*mut pellucid_result);
        psf_from_grid(*mut pellucid_engine, *const pellucid_array, *const f64, *const f64, i32, u32, *mut *mut pellucid_psf, Err) -> pellucid_status;
    }
}

table! {
    /// Extension `org.pellucid.predict/1`.
    pellucid_predict_ext [struct_size reserved] {
        predict(*mut pellucid_engine, *const *mut pellucid_exposure, usize, f64, f64, f64, *const pellucid_array, *mut pellucid_array, Err) -> pellucid_status;
    }
}

/// Type of the entry symbol `pellucid_get_api`.
pub type pellucid_get_api_fn = unsafe extern "C" fn(u32, *mut u32) -> *const pellucid_api;
