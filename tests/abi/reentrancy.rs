//! From inside every kind of callback: what takes an engine or a job is refused, releases work.

use std::ffi::{c_char, c_void};
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use pellucid_ffi::*;
use pellucid_tests::{Host, JobDesc, PSF, SIDE, array, exposure_desc, ok, sized, slot, stub_api};

/// What every function below is given as context.
struct Inside {
    /// Of another engine than the one that calls: what is refused is not the engine but the place.
    other: Host,
    job: *mut pellucid_job,
    /// A WCS for each call to release.
    spare: Mutex<Vec<*mut pellucid_wcs>>,
    calls: AtomicUsize,
}

impl Inside {
    fn new() -> Self {
        let other = Host::new("{}");
        let job = other.submit("{}");
        ok(other.api, |e| slot!(other.api, job_wait(job, -1, e)));
        let spare = Mutex::new((0..64).map(|_| other.wcs()).collect());
        Self { other, job, spare, calls: AtomicUsize::new(0) }
    }

    fn context(&self) -> *mut c_void {
        (&raw const *self).cast_mut().cast()
    }

    /// Calls since the last time.
    fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::SeqCst)
    }
}

/// Tries everything.
fn inside(ctx: *mut c_void) {
    // SAFETY: every test passes an `Inside` that outlives its objects.
    let inside = unsafe { &*ctx.cast::<Inside>() };
    inside.calls.fetch_add(1, Ordering::SeqCst);
    let (api, engine, job) = (inside.other.api, inside.other.engine, inside.job);
    let (mut json, mut wcs, mut psf) = (null(), null_mut(), null_mut());
    let (kernel, kernels) = (array(&PSF, &[3, 3]), array(&PSF, &[1, 1, 3, 3]));
    let radec = array(&[0.0_f64; 8], &[2, 2, 2]);
    let ext = pellucid::predict_extension::<pellucid::stub::StubEngine>();
    let (e, x) = (null_mut(), &0.0_f64);
    let codes = [
        slot!(api, engine_create(null(), null(), &mut null_mut(), e)),
        slot!(api, list_models(engine, &mut json, e)),
        slot!(api, engine_memory(engine, &mut sized(), e)),
        slot!(api, wcs_from_fits_header(engine, c"X".as_ptr(), 1, null(), 0, &mut wcs, e)),
        slot!(api, wcs_from_grid(engine, &radec, 0.0, 0.0, 1.0, &mut wcs, e)),
        slot!(api, wcs_from_callback(engine, &sized(), &mut wcs, e)),
        slot!(api, psf_from_array(engine, &kernel, 1, 0, &mut psf, e)),
        slot!(api, psf_from_grid(engine, &kernels, x, x, 1, 0, &mut psf, e)),
        slot!(api, psf_from_callback(engine, &sized(), &mut psf, e)),
        slot!(api, exposure_create(engine, &sized(), &mut null_mut(), e)),
        slot!(api, job_estimate(engine, &sized(), &mut sized(), e)),
        slot!(api, job_submit(engine, &sized(), &mut null_mut(), e)),
        slot!(api, job_poll(job, &mut sized(), e)),
        slot!(api, job_wait(job, -1, e)),
        slot!(api, job_cancel(job)),
        slot!(api, job_result(job, &mut null_mut(), e)),
        slot!(ext, predict(engine, &null_mut(), 1, 0.0, 0.0, 1.0, &kernel, &mut sized(), e)),
    ];
    assert_eq!(codes, [PELLUCID_E_STATE; 17]);
    assert_eq!(slot!(api, log_drain(engine, usize::MAX)), 0);
    slot!(api, engine_release(engine));
    let spare = inside.spare.lock().unwrap().pop().expect("fewer calls than spares");
    slot!(api, wcs_release(spare));
}

unsafe extern "C" fn release_ctx(ctx: *mut c_void) {
    inside(ctx);
}

unsafe extern "C" fn release_array(array: *mut pellucid_array) {
    // SAFETY: the owner is the context.
    inside(unsafe { (*array).owner });
}

unsafe extern "C" fn log(ctx: *mut c_void, _: i32, _: *const c_char, _: *const c_char) {
    inside(ctx);
}

unsafe extern "C" fn on_state(ctx: *mut c_void, _: i32) {
    inside(ctx);
}

unsafe extern "C" fn eval(ctx: *mut c_void, _: i32, _: f64, _: f64, out: *mut f32) -> i32 {
    inside(ctx);
    // SAFETY: room for one.
    unsafe { out.write(1.0) };
    0
}

unsafe extern "C" fn pix2sky(ctx: *mut c_void, n: usize, xy: *const f64, radec: *mut f64) -> i32 {
    inside(ctx);
    for k in 0..n {
        // SAFETY: n pairs in, n pairs out.
        unsafe {
            let sky = pellucid_tests::sky([xy.add(2 * k).read(), xy.add(2 * k + 1).read()]);
            radec.add(2 * k).cast::<[f64; 2]>().write_unaligned(sky);
        }
    }
    0
}

fn exposure(host: &Host, wcs: *mut pellucid_wcs, psf: *mut pellucid_psf) -> *mut pellucid_exposure {
    let ones = [1.0_f32; SIDE * SIDE];
    let sci = array(&ones, &[SIDE, SIDE]);
    let mut out = null_mut();
    let desc = exposure_desc(&sci, wcs, psf);
    ok(host.api, |e| slot!(host.api, exposure_create(host.engine, &desc, &mut out, e)));
    out
}

#[test]
fn no_callback_calls_back() {
    let within = Inside::new();
    let ctx = within.context();
    let mut functions: pellucid_host = sized();
    functions.ctx = ctx;
    functions.log = Some(log);
    let host = Host::with("{}", &functions);
    let api = host.api;
    assert!(slot!(api, log_drain(host.engine, usize::MAX)) > 0);
    assert!(within.calls() > 0, "log");

    let mut kernel = array(&PSF, &[3, 3]);
    kernel.owner = ctx;
    kernel.release = Some(release_array);
    let mut psf = null_mut();
    ok(api, |e| slot!(api, psf_from_array(host.engine, &kernel, 1, 0, &mut psf, e)));
    assert_eq!(within.calls(), 1, "release of an array");
    slot!(api, psf_release(psf));

    let mut sky: pellucid_wcs_callback = sized();
    sky.ctx = ctx;
    sky.pix2sky = Some(pix2sky);
    sky.release = Some(release_ctx);
    sky.flags = PELLUCID_WCS_REENTRANT;
    let mut wcs = null_mut();
    ok(api, |e| slot!(api, wcs_from_callback(host.engine, &sky, &mut wcs, e)));
    let mut blur: pellucid_psf_callback = sized();
    blur.ctx = ctx;
    blur.eval = Some(eval);
    blur.release = Some(release_ctx);
    (blur.ny, blur.nx, blur.oversample) = (1, 1, 1);
    ok(api, |e| slot!(api, psf_from_callback(host.engine, &blur, &mut psf, e)));
    assert_eq!(within.calls(), 0, "nothing to call yet");
    let exposure = exposure(&host, wcs, psf);
    assert!(within.calls() > 1, "pix2sky and eval");
    slot!(api, psf_release(psf));
    assert_eq!(within.calls(), 1, "release of the PSF");
    slot!(api, wcs_release(wcs));
    assert_eq!(within.calls(), 0, "the exposure keeps its WCS");

    let mut job = JobDesc::new(&[exposure], "{}");
    job.desc.user = ctx;
    job.desc.on_state = Some(on_state);
    let mut handle = null_mut();
    ok(api, |e| slot!(api, job_submit(host.engine, &job.desc, &mut handle, e)));
    ok(api, |e| slot!(api, job_wait(handle, -1, e)));
    slot!(api, job_release(handle));
    assert!(within.calls() >= 2, "on_state and log");
    slot!(api, exposure_release(exposure));
    drop(host);
    assert!(within.calls() >= 1, "release of the WCS and the last log message");

    // All refusals were of the place: outside, everything still works.
    let other = &within.other;
    ok(other.api, |e| slot!(other.api, engine_memory(other.engine, &mut sized(), e)));
    ok(other.api, |e| slot!(other.api, job_poll(within.job, &mut sized(), e)));
    assert_eq!(stub_api().struct_size as usize, size_of::<pellucid_api>());
}
