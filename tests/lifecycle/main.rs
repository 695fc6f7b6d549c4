//! Threads, cancellation, full queues, and releases that race with calls.

use std::ffi::c_void;
use std::ptr::{self, null_mut, without_provenance_mut};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pellucid_ffi::*;
use pellucid_tests::{Host, JobDesc, fails, ok, sized, slot, stub_api, text};

const LONG: &str = r#"{"steps": 100000, "step_ms": 5}"#;

/// Progress of a job once a worker is at it.
fn running(host: &Host, job: *mut pellucid_job) -> pellucid_progress {
    let mut progress: pellucid_progress = sized();
    while progress.state != PELLUCID_JOB_RUNNING {
        thread::yield_now();
        ok(host.api, |e| slot!(host.api, job_poll(job, &mut progress, e)));
    }
    progress
}

#[test]
fn a_wait_times_out_and_the_job_goes_on() {
    let host = Host::new("{}");
    let job = host.submit(LONG);
    for timeout in [0, 30] {
        let start = Instant::now();
        let message =
            fails(host.api, PELLUCID_E_TIMEOUT, |e| slot!(host.api, job_wait(job, timeout, e)));
        assert!(start.elapsed() >= Duration::from_millis(timeout as u64), "{message}");
    }
    fails(host.api, PELLUCID_E_STATE, |e| slot!(host.api, job_result(job, &mut null_mut(), e)));
    assert_eq!(running(&host, job).device, -1);
}

#[test]
fn cancelling_ends_a_wait_and_is_idempotent() {
    let host = Host::new("{}");
    let job = host.submit(LONG);
    let (api, number) = (host.api, job.addr());
    thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(Duration::from_millis(30));
            assert_eq!(slot!(api, job_cancel(job_of(number))), PELLUCID_OK);
            assert_eq!(slot!(api, job_cancel(job_of(number))), PELLUCID_OK);
        });
        fails(host.api, PELLUCID_E_CANCELLED, |e| slot!(host.api, job_wait(job, -1, e)));
    });
    fails(host.api, PELLUCID_E_CANCELLED, |e| slot!(host.api, job_result(job, &mut null_mut(), e)));
    let mut progress: pellucid_progress = sized();
    ok(host.api, |e| slot!(host.api, job_poll(job, &mut progress, e)));
    assert_eq!(progress.state, PELLUCID_JOB_CANCELLED);
}

#[test]
fn a_full_queue_refuses_and_recovers() {
    let host = Host::new(r#"{"queue_capacity": 1}"#);
    let first = host.submit(LONG);
    running(&host, first);
    let waiting = host.submit("{}");
    let exposure = host.exposure();
    let job = JobDesc::new(&[exposure], "{}");
    let message = fails(host.api, PELLUCID_E_STATE, |e| {
        slot!(host.api, job_submit(host.engine, &job.desc, &mut null_mut(), e))
    });
    assert!(message.contains("full"), "{message}");
    assert_eq!(slot!(host.api, job_cancel(first)), PELLUCID_OK);
    ok(host.api, |e| slot!(host.api, job_wait(waiting, -1, e)));
    slot!(host.api, result_release(host.result("{}")));
}

#[test]
fn releasing_a_job_cancels_it() {
    let host = Host::new("{}");
    let job = host.submit(LONG);
    slot!(host.api, job_release(job));
    fails(host.api, PELLUCID_E_ARG, |e| slot!(host.api, job_wait(job, -1, e)));
    // The one worker is free again.
    slot!(host.api, result_release(host.result("{}")));
}

/// Handles are numbers: threads may share them.
fn job_of(number: usize) -> *mut pellucid_job {
    without_provenance_mut(number)
}

#[test]
fn releasing_an_engine_ends_waits_on_other_threads() {
    let host = Host::new("{}");
    let (api, job) = (host.api, host.submit(LONG).addr());
    thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            fails_once(api, PELLUCID_E_CANCELLED, |e| slot!(api, job_wait(job_of(job), -1, e)));
        });
        thread::sleep(Duration::from_millis(20));
        drop(host);
        waiting.join().expect("the wait ended as it should");
    });
}

fn fails_once(
    api: &pellucid_api,
    code: pellucid_status,
    call: impl FnOnce(*mut *mut pellucid_error) -> pellucid_status,
) {
    let mut error = null_mut();
    assert_eq!(call(&mut error), code, "{}", text(slot!(api, error_message(error))));
    slot!(api, error_release(error));
}

/// One call of a thread of the test below.
type Call = fn(&'static pellucid_api, *mut pellucid_engine, *mut pellucid_job) -> pellucid_status;

#[test]
fn calls_that_race_with_a_release_finish_or_are_refused() {
    let rounds = if cfg!(miri) { 2 } else { 40 };
    for round in 0..rounds {
        let host = Host::new("{}");
        let (api, engine) = (stub_api(), host.engine.addr());
        let job = host.submit(r#"{"steps": 3, "step_ms": 1}"#).addr();
        let stop = AtomicBool::new(false);
        let calls: [Call; 4] = [
            |api, engine, _| slot!(api, engine_memory(engine, &mut sized(), null_mut())),
            |api, _, job| slot!(api, job_poll(job, &mut sized(), null_mut())),
            |api, _, job| slot!(api, job_wait(job, 1, null_mut())),
            |api, engine, _| {
                slot!(api, log_drain(engine, 1));
                PELLUCID_OK
            },
        ];
        thread::scope(|scope| {
            for call in calls {
                let stop = &stop;
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let status = call(api, without_provenance_mut(engine), job_of(job));
                        let expected =
                            [PELLUCID_OK, PELLUCID_E_ARG, PELLUCID_E_TIMEOUT, PELLUCID_E_CANCELLED];
                        assert!(expected.contains(&status), "{status}");
                    }
                });
            }
            thread::sleep(Duration::from_micros(200 * (round % 20)));
            drop(host);
            slot!(api, job_release(job_of(job)));
            stop.store(true, Ordering::Relaxed);
        });
    }
}

#[test]
fn many_threads_share_an_engine() {
    let host = Host::new("{}");
    let n = if cfg!(miri) { 2 } else { 8 };
    thread::scope(|scope| {
        for _ in 0..n {
            scope.spawn(|| {
                for _ in 0..3 {
                    slot!(host.api, result_release(host.result("{}")));
                }
            });
        }
    });
}

/// What a job of the test below tells its host.
struct Watched {
    api: &'static pellucid_api,
    /// Last state told; [`GONE`] once the job has been released.
    state: AtomicI32,
    inside: AtomicBool,
    /// Number of a job to release inside the first call.
    victim: AtomicUsize,
}

const GONE: i32 = 1000;

unsafe extern "C" fn watch(user: *mut c_void, state: i32) {
    // SAFETY: the test keeps every `Watched` to its end.
    let watched = unsafe { &*user.cast::<Watched>() };
    assert!(!watched.inside.swap(true, Ordering::SeqCst), "two calls at a time");
    let before = watched.state.swap(state, Ordering::SeqCst);
    assert!(before < state, "state {state} was told after {before}");
    thread::yield_now();
    let victim = job_of(watched.victim.swap(0, Ordering::SeqCst));
    slot!(watched.api, job_release(victim));
    watched.inside.store(false, Ordering::SeqCst);
}

#[test]
fn states_are_told_in_order_and_never_after_a_release() {
    let rounds = if cfg!(miri) { 2 } else { 200 };
    let host = Host::new("{}");
    let exposure = host.exposure();
    let watched = || Watched {
        api: host.api,
        state: AtomicI32::new(PELLUCID_JOB_QUEUED),
        inside: AtomicBool::new(false),
        victim: AtomicUsize::new(0),
    };
    let submit = |watched: &Watched| {
        let mut job = JobDesc::new(&[exposure], r#"{"steps": 2, "step_ms": 0}"#);
        job.desc.user = ptr::from_ref(watched).cast_mut().cast();
        job.desc.on_state = Some(watch);
        let mut handle = null_mut();
        ok(host.api, |e| slot!(host.api, job_submit(host.engine, &job.desc, &mut handle, e)));
        handle.addr()
    };
    let release = |watched: &Watched, job| {
        slot!(host.api, job_release(job_of(job)));
        assert!(!watched.inside.load(Ordering::SeqCst), "a call outlives the release");
        watched.state.store(GONE, Ordering::SeqCst);
    };
    for _ in 0..rounds {
        // Each job is cancelled and released while the worker begins it; the first one's call
        // releases the last.
        let all = [watched(), watched(), watched()];
        let victim = submit(&all[2]);
        all[0].victim.store(victim, Ordering::SeqCst);
        let jobs = [submit(&all[0]), submit(&all[1])];
        thread::scope(|scope| {
            for (watched, job) in all.iter().zip(jobs) {
                scope.spawn(move || slot!(host.api, job_cancel(job_of(job))));
                scope.spawn(move || release(watched, job));
            }
            scope.spawn(|| slot!(host.api, job_cancel(job_of(victim))));
        });
        release(&all[2], victim);
    }
    slot!(host.api, exposure_release(exposure));
}
