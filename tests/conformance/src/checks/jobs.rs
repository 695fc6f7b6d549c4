//! The life of a job.

use std::ptr::{null, null_mut};
use std::thread;
use std::time::{Duration, Instant};

use pellucid_ffi::*;

use crate::arrays::sized;
use crate::check::{Check, Fault, Pass, Verdict, ensure, pass};
use crate::host::{Ask, CONFIG, Host, LONG, SHORT, SIDE, Shot};
use crate::session::{Handle, Session};

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "jobs.runs",
        "a job goes from submission to a result, which may be taken again",
        runs,
    ),
    Check::new("jobs.progress", "progress only grows, from 0 to 1, and names its device", progress),
    Check::new(
        "jobs.timeout",
        "job_wait gives E_TIMEOUT no earlier than asked for, and the job goes on",
        timeout,
    ),
    Check::new("jobs.unfinished", "job_result of an unfinished job is E_STATE", unfinished),
    Check::new("jobs.queue-full", "a full queue is E_STATE, and has room again later", queue_full),
    Check::new(
        "jobs.priority",
        "of waiting jobs the one with the highest priority runs first",
        priority,
    ),
    Check::new(
        "jobs.estimate",
        "job_estimate queues nothing and grows with the number of samples",
        estimate,
    ),
    Check::new("jobs.no-prior", "a prior that does not exist is E_MODEL", no_prior),
    Check::new(
        "jobs.damaged-prior",
        "a prior that is no model file is E_MODEL, from job_submit or from job_wait",
        damaged_prior,
    ),
    Check::new(
        "jobs.size",
        "a model grid that is not the prior's size is refused or fails the job",
        size,
    ),
    Check::new(
        "jobs.likelihood",
        "likelihood NULL is \"gaussian\"; one that does not exist is E_MODEL",
        likelihood,
    ),
    Check::new(
        "jobs.no-overlap",
        "exposures that do not reach the model grid are refused or fail the job",
        no_overlap,
    ),
    Check::new("jobs.many", "several jobs share an engine, submitted from several threads", many),
];

/// Polls.
pub(crate) fn poll(
    host: &Host<'_>,
    job: &Handle<pellucid_job>,
) -> Result<pellucid_progress, Fault> {
    let mut progress: pellucid_progress = sized();
    ok!(host.api, job_poll(job.get(), &mut progress))?;
    Ok(progress)
}

/// Waits until a worker is at it; the limit of the check ends it otherwise.
pub(crate) fn until_running(host: &Host<'_>, job: &Handle<pellucid_job>) -> Result<(), Fault> {
    loop {
        match poll(host, job)?.state {
            PELLUCID_JOB_QUEUED => thread::sleep(Duration::from_millis(1)),
            PELLUCID_JOB_RUNNING => return Ok(()),
            state => return Err(format!("a long job is in state {state}").into()),
        }
    }
}

fn runs(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let start = Instant::now();
    let job = host.job(SHORT)?;
    let result = host.finish(&job)?;
    let ms = start.elapsed().as_secs_f64() * 1e3;
    ok!(host.api, job_wait(job.get(), 0))?;
    let state = poll(&host, &job)?.state;
    ensure!(state == PELLUCID_JOB_DONE, "state {state} after the end");
    let again = host.finish(&job)?;
    drop(job);
    let (first, second) = (host.samples(&result, 4)?, host.samples(&again, 4)?);
    ensure!(first == second, "two results of a job differ");
    ensure!(first.iter().all(|v| v.is_finite()), "a sample is not finite");
    Ok(Pass::from(format!("4 samples in {ms:.0} ms")).with("job of 4 samples", ms, "ms"))
}

fn progress(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let exposure = host.exposure(&Shot::plain())?;
    let ask = Ask { n_samples: 24, ..Ask::new(r#"{"steps": 20}"#) };
    let job = host.submit(&[exposure.get()], &ask)?;
    let mut last = poll(&host, &job)?;
    let mut states = vec![last.state];
    while last.state < PELLUCID_JOB_DONE {
        let now = poll(&host, &job)?;
        ensure!(now.state >= last.state, "state {} after {}", now.state, last.state);
        ensure!((0.0..=1.0).contains(&now.fraction), "fraction {}", now.fraction);
        ensure!(now.fraction >= last.fraction, "fraction {} after {}", now.fraction, last.fraction);
        ensure!(now.samples_done >= last.samples_done, "samples_done falls");
        ensure!(now.samples_done <= 24 && now.step <= now.n_steps, "{now:?}");
        ensure!(now.eta_s.is_nan() || now.eta_s >= 0.0, "eta_s {}", now.eta_s);
        if now.state != last.state {
            states.push(now.state);
        }
        last = now;
    }
    ensure!(last.state == PELLUCID_JOB_DONE, "it ends in state {}", last.state);
    ensure!(last.fraction == 1.0 && last.samples_done == 24, "at the end: {last:?}");
    ensure!(last.device >= -1, "device {}", last.device);
    Ok(format!("states {states:?}, device {}", last.device).into())
}

fn timeout(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let job = host.job(LONG)?;
    for timeout_ms in [0, 40] {
        let start = Instant::now();
        let mut error = null_mut();
        let status = slot!(host.api, job_wait(job.get(), timeout_ms, &mut error))?;
        let waited = start.elapsed();
        slot!(host.api, error_release(error))?;
        ensure!(status == PELLUCID_E_TIMEOUT, "status {status} after {timeout_ms} ms");
        let enough = waited >= Duration::from_millis(timeout_ms as u64);
        ensure!(enough, "E_TIMEOUT of {timeout_ms} ms after {waited:?}");
    }
    let state = poll(&host, &job)?.state;
    ensure!(state <= PELLUCID_JOB_RUNNING, "state {state} after a timeout");
    pass()
}

fn unfinished(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let job = host.job(LONG)?;
    fails!(host.api, PELLUCID_E_STATE, job_result(job.get(), &mut null_mut()))?;
    until_running(&host, &job)?;
    fails!(host.api, PELLUCID_E_STATE, job_result(job.get(), &mut null_mut()))?;
    pass()
}

fn queue_full(session: &Session) -> Verdict {
    let config = r#"{"device": "cpu", "threads": 1, "queue_capacity": 1}"#;
    let host = Host::with(session, config, null())?;
    let exposure = host.exposure(&Shot::plain())?;
    let first = host.submit(&[exposure.get()], &Ask::new(LONG))?;
    until_running(&host, &first)?;
    // A job of other options, which the running one's batch cannot take in.
    let waiting = host.submit(&[exposure.get()], &Ask::new(SHORT))?;
    host.describe(&[exposure.get()], &Ask::new(SHORT), |desc| {
        fails!(host.api, PELLUCID_E_STATE, job_submit(host.raw(), desc, &mut null_mut()))
    })??;
    slot!(host.api, job_cancel(first.get()))?;
    host.finish(&waiting)?;
    host.draw(&[exposure.get()], &Ask::new(SHORT))?;
    pass()
}

fn priority(session: &Session) -> Verdict {
    let config = r#"{"device": "cpu", "threads": 1, "max_batch": 1}"#;
    let host = Host::with(session, config, null())?;
    let exposure = host.exposure(&Shot::plain())?;
    let first = host.submit(&[exposure.get()], &Ask::new(LONG))?;
    until_running(&host, &first)?;
    let queue = |priority| {
        let spoil = move |desc: &mut pellucid_job_desc| desc.priority = priority;
        let ask = Ask { n_samples: 3, spoil: &spoil, ..Ask::new(r#"{"steps": 30}"#) };
        host.submit(&[exposure.get()], &ask)
    };
    let low = queue(-5)?;
    let high = queue(5)?;
    slot!(host.api, job_cancel(first.get()))?;
    let mut low_before = 0;
    loop {
        let low_now = poll(&host, &low)?.state;
        if poll(&host, &high)?.state >= PELLUCID_JOB_DONE {
            break;
        }
        low_before = low_now;
    }
    ensure!(
        low_before == PELLUCID_JOB_QUEUED,
        "the other one was in state {low_before} before its end"
    );
    host.finish(&high)?;
    host.finish(&low)?;
    pass()
}

fn estimate(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let exposure = host.exposure(&Shot::plain())?;
    let need = |n_samples| -> Result<pellucid_mem, Fault> {
        let mut need: pellucid_mem = sized();
        let ask = Ask { n_samples, ..Ask::new(SHORT) };
        host.describe(&[exposure.get()], &ask, |desc| {
            ok!(host.api, job_estimate(host.raw(), desc, &mut need))
        })??;
        Ok(need)
    };
    let (few, many) = (need(1)?, need(1000)?);
    let least = (1000 * SIDE * SIDE * 4) as u64;
    ensure!(many.results_held >= least, "{} bytes for {least} of samples", many.results_held);
    ensure!(many.results_held > few.results_held, "{few:?}, {many:?}");
    Ok(format!("1000 samples: {:.1} MB of results", many.results_held as f64 / 1e6).into())
}

/// A job that job_submit refuses, or job_wait reports, with one of these codes.
fn doomed(session: &Session, codes: &[pellucid_status], ask: &Ask<'_>, shot: &Shot) -> Verdict {
    let host = Host::new(session)?;
    let exposure = host.exposure(shot)?;
    let mut job = null_mut();
    let mut error = null_mut();
    let submitted = host.describe(&[exposure.get()], ask, |desc| {
        slot!(host.api, job_submit(host.raw(), desc, &mut job, &mut error))
    })??;
    let status = match submitted {
        PELLUCID_OK => {
            let job = Handle::new(job, host.api.job_release)?;
            let status = slot!(host.api, job_wait(job.get(), -1, &mut error))?;
            let state = poll(&host, &job)?.state;
            ensure!(state == PELLUCID_JOB_FAILED, "state {state} of a job that cannot work");
            let same = slot!(host.api, job_result(job.get(), &mut null_mut(), null_mut()))?;
            ensure!(same == status, "job_wait gives {status}, job_result {same}");
            status
        }
        refused => refused,
    };
    ensure!(status != PELLUCID_OK, "a job that cannot work ends well");
    let message = crate::session::text(slot!(host.api, error_message(error))?)?.to_owned();
    slot!(host.api, error_release(error))?;
    ensure!(codes.contains(&status), "status {status}, need {codes:?}: {message}");
    let when = if submitted == PELLUCID_OK { "job_wait" } else { "job_submit" };
    // The worker goes on.
    let exposure = host.exposure(&Shot::plain())?;
    host.draw(&[exposure.get()], &Ask::new(SHORT))?;
    Ok(format!("{when}: {message}").into())
}

fn no_prior(session: &Session) -> Verdict {
    for prior in [c"/nowhere/none.safetensors", c"no-such-prior", c""] {
        let spoil = |desc: &mut pellucid_job_desc| desc.prior = prior.as_ptr();
        let ask = Ask { spoil: &spoil, ..Ask::new(SHORT) };
        doomed(session, &[PELLUCID_E_MODEL], &ask, &Shot::plain())?;
    }
    pass()
}

fn damaged_prior(session: &Session) -> Verdict {
    let whole = session.field()?.file.clone();
    let bytes = std::fs::read(whole.to_str().unwrap_or_default())?;
    let file = session.folder.join("damaged.safetensors");
    let path = std::ffi::CString::new(file.to_string_lossy().as_bytes()).unwrap_or_default();
    let spoil = |desc: &mut pellucid_job_desc| desc.prior = path.as_ptr();
    let ask = Ask { spoil: &spoil, ..Ask::new(SHORT) };
    let mut nan = bytes.clone();
    let values = nan.len() - 8;
    nan[values..].copy_from_slice(&[0xff; 8]);
    let other = String::from_utf8_lossy(&bytes).replace("gaussian_field", "gaussian_fiend");
    let other = if other.len() == bytes.len() { other.into_bytes() } else { b"garbage".into() };
    let mut last = Pass::default();
    for bytes in [&b""[..], b"no model at all", &bytes[..bytes.len() / 2], &nan, &other] {
        std::fs::write(&file, bytes)?;
        last = doomed(session, &[PELLUCID_E_MODEL], &ask, &Shot::plain())?;
    }
    Ok(last)
}

fn size(session: &Session) -> Verdict {
    let spoil = |desc: &mut pellucid_job_desc| desc.out_nx = SIDE as i32 + 2;
    let ask = Ask { spoil: &spoil, ..Ask::new(SHORT) };
    doomed(session, &[PELLUCID_E_ARG, PELLUCID_E_MODEL], &ask, &Shot::plain())
}

fn likelihood(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let exposure = host.exposure(&Shot::plain())?;
    let default = host.draw(&[exposure.get()], &Ask::new(SHORT))?;
    let spoil = |desc: &mut pellucid_job_desc| desc.likelihood = c"gaussian".as_ptr();
    let named = host.draw(&[exposure.get()], &Ask { spoil: &spoil, ..Ask::new(SHORT) })?;
    ensure!(named == default, "\"gaussian\" is not the default");
    let spoil = |desc: &mut pellucid_job_desc| desc.likelihood = c"no-such-noise".as_ptr();
    let ask = Ask { spoil: &spoil, ..Ask::new(SHORT) };
    doomed(session, &[PELLUCID_E_MODEL], &ask, &Shot::plain())
}

fn no_overlap(session: &Session) -> Verdict {
    let mut far = Shot::plain();
    far.wcs.crval[0] += 1.0;
    doomed(session, &[PELLUCID_E_ARG], &Ask::new(SHORT), &far)
}

fn many(session: &Session) -> Verdict {
    let host = Host::with(session, CONFIG, null())?;
    let one = || -> Result<(), Fault> {
        for _ in 0..3 {
            host.result()?;
        }
        Ok(())
    };
    let ended: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    for ended in ended {
        ended.map_err(|_| Fault::Broken("a thread of the check panicked".into()))??;
    }
    Ok("24 jobs from 8 threads".into())
}
