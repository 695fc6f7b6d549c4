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

#[test]
fn a_job_may_be_cancelled_at_any_moment() {
    let host = Host::new("{}");
    const STEPS: i32 = 12;
    let options = format!(r#"{{"steps": {STEPS}, "step_ms": 1}}"#);
    for at in 0..=STEPS + 1 {
        let job = host.submit(&options);
        let mut progress: pellucid_progress = sized();
        // 0: most likely still in the queue. STEPS + 1: when it is done.
        while progress.step < at && progress.state < PELLUCID_JOB_DONE {
            thread::yield_now();
            ok(host.api, |e| slot!(host.api, job_poll(job, &mut progress, e)));
        }
        assert_eq!(slot!(host.api, job_cancel(job)), PELLUCID_OK);
        let status = slot!(host.api, job_wait(job, -1, null_mut()));
        ok(host.api, |e| slot!(host.api, job_poll(job, &mut progress, e)));
        let mut result = null_mut();
        let got = slot!(host.api, job_result(job, &mut result, null_mut()));
        // Whichever came first, all slots tell the same story.
        match progress.state {
            PELLUCID_JOB_DONE => assert_eq!((status, got), (PELLUCID_OK, PELLUCID_OK)),
            PELLUCID_JOB_CANCELLED => {
                assert_eq!((status, got), (PELLUCID_E_CANCELLED, PELLUCID_E_CANCELLED));
                assert!(at <= STEPS, "a finished job stays done");
            }
            other => panic!("state {other} after cancelling at step {at}"),
        }
        slot!(host.api, result_release(result));
        slot!(host.api, job_release(job));
    }
}

#[test]
fn a_result_may_be_released_while_others_read_it() {
    let host = Host::new("{}");
    let api = host.api;
    let rounds = if cfg!(miri) { 2 } else { 20 };
    for _ in 0..rounds {
        let result = host.result("{}").addr();
        let handle = move || without_provenance_mut::<pellucid_result>(result);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(move || {
                    loop {
                        let mut view: pellucid_array = sized();
                        let status =
                            slot!(api, result_samples(handle(), 0, -1, &mut view, null_mut()));
                        if status != PELLUCID_OK {
                            assert_eq!(status, PELLUCID_E_ARG);
                            break;
                        }
                        // The view outlives the handle, whoever releases that meanwhile.
                        let sum: f32 = pellucid_tests::take_values(view).iter().sum();
                        assert!(sum.is_finite());
                        slot!(api, result_stat(handle(), c"mean".as_ptr(), &mut view, null_mut()));
                        if let Some(release) = view.release {
                            // SAFETY: filled in by the slot above.
                            unsafe { release(&mut view) };
                        }
                    }
                });
            }
            scope.spawn(move || {
                thread::yield_now();
                slot!(api, result_release(handle()));
                slot!(api, result_release(handle()));
            });
        });
    }
}

/// A PSF function that says when it begins and waits for a word to go on.
struct SlowPsf {
    begun: std::sync::Barrier,
    may_end: std::sync::Barrier,
}

unsafe extern "C" fn eval_slowly(ctx: *mut c_void, _: i32, _: f64, _: f64, out: *mut f32) -> i32 {
    // SAFETY: the test passes a `SlowPsf` that outlives its PSF.
    let slow = unsafe { &*ctx.cast::<SlowPsf>() };
    slow.begun.wait();
    slow.may_end.wait();
    // SAFETY: room for one.
    unsafe { out.write(1.0) };
    0
}

#[test]
fn releases_wait_for_calls_in_progress_or_leave_them_their_objects() {
    let host = Host::new("{}");
    let (api, engine, wcs) = (host.api, host.engine.addr(), host.wcs().addr());
    let slow = SlowPsf { begun: std::sync::Barrier::new(2), may_end: std::sync::Barrier::new(2) };
    let mut blur: pellucid_psf_callback = sized();
    blur.ctx = (&raw const slow).cast_mut().cast();
    (blur.ny, blur.nx, blur.oversample) = (1, 1, 1);
    blur.eval = Some(eval_slowly);
    let mut psf = null_mut();
    ok(api, |e| slot!(api, psf_from_callback(host.engine, &blur, &mut psf, e)));
    let psf = psf.addr();
    let released = AtomicBool::new(false);
    thread::scope(|scope| {
        let created = scope.spawn(move || {
            let ones = [1.0_f32; 64];
            let sci = pellucid_tests::array(&ones, &[8, 8]);
            let desc = pellucid_tests::exposure_desc(
                &sci,
                without_provenance_mut(wcs),
                without_provenance_mut(psf),
            );
            let mut exposure = null_mut();
            let engine = without_provenance_mut(engine);
            ok(api, |e| slot!(api, exposure_create(engine, &desc, &mut exposure, e)));
            slot!(api, exposure_release(exposure));
        });
        slow.begun.wait();
        // The call in progress holds its WCS and PSF: these return at once.
        slot!(api, wcs_release(without_provenance_mut(wcs)));
        slot!(api, psf_release(without_provenance_mut(psf)));
        let releasing = scope.spawn(|| {
            drop(host);
            released.store(true, Ordering::SeqCst);
        });
        // Time to be wrong in; a right one waits for the call whatever the time.
        thread::sleep(Duration::from_millis(30));
        assert!(!released.load(Ordering::SeqCst), "the engine went under a call");
        slow.may_end.wait();
        created.join().expect("the call succeeds");
        releasing.join().expect("and then the release");
    });
    fails(api, PELLUCID_E_ARG, |e| {
        slot!(api, engine_memory(without_provenance_mut(engine), &mut sized(), e))
    });
}

#[test]
fn a_worker_that_dies_fails_its_jobs_and_those_to_come() {
    let host = Host::new("{}");
    let (deadly, waiting) = (host.submit(r#"{"panic_in": "thread"}"#), host.submit("{}"));
    for job in [deadly, waiting] {
        let died = fails(host.api, PELLUCID_E_DEVICE, |e| slot!(host.api, job_wait(job, -1, e)));
        assert!(died.contains("worker thread died"), "{died}");
        fails(host.api, PELLUCID_E_DEVICE, |e| {
            slot!(host.api, job_result(job, &mut null_mut(), e))
        });
        slot!(host.api, job_release(job));
    }
    let exposure = host.exposure();
    let job = JobDesc::new(&[exposure], "{}");
    fails(host.api, PELLUCID_E_DEVICE, |e| {
        slot!(host.api, job_submit(host.engine, &job.desc, &mut null_mut(), e))
    });
    slot!(host.api, exposure_release(exposure));
}
