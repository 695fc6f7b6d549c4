//! What a host is told when things go wrong: status and message of each failure, over the stub engine
//! (which fails on request) and, where a host can bring it about, over the real plugin.

#[cfg(feature = "torch")]
#[path = "shared/open.rs"]
mod open;
#[path = "../../plugin/posterior/benches/shared/report.rs"]
#[allow(dead_code, reason = "the posterior's benches use more of it")]
mod report;

use std::ffi::{CString, c_void};
use std::ptr::null_mut;

use pellucid_ffi::*;
use pellucid_tests::{Host, JobDesc, ok, sized, slot, text};
use report::{Report, Target};

fn main() {
    let mut report = Report::new("failures");
    let stub = Engine {
        name: "stub",
        host: &|config| Host::new(config),
        prior: c"stub".into(),
        long: r#"{"steps": 100000, "step_ms": 5}"#,
    };
    on_request(&mut report, &stub);
    of_hosts(&mut report, &stub);
    #[cfg(feature = "torch")]
    {
        use pellucid_tests::{SIDE, c, prior};
        let folder = c::scratch("failures");
        let model = folder.join("field.safetensors");
        prior::write_gaussian_field(&model, SIDE, 0.05);
        let prior = CString::new(model.to_str().expect("UTF-8")).expect("no NUL");
        let api = open::open(&c::plugin());
        let host = |config: &str| {
            let (config, mut engine) = (CString::new(config).expect("no NUL"), null_mut());
            ok(api, |e| {
                slot!(api, engine_create(config.as_ptr(), std::ptr::null(), &mut engine, e))
            });
            Host { api, engine }
        };
        of_hosts(&mut report, &Engine { name: "libtorch", host: &host, prior, long: "{}" });
    }
    report.finish();
}

/// An engine to bring to grief.
struct Engine<'a> {
    name: &'static str,
    host: &'a dyn Fn(&str) -> Host,
    prior: CString,
    /// Options with which many samples take long.
    long: &'static str,
}

/// A call that fails, and what it says.
fn told(
    report: &mut Report,
    case: &str,
    (host, need): (&Host, pellucid_status),
    call: impl FnOnce(*mut *mut pellucid_error) -> pellucid_status,
) {
    let (api, mut error) = (host.api, null_mut());
    let status = call(&mut error);
    let (status_f, need_f) = (f64::from(status), f64::from(need));
    report.row(case, "status", status_f, Target::Within(need_f, need_f));
    let name = text(slot!(api, status_name(status)));
    println!("    {name}: {}", text(slot!(api, error_message(error))));
    slot!(api, error_release(error));
}

/// Submits `n_samples` of a job.
fn submit(
    host: &Host,
    engine: &Engine<'_>,
    n_samples: i32,
    options: &str,
    error: *mut *mut pellucid_error,
) -> (pellucid_status, *mut pellucid_job) {
    let exposure = host.exposure();
    let mut job = JobDesc::new(&[exposure], options);
    (job.desc.prior, job.desc.n_samples) = (engine.prior.as_ptr(), n_samples);
    let mut handle = null_mut();
    let status = slot!(host.api, job_submit(host.engine, &job.desc, &mut handle, error));
    slot!(host.api, exposure_release(exposure));
    (status, handle)
}

/// Failures that only an engine made for it has on request.
fn on_request(report: &mut Report, engine: &Engine<'_>) {
    let host = (engine.host)(r#"{"panic_in": "job_submit"}"#);
    told(report, "panic in a slot", (&host, PELLUCID_E_PANIC), |e| {
        submit(&host, engine, 1, "{}", e).0
    });
    let host = (engine.host)("{}");
    let job = |options| submit(&host, engine, 1, options, null_mut()).1;
    let panicking = job(r#"{"panic_in": "worker"}"#);
    told(report, "panic in the worker, its job", (&host, PELLUCID_E_PANIC), |e| {
        slot!(host.api, job_wait(panicking, -1, e))
    });
    let next = job("{}");
    ok(host.api, |e| slot!(host.api, job_wait(next, -1, e)));
    let (deadly, other) = (job(r#"{"panic_in": "thread"}"#), job("{}"));
    for (case, job) in [("killed worker, its job", deadly), ("killed worker, waiting job", other)] {
        told(report, case, (&host, PELLUCID_E_DEVICE), |e| slot!(host.api, job_wait(job, -1, e)));
    }
    told(report, "killed worker, next job", (&host, PELLUCID_E_DEVICE), |e| {
        submit(&host, engine, 1, "{}", e).0
    });
    for job in [panicking, next, deadly, other] {
        slot!(host.api, job_release(job));
    }
}

unsafe extern "C" fn refuse(_: *mut c_void, _: usize, _: *const f64, _: *mut f64) -> i32 {
    5
}

unsafe extern "C" fn nowhere(_: *mut c_void, n: usize, _: *const f64, radec: *mut f64) -> i32 {
    // SAFETY: room for n pairs by the header's contract.
    unsafe { std::slice::from_raw_parts_mut(radec, 2 * n) }.fill(f64::NAN);
    0
}

/// Failures that any host can bring about.
fn of_hosts(report: &mut Report, engine: &Engine<'_>) {
    let case = |what: &str| format!("{what} ({})", engine.name);
    let host = (engine.host)(r#"{"queue_capacity": 1}"#);
    let api = host.api;
    for (what, function) in [
        ("failing callback", refuse as unsafe extern "C" fn(_, _, _, _) -> _),
        ("callback says NaN", nowhere),
    ] {
        let mut wcs: pellucid_wcs_callback = sized();
        (wcs.pix2sky, wcs.ny, wcs.nx) = (Some(function), 8, 8);
        told(report, &case(what), (&host, PELLUCID_E_CALLBACK), |e| {
            slot!(api, wcs_from_callback(host.engine, &wcs, &mut null_mut(), e))
        });
    }
    // Far more than will be waited for.
    let (running, refused) =
        (submit(&host, engine, 60_000, engine.long, null_mut()), PELLUCID_E_STATE);
    assert_eq!(running.0, PELLUCID_OK);
    let mut progress: pellucid_progress = sized();
    while progress.state == PELLUCID_JOB_QUEUED {
        std::thread::yield_now();
        ok(api, |e| slot!(api, job_poll(running.1, &mut progress, e)));
    }
    let waiting = submit(&host, engine, 1, "{}", null_mut());
    assert_eq!(waiting.0, PELLUCID_OK);
    told(report, &case("exhausted queue"), (&host, refused), |e| {
        submit(&host, engine, 1, "{}", e).0
    });
    for (what, job) in [("cancelled, waiting", waiting.1), ("cancelled, running", running.1)] {
        assert_eq!(slot!(api, job_cancel(job)), PELLUCID_OK);
        told(report, &case(what), (&host, PELLUCID_E_CANCELLED), |e| {
            slot!(api, job_wait(job, -1, e))
        });
        slot!(api, job_release(job));
    }
}
