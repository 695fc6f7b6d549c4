//! `on_state`, and calls from inside callbacks.

use std::ffi::c_void;
use std::ptr::{null_mut, without_provenance_mut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::thread;

use pellucid_ffi::*;

use crate::arrays::{array, sized};
use crate::check::{Check, Fault, Verdict, ensure, pass};
use crate::host::{Ask, Host, LONG, SHORT, Shot, context};
use crate::session::{Handle, Session};

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "callbacks.states",
        "on_state hears of every state once, in order, one call at a time",
        states,
    ),
    Check::new(
        "callbacks.cancel-states",
        "a cancelled job ends with PELLUCID_JOB_CANCELLED, told once",
        cancel_states,
    ),
    Check::new(
        "callbacks.none-after-release",
        "no call runs or begins once job_release has returned",
        none_after_release,
    ),
    Check::new(
        "callbacks.reentrancy",
        "inside on_state, slots that take an engine or a job are E_STATE and engine_release is ignored",
        reentrancy,
    ),
    Check::new("callbacks.release-inside", "inside on_state a job may be released", release_inside),
    Check::new(
        "callbacks.reentrancy-array",
        "inside an array's release the same holds",
        reentrancy_array,
    ),
];

/// What `watch` saw.
#[derive(Default)]
struct Watched {
    states: Mutex<Vec<i32>>,
    inside: AtomicBool,
    overlaps: AtomicUsize,
    gone: AtomicBool,
    late: AtomicUsize,
}

unsafe extern "C" fn watch(user: *mut c_void, state: i32) {
    // SAFETY: every check keeps its Watched to its end.
    let watched = unsafe { &*user.cast::<Watched>() };
    if watched.inside.swap(true, Ordering::SeqCst) {
        watched.overlaps.fetch_add(1, Ordering::SeqCst);
    }
    if watched.gone.load(Ordering::SeqCst) {
        watched.late.fetch_add(1, Ordering::SeqCst);
    }
    watched.states.lock().expect("because no holder panics").push(state);
    thread::yield_now();
    watched.inside.store(false, Ordering::SeqCst);
}

fn submit<T>(
    host: &Host<'_>,
    options: &str,
    user: &T,
    on_state: unsafe extern "C" fn(*mut c_void, i32),
) -> Result<Handle<pellucid_job>, Fault> {
    let exposure = host.exposure(&Shot::plain())?;
    let spoil = |desc: &mut pellucid_job_desc| {
        (desc.user, desc.on_state) = (context(user), Some(on_state));
    };
    host.submit(&[exposure.get()], &Ask { spoil: &spoil, ..Ask::new(options) })
}

fn states(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let watched = Watched::default();
    let job = submit(&host, SHORT, &watched, watch)?;
    host.finish(&job)?;
    // job_wait may return before the last call; engine_release joins the workers.
    drop(host);
    drop(job);
    let states = watched.states.lock().expect("because no holder panics").clone();
    let need = [PELLUCID_JOB_RUNNING, PELLUCID_JOB_DONE];
    ensure!(states == need || states == [0, 1, 2], "told {states:?}, need {need:?}");
    ensure!(watched.overlaps.load(Ordering::SeqCst) == 0, "two calls at a time");
    Ok(format!("{states:?}").into())
}

fn cancel_states(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let watched = Watched::default();
    let job = submit(&host, LONG, &watched, watch)?;
    super::jobs::until_running(&host, &job)?;
    slot!(host.api, job_cancel(job.get()))?;
    slot!(host.api, job_cancel(job.get()))?;
    drop(host);
    drop(job);
    let states = watched.states.lock().expect("because no holder panics").clone();
    let ends = states.iter().filter(|state| **state >= PELLUCID_JOB_DONE).count();
    let last = states.last() == Some(&PELLUCID_JOB_CANCELLED);
    ensure!(ends == 1 && last, "told {states:?}");
    pass()
}

fn none_after_release(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let watched: Vec<Watched> = (0..60).map(|_| Watched::default()).collect();
    for watched in &watched {
        let job = submit(&host, SHORT, watched, watch)?;
        thread::scope(|scope| {
            let number = job.number();
            let api = host.api;
            scope.spawn(move || {
                let _ = slot!(api, job_cancel(without_provenance_mut(number)));
            });
            drop(job);
            let running = watched.inside.load(Ordering::SeqCst);
            watched.gone.store(true, Ordering::SeqCst);
            ensure!(!running, "a call runs when job_release has returned");
            Ok(())
        })?;
    }
    drop(host);
    for watched in &watched {
        ensure!(watched.late.load(Ordering::SeqCst) == 0, "a call after job_release");
        ensure!(watched.overlaps.load(Ordering::SeqCst) == 0, "two calls at a time");
        let states = watched.states.lock().expect("because no holder panics").clone();
        ensure!(states.is_sorted_by(|a, b| a < b), "told {states:?}");
    }
    Ok(format!("{} jobs", watched.len()).into())
}

/// What `call_back` may use, and what it got.
struct Inside {
    api: pellucid_api,
    engine: usize,
    job: AtomicUsize,
    calls: AtomicUsize,
    wrong: AtomicI32,
}

impl Inside {
    fn new(host: &Host<'_>) -> Self {
        Self {
            api: *host.api,
            engine: host.engine.number(),
            job: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            wrong: AtomicI32::new(-1),
        }
    }

    fn try_everything(&self) {
        let engine = || without_provenance_mut::<pellucid_engine>(self.engine);
        let job = || without_provenance_mut::<pellucid_job>(self.job.load(Ordering::SeqCst));
        let statuses = [
            slot!(self.api, engine_memory(engine(), &mut sized(), null_mut())),
            slot!(self.api, list_models(engine(), &mut std::ptr::null(), null_mut())),
            slot!(self.api, job_wait(job(), 0, null_mut())),
            slot!(self.api, job_cancel(job())),
            slot!(self.api, job_poll(job(), &mut sized(), null_mut())),
        ];
        for status in statuses {
            let status = status.unwrap_or(-2);
            if status != PELLUCID_E_STATE {
                self.wrong.store(status, Ordering::SeqCst);
            }
        }
        let _ = slot!(self.api, engine_release(engine()));
        self.calls.fetch_add(1, Ordering::SeqCst);
    }

    fn verdict(&self, host: &Host<'_>) -> Verdict {
        let (calls, wrong) = (self.calls.load(Ordering::SeqCst), self.wrong.load(Ordering::SeqCst));
        ensure!(calls > 0, "the callback was not called");
        ensure!(wrong == -1, "a slot inside a callback: status {wrong}, need E_STATE");
        ok!(host.api, engine_memory(host.raw(), &mut sized()))?;
        host.result()?;
        Ok(format!("{calls} calls").into())
    }
}

unsafe extern "C" fn call_back(user: *mut c_void, _: i32) {
    // SAFETY: the check keeps it to its end.
    unsafe { &*user.cast::<Inside>() }.try_everything();
}

fn reentrancy(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    // Another engine, whose release would not wait for this one's worker.
    let other = Host::new(session)?;
    let target = other.job(LONG)?;
    let inside = Inside::new(&other);
    inside.job.store(target.number(), Ordering::SeqCst);
    let job = submit(&host, SHORT, &inside, call_back)?;
    host.finish(&job)?;
    drop(host);
    let state = super::jobs::poll(&other, &target)?.state;
    ensure!(
        state <= PELLUCID_JOB_RUNNING,
        "job_cancel inside a callback put it into state {state}"
    );
    drop(target);
    inside.verdict(&other)
}

/// A job to release inside its own callback.
struct Own {
    api: pellucid_api,
    job: AtomicUsize,
    calls: AtomicUsize,
}

unsafe extern "C" fn let_go(user: *mut c_void, _: i32) {
    // SAFETY: the check keeps it to its end.
    let own = unsafe { &*user.cast::<Own>() };
    own.calls.fetch_add(1, Ordering::SeqCst);
    // The first call may come before job_submit has returned the handle.
    let job = own.job.swap(0, Ordering::SeqCst);
    let _ = slot!(own.api, job_release(without_provenance_mut(job)));
}

fn release_inside(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let own = Own { api: *host.api, job: AtomicUsize::new(0), calls: AtomicUsize::new(0) };
    // Waits behind a long one, so that the handle is known before its first call.
    let long = host.job(LONG)?;
    super::jobs::until_running(&host, &long)?;
    let job = submit(&host, SHORT, &own, let_go)?;
    own.job.store(job.number(), Ordering::SeqCst);
    slot!(host.api, job_cancel(long.get()))?;
    while own.calls.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    host.result()?;
    drop(host);
    let calls = own.calls.load(Ordering::SeqCst);
    ensure!(calls == 1, "{calls} calls of a job released in the first");
    pass()
}

unsafe extern "C" fn release_back(array: *mut pellucid_array) {
    // SAFETY: the owner is the check's.
    unsafe { &*(*array).owner.cast::<Inside>() }.try_everything();
}

fn reentrancy_array(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let target = host.job(LONG)?;
    let inside = Inside::new(&host);
    inside.job.store(target.number(), Ordering::SeqCst);
    let mut kernel = array(&[1.0_f64], &[1, 1]);
    kernel.owner = context(&inside);
    kernel.release = Some(release_back);
    let mut psf = null_mut();
    ok!(host.api, psf_from_array(host.raw(), &kernel, 1, 0, &mut psf))?;
    slot!(host.api, psf_release(psf))?;
    drop(target);
    inside.verdict(&host)
}
