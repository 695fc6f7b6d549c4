//! World coordinate systems: header, grid, callback. What one maps where shows in predictions.

use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use pellucid_ffi::*;

use crate::arrays::{agree, array, sized};
use crate::check::{Check, Fault, Verdict, ensure, pass};
use crate::host::{GRID, Host, SIDE, Shot, context, describe};
use crate::session::{Handle, Session};
use crate::telescope::{Tan, apply, operator};

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "wcs.header",
        "header cards place pixels by FITS's rules: 1-based CRPIX, CD matrix, TAN",
        header,
    ),
    Check::new("wcs.header-cards", "80-byte cards and lines are the same header", header_cards),
    Check::new("wcs.header-sip", "SIP distortion is applied", header_sip),
    Check::new(
        "wcs.lookup-table",
        "an NPOL or D2IM table shifts pixels by its values",
        lookup_table,
    ),
    Check::new(
        "wcs.header-bad",
        "text that is no WCS is E_ARG, also when it is not UTF-8",
        header_bad,
    ),
    Check::new("wcs.grid", "a grid of sky positions places pixels as the header does", grid),
    Check::new(
        "wcs.grid-bad",
        "a grid of the wrong shape, one that is not finite or a step that is not positive is E_ARG",
        grid_bad,
    ),
    Check::new(
        "wcs.callback",
        "a callback, sampled at once or reentrant, with or without sky2pix, places pixels as the header does",
        callback,
    ),
    Check::new(
        "wcs.callback-release",
        "release is called once: at once for a sampled WCS, with the last user for a reentrant one",
        callback_release,
    ),
    Check::new(
        "wcs.callback-fails",
        "a callback that fails or gives NaN is E_CALLBACK, and its context is not released",
        callback_fails,
    ),
];

/// Rotated, shifted, larger pixels than the model's.
fn tilted() -> Tan {
    Tan::centred([GRID.ra, GRID.dec], SIDE, 0.06, 0.35).shifted([0.3, -0.7])
}

fn picture() -> Vec<f64> {
    (0..SIDE * SIDE).map(|k| ((k / SIDE) * 3 + (k % SIDE)) as f64).collect()
}

/// What an exposure with this WCS sees of a ramp.
fn seen(host: &Host<'_>, wcs: &Handle<pellucid_wcs>) -> Result<Vec<f32>, Fault> {
    let shot = Shot::plain();
    let psf = host.psf(&shot.psf)?;
    let ones = array(&shot.sci, &shot.shape);
    let exposure = host.expose(&describe(&ones, &ones, wcs.get(), psf.get()))?;
    host.predict(&exposure, shot.shape, &picture())
}

/// The same by definition.
fn expected(tan: &Tan) -> Vec<f32> {
    let shot = Shot::plain();
    let a = operator(&GRID.of(SIDE), tan, shot.shape, &shot.psf);
    apply(&a, &picture()).into_iter().map(|v| v as f32).collect()
}

/// The ramp's largest value is 60: 1e-3 is less than 1e-3 pixel of it.
const TOLERANCE: f32 = 1e-3;

fn header(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let mut worst = 0.0_f32;
    for tan in [GRID.of(SIDE).tan, tilted(), Tan::centred([GRID.ra, GRID.dec], SIDE, 0.04, 3.0)] {
        let got = seen(&host, &host.header(&tan.header())?)?;
        worst = worst.max(agree("prediction", &got, &expected(&tan), TOLERANCE)?);
    }
    Ok(format!("largest difference {worst:.1e} of 60").into())
}

fn header_cards(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let lines = tilted().header();
    let cards: String = lines.lines().map(|line| format!("{line:<80}")).collect();
    let by_lines = seen(&host, &host.header(&lines)?)?;
    agree("cards for lines", &seen(&host, &host.header(&cards)?)?, &by_lines, 0.0)?;
    pass()
}

fn header_sip(session: &Session) -> Verdict {
    // A second-order term and its effect: u + A_2_0 u^2 where the header has u.
    let (tan, a20) = (tilted(), 0.004);
    let sip = tan.header().replace("RA---TAN", "RA---TAN-SIP").replace("DEC--TAN", "DEC--TAN-SIP")
        + &format!("A_ORDER = 2\nB_ORDER = 2\nA_2_0   = {a20}\n");
    let host = Host::new(session)?;
    let got = seen(&host, &host.header(&sip)?)?;
    for (k, got) in got.iter().enumerate() {
        let [x, y] = [(k % SIDE) as f64, (k / SIDE) as f64];
        let bent = x + a20 * (x - tan.crpix[0]).powi(2);
        let [mx, my] = GRID.of(SIDE).tan.pixel(tan.sky([bent, y]));
        let inside = |v: f64| (0.0..=SIDE as f64 - 1.0).contains(&v);
        if inside(mx) && inside(my) {
            // The ramp is linear, and so is its interpolation.
            let need = 3.0 * my + mx;
            let near = (f64::from(*got) - need).abs() < f64::from(TOLERANCE);
            ensure!(near, "pixel ({x}, {y}) sees {got}, need {need}");
        }
    }
    pass()
}

fn lookup_table(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let tan = GRID.of(SIDE).tan;
    let text = tan.header();
    let plain = seen(&host, &host.header(&text)?)?;
    let ones = [1.0_f32; 4];
    let values = array(&ones, &[2, 2]);
    for kind in [PELLUCID_D2IM, PELLUCID_NPOL] {
        for (axis, slope) in [(1, 1.0_f32), (2, 3.0)] {
            let mut table: pellucid_lookup_table = sized();
            (table.kind, table.axis, table.values) = (kind, axis, &values);
            (table.crpix, table.crval, table.cdelt) = ([1.0; 2], [1.0; 2], [16.0; 2]);
            let mut wcs = null_mut();
            let cards = text.as_ptr().cast();
            ok!(
                host.api,
                wcs_from_fits_header(host.raw(), cards, text.len(), &table, 1, &mut wcs)
            )?;
            let shifted = seen(&host, &Handle::new(wcs, host.api.wcs_release)?)?;
            for k in (0..SIDE * SIDE).filter(|k| k % SIDE < SIDE - 1 && k / SIDE < SIDE - 1) {
                let step = shifted[k] - plain[k];
                let near = (step - slope).abs() < TOLERANCE;
                ensure!(
                    near,
                    "kind {kind}, axis {axis}: pixel {k} changes by {step}, need {slope}"
                );
            }
            for (kind, axis) in [(0, 1), (3, 1), (kind, 0), (kind, 3)] {
                let bad = pellucid_lookup_table { kind, axis, ..table };
                let wcs = &mut null_mut();
                fails!(
                    host.api,
                    PELLUCID_E_ARG,
                    wcs_from_fits_header(host.raw(), cards, text.len(), &bad, 1, wcs)
                )?;
            }
        }
    }
    pass()
}

fn header_bad(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    for text in [&b"no header at all"[..], b"CTYPE1  = '\xe9'", b"\0", b"CTYPE1  = 'RA---TAN'"] {
        let (cards, len, wcs) = (text.as_ptr().cast(), text.len(), &mut null_mut());
        fails!(
            host.api,
            PELLUCID_E_ARG,
            wcs_from_fits_header(host.raw(), cards, len, null(), 0, wcs)
        )?;
    }
    let card = c"SIMPLE".as_ptr();
    let wcs = &mut null_mut();
    fails!(host.api, PELLUCID_E_ARG, wcs_from_fits_header(host.raw(), card, 0, null(), 0, wcs))?;
    pass()
}

fn grid(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let by_grid = seen(&host, &host.grid(&tilted())?)?;
    agree("prediction", &by_grid, &expected(&tilted()), TOLERANCE)?;
    let by_header = seen(&host, &host.header(&tilted().header())?)?;
    let worst = agree("grid for header", &by_grid, &by_header, TOLERANCE)?;
    Ok(format!("largest difference to the header {worst:.1e} of 60").into())
}

fn grid_bad(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, h) = (host.api, host.raw());
    let mut radec: Vec<f64> =
        (0..16).flat_map(|k| tilted().sky([f64::from(k % 4), f64::from(k / 4)])).collect();
    let good = array(&radec, &[4, 4, 2]);
    for step in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        fails!(api, PELLUCID_E_ARG, wcs_from_grid(h, &good, 0.0, 0.0, step, &mut null_mut()))?;
    }
    for shape in [&[4, 8][..], &[1, 16, 2], &[2, 4, 4], &[1, 2, 8, 2]] {
        let bad = array(&radec, shape);
        fails!(api, PELLUCID_E_ARG, wcs_from_grid(h, &bad, 0.0, 0.0, 1.0, &mut null_mut()))?;
    }
    radec[5] = f64::NAN;
    let bad = array(&radec, &[4, 4, 2]);
    fails!(api, PELLUCID_E_ARG, wcs_from_grid(h, &bad, 0.0, 0.0, 1.0, &mut null_mut()))?;
    pass()
}

#[derive(Default)]
struct Context {
    released: AtomicUsize,
    code: AtomicI32,
    nan: bool,
}

unsafe extern "C" fn release(ctx: *mut c_void) {
    // SAFETY: every check passes a Context that outlives its objects.
    unsafe { &*ctx.cast::<Context>() }.released.fetch_add(1, Ordering::SeqCst);
}

unsafe fn map(
    ctx: *mut c_void,
    n: usize,
    from: *const f64,
    to: *mut f64,
    of: impl Fn([f64; 2]) -> [f64; 2],
) -> i32 {
    // SAFETY: as above; n pairs in, n pairs out.
    unsafe {
        let context = &*ctx.cast::<Context>();
        for k in 0..n {
            let to_here = of([from.add(2 * k).read(), from.add(2 * k + 1).read()]);
            let poison = if context.nan { f64::NAN } else { 0.0 };
            to.add(2 * k).write(to_here[0] + poison);
            to.add(2 * k + 1).write(to_here[1]);
        }
        context.code.load(Ordering::SeqCst)
    }
}

unsafe extern "C" fn pix2sky(ctx: *mut c_void, n: usize, xy: *const f64, radec: *mut f64) -> i32 {
    // SAFETY: the header's contract.
    unsafe { map(ctx, n, xy, radec, |xy| tilted().sky(xy)) }
}

unsafe extern "C" fn sky2pix(ctx: *mut c_void, n: usize, radec: *const f64, xy: *mut f64) -> i32 {
    // SAFETY: the header's contract.
    unsafe { map(ctx, n, radec, xy, |radec| tilted().pixel(radec)) }
}

fn functions(ctx: &Context, flags: u32) -> pellucid_wcs_callback {
    let mut callback: pellucid_wcs_callback = sized();
    (callback.flags, callback.ctx) = (flags, context(ctx));
    callback.pix2sky = Some(pix2sky);
    callback.release = Some(release);
    (callback.ny, callback.nx, callback.margin) = (SIDE as i32, SIDE as i32, 4);
    callback
}

fn made(host: &Host<'_>, callback: &pellucid_wcs_callback) -> Result<Handle<pellucid_wcs>, Fault> {
    let mut wcs = null_mut();
    ok!(host.api, wcs_from_callback(host.raw(), callback, &mut wcs))?;
    Handle::new(wcs, host.api.wcs_release)
}

fn callback(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let ctx = Context::default();
    let by_header = seen(&host, &host.header(&tilted().header())?)?;
    let mut worst = 0.0_f32;
    for flags in [0, PELLUCID_WCS_REENTRANT] {
        for inverse in [None, Some(sky2pix as _)] {
            let callback = pellucid_wcs_callback { sky2pix: inverse, ..functions(&ctx, flags) };
            let got = seen(&host, &made(&host, &callback)?)?;
            worst = worst.max(agree("callback for header", &got, &by_header, TOLERANCE)?);
        }
    }
    Ok(format!("largest difference to the header {worst:.1e} of 60").into())
}

fn callback_release(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let shot = Shot::plain();
    for (flags, early) in [(0, 1), (PELLUCID_WCS_REENTRANT, 0)] {
        let ctx = Context::default();
        let released = || ctx.released.load(Ordering::SeqCst);
        let wcs = made(&host, &functions(&ctx, flags))?;
        ensure!(released() == early, "flags {flags}: {} releases after creation", released());
        let psf = host.psf(&shot.psf)?;
        let ones = array(&shot.sci, &shot.shape);
        let exposure = host.expose(&describe(&ones, &ones, wcs.get(), psf.get()))?;
        drop(wcs);
        ensure!(released() == early, "flags {flags}: released while an exposure needs it");
        drop(exposure);
        ensure!(released() == 1, "flags {flags}: {} releases in all, need 1", released());
    }
    pass()
}

fn callback_fails(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, h) = (host.api, host.raw());
    let failing = Context { code: 17.into(), ..Context::default() };
    let callback = functions(&failing, 0);
    let message =
        fails!(api, PELLUCID_E_CALLBACK, wcs_from_callback(h, &callback, &mut null_mut()))?;
    ensure!(message.contains("17"), "the message does not hold the code: {message}");
    let nan = Context { nan: true, ..Context::default() };
    fails!(api, PELLUCID_E_CALLBACK, wcs_from_callback(h, &functions(&nan, 0), &mut null_mut()))?;
    let wcs = made(&host, &functions(&failing, PELLUCID_WCS_REENTRANT))?;
    let shot = Shot::plain();
    let psf = host.psf(&shot.psf)?;
    let ones = array(&shot.sci, &shot.shape);
    let desc = describe(&ones, &ones, wcs.get(), psf.get());
    fails!(api, PELLUCID_E_CALLBACK, exposure_create(h, &desc, &mut null_mut()))?;
    let released = [&failing, &nan].map(|ctx| ctx.released.load(Ordering::SeqCst));
    ensure!(released == [0, 0], "contexts were released after a failure: {released:?}");
    drop(wcs);
    let released = failing.released.load(Ordering::SeqCst);
    ensure!(released == 1, "a reentrant WCS released its context {released} times");
    pass()
}
