//! Functions of the host: WCS, PSF, log, state.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use pellucid_ffi::*;
use pellucid_tests::{
    Host, JobDesc, PSF, SIDE, array, exposure_desc, fails, ok, sized, sky, slot, take_values,
};

/// What the functions below are given as context.
#[derive(Default)]
struct Context {
    calls: AtomicUsize,
    released: AtomicUsize,
    code: AtomicI32,
}

fn context<'a>(ctx: *mut c_void) -> &'a Context {
    // SAFETY: every test passes a Context that outlives its objects.
    unsafe { &*ctx.cast::<Context>() }
}

unsafe extern "C" fn release(ctx: *mut c_void) {
    context(ctx).released.fetch_add(1, Ordering::SeqCst);
}

unsafe extern "C" fn pix2sky(ctx: *mut c_void, n: usize, xy: *const f64, radec: *mut f64) -> i32 {
    context(ctx).calls.fetch_add(1, Ordering::SeqCst);
    for k in 0..n {
        // SAFETY: n pairs in, n pairs out.
        unsafe {
            let [ra, dec] = sky([xy.add(2 * k).read(), xy.add(2 * k + 1).read()]);
            radec.add(2 * k).write(ra);
            radec.add(2 * k + 1).write(dec);
        }
    }
    context(ctx).code.load(Ordering::SeqCst)
}

unsafe extern "C" fn eval(ctx: *mut c_void, band: i32, x: f64, y: f64, out: *mut f32) -> i32 {
    let middle = (SIDE as f64 - 1.0) / 2.0;
    assert_eq!((band, x, y), (0, middle, middle));
    let context = context(ctx);
    context.calls.fetch_add(1, Ordering::SeqCst);
    // SAFETY: room for 3 x 3.
    unsafe { std::slice::from_raw_parts_mut(out, 9) }.fill(1.0);
    context.code.load(Ordering::SeqCst)
}

fn predict(host: &Host, exposure: *mut pellucid_exposure) -> Vec<f32> {
    let model: Vec<f32> = (0..24 * 24).map(|k| (k % 24) as f32).collect();
    let model = array(&model, &[24, 24]);
    let ext = pellucid::predict_extension::<pellucid::stub::StubEngine>();
    let mut out: pellucid_array = sized();
    ok(host.api, |e| {
        slot!(ext, predict(host.engine, &exposure, 1, 150.0, 2.0, 0.05, &model, &mut out, e))
    });
    take_values(out)
}

fn expose(host: &Host, wcs: *mut pellucid_wcs, psf: *mut pellucid_psf) -> *mut pellucid_exposure {
    let ones = [1.0_f32; SIDE * SIDE];
    let sci = array(&ones, &[SIDE, SIDE]);
    let desc = exposure_desc(&sci, wcs, psf);
    let mut exposure = null_mut();
    ok(host.api, |e| slot!(host.api, exposure_create(host.engine, &desc, &mut exposure, e)));
    exposure
}

#[test]
#[cfg_attr(miri, ignore = "minutes of arithmetic, the same calls as others")]
fn a_wcs_by_functions_is_the_wcs_by_grid() {
    let host = Host::new("{}");
    let expected = predict(&host, host.exposure());
    for flags in [0, PELLUCID_WCS_REENTRANT] {
        let ctx = Context::default();
        let mut callback: pellucid_wcs_callback = sized();
        callback.flags = flags;
        callback.ctx = (&raw const ctx).cast_mut().cast();
        callback.pix2sky = Some(pix2sky);
        callback.release = Some(release);
        (callback.ny, callback.nx, callback.margin) = (SIDE as i32, SIDE as i32, 8);
        let mut wcs = null_mut();
        ok(host.api, |e| slot!(host.api, wcs_from_callback(host.engine, &callback, &mut wcs, e)));
        let kept = usize::from(flags == 0);
        assert_eq!(ctx.released.load(Ordering::SeqCst), kept, "a gridded one is done at once");
        let exposure = expose(&host, wcs, host.psf());
        slot!(host.api, wcs_release(wcs));
        let got = predict(&host, exposure);
        assert!(got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-3), "{got:?}");
        assert_eq!(ctx.released.load(Ordering::SeqCst), kept, "the exposure retains it");
        slot!(host.api, exposure_release(exposure));
        assert_eq!(ctx.released.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_failing_wcs_function_is_reported_and_not_released() {
    let host = Host::new("{}");
    let ctx = Context { code: 17.into(), ..Context::default() };
    let mut callback: pellucid_wcs_callback = sized();
    callback.ctx = (&raw const ctx).cast_mut().cast();
    callback.pix2sky = Some(pix2sky);
    callback.release = Some(release);
    (callback.ny, callback.nx) = (SIDE as i32, SIDE as i32);
    let message = fails(host.api, PELLUCID_E_CALLBACK, |e| {
        slot!(host.api, wcs_from_callback(host.engine, &callback, &mut null_mut(), e))
    });
    assert!(message.contains("17"), "{message}");
    assert_eq!(ctx.released.load(Ordering::SeqCst), 0);
    callback.flags = PELLUCID_WCS_REENTRANT;
    let mut wcs = null_mut();
    ok(host.api, |e| slot!(host.api, wcs_from_callback(host.engine, &callback, &mut wcs, e)));
    let ones = [1.0_f32; SIDE * SIDE];
    let sci = array(&ones, &[SIDE, SIDE]);
    let desc = exposure_desc(&sci, wcs, host.psf());
    let message = fails(host.api, PELLUCID_E_CALLBACK, |e| {
        slot!(host.api, exposure_create(host.engine, &desc, &mut null_mut(), e))
    });
    assert!(message.starts_with("exposure one") && message.contains("17"), "{message}");
    slot!(host.api, wcs_release(wcs));
    assert_eq!(ctx.released.load(Ordering::SeqCst), 1);
}

#[test]
fn a_psf_by_a_function_is_evaluated_once_for_each_exposure() {
    let host = Host::new("{}");
    let ctx = Context::default();
    let mut callback: pellucid_psf_callback = sized();
    callback.ctx = (&raw const ctx).cast_mut().cast();
    (callback.ny, callback.nx, callback.oversample) = (3, 3, 1);
    callback.eval = Some(eval);
    callback.release = Some(release);
    let mut psf = null_mut();
    ok(host.api, |e| slot!(host.api, psf_from_callback(host.engine, &callback, &mut psf, e)));
    assert_eq!(ctx.calls.load(Ordering::SeqCst), 0);
    let exposure = expose(&host, host.wcs(), psf);
    assert_eq!(ctx.calls.load(Ordering::SeqCst), 1);
    ctx.code.store(-4, Ordering::SeqCst);
    let ones = [1.0_f32; SIDE * SIDE];
    let sci = array(&ones, &[SIDE, SIDE]);
    let desc = exposure_desc(&sci, host.wcs(), psf);
    let message = fails(host.api, PELLUCID_E_CALLBACK, |e| {
        slot!(host.api, exposure_create(host.engine, &desc, &mut null_mut(), e))
    });
    assert!(message.contains("-4"), "{message}");
    slot!(host.api, psf_release(psf));
    assert_eq!(ctx.released.load(Ordering::SeqCst), 1, "exposures keep values, not the function");
    slot!(host.api, exposure_release(exposure));
}

unsafe extern "C" fn eval_nothing(ctx: *mut c_void, _: i32, _: f64, _: f64, _: *mut f32) -> i32 {
    context(ctx).calls.fetch_add(1, Ordering::SeqCst);
    0
}

unsafe extern "C" fn map_nothing(ctx: *mut c_void, _: usize, _: *const f64, _: *mut f64) -> i32 {
    context(ctx).calls.fetch_add(1, Ordering::SeqCst);
    0
}

#[test]
fn a_function_that_writes_nothing_is_a_failing_one() {
    let host = Host::new("{}");
    let ctx = Context::default();
    let mut sky: pellucid_wcs_callback = sized();
    sky.ctx = (&raw const ctx).cast_mut().cast();
    sky.pix2sky = Some(map_nothing);
    (sky.ny, sky.nx) = (SIDE as i32, SIDE as i32);
    let message = fails(host.api, PELLUCID_E_CALLBACK, |e| {
        slot!(host.api, wcs_from_callback(host.engine, &sky, &mut null_mut(), e))
    });
    assert!(message.contains("pix2sky") && message.contains("finite"), "{message}");
    let mut blur: pellucid_psf_callback = sized();
    blur.ctx = (&raw const ctx).cast_mut().cast();
    (blur.ny, blur.nx, blur.oversample) = (3, 3, 1);
    blur.eval = Some(eval_nothing);
    let mut psf = null_mut();
    ok(host.api, |e| slot!(host.api, psf_from_callback(host.engine, &blur, &mut psf, e)));
    let ones = [1.0_f32; SIDE * SIDE];
    let sci = array(&ones, &[SIDE, SIDE]);
    let desc = exposure_desc(&sci, host.wcs(), psf);
    let message = fails(host.api, PELLUCID_E_CALLBACK, |e| {
        slot!(host.api, exposure_create(host.engine, &desc, &mut null_mut(), e))
    });
    assert!(message.contains("eval") && message.contains("finite"), "{message}");
    slot!(host.api, psf_release(psf));
}

#[test]
fn a_wcs_that_fails_later_fails_what_uses_it() {
    let ctx = Context::default();
    let host = Host::new("{}");
    let mut callback: pellucid_wcs_callback = sized();
    callback.flags = PELLUCID_WCS_REENTRANT;
    callback.ctx = (&raw const ctx).cast_mut().cast();
    callback.pix2sky = Some(pix2sky);
    callback.release = Some(release);
    let mut wcs = null_mut();
    ok(host.api, |e| slot!(host.api, wcs_from_callback(host.engine, &callback, &mut wcs, e)));
    let exposure = expose(&host, wcs, host.psf());
    slot!(host.api, wcs_release(wcs));
    let job = JobDesc::new(&[exposure], "{}");
    let mut handle = null_mut();
    ok(host.api, |e| slot!(host.api, job_submit(host.engine, &job.desc, &mut handle, e)));
    ok(host.api, |e| slot!(host.api, job_wait(handle, -1, e)));
    let mut result = null_mut();
    ok(host.api, |e| slot!(host.api, job_result(handle, &mut result, e)));
    ctx.code.store(17, Ordering::SeqCst);
    let message = fails(host.api, PELLUCID_E_CALLBACK, |e| {
        slot!(host.api, result_residuals(result, 0, 0, &mut sized(), e))
    });
    assert!(message.contains("17"), "{message}");
    let model = array(&[1.0_f32; 4], &[2, 2]);
    let ext = pellucid::predict_extension::<pellucid::stub::StubEngine>();
    fails(host.api, PELLUCID_E_CALLBACK, |e| {
        let out = &mut sized();
        slot!(ext, predict(host.engine, &exposure, 1, 150.0, 2.0, 0.05, &model, out, e))
    });
    slot!(host.api, exposure_release(exposure));
    slot!(host.api, job_release(handle));
    assert_eq!(ctx.released.load(Ordering::SeqCst), 0, "the result retains its exposures");
    slot!(host.api, result_release(result));
    // The worker may hold the job for a moment after job_wait has returned: the engine joins it.
    drop(host);
    assert_eq!(ctx.released.load(Ordering::SeqCst), 1);
}

#[test]
#[cfg_attr(miri, ignore = "minutes of arithmetic, the same calls as others")]
fn a_psf_by_grid_is_interpolated_at_the_centre_of_the_exposure() {
    let host = Host::new("{}");
    // Two nodes along x: a point, and a point one pixel to the right of the centre. The exposure's
    // centre, 3.5, lies a quarter of the way from 2.5 to 6.5.
    let mut kernels = [0.0_f64; 2 * 9];
    (kernels[4], kernels[9 + 5]) = (3.0, 5.0);
    let kernels = array(&kernels, &[1, 2, 3, 3]);
    let (mut psf, x, y) = (null_mut(), [2.5, 6.5], [0.0]);
    let make = |x: &[f64], y: &[f64], psf: &mut *mut pellucid_psf, e| {
        slot!(host.api, psf_from_grid(host.engine, &kernels, x.as_ptr(), y.as_ptr(), 1, 0, psf, e))
    };
    ok(host.api, |e| make(&x, &y, &mut psf, e));
    let seen = predict(&host, expose(&host, host.wcs(), psf));
    let at = |kernel: [f64; 9]| {
        let kernel = array(&kernel, &[3, 3]);
        let mut psf = null_mut();
        ok(host.api, |e| slot!(host.api, psf_from_array(host.engine, &kernel, 1, 0, &mut psf, e)));
        predict(&host, expose(&host, host.wcs(), psf))
    };
    let expected = at([0.0, 0.0, 0.0, 0.0, 0.75, 0.25, 0.0, 0.0, 0.0]);
    assert!(seen.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{seen:?}");
    let wrong = at([0.0, 0.0, 0.0, 0.0, 0.25, 0.75, 0.0, 0.0, 0.0]);
    assert!(seen.iter().zip(&wrong).all(|(a, b)| (a - b).abs() > 0.1), "{seen:?}");
    for x in [[6.5, 2.5], [2.5, 2.5], [2.5, f64::NAN], [2.5, f64::INFINITY]] {
        let message = fails(host.api, PELLUCID_E_ARG, |e| make(&x, &y, &mut null_mut(), e));
        assert!(message.contains("nodes") && message.contains("ascending"), "{message}");
    }
    let flat = array(&PSF, &[3, 3]);
    let message = fails(host.api, PELLUCID_E_ARG, |e| {
        let psf = &mut null_mut();
        slot!(host.api, psf_from_grid(host.engine, &flat, &0.0, &0.0, 1, 0, psf, e))
    });
    assert!(message.contains("4 dimensions"), "{message}");
    slot!(host.api, psf_release(psf));
}

#[test]
fn the_size_of_a_psf_by_a_function_is_limited() {
    let host = Host::new("{}");
    let ctx = Context::default();
    let mut callback: pellucid_psf_callback = sized();
    callback.ctx = (&raw const ctx).cast_mut().cast();
    callback.oversample = 1;
    callback.eval = Some(eval);
    callback.release = Some(release);
    for (ny, nx) in [(0, 3), (3, -1), (32_769, 1), (32_768, 32_768), (16_384, 16_385)] {
        (callback.ny, callback.nx) = (ny, nx);
        fails(host.api, PELLUCID_E_ARG, |e| {
            slot!(host.api, psf_from_callback(host.engine, &callback, &mut null_mut(), e))
        });
    }
    (callback.ny, callback.nx) = (16_384, 16_384);
    let mut psf = null_mut();
    ok(host.api, |e| slot!(host.api, psf_from_callback(host.engine, &callback, &mut psf, e)));
    slot!(host.api, psf_release(psf));
    assert_eq!(ctx.released.load(Ordering::SeqCst), 1, "refused ones stay the host's");
}

thread_local! {
    static LOG: RefCell<Vec<(i32, String)>> = const { RefCell::new(Vec::new()) };
}

unsafe extern "C" fn log_here(
    _: *mut c_void,
    level: i32,
    target: *const c_char,
    msg: *const c_char,
) {
    // SAFETY: NUL-terminated for the call.
    let (target, msg) = unsafe { (CStr::from_ptr(target), CStr::from_ptr(msg)) };
    assert!(target.to_str().unwrap().starts_with("pellucid"));
    LOG.with(|log| log.borrow_mut().push((level, msg.to_str().unwrap().to_owned())));
}

fn taken() -> Vec<(i32, String)> {
    LOG.with(|log| std::mem::take(&mut *log.borrow_mut()))
}

#[test]
fn log_messages_wait_for_the_host() {
    let mut functions: pellucid_host = sized();
    functions.log = Some(log_here);
    let host = Host::with(r#"{"log_level": "trace"}"#, &functions);
    let message = |level, text: &str| (level, text.to_owned());
    assert!(taken().is_empty(), "nothing outside wait, drain and release");
    assert_eq!(slot!(host.api, log_drain(host.engine, 0)), 0);
    assert_eq!(slot!(host.api, log_drain(host.engine, 1)), 1);
    let [(PELLUCID_LOG_INFO, started)] = &taken()[..] else { panic!("one message") };
    assert!(started.starts_with("engine started: pellucid"), "{started}");
    let call = || {
        ok(host.api, |e| slot!(host.api, engine_memory(host.engine, &mut sized(), e)));
    };
    call();
    assert_eq!(slot!(host.api, log_drain(host.engine, usize::MAX)), 1);
    assert_eq!(taken(), [message(PELLUCID_LOG_TRACE, "engine_memory")]);
    let job = host.submit("{}");
    ok(host.api, |e| slot!(host.api, job_wait(job, -1, e)));
    let queued = "job queued: 4 samples of 1 exposures, prior stub, seed 7";
    assert!(taken().contains(&message(PELLUCID_LOG_INFO, queued)));
    for _ in 0..1100 {
        call();
    }
    assert_eq!(slot!(host.api, log_drain(host.engine, usize::MAX)), 1025);
    assert_eq!(taken()[0], message(PELLUCID_LOG_WARN, "76 older messages were dropped"));
    drop(host);
    assert_eq!(taken(), [message(PELLUCID_LOG_INFO, "engine ended")]);
}

#[test]
fn log_messages_come_at_once_if_the_host_wants() {
    let mut functions: pellucid_host = sized();
    functions.log = Some(log_here);
    functions.flags = PELLUCID_HOST_LOG_ANY_THREAD;
    let host = Host::with("{}", &functions);
    assert_eq!(taken().len(), 1);
    assert_eq!(slot!(host.api, log_drain(host.engine, usize::MAX)), 0);
}

static REENTRANT: Mutex<Option<Host>> = Mutex::new(None);
static SEEN: Mutex<Vec<i32>> = Mutex::new(Vec::new());

unsafe extern "C" fn call_back(user: *mut c_void, state: i32) {
    let guard = REENTRANT.lock().unwrap();
    let host = guard.as_ref().unwrap();
    let mut error = null_mut();
    let status = slot!(host.api, engine_memory(host.engine, &mut sized(), &mut error));
    assert_eq!(slot!(host.api, error_code(error)), status);
    slot!(host.api, error_release(error));
    slot!(host.api, engine_release(host.engine));
    SEEN.lock().unwrap().extend([state, status]);
    context(user).calls.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn state_changes_wake_up_and_may_not_call_back() {
    let ctx = Context::default();
    *REENTRANT.lock().unwrap() = Some(Host::new("{}"));
    let host = Host::new("{}");
    let exposure = host.exposure();
    let mut job = JobDesc::new(&[exposure], "{}");
    job.desc.user = (&raw const ctx).cast_mut().cast();
    job.desc.on_state = Some(call_back);
    let mut handle = null_mut();
    ok(host.api, |e| slot!(host.api, job_submit(host.engine, &job.desc, &mut handle, e)));
    ok(host.api, |e| slot!(host.api, job_wait(handle, -1, e)));
    slot!(host.api, job_release(handle));
    let after = ctx.calls.load(Ordering::SeqCst);
    drop(host);
    assert_eq!(ctx.calls.load(Ordering::SeqCst), after, "no call after job_release");
    let seen = SEEN.lock().unwrap().clone();
    assert_eq!(seen[..2], [PELLUCID_JOB_RUNNING, PELLUCID_E_STATE]);
    let alive = REENTRANT.lock().unwrap().take().unwrap();
    ok(alive.api, |e| slot!(alive.api, engine_memory(alive.engine, &mut sized(), e)));
}
