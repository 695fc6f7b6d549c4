//! Results: views, statistics, residuals, texts.

use std::ptr::{null, null_mut};

use pellucid_ffi::*;
use pellucid_tests::{Host, SIDE, fails, ok, release_array, sized, slot, take_values, text};

fn stat(host: &Host, result: *mut pellucid_result, name: &std::ffi::CStr) -> Vec<f32> {
    let mut out: pellucid_array = sized();
    ok(host.api, |e| slot!(host.api, result_stat(result, name.as_ptr(), &mut out, e)));
    assert_eq!((out.ndim, out.shape[0]), (3, 1));
    take_values(out)
}

#[test]
fn samples_are_a_view_that_outlives_everything() {
    let host = Host::new("{}");
    let result = host.result("{}");
    let (mut all, mut some) = (sized::<pellucid_array>(), sized::<pellucid_array>());
    ok(host.api, |e| slot!(host.api, result_samples(result, 0, -1, &mut all, e)));
    ok(host.api, |e| slot!(host.api, result_samples(result, 1, 2, &mut some, e)));
    let side = SIDE as i64;
    assert_eq!(all.shape[..4], [4, 1, side, side]);
    assert_eq!(all.stride[..4], [4 * side * side, 4 * side * side, 4 * side, 4]);
    assert_eq!(some.shape[0], 2);
    assert_eq!(some.data.addr() - all.data.addr(), 4 * SIDE * SIDE, "no copy");
    slot!(host.api, result_release(result));
    drop(host);
    let values = take_values(all);
    assert_eq!(values[SIDE * SIDE..3 * SIDE * SIDE], take_values(some));
}

#[test]
fn the_same_seed_gives_the_same_samples() {
    let host = Host::new("{}");
    let draw = || {
        let result = host.result("{}");
        let mut all: pellucid_array = sized();
        ok(host.api, |e| slot!(host.api, result_samples(result, 0, -1, &mut all, e)));
        slot!(host.api, result_release(result));
        take_values(all)
    };
    assert_eq!(draw(), draw());
}

#[test]
fn statistics_leave_failed_samples_out() {
    let host = Host::new("{}");
    let result = host.result(r#"{"failed_samples": [2]}"#);
    let mut all: pellucid_array = sized();
    ok(host.api, |e| slot!(host.api, result_samples(result, 0, -1, &mut all, e)));
    let all = take_values(all);
    let pixel = |k: usize| f64::from(all[k * SIDE * SIDE]);
    assert!(pixel(2).is_nan());
    let mean = (pixel(0) + pixel(1) + pixel(3)) / 3.0;
    assert!((f64::from(stat(&host, result, c"mean")[0]) - mean).abs() < 1e-6);
    assert!(stat(&host, result, c"std").iter().all(|v| *v > 0.0));
    let mut out: pellucid_array = sized();
    let q = [0.0, 50.0, 100.0];
    ok(host.api, |e| slot!(host.api, result_percentiles(result, q.as_ptr(), q.len(), &mut out, e)));
    assert_eq!(out.shape[..4], [3, 1, SIDE as i64, SIDE as i64]);
    let q = take_values(out);
    assert_eq!(q[SIDE * SIDE..2 * SIDE * SIDE], stat(&host, result, c"median"));
    assert!(q[0] <= q[SIDE * SIDE] && q[SIDE * SIDE] <= q[2 * SIDE * SIDE]);
    let few = fails(host.api, PELLUCID_E_NUMERIC, |e| {
        slot!(host.api, result_stat(result, c"rhat".as_ptr(), &mut sized(), e))
    });
    assert!(few.contains('4') && few.contains('3'), "{few}");
    let unknown = fails(host.api, PELLUCID_E_ARG, |e| {
        slot!(host.api, result_stat(result, c"mode".as_ptr(), &mut sized(), e))
    });
    assert!(unknown.contains("mode"), "{unknown}");
    for bad in [-1.0, 100.5, f64::NAN] {
        fails(host.api, PELLUCID_E_ARG, |e| {
            slot!(host.api, result_percentiles(result, &bad, 1, &mut sized(), e))
        });
    }
    slot!(host.api, result_release(result));
    let whole = host.result("{}");
    assert!(stat(&host, whole, c"rhat").iter().all(|v| v.is_finite() && *v > 0.0));
    slot!(host.api, result_release(whole));
}

#[test]
#[cfg_attr(miri, ignore = "minutes of arithmetic, the same calls as others")]
fn residuals_are_in_the_detector_frame() {
    let host = Host::new("{}");
    let result = host.result("{}");
    for sample in [-1, 0, 3] {
        let mut out: pellucid_array = sized();
        ok(host.api, |e| slot!(host.api, result_residuals(result, sample, 0, &mut out, e)));
        assert_eq!((out.ndim, out.shape[0], out.shape[1]), (2, SIDE as i64, SIDE as i64));
        assert!(take_values(out).iter().all(|v| v.is_finite()));
    }
    for (sample, exposure) in [(4, 0), (-2, 0), (0, 1), (0, usize::MAX)] {
        fails(host.api, PELLUCID_E_ARG, |e| {
            slot!(host.api, result_residuals(result, sample, exposure, &mut sized(), e))
        });
    }
    for (first, n) in [(4, 1), (-1, 1), (0, 5), (2, 0)] {
        fails(host.api, PELLUCID_E_ARG, |e| {
            slot!(host.api, result_samples(result, first, n, &mut sized(), e))
        });
    }
    slot!(host.api, result_release(result));
}

#[test]
fn diagnostics_and_header_are_text_of_the_result() {
    let host = Host::new("{}");
    let result = host.result(r#"{"failed_samples": [1]}"#);
    let mut json = null();
    ok(host.api, |e| slot!(host.api, result_diagnostics(result, &mut json, e)));
    let diagnostics: serde_json::Value = serde_json::from_str(&text(json)).unwrap();
    assert_eq!(diagnostics["exposures"][0]["id"], "one");
    assert_eq!(diagnostics["sample_errors"][1], "failed on request");
    assert!(diagnostics["sample_errors"][0].is_null());
    assert_eq!(diagnostics["provenance"]["seed"], 7);
    let (mut cards, mut len) = (null(), 0);
    ok(host.api, |e| slot!(host.api, result_header(result, &mut cards, &mut len, e)));
    let header = text(cards);
    assert_eq!((header.len(), len % 80), (len, 0));
    let card = |key: &str| {
        (0..len / 80).map(|k| header[80 * k..80 * (k + 1)].trim_end()).find(|c| c.starts_with(key))
    };
    assert_eq!(card("CTYPE1"), Some("CTYPE1  = 'RA---TAN'           / gnomonic projection"));
    assert_eq!(card("NFAILED").map(|c| c[10..30].trim()), Some("1"));
    assert_eq!(card("HIERARCH PELLUCID SEED"), Some("HIERARCH PELLUCID SEED = 7"));
    let mut again = null();
    ok(host.api, |e| slot!(host.api, result_header(result, &mut again, &mut len, e)));
    assert_eq!(again, cards, "made once");
    slot!(host.api, result_release(result));
}

#[test]
fn an_array_is_released_once_even_if_asked_twice() {
    let host = Host::new("{}");
    let result = host.result("{}");
    let mut out: pellucid_array = sized();
    ok(host.api, |e| slot!(host.api, result_samples(result, 0, 1, &mut out, e)));
    let (mut copy, release) = (out, out.release.expect("an outbound array can be released"));
    release_array(&mut out);
    // SAFETY: a bitwise copy of a released array, and NULL: both are harmless.
    unsafe {
        release(&mut copy);
        release(null_mut());
    }
    slot!(host.api, result_release(result));
}
