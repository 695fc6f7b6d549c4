//! Host functions of all kinds: right, failing, forgetful, and calling back into the plugin.

use std::ffi::{c_char, c_void};
use std::ptr::null_mut;

use pellucid_ffi::*;

use super::api;

/// Most values that a PSF function fills.
pub(super) const KERNEL: usize = 4096;

/// A context: what to do, and how many values a kernel has. Never dereferenced.
pub(super) fn context(mode: u8, values: usize) -> *mut c_void {
    std::ptr::without_provenance_mut(values << 8 | usize::from(mode))
}

fn mode(context: *mut c_void) -> u8 {
    context.addr() as u8 % 8
}

/// No slot may be called from inside a callback: refused, and nothing else happens.
fn call_back() {
    let (poll, release) = (api().job_poll.expect("a slot"), api().engine_release.expect("a slot"));
    // SAFETY: dead handles and NULL are within the contract.
    unsafe {
        assert_eq!(
            poll(std::ptr::without_provenance_mut(16), null_mut(), null_mut()),
            PELLUCID_E_ARG
        );
        release(std::ptr::without_provenance_mut(16));
    }
}

pub(super) unsafe extern "C" fn log(
    context: *mut c_void,
    level: i32,
    target: *const c_char,
    message: *const c_char,
) {
    assert!((PELLUCID_LOG_ERROR..=PELLUCID_LOG_TRACE).contains(&level));
    assert!(!target.is_null() && !message.is_null());
    if mode(context) == 5 {
        call_back();
    }
}

pub(super) unsafe extern "C" fn map_points(
    context: *mut c_void,
    n: usize,
    from: *const f64,
    to: *mut f64,
) -> i32 {
    match mode(context) {
        2 => return 7,
        3 => return 0,
        5 => call_back(),
        _ => {}
    }
    for k in 0..n {
        // SAFETY: the plugin passes `n` pairs each way.
        unsafe {
            let (x, y) = (from.add(2 * k).read(), from.add(2 * k + 1).read());
            let (a, b) = match mode(context) {
                1 => (f64::NAN, 1.0),
                4 => (1e300 * x, y),
                6 => (150.0, 2.0),
                _ => (150.0 - 1e-5 * x, 2.0 + 1e-5 * y),
            };
            to.add(2 * k).write(a);
            to.add(2 * k + 1).write(b);
        }
    }
    0
}

pub(super) unsafe extern "C" fn kernel(
    context: *mut c_void,
    _band: i32,
    _x: f64,
    _y: f64,
    values: *mut f32,
) -> i32 {
    match mode(context) {
        2 => return -3,
        3 => return 0,
        5 => call_back(),
        _ => {}
    }
    let value = [1.0, f32::NAN, 1.0, 1.0, 0.0, 1.0, -1.0, f32::MAX][usize::from(mode(context))];
    for k in 0..context.addr() >> 8 {
        // SAFETY: the context holds the number of values that the description told the plugin.
        unsafe { values.add(k).write(value) };
    }
    0
}

pub(super) unsafe extern "C" fn on_state(context: *mut c_void, state: i32) {
    assert!((PELLUCID_JOB_QUEUED..=PELLUCID_JOB_CANCELLED).contains(&state));
    if mode(context) == 5 {
        call_back();
    }
}

pub(super) unsafe extern "C" fn release(context: *mut c_void) {
    if mode(context) == 5 {
        call_back();
    }
}
