//! The happy path of the slots that the other files do not cover.

use std::ffi::CString;
use std::ptr::{null, null_mut};

use pellucid_ffi::*;
use pellucid_tests::{
    Host, JobDesc, SIDE, array, fails, ok, sized, slot, stub_api, take_values, text,
};

#[test]
fn the_entry_point_knows_its_range() {
    let mut range = [9, 9];
    // SAFETY: room for two.
    let api = unsafe { pellucid::pellucid_get_api(PELLUCID_ABI, range.as_mut_ptr()) };
    assert!(!api.is_null());
    assert_eq!(range, [PELLUCID_ABI; 2]);
    range = [9, 9];
    // SAFETY: as above; NULL is allowed.
    unsafe {
        assert!(pellucid::pellucid_get_api(PELLUCID_ABI + 1, range.as_mut_ptr()).is_null());
        assert!(pellucid::pellucid_get_api(0, null_mut()).is_null());
        assert_eq!(api, pellucid::pellucid_get_api(PELLUCID_ABI, null_mut()));
    }
    assert_eq!(range, [PELLUCID_ABI; 2]);
}

#[test]
fn the_table_describes_itself() {
    let api = stub_api();
    assert_eq!(api.struct_size as usize, size_of::<pellucid_api>());
    assert_eq!((api.abi, api.minor, api.reserved), (PELLUCID_ABI, PELLUCID_ABI_MINOR, 0));
    let version = text(slot!(api, version_string()));
    assert!(version.starts_with(concat!("pellucid ", env!("CARGO_PKG_VERSION"))), "{version}");
    assert_eq!(text(slot!(api, status_name(PELLUCID_E_FORKED))), "PELLUCID_E_FORKED");
    assert_eq!(text(slot!(api, status_name(-5))), "PELLUCID_E_?");
    let id = CString::new(PELLUCID_EXT_PREDICT).unwrap();
    assert!(!slot!(api, get_extension(id.as_ptr())).is_null());
    assert!(slot!(api, get_extension(c"org.pellucid.predict/2".as_ptr())).is_null());
}

#[test]
fn devices_are_counted_and_listed() {
    let api = stub_api();
    let mut n = 0;
    ok(api, |e| slot!(api, devices(null_mut(), &mut n, e)));
    assert_eq!(n, 1);
    let mut list = [sized::<pellucid_device>(); 2];
    n = 2;
    ok(api, |e| slot!(api, devices(list.as_mut_ptr(), &mut n, e)));
    assert_eq!((n, list[0].kind, list[0].index), (1, PELLUCID_DEVICE_CPU, -1));
    assert_eq!(text(list[0].name.as_ptr()), "stub");
}

#[test]
fn an_engine_lists_models_and_memory() {
    let host = Host::new(r#"{"device": "cpu", "threads": 1, "log_level": "warn"}"#);
    let (mut json, mut again) = (null(), null());
    ok(host.api, |e| slot!(host.api, list_models(host.engine, &mut json, e)));
    ok(host.api, |e| slot!(host.api, list_models(host.engine, &mut again, e)));
    assert_eq!(json, again, "equal texts are kept once");
    let models: serde_json::Value = serde_json::from_str(&text(json)).unwrap();
    assert_eq!(models[0]["name"], "stub");
    let mut memory: pellucid_mem = sized();
    ok(host.api, |e| slot!(host.api, engine_memory(host.engine, &mut memory, e)));
    assert_eq!(memory.host_now, 1);
    assert_eq!(memory.struct_size as usize, size_of::<pellucid_mem>());
}

#[test]
fn configurations_are_checked_key_by_key() {
    let api = stub_api();
    for (config, word) in [
        (r#"{"devise": "cpu"}"#, "devise"),
        (r#"{"log_level": "loud"}"#, "log_level"),
        (r#"{"threads": -1}"#, "-1"),
        (r#"{"threads": 1"#, "EOF"),
        ("[]", "sequence"),
    ] {
        let config = CString::new(config).unwrap();
        let mut engine = null_mut::<pellucid_engine>().wrapping_byte_add(1);
        let message = fails(api, PELLUCID_E_CONFIG, |e| {
            slot!(api, engine_create(config.as_ptr(), null(), &mut engine, e))
        });
        assert!(message.contains(word), "{message}");
        assert!(engine.is_null(), "a failed create leaves NULL");
    }
    let message = fails(api, PELLUCID_E_ARG, |e| {
        slot!(api, engine_create(c"\xff".as_ptr(), null(), &mut null_mut(), e))
    });
    assert!(message.contains("UTF-8"), "{message}");
}

#[test]
fn a_job_runs_from_submission_to_result() {
    let host = Host::new("{}");
    let exposure = host.exposure();
    let job = JobDesc::new(&[exposure], r#"{"steps": 5}"#);
    let mut need: pellucid_mem = sized();
    ok(host.api, |e| slot!(host.api, job_estimate(host.engine, &job.desc, &mut need, e)));
    assert_eq!(need.results_held, 4 * 4 * (SIDE * SIDE) as u64);
    let mut handle = null_mut();
    ok(host.api, |e| slot!(host.api, job_submit(host.engine, &job.desc, &mut handle, e)));
    slot!(host.api, exposure_release(exposure));
    ok(host.api, |e| slot!(host.api, job_wait(handle, 60_000, e)));
    let mut progress: pellucid_progress = sized();
    ok(host.api, |e| slot!(host.api, job_poll(handle, &mut progress, e)));
    assert_eq!((progress.state, progress.samples_done), (PELLUCID_JOB_DONE, 4));
    assert_eq!((progress.fraction, progress.n_steps), (1.0, 5));
    let mut result = null_mut();
    ok(host.api, |e| slot!(host.api, job_result(handle, &mut result, e)));
    assert_eq!(slot!(host.api, job_cancel(handle)), PELLUCID_OK, "a finished job stays done");
    ok(host.api, |e| slot!(host.api, job_wait(handle, 0, e)));
    slot!(host.api, job_release(handle));
    slot!(host.api, result_release(result));
}

#[test]
fn options_are_checked_key_by_key() {
    let host = Host::new("{}");
    let exposure = host.exposure();
    let job = JobDesc::new(&[exposure], r#"{"stepz": 5}"#);
    let message = fails(host.api, PELLUCID_E_CONFIG, |e| {
        slot!(host.api, job_submit(host.engine, &job.desc, &mut null_mut(), e))
    });
    assert!(message.contains("options_json") && message.contains("stepz"), "{message}");
    slot!(host.api, exposure_release(exposure));
}

#[test]
fn predictions_are_what_the_exposures_would_see() {
    let host = Host::new("{}");
    let extension = pellucid::predict_extension::<pellucid::stub::StubEngine>();
    let exposures = [host.exposure(), host.exposure()];
    let model = vec![2.0_f32; 24 * 24];
    let model = array(&model, &[24, 24]);
    let mut out = [sized::<pellucid_array>(); 2];
    ok(host.api, |e| {
        let (list, n) = (exposures.as_ptr(), exposures.len());
        slot!(
            extension,
            predict(host.engine, list, n, 150.0, 2.0, 0.05, &model, out.as_mut_ptr(), e)
        )
    });
    for array in out {
        assert_eq!(array.shape[..2], [SIDE as i64; 2]);
        assert!(take_values(array).iter().all(|v| (v - 2.0).abs() < 1e-4));
    }
    for exposure in exposures {
        slot!(host.api, exposure_release(exposure));
    }
}
