//! Jobs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pellucid_ffi::*;

use super::EngineObject;
use super::exposure::ExposureObject;
use super::result::ResultObject;
use crate::boundary::borrow::{self, Out};
use crate::boundary::callback::StateFunction;
use crate::boundary::handle::{self, Object};
use crate::boundary::{BoundaryError, guard, text};
use crate::convert;
use crate::convert::job::Texts;
use crate::engine::{Engine, Job, JobSpec, JobState};
use crate::limits::MAX_EXPOSURES;
use crate::logs::LogQueue;
use crate::status::Failure;

/// How long a wait may keep log messages back.
const LOG_DELAY: Duration = Duration::from_millis(50);

/// A job as the host holds it.
pub(crate) struct JobObject<E: Engine> {
    job: E::Job,
    logs: Arc<LogQueue>,
    on_state: Option<Arc<StateFunction>>,
    zero_points: Vec<f64>,
}

impl<E: Engine> Object for JobObject<E> {
    type Opaque = pellucid_job;
    const KIND: &'static str = "job";
}

impl<E: Engine> JobObject<E> {
    fn enter<T>(
        handle: *const pellucid_job,
        body: impl FnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        guard::check_callback()?;
        let object = handle::find::<Self>(handle)?;
        object.logs.scope(|| body(&object))
    }
}

/// A description of a job, copied and checked.
struct Description<E: Engine> {
    spec: JobSpec<E::Options>,
    on_state: Option<Arc<StateFunction>>,
    zero_points: Vec<f64>,
}

/// # Safety
/// The header's contract of `pellucid_job_desc`.
unsafe fn describe<E: Engine>(desc: *const pellucid_job_desc) -> Result<Description<E>, Failure> {
    // SAFETY: the contract above.
    unsafe {
        let desc = borrow::read(desc, "desc")?;
        convert::flags(desc.flags, 0, "flags of the job")?;
        let n = desc.n_exposures;
        convert::within(n, 1, MAX_EXPOSURES, "n_exposures", "1 to 4096")?;
        let handles = borrow::slice(desc.exposures, n, "exposures of the job")?;
        let objects = handles
            .into_iter()
            .map(|handle| handle::find::<ExposureObject>(handle))
            .collect::<Result<Vec<_>, _>>()?;
        let texts = Texts {
            prior: text::required(desc.prior, "prior")?,
            likelihood: text::optional(desc.likelihood, "likelihood")?,
            options: text::optional(desc.options_json, "options_json")?,
        };
        let exposures = objects.iter().map(|object| Arc::clone(&object.exposure)).collect();
        let mut spec = convert::job::spec(&desc, texts, exposures)?;
        let on_state = StateFunction::new(&desc).map(Arc::new);
        if let Some(function) = on_state.clone() {
            spec.on_state = Some(Box::new(move |state: JobState| function.notify(state as i32)));
        }
        let zero_points = objects.iter().map(|object| object.zero_point).collect();
        Ok(Description { spec, on_state, zero_points })
    }
}

pub(super) unsafe extern "C" fn job_estimate<E: Engine>(
    engine: *mut pellucid_engine,
    desc: *const pellucid_job_desc,
    need: *mut pellucid_mem,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        guard::call(error, || {
            let size = borrow::struct_size(need, "need")?;
            EngineObject::<E>::enter(engine, "job_estimate", |entered| {
                let description = describe::<E>(desc)?;
                let memory = entered.engine.estimate(&description.spec)?;
                borrow::write_struct(need, size, &convert::memory(&memory));
                Ok(())
            })
        })
    }
}

pub(super) unsafe extern "C" fn job_submit<E: Engine>(
    engine: *mut pellucid_engine,
    desc: *const pellucid_job_desc,
    job: *mut *mut pellucid_job,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        guard::call(error, || {
            let out = Out::new(job, "job")?;
            EngineObject::<E>::enter(engine, "job_submit", |entered| {
                let Description { spec, on_state, zero_points } = describe::<E>(desc)?;
                let (prior, seed) = (spec.prior.clone(), spec.seed);
                let (samples, exposures) = (spec.n_samples, spec.exposures.len());
                let job = entered.engine.submit(spec)?;
                log::info!(
                    "job queued: {samples} samples of {exposures} exposures, prior {prior}, seed {seed}"
                );
                let logs = Arc::clone(entered.logs);
                let object = JobObject::<E> { job, logs, on_state, zero_points };
                out.set(handle::mint(Arc::new(object)));
                Ok(())
            })
        })
    }
}

pub(super) unsafe extern "C" fn job_poll<E: Engine>(
    job: *mut pellucid_job,
    progress: *mut pellucid_progress,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        guard::call(error, || {
            let size = borrow::struct_size(progress, "progress")?;
            JobObject::<E>::enter(job, |object| {
                let now = convert::job::progress(&object.job.progress());
                borrow::write_struct(progress, size, &now);
                Ok(())
            })
        })
    }
}

pub(super) unsafe extern "C" fn job_wait<E: Engine>(
    job: *mut pellucid_job,
    timeout_ms: i64,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        guard::call(error, || {
            JobObject::<E>::enter(job, |object| {
                let state = wait(object, timeout_ms);
                object.logs.drain(usize::MAX);
                match state? {
                    JobState::Done => Ok(()),
                    JobState::Cancelled => Err(BoundaryError::Cancelled.into()),
                    JobState::Failed => object.job.result().map(drop),
                    JobState::Queued | JobState::Running => {
                        Err(BoundaryError::Timeout { waited_ms: timeout_ms }.into())
                    }
                }
            })
        })
    }
}

fn wait<E: Engine>(object: &JobObject<E>, timeout_ms: i64) -> Result<JobState, Failure> {
    let start = Instant::now();
    let timeout = u64::try_from(timeout_ms).map_or(Duration::MAX, Duration::from_millis);
    loop {
        object.logs.drain(usize::MAX);
        let left = timeout.saturating_sub(start.elapsed());
        let state = object.job.wait(left.min(LOG_DELAY))?;
        if state.is_final() || left.is_zero() {
            return Ok(state);
        }
    }
}

pub(super) unsafe extern "C" fn job_cancel<E: Engine>(job: *mut pellucid_job) -> pellucid_status {
    // SAFETY: no error object is asked for.
    unsafe {
        guard::call(std::ptr::null_mut(), || {
            JobObject::<E>::enter(job, |object| {
                object.job.cancel();
                Ok(())
            })
        })
    }
}

pub(super) unsafe extern "C" fn job_result<E: Engine>(
    job: *mut pellucid_job,
    result: *mut *mut pellucid_result,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        guard::call(error, || {
            let out = Out::new(result, "result")?;
            JobObject::<E>::enter(job, |object| {
                let posterior = object.job.result()?;
                let object = ResultObject::<E>::new(posterior, object.zero_points.clone());
                out.set(handle::mint(Arc::new(object)));
                Ok(())
            })
        })
    }
}

pub(super) unsafe extern "C" fn job_release<E: Engine>(job: *mut pellucid_job) {
    guard::plain((), || {
        let Some(object) = handle::take::<JobObject<E>>(job) else {
            return;
        };
        if let Some(on_state) = &object.on_state {
            on_state.mute();
        }
        object.logs.scope(|| object.job.cancel());
    });
}
