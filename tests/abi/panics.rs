//! A panic forced through every slot that reaches the engine, and through every destructor.

use std::ptr::{null, null_mut};

use pellucid_ffi::*;
use pellucid_tests::{Host, JobDesc, PSF, SIDE, array, fails, ok, sized, slot, stub_api, text};

type Call<'a> = &'a mut dyn FnMut(*mut *mut pellucid_error) -> pellucid_status;

#[track_caller]
fn panics(api: &pellucid_api, call: Call<'_>) {
    let message = fails(api, PELLUCID_E_PANIC, call);
    assert!(message.contains("panic on request"), "{message}");
    assert!(message.contains(".rs:"), "the place is named: {message}");
}

#[test]
fn slots_of_an_engine() {
    let (wcs, psf, exposure) = {
        let sound = Host::new("{}");
        (sound.wcs(), sound.psf(), sound.exposure())
    };
    let with = |slot: &str, test: &dyn Fn(&'static pellucid_api, *mut pellucid_engine)| {
        let host = Host::new(&format!(r#"{{"panic_in": "{slot}"}}"#));
        test(host.api, host.engine);
        // The engine still works.
        if slot != "engine_memory" {
            ok(host.api, |e| slot!(host.api, engine_memory(host.engine, &mut sized(), e)));
        }
    };
    let ones = [1.0_f32; SIDE * SIDE];
    let image = array(&ones, &[SIDE, SIDE]);
    let kernel = array(&PSF, &[3, 3]);
    let job = JobDesc::new(&[exposure], "{}");
    with("list_models", &|api, engine| {
        panics(api, &mut |e| slot!(api, list_models(engine, &mut null(), e)));
    });
    with("engine_memory", &|api, engine| {
        panics(api, &mut |e| slot!(api, engine_memory(engine, &mut sized(), e)));
    });
    with("wcs_from_fits_header", &|api, engine| {
        let cards = c"X".as_ptr();
        panics(api, &mut |e| {
            slot!(api, wcs_from_fits_header(engine, cards, 1, null(), 0, &mut null_mut(), e))
        });
    });
    with("wcs_from_grid", &|api, engine| {
        panics(api, &mut |e| {
            slot!(api, wcs_from_grid(engine, &image, 0.0, 0.0, 1.0, &mut null_mut(), e))
        });
    });
    with("wcs_from_callback", &|api, engine| {
        panics(api, &mut |e| slot!(api, wcs_from_callback(engine, &sized(), &mut null_mut(), e)));
    });
    with("psf_from_array", &|api, engine| {
        panics(api, &mut |e| slot!(api, psf_from_array(engine, &kernel, 1, 0, &mut null_mut(), e)));
    });
    with("psf_from_grid", &|api, engine| {
        panics(api, &mut |e| {
            slot!(api, psf_from_grid(engine, &kernel, &0.0, &0.0, 1, 0, &mut null_mut(), e))
        });
    });
    with("psf_from_callback", &|api, engine| {
        panics(api, &mut |e| slot!(api, psf_from_callback(engine, &sized(), &mut null_mut(), e)));
    });
    with("exposure_create", &|api, engine| {
        let desc = pellucid_tests::exposure_desc(&image, wcs, psf);
        panics(api, &mut |e| slot!(api, exposure_create(engine, &desc, &mut null_mut(), e)));
    });
    with("job_estimate", &|api, engine| {
        panics(api, &mut |e| slot!(api, job_estimate(engine, &job.desc, &mut sized(), e)));
    });
    with("job_submit", &|api, engine| {
        panics(api, &mut |e| slot!(api, job_submit(engine, &job.desc, &mut null_mut(), e)));
    });
    let ext = pellucid::predict_extension::<pellucid::stub::StubEngine>();
    with("predict", &|api, engine| {
        panics(api, &mut |e| {
            let out = &mut sized();
            slot!(ext, predict(engine, &exposure, 1, 150.0, 2.0, 0.05, &image, out, e))
        });
    });
}

#[test]
fn creation_and_destruction_of_an_engine() {
    let api = stub_api();
    let config = c"{\"panic_in\": \"engine_create\"}";
    panics(api, &mut |e| slot!(api, engine_create(config.as_ptr(), null(), &mut null_mut(), e)));
    drop(Host::new(r#"{"panic_in": "engine_release"}"#));
}

#[test]
fn slots_of_a_job() {
    let host = Host::new("{}");
    let (api, with) =
        (host.api, |place: &str| host.submit(&format!(r#"{{"panic_in": "{place}"}}"#)));
    let job = with("job_poll");
    panics(api, &mut |e| slot!(api, job_poll(job, &mut sized(), e)));
    let job = with("job_wait");
    panics(api, &mut |e| slot!(api, job_wait(job, -1, e)));
    let job = with("job_result");
    panics(api, &mut |e| slot!(api, job_result(job, &mut null_mut(), e)));
    let job = with("job_cancel");
    assert_eq!(slot!(api, job_cancel(job)), PELLUCID_E_PANIC);
    slot!(api, job_release(job));
    let job = with("worker");
    let message = fails(api, PELLUCID_E_PANIC, |e| slot!(api, job_wait(job, -1, e)));
    assert!(message.contains("worker"), "{message}");
    // The worker goes on.
    slot!(api, result_release(host.result("{}")));
}

#[test]
fn slots_of_a_result() {
    let host = Host::new("{}");
    let api = host.api;
    let with = |place: &str| host.result(&format!(r#"{{"panic_in": "{place}"}}"#));
    let result = with("result_samples");
    panics(api, &mut |e| slot!(api, result_samples(result, 0, 1, &mut sized(), e)));
    panics(api, &mut |e| slot!(api, result_stat(result, c"mean".as_ptr(), &mut sized(), e)));
    panics(api, &mut |e| slot!(api, result_percentiles(result, &50.0, 1, &mut sized(), e)));
    let result = with("result_residuals");
    panics(api, &mut |e| slot!(api, result_residuals(result, 0, 0, &mut sized(), e)));
    let result = with("result_diagnostics");
    panics(api, &mut |e| slot!(api, result_diagnostics(result, &mut null(), e)));
    let result = with("result_header");
    panics(api, &mut |e| slot!(api, result_header(result, &mut null(), &mut 0, e)));
    slot!(api, result_release(with("result_release")));
}

#[test]
fn other_failures_of_an_engine_keep_their_code() {
    let config = |slot: &str| format!(r#"{{"fail_in": "{slot}"}}"#);
    let host = Host::new(&config("engine_memory"));
    let message = fails(host.api, PELLUCID_E_DEVICE, |e| {
        slot!(host.api, engine_memory(host.engine, &mut sized(), e))
    });
    assert_eq!(message, "the stub was told to fail in engine_memory");
    let job = host.submit(r#"{"fail_in": "worker"}"#);
    fails(host.api, PELLUCID_E_DEVICE, |e| slot!(host.api, job_wait(job, -1, e)));
    fails(host.api, PELLUCID_E_DEVICE, |e| slot!(host.api, job_result(job, &mut null_mut(), e)));
    let mut progress: pellucid_progress = sized();
    ok(host.api, |e| slot!(host.api, job_poll(job, &mut progress, e)));
    assert_eq!(progress.state, PELLUCID_JOB_FAILED);
    assert_eq!(text(slot!(host.api, status_name(PELLUCID_E_DEVICE))), "PELLUCID_E_DEVICE");
}
