//! Handles that are dead, of another kind, or invented.

use std::ptr::{null, null_mut, without_provenance_mut};

use pellucid_ffi::*;
use pellucid_tests::{Host, JobDesc, array, exposure_desc, fails, ok, sized, slot, text};

/// One call for each slot with a handle, all handles of another kind than `but` replaced by `h`.
fn every_handle(host: &Host, h: *mut pellucid_engine, but: &str) {
    let api = host.api;
    let mut json = null();
    let mut out: pellucid_array = sized();
    let refused =
        |kind: &str, call: &mut dyn FnMut(*mut *mut pellucid_error) -> pellucid_status| {
            if kind != but {
                let message = fails(api, PELLUCID_E_ARG, call);
                assert!(message.contains(kind), "{kind}: {message}");
            }
        };
    refused("engine", &mut |e| slot!(api, list_models(h, &mut json, e)));
    refused("engine", &mut |e| slot!(api, engine_memory(h, &mut sized(), e)));
    assert_eq!(slot!(api, log_drain(h, usize::MAX)), 0);
    let kernel = array(&[1.0_f64], &[1, 1]);
    let radec = array(&[0.0_f64; 8], &[2, 2, 2]);
    let cards = c"SIMPLE  =                    T";
    let length = cards.count_bytes();
    let mut wcs = null_mut::<pellucid_wcs>().wrapping_byte_add(1);
    refused("engine", &mut |e| {
        slot!(api, wcs_from_fits_header(h, cards.as_ptr(), length, null(), 0, &mut wcs, e))
    });
    assert!(wcs.is_null() || but == "engine", "handle outputs are NULL on failure");
    refused("engine", &mut |e| slot!(api, wcs_from_grid(h, &radec, 0.0, 0.0, 1.0, &mut wcs, e)));
    refused("engine", &mut |e| slot!(api, wcs_from_callback(h, &sized(), &mut wcs, e)));
    refused("engine", &mut |e| slot!(api, psf_from_array(h, &kernel, 1, 0, &mut null_mut(), e)));
    let kernels = array(&[1.0_f64], &[1, 1, 1, 1]);
    refused("engine", &mut |e| {
        slot!(api, psf_from_grid(h, &kernels, &0.0, &0.0, 1, 0, &mut null_mut(), e))
    });
    refused("engine", &mut |e| slot!(api, psf_from_callback(h, &sized(), &mut null_mut(), e)));
    refused("engine", &mut |e| slot!(api, exposure_create(h, &sized(), &mut null_mut(), e)));
    let job = JobDesc::new(&[h.cast()], "{}");
    refused("engine", &mut |e| slot!(api, job_estimate(h, &job.desc, &mut sized(), e)));
    refused("engine", &mut |e| slot!(api, job_submit(h, &job.desc, &mut null_mut(), e)));
    refused("exposure", &mut |e| {
        slot!(api, job_submit(host.engine, &job.desc, &mut null_mut(), e))
    });
    refused("job", &mut |e| slot!(api, job_poll(h.cast(), &mut sized(), e)));
    refused("job", &mut |e| slot!(api, job_wait(h.cast(), 0, e)));
    assert!(but == "job" || slot!(api, job_cancel(h.cast())) == PELLUCID_E_ARG);
    refused("job", &mut |e| slot!(api, job_result(h.cast(), &mut null_mut(), e)));
    refused("result", &mut |e| slot!(api, result_samples(h.cast(), 0, 1, &mut out, e)));
    refused("result", &mut |e| slot!(api, result_stat(h.cast(), c"mean".as_ptr(), &mut out, e)));
    refused("result", &mut |e| slot!(api, result_percentiles(h.cast(), &50.0, 1, &mut out, e)));
    refused("result", &mut |e| slot!(api, result_residuals(h.cast(), 0, 0, &mut out, e)));
    refused("result", &mut |e| slot!(api, result_diagnostics(h.cast(), &mut json, e)));
    refused("result", &mut |e| slot!(api, result_header(h.cast(), &mut json, &mut 0, e)));
    let predict = pellucid::predict_extension::<pellucid::stub::StubEngine>();
    refused("engine", &mut |e| {
        slot!(predict, predict(h, &h.cast(), 1, 0.0, 0.0, 1.0, &kernel, &mut out, e))
    });
    assert!(out.data.is_null() && out.release.is_none(), "arrays are untouched on failure");
    let sci = array(&[1.0_f32], &[1, 1]);
    for (kind, wcs, psf) in [("wcs", h.cast(), host.psf()), ("psf", host.wcs(), h.cast())] {
        let desc = exposure_desc(&sci, wcs, psf);
        refused(kind, &mut |e| slot!(api, exposure_create(host.engine, &desc, &mut null_mut(), e)));
    }
    if but != "error" {
        assert_eq!(slot!(api, error_code(h.cast())), PELLUCID_E_ARG);
        assert_eq!(text(slot!(api, error_message(h.cast()))), "");
        assert_eq!(text(slot!(api, error_json(h.cast()))), "{}");
    }
}

/// Every release of `h` but that of its own kind.
fn every_release(host: &Host, h: *mut pellucid_engine, but: &str) {
    let release = |kind: &str, call: &dyn Fn()| {
        if kind != but {
            call();
        }
    };
    release("error", &|| slot!(host.api, error_release(h.cast())));
    release("engine", &|| slot!(host.api, engine_release(h)));
    release("wcs", &|| slot!(host.api, wcs_release(h.cast())));
    release("psf", &|| slot!(host.api, psf_release(h.cast())));
    release("exposure", &|| slot!(host.api, exposure_release(h.cast())));
    release("job", &|| slot!(host.api, job_release(h.cast())));
    release("result", &|| slot!(host.api, result_release(h.cast())));
}

#[test]
fn null_handles_are_refused_and_released_as_nothing() {
    let host = Host::new("{}");
    every_handle(&host, null_mut(), "");
    every_release(&host, null_mut(), "");
}

#[test]
fn invented_handles_are_refused_and_released_as_nothing() {
    let host = Host::new("{}");
    let local = 0_u64;
    for number in [1, 24, usize::MAX, (&raw const local).addr()] {
        every_handle(&host, without_provenance_mut(number), "");
        every_release(&host, without_provenance_mut(number), "");
    }
}

/// A live handle of each kind.
fn one_of_each(host: &Host, other: &Host) -> [(&'static str, *mut pellucid_engine); 7] {
    let mut error = null_mut();
    assert_eq!(slot!(host.api, job_wait(null_mut(), 0, &mut error)), PELLUCID_E_ARG);
    [
        ("engine", other.engine),
        ("wcs", host.wcs().cast()),
        ("psf", host.psf().cast()),
        ("exposure", host.exposure().cast()),
        ("job", host.submit("{}").cast()),
        ("result", host.result("{}").cast()),
        ("error", error.cast()),
    ]
}

#[test]
fn handles_of_another_kind_are_refused_and_stay_alive() {
    let (host, other) = (Host::new("{}"), Host::new("{}"));
    for (kind, handle) in one_of_each(&host, &other) {
        every_handle(&host, handle, kind);
        every_release(&host, handle, kind);
        let message = match kind {
            "engine" => {
                fails(host.api, PELLUCID_E_ARG, |e| slot!(host.api, job_wait(handle.cast(), 0, e)))
            }
            _ => fails(host.api, PELLUCID_E_ARG, |e| {
                slot!(host.api, engine_memory(handle, &mut sized(), e))
            }),
        };
        let need = if kind == "engine" { "job" } else { "engine" };
        assert!(message.ends_with(&format!("{kind} handle was given for {need}")), "{message}");
    }
}

#[test]
fn released_handles_are_refused_and_released_as_nothing() {
    let (host, other) = (Host::new("{}"), Host::new("{}"));
    for (_, handle) in one_of_each(&host, &other) {
        every_release(&host, handle, "");
        every_handle(&host, handle, "");
        every_release(&host, handle, "");
    }
}

#[test]
fn objects_outlive_what_they_were_made_with() {
    let host = Host::new("{}");
    let job = host.submit("{}");
    ok(host.api, |e| slot!(host.api, job_wait(job, -1, e)));
    let api = host.api;
    let (exposure, wcs) = (host.exposure(), host.wcs());
    drop(host);
    let mut progress: pellucid_progress = sized();
    ok(api, |e| slot!(api, job_poll(job, &mut progress, e)));
    assert_eq!(progress.state, PELLUCID_JOB_DONE);
    let mut result = null_mut();
    ok(api, |e| slot!(api, job_result(job, &mut result, e)));
    slot!(api, job_release(job));
    let mut json = null();
    ok(api, |e| slot!(api, result_diagnostics(result, &mut json, e)));
    assert!(text(json).contains("exposures"));
    slot!(api, result_release(result));
    let other = Host::new("{}");
    let reused = JobDesc::new(&[exposure], "{}");
    let mut job = null_mut();
    ok(api, |e| slot!(api, job_submit(other.engine, &reused.desc, &mut job, e)));
    slot!(api, exposure_release(exposure));
    slot!(api, wcs_release(wcs));
    slot!(api, wcs_release(wcs));
}

#[test]
fn errors_end_with_their_release() {
    let host = Host::new("{}");
    let mut error = null_mut();
    let status = slot!(host.api, job_wait(null_mut(), 0, &mut error));
    assert_eq!(status, PELLUCID_E_ARG);
    assert_eq!(text(slot!(host.api, error_message(error))), "job is NULL");
    slot!(host.api, error_release(error));
    assert_eq!(text(slot!(host.api, error_message(error))), "");
    slot!(host.api, error_release(error));
}
