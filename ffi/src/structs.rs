//! The structs that cross the boundary. All-zero bytes are a valid value of each.

use core::ffi::{c_char, c_void};

use crate::{pellucid_exposure, pellucid_psf, pellucid_wcs};

macro_rules! structs {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        pub struct $name {
            $(#[doc = concat!("`", stringify!($field), "` of the header.")] pub $field: $kind,)*
        }

        impl $name {
            /// Name and offset in bytes of every field, in order.
            pub const FIELDS: &[(&str, usize)] =
                &[$((stringify!($field), core::mem::offset_of!($name, $field))),*];
        }
    )*};
}

/// Ends the life of an array's data.
pub type pellucid_release_array = Option<unsafe extern "C" fn(*mut pellucid_array)>;
/// Maps `n` coordinate pairs.
pub type pellucid_map_points =
    Option<unsafe extern "C" fn(*mut c_void, usize, *const f64, *mut f64) -> i32>;
/// Ends the life of a callback's context.
pub type pellucid_release_ctx = Option<unsafe extern "C" fn(*mut c_void)>;

structs! {
    /// A strided n-dimensional array.
    pellucid_array {
        struct_size: u32,
        flags: u32,
        release: pellucid_release_array,
        owner: *mut c_void,
        data: *const c_void,
        dtype: i32,
        ndim: i32,
        shape: [i64; 6],
        stride: [i64; 6],
    }

    /// What the host offers an engine.
    pellucid_host {
        struct_size: u32,
        flags: u32,
        ctx: *mut c_void,
        log: Option<unsafe extern "C" fn(*mut c_void, i32, *const c_char, *const c_char)>,
    }

    /// A compute device.
    pellucid_device {
        struct_size: u32,
        kind: i32,
        index: i32,
        flags: u32,
        mem_total: u64,
        mem_free: u64,
        name: [c_char; 64],
    }

    /// A distortion look-up table.
    pellucid_lookup_table {
        struct_size: u32,
        kind: i32,
        axis: i32,
        reserved: u32,
        values: *const pellucid_array,
        crpix: [f64; 2],
        crval: [f64; 2],
        cdelt: [f64; 2],
    }

    /// A WCS by host functions.
    pellucid_wcs_callback {
        struct_size: u32,
        flags: u32,
        ctx: *mut c_void,
        pix2sky: pellucid_map_points,
        sky2pix: pellucid_map_points,
        release: pellucid_release_ctx,
        ny: i32,
        nx: i32,
        margin: i32,
        reserved: u32,
        step: f64,
    }

    /// A PSF by a host function.
    pellucid_psf_callback {
        struct_size: u32,
        flags: u32,
        ctx: *mut c_void,
        ny: i32,
        nx: i32,
        oversample: i32,
        reserved: i32,
        eval: Option<unsafe extern "C" fn(*mut c_void, i32, f64, f64, *mut f32) -> i32>,
        release: pellucid_release_ctx,
    }

    /// One calibrated exposure.
    pellucid_exposure_desc {
        struct_size: u32,
        flags: u32,
        id: *const c_char,
        band: i32,
        err_kind: i32,
        sci: *const pellucid_array,
        err: *const pellucid_array,
        dq: *const pellucid_array,
        dq_bad_mask: u32,
        reserved: u32,
        gain: f64,
        zero_point: f64,
        wcs: *mut pellucid_wcs,
        psf: *mut pellucid_psf,
        flux_convention: i32,
        reserved2: u32,
        noise_correlation: *const pellucid_array,
    }

    /// What to sample.
    pellucid_job_desc {
        struct_size: u32,
        flags: u32,
        exposures: *const *mut pellucid_exposure,
        n_exposures: usize,
        ra: f64,
        dec: f64,
        pixscale: f64,
        out_ny: i32,
        out_nx: i32,
        n_samples: i32,
        priority: i32,
        seed: u64,
        prior: *const c_char,
        likelihood: *const c_char,
        options_json: *const c_char,
        user: *mut c_void,
        on_state: Option<unsafe extern "C" fn(*mut c_void, i32)>,
    }

    /// How far a job is.
    pellucid_progress {
        struct_size: u32,
        state: i32,
        step: i32,
        n_steps: i32,
        samples_done: i32,
        device: i32,
        fraction: f64,
        eta_s: f64,
    }

    /// Memory in bytes.
    pellucid_mem {
        struct_size: u32,
        reserved: u32,
        host_now: u64,
        host_peak: u64,
        dev_now: u64,
        dev_peak: u64,
        results_held: u64,
    }
}
