//! Arrays in both directions.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};

use pellucid_ffi::*;

use crate::arrays::{Element, agree, array, inspect, sized, take, values};
use crate::check::{Check, Fault, Verdict, ensure, pass};
use crate::host::{Host, SIDE, Shot, context, describe};
use crate::session::{Handle, Session};
use crate::telescope::Kernel;

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "arrays.dtypes",
        "images come as float32 or float64, masks as u8, i32 or u32",
        dtypes,
    ),
    Check::new("arrays.strides", "strides may be 0, negative or wide, and data unaligned", strides),
    Check::new(
        "arrays.nonsense",
        "an array that cannot be is refused before its data is read",
        nonsense,
    ),
    Check::new(
        "arrays.release-once",
        "an array with a release is released exactly once, before the call returns",
        release_once,
    ),
    Check::new(
        "arrays.release-copy",
        "release is called on a bitwise copy of the struct",
        release_copy,
    ),
    Check::new(
        "arrays.release-not-on-failure",
        "after a failure an array is still the caller's",
        release_not_on_failure,
    ),
    Check::new(
        "arrays.copied",
        "borrowed data is copied: changing it later changes nothing",
        copied,
    ),
    Check::new(
        "arrays.outbound",
        "arrays out are float32, read-only, in C order, with a release that clears them",
        outbound,
    ),
    Check::new(
        "arrays.outbound-release",
        "releasing a copy of a released array, NULL, or on another thread is harmless",
        outbound_release,
    ),
    Check::new("arrays.zero-copy", "views of the same samples share their memory", zero_copy),
    Check::new("arrays.outlive", "an array outlives its result, its job and the engine", outlive),
];

/// What an exposure predicts for a fixed model, which depends on its PSF only.
fn seen(host: &Host<'_>, kernel: &pellucid_array) -> Result<Vec<f32>, Fault> {
    let mut psf = null_mut();
    ok!(host.api, psf_from_array(host.raw(), kernel, 1, 0, &mut psf))?;
    let psf = Handle::new(psf, host.api.psf_release)?;
    let shot = Shot::plain();
    let wcs = host.grid(&shot.wcs)?;
    let ones = array(&shot.sci, &shot.shape);
    let exposure = host.expose(&describe(&ones, &ones, wcs.get(), psf.get()))?;
    let model: Vec<f64> = (0..SIDE * SIDE).map(|k| ((k * k) % 23) as f64).collect();
    host.predict(&exposure, shot.shape, &model)
}

/// y - A x of the mean, NaN where the mask says so.
fn masked(host: &Host<'_>, dq: &pellucid_array) -> Result<Vec<bool>, Fault> {
    let exposure = host.exposure_with(&Shot::plain(), |desc| desc.dq = dq)?;
    let ask = crate::host::Ask::new(crate::host::SHORT);
    let job = host.submit(&[exposure.get()], &ask)?;
    let result = host.finish(&job)?;
    let mut out: pellucid_array = sized();
    ok!(host.api, result_residuals(result.get(), -1, 0, &mut out))?;
    Ok(take(out, &[SIDE, SIDE])?.iter().map(|r| r.is_nan()).collect())
}

fn dtypes(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let double = Kernel::skew(1).values;
    let single: Vec<f32> = double.iter().map(|v| *v as f32).collect();
    let need = seen(&host, &array(&double, &[3, 3]))?;
    agree("float32 for float64", &seen(&host, &array(&single, &[3, 3]))?, &need, 1e-5)?;
    let bad: Vec<bool> = (0..SIDE * SIDE).map(|k| k % 7 == 0).collect();
    fn bits<T: Element + From<u8>>(bad: &[bool]) -> Vec<T> {
        bad.iter().map(|bad| T::from(u8::from(*bad) * 64)).collect()
    }
    let (u8s, i32s, u32s) = (bits::<u8>(&bad), bits::<i32>(&bad), bits::<u32>(&bad));
    for (name, dq) in [
        ("u8", array(&u8s, &[SIDE, SIDE])),
        ("i32", array(&i32s, &[SIDE, SIDE])),
        ("u32", array(&u32s, &[SIDE, SIDE])),
    ] {
        ensure!(masked(&host, &dq)? == bad, "a mask of {name} masks other pixels");
    }
    pass()
}

fn strides(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let kernel = Kernel::skew(1).values;
    let need = seen(&host, &array(&kernel, &[3, 3]))?;
    let wide: Vec<f64> =
        (0..4 * 12)
            .map(|k| {
                if k % 12 < 9 && k % 3 == 0 {
                    kernel[k / 12 % 3 * 3 + k % 12 / 3]
                } else {
                    f64::NAN
                }
            })
            .collect();
    let mut view = array(&wide[..9], &[3, 3]);
    view.stride[..2].copy_from_slice(&[96, 24]);
    agree("wide strides", &seen(&host, &view)?, &need, 1e-6)?;
    let reversed: Vec<f64> = kernel.iter().rev().copied().collect();
    let mut view = array(&reversed, &[3, 3]);
    view.data = (&raw const reversed[8]).cast();
    view.stride[..2].copy_from_slice(&[-24, -8]);
    agree("negative strides", &seen(&host, &view)?, &need, 1e-6)?;
    let mut bytes = vec![0_u8; 3];
    kernel.iter().for_each(|v| bytes.extend(v.to_ne_bytes()));
    let mut view = array(&kernel, &[3, 3]);
    view.data = (&raw const bytes[3]).cast();
    agree("unaligned data", &seen(&host, &view)?, &need, 1e-6)?;
    let mut view = array(&kernel[..1], &[1, 1]);
    (view.shape[0], view.shape[1]) = (3, 3);
    view.stride[..2].copy_from_slice(&[0, 0]);
    let flat = [1.0_f64; 9];
    let need = seen(&host, &array(&flat, &[3, 3]))?;
    agree("strides of 0", &seen(&host, &view)?, &need, 1e-6)?;
    let transposed: Vec<f64> = (0..9).map(|k| kernel[k % 3 * 3 + k / 3]).collect();
    let mut view = array(&transposed, &[3, 3]);
    view.stride[..2].copy_from_slice(&[8, 24]);
    agree("swapped strides", &seen(&host, &view)?, &seen(&host, &array(&kernel, &[3, 3]))?, 1e-6)?;
    pass()
}

fn nonsense(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let kernel = Kernel::skew(1).values;
    let spoil: [fn(&mut pellucid_array); 14] = [
        |a| a.data = null_mut(),
        |a| a.dtype = 0,
        |a| a.dtype = 6,
        |a| a.dtype = -1,
        |a| a.dtype = PELLUCID_U8,
        |a| a.ndim = 0,
        |a| a.ndim = 7,
        |a| a.ndim = -1,
        |a| a.ndim = 1,
        |a| a.shape[0] = 0,
        |a| a.shape[0] = -3,
        |a| a.shape[1] = i64::MAX,
        |a| a.stride[0] = i64::MIN,
        |a| (a.shape[2], a.ndim) = (1, 3),
    ];
    for (k, spoil) in spoil.iter().enumerate() {
        let mut bad = array(&kernel, &[3, 3]);
        spoil(&mut bad);
        let result = fails!(
            host.api,
            PELLUCID_E_ARG,
            psf_from_array(host.raw(), &bad, 1, 0, &mut null_mut())
        );
        if let Err(Fault::Broken(why)) = result {
            return Err(format!("nonsense {k}: {why}").into());
        }
    }
    pass()
}

unsafe extern "C" fn count(array: *mut pellucid_array) {
    // SAFETY: the owner is a counter of the check.
    unsafe { &*(*array).owner.cast::<AtomicUsize>() }.fetch_add(1, Ordering::SeqCst);
}

fn counted(values: &[f64], shape: &[usize], counter: &AtomicUsize) -> pellucid_array {
    let mut moved = array(values, shape);
    moved.owner = context(counter);
    moved.release = Some(count);
    moved
}

fn release_once(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let counters: [AtomicUsize; 5] = Default::default();
    let kernel = Kernel::point();
    let moved = counted(&kernel.values, &kernel.shape, &counters[0]);
    let mut psf = null_mut();
    ok!(host.api, psf_from_array(host.raw(), &moved, 1, 0, &mut psf))?;
    let released = counters[0].load(Ordering::SeqCst);
    ensure!(released == 1, "psf_from_array released its kernel {released} times");
    let psf = Handle::new(psf, host.api.psf_release)?;
    let shot = Shot::plain();
    let wcs = host.grid(&shot.wcs)?;
    let radec: Vec<f64> =
        (0..4).flat_map(|k| shot.wcs.sky([f64::from(k % 2), f64::from(k / 2)])).collect();
    let moved = counted(&radec, &[2, 2, 2], &counters[1]);
    let mut other = null_mut();
    ok!(host.api, wcs_from_grid(host.raw(), &moved, 0.0, 0.0, 1.0, &mut other))?;
    slot!(host.api, wcs_release(other))?;
    let (sci, err) = (
        counted(&shot.sci, &shot.shape, &counters[2]),
        counted(&shot.sigma, &shot.shape, &counters[3]),
    );
    let correlation = counted(&[1.0], &[1, 1], &counters[4]);
    let mut desc = describe(&sci, &err, wcs.get(), psf.get());
    desc.noise_correlation = &correlation;
    let exposure = host.expose(&desc)?;
    drop((exposure, psf, wcs));
    for (what, counter) in
        ["kernel", "radec", "sci", "err", "noise_correlation"].iter().zip(&counters)
    {
        let released = counter.load(Ordering::SeqCst);
        ensure!(released == 1, "{what} was released {released} times");
    }
    pass()
}

unsafe extern "C" fn compare(array: *mut pellucid_array) {
    // SAFETY: the owner is the check's note of the struct, which this call may change.
    unsafe {
        let note = (*array).owner.cast::<Note>();
        (*note).same = (*array).data == (*note).data && (*array).shape == [1, 1, 0, 0, 0, 0];
        (*note).address = array.addr();
        (*array).release = None;
    }
}

struct Note {
    data: *const c_void,
    same: bool,
    address: usize,
}

fn release_copy(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let mut moved = array(&[1.0_f64], &[1, 1]);
    let mut note = Note { data: moved.data, same: false, address: 0 };
    moved.owner = (&raw mut note).cast();
    moved.release = Some(compare);
    let mut psf = null_mut();
    ok!(host.api, psf_from_array(host.raw(), &moved, 1, 0, &mut psf))?;
    slot!(host.api, psf_release(psf))?;
    ensure!(note.same, "release sees another struct, or was not called");
    ensure!(note.address != (&raw const moved).addr(), "release sees the caller's struct itself");
    ensure!(moved.release.is_some(), "the caller's struct was changed");
    pass()
}

fn release_not_on_failure(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let counter = AtomicUsize::new(0);
    let kernel = Kernel::point();
    let moved = counted(&kernel.values, &kernel.shape, &counter);
    fails!(host.api, PELLUCID_E_ARG, psf_from_array(host.raw(), &moved, 0, 0, &mut null_mut()))?;
    let shot = Shot::plain();
    let (wcs, psf) = (host.grid(&shot.wcs)?, host.psf(&shot.psf)?);
    let sci = counted(&shot.sci, &shot.shape, &counter);
    let err = array(&shot.sigma[..SIDE], &[1, SIDE]);
    let desc = describe(&sci, &err, wcs.get(), psf.get());
    fails!(host.api, PELLUCID_E_ARG, exposure_create(host.raw(), &desc, &mut null_mut()))?;
    let released = counter.load(Ordering::SeqCst);
    ensure!(released == 0, "failed calls released {released} arrays");
    pass()
}

fn copied(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let mut shot = Shot::plain();
    let (wcs, psf) = (host.grid(&shot.wcs)?, host.psf(&shot.psf)?);
    let (sci, err) = (array(&shot.sci, &shot.shape), array(&shot.sigma, &shot.shape));
    let exposure = host.expose(&describe(&sci, &err, wcs.get(), psf.get()))?;
    let ask = crate::host::Ask::new(crate::host::SHORT);
    let before = host.draw(&[exposure.get()], &ask)?;
    shot.sci.fill(f64::NAN);
    shot.sigma.fill(-1.0);
    ensure!(
        host.draw(&[exposure.get()], &ask)? == before,
        "the samples changed with the host's data"
    );
    pass()
}

fn outbound(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, result) = (host.api, host.result()?);
    let r = result.get();
    let q = [16.0, 84.0];
    let side = SIDE;
    let mut out: pellucid_array = sized();
    ok!(api, result_samples(r, 1, 2, &mut out))?;
    take(out, &[2, 1, side, side])?;
    for stat in [c"mean", c"median", c"std", c"rhat"] {
        out = sized();
        ok!(api, result_stat(r, stat.as_ptr(), &mut out))?;
        take(out, &[1, side, side])?;
    }
    out = sized();
    ok!(api, result_percentiles(r, q.as_ptr(), q.len(), &mut out))?;
    take(out, &[2, 1, side, side])?;
    out = sized();
    ok!(api, result_residuals(r, 0, 0, &mut out))?;
    take(out, &[side, side])?;
    pass()
}

fn outbound_release(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let result = host.result()?;
    let mut out: pellucid_array = sized();
    ok!(host.api, result_samples(result.get(), 0, 1, &mut out))?;
    let shape = [1, 1, SIDE, SIDE];
    inspect(&out, &shape)?;
    let Some(release) = out.release else { return Err("an array has no release".into()) };
    let mut copy = out;
    crate::arrays::release(&mut out)?;
    // SAFETY: a bitwise copy of a released array, NULL, and the released one.
    unsafe {
        release(&mut copy);
        release(null_mut());
        release(&mut out);
    }
    let mut kept: pellucid_array = sized();
    ok!(host.api, result_samples(result.get(), 0, 1, &mut kept))?;
    values(&kept, &shape)?;
    struct Sent(pellucid_array);
    // SAFETY: the header allows release from any thread.
    unsafe impl Send for Sent {}
    let sent = Sent(kept);
    let there = std::thread::spawn(move || {
        let mut sent = sent;
        let Sent(array) = &mut sent;
        crate::arrays::release(array).is_ok()
    });
    ensure!(there.join().is_ok_and(|released| released), "release on another thread fails");
    pass()
}

fn zero_copy(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let result = host.result()?;
    let mut views = [sized::<pellucid_array>(); 2];
    ok!(host.api, result_samples(result.get(), 0, -1, &mut views[0]))?;
    ok!(host.api, result_samples(result.get(), 2, 1, &mut views[1]))?;
    let apart = views[1].data.addr().wrapping_sub(views[0].data.addr());
    views.iter_mut().try_for_each(crate::arrays::release)?;
    ensure!(apart == 4 * 2 * SIDE * SIDE, "sample 2 is {apart} bytes after sample 0: a copy");
    pass()
}

fn outlive(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let result = host.result()?;
    let mut out: pellucid_array = sized();
    ok!(host.api, result_samples(result.get(), 0, 4, &mut out))?;
    let shape = [4, 1, SIDE, SIDE];
    let before = values(&out, &shape)?;
    drop(result);
    drop(host);
    ensure!(take(out, &shape)? == before, "the samples changed");
    pass()
}
