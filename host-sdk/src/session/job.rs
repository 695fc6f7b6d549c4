//! Jobs: submit, watch, wait, cancel.

#![expect(unsafe_code, reason = "calls through the C table")]

use std::ffi::CString;
use std::ptr;
use std::time::Duration;

use pellucid_ffi as ffi;
use serde_json::{Map, Value};

use super::call::call;
use super::engine::{Engine, Memory, c_string};
use super::exposure::Exposure;
use super::handle::Handle;
use super::posterior::ResultSet;
use crate::error::{HostError, Result};
use crate::sky::ModelGrid;

/// What to sample.
#[derive(Clone)]
pub struct JobBuilder<'a> {
    /// The exposures, fitted together.
    pub exposures: Vec<&'a Exposure>,
    /// The grid the samples live on.
    pub grid: ModelGrid,
    /// How many samples.
    pub samples: usize,
    /// Sample k depends on (seed, k, everything else here) only.
    pub seed: u64,
    /// A prior's name or file.
    pub prior: String,
    /// `gaussian`, or a noise model's name or file.
    pub likelihood: String,
    /// The sampler's options; an unknown key is an error.
    pub options: Map<String, Value>,
    /// Higher runs first.
    pub priority: i32,
}

/// State of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Waiting.
    Queued,
    /// At work.
    Running,
    /// Finished; single samples may have failed.
    Done,
    /// Failed.
    Failed,
    /// Cancelled.
    Cancelled,
}

/// How far a job is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Its state.
    pub state: JobState,
    /// Samples finished.
    pub samples_done: usize,
    /// Sampler steps done in the current batch, and how many there are.
    pub step: (usize, usize),
    /// 0 to 1.
    pub fraction: f64,
    /// Seconds left, once known.
    pub remaining: Option<f64>,
}

/// A submitted job; dropped, it is cancelled.
pub struct Job {
    handle: Handle<ffi::pellucid_job>,
}

/// A job description and the strings it points to.
struct Description {
    raw: ffi::pellucid_job_desc,
    _exposures: Vec<*mut ffi::pellucid_exposure>,
    _strings: [CString; 3],
}

impl<'a> JobBuilder<'a> {
    /// 16 samples of seed 0 under Gaussian noise, the sampler's own options; other fields by struct
    /// update.
    pub fn new(
        exposures: impl IntoIterator<Item = &'a Exposure>,
        grid: ModelGrid,
        prior: impl Into<String>,
    ) -> Self {
        Self {
            exposures: exposures.into_iter().collect(),
            grid,
            samples: 16,
            seed: 0,
            prior: prior.into(),
            likelihood: "gaussian".into(),
            options: Map::new(),
            priority: 0,
        }
    }

    fn describe(&self) -> Result<Description> {
        let count = |what: &str, n: usize| {
            i32::try_from(n).map_err(|_| HostError::value(what, "at most 2147483647", n))
        };
        let options = Value::Object(self.options.clone()).to_string();
        let strings = [
            c_string("prior", &self.prior)?,
            c_string("noise model", &self.likelihood)?,
            c_string("options", &options)?,
        ];
        let exposures: Vec<_> = self.exposures.iter().map(|e| e.handle.as_ptr()).collect();
        let raw = ffi::pellucid_job_desc {
            struct_size: size_of::<ffi::pellucid_job_desc>() as u32,
            flags: 0,
            exposures: exposures.as_ptr(),
            n_exposures: exposures.len(),
            ra: self.grid.centre.ra_deg,
            dec: self.grid.centre.dec_deg,
            pixscale: self.grid.pixel_scale_arcsec,
            out_ny: count("rows of the model grid", self.grid.ny)?,
            out_nx: count("columns of the model grid", self.grid.nx)?,
            n_samples: count("number of samples", self.samples)?,
            priority: self.priority,
            seed: self.seed,
            prior: strings[0].as_ptr(),
            likelihood: strings[1].as_ptr(),
            options_json: strings[2].as_ptr(),
            user: ptr::null_mut(),
            on_state: None,
        };
        Ok(Description { raw, _exposures: exposures, _strings: strings })
    }
}

impl Engine {
    /// What a job would need at its peak; nothing is queued.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub fn estimate(&self, job: &JobBuilder<'_>) -> Result<Memory> {
        let (description, mut need) = (job.describe()?, Memory::blank());
        let engine = self.handle.as_ptr();
        // SAFETY: the engine and all that the description points to are live for the call.
        unsafe { call!(self.plugin(), job_estimate(engine, &description.raw, &mut need)) }?;
        Ok(Memory::from_raw(&need))
    }

    /// Queues a job.
    ///
    /// # Errors
    /// [`HostError::Plugin`]: full queue, bad options, unusable model, too little memory.
    pub fn submit(&self, job: &JobBuilder<'_>) -> Result<Job> {
        let (description, mut raw) = (job.describe()?, ptr::null_mut());
        let (engine, plugin) = (self.handle.as_ptr(), self.plugin());
        // SAFETY: the engine and all that the description points to are live for the call, and the
        // plugin copies what it keeps.
        unsafe { call!(plugin, job_submit(engine, &description.raw, &mut raw)) }?;
        let handle = Handle::new(plugin, raw, plugin.table().job_release, "job")?;
        Ok(Job { handle })
    }
}

impl Job {
    /// How far it is; never blocks.
    ///
    /// # Errors
    /// [`HostError::Plugin`].
    pub fn progress(&self) -> Result<Progress> {
        // SAFETY: all-zero bytes are a valid value of every ABI struct.
        let mut raw: ffi::pellucid_progress = unsafe { std::mem::zeroed() };
        raw.struct_size = size_of_val(&raw) as u32;
        // SAFETY: the job is live and `raw` has its size set.
        unsafe { call!(self.handle.plugin(), job_poll(self.handle.as_ptr(), &mut raw)) }?;
        let count = |n: i32| usize::try_from(n).unwrap_or(0);
        Ok(Progress {
            state: match raw.state {
                ffi::PELLUCID_JOB_QUEUED => JobState::Queued,
                ffi::PELLUCID_JOB_RUNNING => JobState::Running,
                ffi::PELLUCID_JOB_DONE => JobState::Done,
                ffi::PELLUCID_JOB_CANCELLED => JobState::Cancelled,
                _ => JobState::Failed,
            },
            samples_done: count(raw.samples_done),
            step: (count(raw.step), count(raw.n_steps)),
            fraction: raw.fraction,
            remaining: raw.eta_s.is_finite().then_some(raw.eta_s),
        })
    }

    /// Waits up to `timeout` and delivers log messages; whether the job is done.
    ///
    /// # Errors
    /// The job's own error, [`HostError::Cancelled`] if it was cancelled.
    pub fn wait(&self, timeout: Duration) -> Result<bool> {
        let milliseconds = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        // SAFETY: the job is live.
        let done =
            unsafe { call!(self.handle.plugin(), job_wait(self.handle.as_ptr(), milliseconds)) };
        match done {
            Ok(()) => Ok(true),
            Err(e) if e.plugin_code() == Some(ffi::PELLUCID_E_TIMEOUT) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Waits until it is done, however long that takes, and delivers log messages.
    ///
    /// # Errors
    /// As [`Job::wait`] and [`Job::result`].
    pub fn finish(&self) -> Result<ResultSet> {
        while !self.wait(Duration::from_secs(3600))? {}
        self.result()
    }

    /// Asks it to stop; returns at once.
    pub fn cancel(&self) {
        if let Some(cancel) = self.handle.plugin().table().job_cancel {
            // SAFETY: the job is live; cancelling a finished job does nothing.
            unsafe { cancel(self.handle.as_ptr()) };
        }
    }

    /// The samples of a finished job.
    ///
    /// # Errors
    /// The job's own error; [`HostError::Plugin`] with E_STATE while it runs.
    pub fn result(&self) -> Result<ResultSet> {
        let (plugin, mut raw) = (self.handle.plugin(), ptr::null_mut());
        // SAFETY: the job is live.
        unsafe { call!(plugin, job_result(self.handle.as_ptr(), &mut raw)) }?;
        ResultSet::new(plugin, raw)
    }
}
