//! Point-spread functions.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::thread::{self, ThreadId};

use pellucid_ffi::*;

use crate::arrays::{agree, array, sized};
use crate::check::{Check, Fault, Verdict, ensure, pass};
use crate::host::{GRID, Host, SIDE, Shot, context, describe};
use crate::session::{Handle, Session};
use crate::telescope::{Kernel, apply, centroid, operator};

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "psf.true-convolution",
        "the image blurs by true convolution: a point becomes the kernel, unflipped",
        true_convolution,
    ),
    Check::new("psf.normalised", "the kernel is normalised to unit sum", normalised),
    Check::new(
        "psf.centre",
        "the centre is ((ny - 1)/2, (nx - 1)/2), between two samples for even sizes",
        centre,
    ),
    Check::new(
        "psf.oversample",
        "a kernel sampled several times a pixel blurs by its samples' spacing",
        oversample,
    ),
    Check::new(
        "psf.pixel-integrated",
        "a pixel-integrated kernel is not averaged over the pixel again",
        integrated,
    ),
    Check::new(
        "psf.bad",
        "a kernel that is empty, not finite or without flux, or an oversampling out of range, is E_ARG",
        bad,
    ),
    Check::new(
        "psf.callback",
        "eval is called once during exposure_create, on its thread, for the image's centre",
        callback,
    ),
    Check::new(
        "psf.callback-release",
        "the context is released once, with the PSF",
        callback_release,
    ),
    Check::new(
        "psf.callback-fails",
        "an eval that fails or gives NaN is E_CALLBACK, and a refused context is not released",
        callback_fails,
    ),
];

fn point(x: usize, y: usize) -> Vec<f64> {
    let mut image = vec![0.0; SIDE * SIDE];
    image[y * SIDE + x] = 1.0;
    image
}

fn seen(host: &Host<'_>, psf: Kernel, model: &[f64]) -> Result<Vec<f32>, Fault> {
    let shot = Shot { psf, ..Shot::plain() };
    host.predict(&host.exposure(&shot)?, shot.shape, model)
}

fn true_convolution(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let kernel = Kernel::skew(1);
    let got = seen(&host, kernel.clone(), &point(8, 6))?;
    for (k, value) in kernel.values.iter().enumerate() {
        let at = (5 + k / 3) * SIDE + 7 + k % 3;
        let near = (f64::from(got[at]) - value).abs() < 1e-5;
        ensure!(near, "sample {k} of the kernel is {value}, the image there {}", got[at]);
    }
    pass()
}

fn normalised(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let need = seen(&host, Kernel::skew(1), &point(8, 6))?;
    let mut large = Kernel::skew(1);
    large.values.iter_mut().for_each(|v| *v *= 1234.0);
    agree("a kernel times 1234", &seen(&host, large, &point(8, 6))?, &need, 1e-6)?;
    pass()
}

fn centre(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let mut worst = 0.0_f64;
    for size in [3, 4, 5, 6] {
        for s in [1, 2, 3] {
            let got = seen(&host, Kernel::gaussian(size, 0.8, s), &point(8, 6))?;
            let [x, y] = centroid(&got, SIDE);
            let off = (x - 8.0).abs().max((y - 6.0).abs());
            ensure!(off < 2e-4, "{size} samples, {s} a pixel: the point lands at ({x:.4}, {y:.4})");
            worst = worst.max(off);
        }
    }
    Ok(format!("a point is at most {worst:.1e} pixel off").into())
}

fn compared(session: &Session, kernels: &[Kernel]) -> Verdict {
    let host = Host::new(session)?;
    let model: Vec<f64> = (0..SIDE * SIDE).map(|k| ((k * k) % 23) as f64).collect();
    let mut worst = 0.0_f32;
    for psf in kernels {
        let shot = Shot { psf: psf.clone(), ..Shot::plain() };
        let a = operator(&GRID.of(SIDE), &shot.wcs, shot.shape, psf);
        let need: Vec<f32> = apply(&a, &model).into_iter().map(|v| v as f32).collect();
        let what = format!("{:?} samples, {} a pixel", psf.shape, psf.oversample);
        worst = worst.max(agree(&what, &seen(&host, psf.clone(), &model)?, &need, 1e-3)?);
    }
    Ok(format!("largest difference {worst:.1e} of 22").into())
}

fn oversample(session: &Session) -> Verdict {
    compared(
        session,
        &[
            Kernel::skew(2),
            Kernel::skew(3),
            Kernel::gaussian(9, 1.7, 4),
            Kernel::gaussian(6, 1.1, 4),
        ],
    )
}

fn integrated(session: &Session) -> Verdict {
    let kernels = [Kernel::skew(1), Kernel::skew(2), Kernel::skew(3), Kernel::gaussian(9, 1.7, 4)];
    compared(session, &kernels.map(|kernel| Kernel { integrated: true, ..kernel }))
}

fn bad(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let refuse = |values: [f64; 4], s| {
        let kernel = array(&values, &[2, 2]);
        fails!(host.api, PELLUCID_E_ARG, psf_from_array(host.raw(), &kernel, s, 0, &mut null_mut()))
    };
    refuse([0.0; 4], 1)?;
    refuse([-1.0; 4], 1)?;
    refuse([1.0, f64::NAN, 1.0, 1.0], 1)?;
    refuse([1.0, f64::INFINITY, 1.0, 1.0], 1)?;
    for s in [0, -1, i32::MIN, i32::MAX] {
        refuse([1.0; 4], s)?;
    }
    let mut callback: pellucid_psf_callback = sized();
    callback.eval = Some(eval);
    for (ny, nx, s) in [(0, 3, 1), (3, -1, 1), (3, 3, 0), (1 << 30, 1 << 30, 1)] {
        (callback.ny, callback.nx, callback.oversample) = (ny, nx, s);
        fails!(
            host.api,
            PELLUCID_E_ARG,
            psf_from_callback(host.raw(), &callback, &mut null_mut())
        )?;
    }
    pass()
}

#[derive(Default)]
struct Context {
    calls: Mutex<Vec<(i32, f64, f64, ThreadId)>>,
    released: AtomicUsize,
    code: AtomicI32,
    nan: bool,
}

unsafe extern "C" fn release(ctx: *mut c_void) {
    // SAFETY: every check passes a Context that outlives its objects.
    unsafe { &*ctx.cast::<Context>() }.released.fetch_add(1, Ordering::SeqCst);
}

unsafe extern "C" fn eval(ctx: *mut c_void, band: i32, x: f64, y: f64, out: *mut f32) -> i32 {
    // SAFETY: as above; room for the 3 x 3 samples asked for.
    unsafe {
        let context = &*ctx.cast::<Context>();
        let call = (band, x, y, thread::current().id());
        context.calls.lock().expect("because no holder panics").push(call);
        for (k, value) in Kernel::skew(1).values.iter().enumerate() {
            out.add(k).write(if context.nan { f32::NAN } else { *value as f32 });
        }
        context.code.load(Ordering::SeqCst)
    }
}

fn made(host: &Host<'_>, ctx: &Context) -> Result<Handle<pellucid_psf>, Fault> {
    let mut callback: pellucid_psf_callback = sized();
    callback.ctx = context(ctx);
    (callback.ny, callback.nx, callback.oversample) = (3, 3, 1);
    callback.eval = Some(eval);
    callback.release = Some(release);
    let mut psf = null_mut();
    ok!(host.api, psf_from_callback(host.raw(), &callback, &mut psf))?;
    Handle::new(psf, host.api.psf_release)
}

fn callback(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let ctx = Context::default();
    let calls = || ctx.calls.lock().expect("because no holder panics").clone();
    let psf = made(&host, &ctx)?;
    ensure!(calls().is_empty(), "eval was called before an exposure");
    let shot = Shot { shape: [12, 16], ..Shot::plain() };
    let wcs = host.grid(&shot.wcs)?;
    let ones = array(&shot.sci[..12 * 16], &shot.shape);
    let exposure = host.expose(&describe(&ones, &ones, wcs.get(), psf.get()))?;
    let need = [(0, 7.5, 5.5, thread::current().id())];
    ensure!(calls() == need, "eval was called with {:?}, need {need:?}", calls());
    let got = host.predict(&exposure, shot.shape, &point(8, 6))?;
    let same = Shot { psf: Kernel::skew(1), shape: [12, 16], ..Shot::plain() };
    let same = Shot { sci: shot.sci[..192].into(), sigma: shot.sigma[..192].into(), ..same };
    let by_array = host.predict(&host.exposure(&same)?, same.shape, &point(8, 6))?;
    agree("callback for array", &got, &by_array, 1e-5)?;
    ensure!(calls().len() == 1, "eval was called again");
    pass()
}

fn callback_release(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let ctx = Context::default();
    let psf = made(&host, &ctx)?;
    let shot = Shot::plain();
    let wcs = host.grid(&shot.wcs)?;
    let ones = array(&shot.sci, &shot.shape);
    let exposure = host.expose(&describe(&ones, &ones, wcs.get(), psf.get()))?;
    let released = || ctx.released.load(Ordering::SeqCst);
    ensure!(released() == 0, "the context was released while the PSF lives");
    drop(psf);
    drop(exposure);
    ensure!(released() == 1, "the context was released {} times, need 1", released());
    pass()
}

fn callback_fails(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let shot = Shot::plain();
    let wcs = host.grid(&shot.wcs)?;
    let ones = array(&shot.sci, &shot.shape);
    for ctx in [
        Context { code: (-4).into(), ..Context::default() },
        Context { nan: true, ..Context::default() },
    ] {
        let psf = made(&host, &ctx)?;
        let desc = describe(&ones, &ones, wcs.get(), psf.get());
        let message = fails!(
            host.api,
            PELLUCID_E_CALLBACK,
            exposure_create(host.raw(), &desc, &mut null_mut())
        )?;
        ensure!(ctx.nan || message.contains("-4"), "the message does not hold the code: {message}");
    }
    let ctx = Context::default();
    let mut callback: pellucid_psf_callback = sized();
    callback.ctx = context(&ctx);
    callback.eval = Some(eval);
    callback.release = Some(release);
    fails!(host.api, PELLUCID_E_ARG, psf_from_callback(host.raw(), &callback, &mut null_mut()))?;
    let released = ctx.released.load(Ordering::SeqCst);
    ensure!(released == 0, "the context was released after a failure");
    pass()
}
