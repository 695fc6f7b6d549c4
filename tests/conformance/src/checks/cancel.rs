//! Cancelling, and releasing what is at work.

use std::ptr::{null_mut, without_provenance_mut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pellucid_ffi::*;

use super::jobs::{poll, until_running};
use crate::arrays::sized;
use crate::check::{Check, Fault, Pass, Verdict, ensure, pass};
use crate::host::{Ask, Host, LONG, SHORT, Shot};
use crate::session::{Handle, Session};

pub(crate) const CHECKS: &[Check] = &[
    Check::new("cancel.queued", "a waiting job can be cancelled", queued),
    Check::new(
        "cancel.running",
        "a running job can be cancelled, and its worker is free within a sampler step",
        running,
    ),
    Check::new(
        "cancel.any-moment",
        "whenever it comes, a cancel ends the job and never the worker",
        any_moment,
    ),
    Check::new(
        "cancel.idempotent",
        "cancelling twice is OK; a finished job is left as it is",
        idempotent,
    ),
    Check::new(
        "cancel.ends-waits",
        "a cancel on one thread ends a job_wait on another with E_CANCELLED",
        ends_waits,
    ),
    Check::new(
        "cancel.release-running",
        "releasing a running job returns at once, cancels it and frees the worker",
        release_running,
    ),
    Check::new(
        "cancel.engine-release",
        "engine_release cancels running and waiting jobs, ends waits, and leaves jobs pollable",
        engine_release,
    ),
    Check::new("cancel.races", "calls that race with releases finish or are refused", races),
];

fn cancel(api: &pellucid_api, job: *mut pellucid_job) -> Result<(), Fault> {
    let status = slot!(api, job_cancel(job))?;
    ensure!(status == PELLUCID_OK, "job_cancel: status {status}");
    Ok(())
}

/// A job that must be cancelled.
fn cancelled(host: &Host<'_>, job: &Handle<pellucid_job>) -> Result<(), Fault> {
    fails!(host.api, PELLUCID_E_CANCELLED, job_wait(job.get(), -1))?;
    fails!(host.api, PELLUCID_E_CANCELLED, job_result(job.get(), &mut null_mut()))?;
    let state = poll(host, job)?.state;
    ensure!(state == PELLUCID_JOB_CANCELLED, "state {state} of a cancelled job");
    Ok(())
}

fn queued(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let first = host.job(LONG)?;
    until_running(&host, &first)?;
    let waiting = host.job(SHORT)?;
    cancel(host.api, waiting.get())?;
    cancelled(&host, &waiting)?;
    let state = poll(&host, &first)?.state;
    ensure!(state == PELLUCID_JOB_RUNNING, "cancelling one job put another into state {state}");
    pass()
}

fn running(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let job = host.job(LONG)?;
    until_running(&host, &job)?;
    thread::sleep(Duration::from_millis(30));
    let start = Instant::now();
    cancel(host.api, job.get())?;
    let returned = start.elapsed().as_secs_f64() * 1e3;
    cancelled(&host, &job)?;
    host.result()?;
    let freed = start.elapsed().as_secs_f64() * 1e3;
    Ok(Pass::from(format!("returns in {returned:.2} ms, the next job is done after {freed:.0} ms"))
        .with("job_cancel", returned, "ms"))
}

fn any_moment(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let moments = [0, 0, 30, 100, 300, 600, 1000, 2000, 3000, 5000, 8000, 12_000, 20_000, 40_000];
    let (mut cancels, mut ends) = (0, 0);
    for options in [LONG, SHORT] {
        for us in moments {
            let job = host.job(options)?;
            thread::sleep(Duration::from_micros(us));
            cancel(host.api, job.get())?;
            let status = slot!(host.api, job_wait(job.get(), -1, null_mut()))?;
            let state = poll(&host, &job)?.state;
            match (status, state) {
                (PELLUCID_E_CANCELLED, PELLUCID_JOB_CANCELLED) => cancels += 1,
                (PELLUCID_OK, PELLUCID_JOB_DONE) if options == SHORT => ends += 1,
                other => return Err(format!("after {us} us: (status, state) {other:?}").into()),
            }
        }
    }
    host.result()?;
    Ok(format!("{cancels} cancelled, {ends} done before").into())
}

fn idempotent(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let job = host.job(LONG)?;
    cancel(host.api, job.get())?;
    cancel(host.api, job.get())?;
    cancelled(&host, &job)?;
    cancel(host.api, job.get())?;
    let done = host.job(SHORT)?;
    host.finish(&done)?;
    cancel(host.api, done.get())?;
    ok!(host.api, job_wait(done.get(), 0))?;
    host.finish(&done)?;
    pass()
}

fn ends_waits(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let job = host.job(LONG)?;
    thread::scope(|scope| {
        let waits: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| slot!(host.api, job_wait(job.get(), -1, null_mut()))))
            .collect();
        thread::sleep(Duration::from_millis(20));
        cancel(host.api, job.get())?;
        for wait in waits {
            let status = wait.join().map_err(|_| Fault::Broken("a thread panicked".into()))??;
            ensure!(status == PELLUCID_E_CANCELLED, "job_wait: status {status}");
        }
        pass()
    })
}

fn release_running(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let job = host.job(LONG)?;
    until_running(&host, &job)?;
    let start = Instant::now();
    let dead = job.release();
    let ms = start.elapsed().as_secs_f64() * 1e3;
    fails!(host.api, PELLUCID_E_ARG, job_wait(dead, 0))?;
    host.result()?;
    Ok(format!("job_release {ms:.2} ms").into())
}

fn engine_release(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (running, waiting) = (host.job(LONG)?, host.job(SHORT)?);
    let done = Host::new(session)?.job(SHORT)?;
    until_running(&host, &running)?;
    let api = host.api;
    thread::scope(|scope| {
        let wait = scope.spawn(|| slot!(api, job_wait(running.get(), -1, null_mut())));
        thread::sleep(Duration::from_millis(20));
        drop(host);
        let status = wait.join().map_err(|_| Fault::Broken("a thread panicked".into()))??;
        ensure!(status == PELLUCID_E_CANCELLED, "a blocked job_wait: status {status}");
        pass()
    })?;
    for job in [&running, &waiting, &done] {
        let mut progress: pellucid_progress = sized();
        ok!(api, job_poll(job.get(), &mut progress))?;
        let ended = progress.state >= PELLUCID_JOB_DONE;
        ensure!(ended, "state {} after engine_release", progress.state);
        slot!(api, job_cancel(job.get()))?;
    }
    fails!(api, PELLUCID_E_CANCELLED, job_wait(waiting.get(), -1))?;
    pass()
}

fn races(session: &Session) -> Verdict {
    for round in 0..20_u64 {
        let host = Host::new(session)?;
        let (api, engine) = (host.api, host.engine.number());
        let exposure = host.exposure(&Shot::plain())?;
        let job = host.submit(&[exposure.get()], &Ask::new(SHORT))?;
        let number = job.number();
        let stop = AtomicBool::new(false);
        type Call = fn(&pellucid_api, usize, usize) -> Result<pellucid_status, Fault>;
        let calls: [Call; 4] = [
            |api, e, _| {
                slot!(api, engine_memory(without_provenance_mut(e), &mut sized(), null_mut()))
            },
            |api, _, j| slot!(api, job_poll(without_provenance_mut(j), &mut sized(), null_mut())),
            |api, _, j| slot!(api, job_wait(without_provenance_mut(j), 1, null_mut())),
            |api, e, _| slot!(api, log_drain(without_provenance_mut(e), 1)).map(|_| PELLUCID_OK),
        ];
        let ended: Vec<Result<(), Fault>> = thread::scope(|scope| {
            let threads: Vec<_> = calls
                .into_iter()
                .map(|call| {
                    let stop = &stop;
                    scope.spawn(move || {
                        while !stop.load(Ordering::Relaxed) {
                            let status = call(api, engine, number)?;
                            let known = [
                                PELLUCID_OK,
                                PELLUCID_E_ARG,
                                PELLUCID_E_TIMEOUT,
                                PELLUCID_E_CANCELLED,
                            ];
                            ensure!(known.contains(&status), "status {status} in a race");
                        }
                        Ok(())
                    })
                })
                .collect();
            thread::sleep(Duration::from_micros(300 * (round % 10)));
            drop(host);
            drop(job);
            stop.store(true, Ordering::Relaxed);
            let panicked = |_| Err(Fault::Broken("a thread panicked".into()));
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
        });
        ended.into_iter().collect::<Result<(), Fault>>()?;
    }
    Ok("20 rounds".into())
}
