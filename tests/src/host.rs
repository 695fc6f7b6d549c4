//! A host over the stub engine.

use std::ffi::{CStr, CString, c_char};
use std::ptr::{null, null_mut};

use pellucid_ffi::*;

use crate::slot;

/// Side of the exposures and of the model grid in these tests, pixels.
pub const SIDE: usize = 8;

/// The function table over the stub engine.
pub fn stub_api() -> &'static pellucid_api {
    pellucid::table::<pellucid::stub::StubEngine>()
}

/// An engine and the slots to use it by.
pub struct Host {
    /// The table.
    pub api: &'static pellucid_api,
    /// The engine.
    pub engine: *mut pellucid_engine,
}

// SAFETY: any thread may call any slot.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

/// A zeroed struct with its `struct_size`; `T` is one of the ABI's.
pub fn sized<T: Copy>() -> T {
    let mut value = std::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: zero is valid for every struct of the ABI, and each starts with a u32.
    unsafe {
        value.as_mut_ptr().cast::<u32>().write(size_of::<T>() as u32);
        value.assume_init()
    }
}

/// An element type of arrays.
pub trait Element {
    /// Its number.
    const DTYPE: i32;
}

macro_rules! elements {
    ($($rust:ty = $dtype:ident;)*) => {$(impl Element for $rust { const DTYPE: i32 = $dtype; })*};
}
elements! { f32 = PELLUCID_F32; f64 = PELLUCID_F64; u8 = PELLUCID_U8; i32 = PELLUCID_I32; u32 = PELLUCID_U32; }

/// Describes `data` in C order; the result borrows it without saying so.
pub fn array<T: Element>(data: &[T], shape: &[usize]) -> pellucid_array {
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

/// The values of an outbound array, which is released.
pub fn take_values(mut array: pellucid_array) -> Vec<f32> {
    assert_eq!((array.dtype, array.flags), (PELLUCID_F32, PELLUCID_ARRAY_READ_ONLY));
    let n: i64 = array.shape[..array.ndim as usize].iter().product();
    // SAFETY: the plugin's arrays are in C order.
    let values =
        unsafe { std::slice::from_raw_parts(array.data.cast::<f32>(), n as usize) }.to_vec();
    release_array(&mut array);
    values
}

/// Releases an outbound array.
pub fn release_array(array: &mut pellucid_array) {
    let release = array.release.expect("an outbound array can be released");
    // SAFETY: the plugin filled it in.
    unsafe { release(array) };
    assert!(array.release.is_none() && array.data.is_null());
}

/// Text of the plugin.
pub fn text(pointer: *const c_char) -> String {
    assert!(!pointer.is_null());
    // SAFETY: the plugin's texts are NUL-terminated.
    unsafe { CStr::from_ptr(pointer) }.to_str().expect("text is UTF-8").to_owned()
}

/// Runs a call that must succeed.
#[track_caller]
pub fn ok(api: &pellucid_api, call: impl FnOnce(*mut *mut pellucid_error) -> pellucid_status) {
    let mut error = null_mut::<pellucid_error>().wrapping_byte_add(1);
    let status = call(&mut error);
    if status != PELLUCID_OK {
        panic!("status {status}: {}", text(slot!(api, error_message(error))));
    }
    assert!(error.is_null(), "the error is NULL on success");
}

/// Runs a call that must fail with `code`, with and without an error object; returns its message.
#[track_caller]
pub fn fails(
    api: &pellucid_api,
    code: pellucid_status,
    mut call: impl FnMut(*mut *mut pellucid_error) -> pellucid_status,
) -> String {
    assert_eq!(call(null_mut()), code, "without an error object");
    let mut error = null_mut();
    let status = call(&mut error);
    let message = text(slot!(api, error_message(error)));
    assert_eq!(status, code, "{message}");
    assert_eq!(slot!(api, error_code(error)), code);
    let json = text(slot!(api, error_json(error)));
    let json: serde_json::Value = serde_json::from_str(&json).expect("error_json is JSON");
    assert_eq!((&json["code"], &json["message"]), (&code.into(), &message.as_str().into()));
    assert!(!message.is_empty());
    slot!(api, error_release(error));
    message
}

impl Host {
    /// An engine with a configuration.
    #[track_caller]
    pub fn new(config: &str) -> Self {
        Self::with(config, null())
    }

    /// An engine with a configuration and host functions.
    #[track_caller]
    pub fn with(config: &str, host: *const pellucid_host) -> Self {
        let api = stub_api();
        let config = CString::new(config).expect("no NUL");
        let mut engine = null_mut();
        ok(api, |e| slot!(api, engine_create(config.as_ptr(), host, &mut engine, e)));
        Self { api, engine }
    }

    /// A WCS: a grid around (150, 2) with 0.05 arcsec pixels.
    pub fn wcs(&self) -> *mut pellucid_wcs {
        let radec = sky_grid();
        let radec = array(&radec, &[8, 8, 2]);
        let mut wcs = null_mut();
        let (x0, step) = (-8.0, 4.0);
        ok(self.api, |e| {
            slot!(self.api, wcs_from_grid(self.engine, &radec, x0, x0, step, &mut wcs, e))
        });
        wcs
    }

    /// A PSF of 3 x 3 samples.
    pub fn psf(&self) -> *mut pellucid_psf {
        let kernel = array(&PSF, &[3, 3]);
        let mut psf = null_mut();
        ok(self.api, |e| slot!(self.api, psf_from_array(self.engine, &kernel, 1, 0, &mut psf, e)));
        psf
    }

    /// An exposure of ones.
    pub fn exposure(&self) -> *mut pellucid_exposure {
        let (wcs, psf) = (self.wcs(), self.psf());
        let ones = [1.0_f32; SIDE * SIDE];
        let sci = array(&ones, &[SIDE, SIDE]);
        let desc = exposure_desc(&sci, wcs, psf);
        let mut exposure = null_mut();
        ok(self.api, |e| slot!(self.api, exposure_create(self.engine, &desc, &mut exposure, e)));
        slot!(self.api, wcs_release(wcs));
        slot!(self.api, psf_release(psf));
        exposure
    }

    /// A job of four samples with the given options.
    #[track_caller]
    pub fn submit(&self, options: &str) -> *mut pellucid_job {
        let exposure = self.exposure();
        let job = JobDesc::new(&[exposure], options);
        let mut out = null_mut();
        ok(self.api, |e| slot!(self.api, job_submit(self.engine, &job.desc, &mut out, e)));
        slot!(self.api, exposure_release(exposure));
        out
    }

    /// The result of such a job, which is released.
    #[track_caller]
    pub fn result(&self, options: &str) -> *mut pellucid_result {
        let job = self.submit(options);
        ok(self.api, |e| slot!(self.api, job_wait(job, -1, e)));
        let mut result = null_mut();
        ok(self.api, |e| slot!(self.api, job_result(job, &mut result, e)));
        slot!(self.api, job_release(job));
        result
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        slot!(self.api, engine_release(self.engine));
    }
}

/// A small PSF.
pub const PSF: [f64; 9] = [0.0, 0.1, 0.0, 0.1, 0.6, 0.1, 0.0, 0.1, 0.0];

/// Nodes of [`Host::wcs`], `[8, 8, 2]`, every fourth pixel from -8.
pub fn sky_grid() -> Vec<f64> {
    (0..64).flat_map(|k| sky([(k % 8) as f64 * 4.0 - 8.0, (k / 8) as f64 * 4.0 - 8.0])).collect()
}

/// Sky position of a pixel of [`Host::wcs`].
pub fn sky([x, y]: [f64; 2]) -> [f64; 2] {
    let middle = (SIDE as f64 - 1.0) / 2.0;
    let step = 0.05 / 3600.0;
    [150.0 - (x - middle) * step / 2.0_f64.to_radians().cos(), 2.0 + (y - middle) * step]
}

/// A description of an exposure that uses `sci` as its uncertainty too.
pub fn exposure_desc(
    sci: *const pellucid_array,
    wcs: *mut pellucid_wcs,
    psf: *mut pellucid_psf,
) -> pellucid_exposure_desc {
    let mut desc: pellucid_exposure_desc = sized();
    (desc.id, desc.sci, desc.err) = (c"one".as_ptr(), sci, sci);
    desc.err_kind = PELLUCID_ERR_VARIANCE;
    (desc.wcs, desc.psf) = (wcs, psf);
    desc
}

/// A description of a job with what it points to.
pub struct JobDesc {
    /// The description.
    pub desc: pellucid_job_desc,
    _exposures: Vec<*mut pellucid_exposure>,
    _options: Vec<u8>,
}

impl JobDesc {
    /// Four samples of [`SIDE`] squared, seed 7.
    pub fn new(exposures: &[*mut pellucid_exposure], options: &str) -> Self {
        let exposures = exposures.to_vec();
        // A vector: moving a box would end the pointer's right to read.
        let options = CString::new(options).expect("no NUL").into_bytes_with_nul();
        let mut desc: pellucid_job_desc = sized();
        (desc.exposures, desc.n_exposures) = (exposures.as_ptr(), exposures.len());
        (desc.ra, desc.dec, desc.pixscale) = (150.0, 2.0, 0.05);
        (desc.out_ny, desc.out_nx) = (SIDE as i32, SIDE as i32);
        (desc.n_samples, desc.seed) = (4, 7);
        (desc.prior, desc.options_json) = (c"stub".as_ptr(), options.as_ptr().cast());
        Self { desc, _exposures: exposures, _options: options }
    }
}
