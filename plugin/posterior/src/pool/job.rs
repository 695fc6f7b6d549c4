//! A job as its owner sees it: specification, progress, result.

use super::options::Options;
use super::posterior::Posterior;
use crate::error::PosteriorError;
use pellucid_exposure::{Exposure, ModelGrid};
use std::collections::VecDeque;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Wake-up called after every change of a job's state; see [`JobSpec::on_state`].
pub type OnState = Box<dyn Fn(JobState) + Send + Sync>;

/// What to sample: data, model grid, prior, likelihood, options.
pub struct JobSpec {
    /// The exposures, fitted together.
    pub exposures: Vec<Arc<Exposure>>,
    /// The grid the samples live on; its size is the prior's.
    pub grid: ModelGrid,
    /// Name in the model folders, or path of a file.
    pub prior: String,
    /// `gaussian`, with the exposures' variances; or a noise model's name or path.
    pub likelihood: String,
    /// Sampler, steps, precision, flux scale.
    pub options: Options,
    /// How many independent samples, at least 1.
    pub n_samples: usize,
    /// Sample k is a pure function of (seed, k, data, options).
    pub seed: u64,
    /// Higher goes first; equal priorities in the order of submission.
    pub priority: i32,
    /// Called after each change of state, in order and one call at a time, from a worker or from
    /// the thread that cancels, outside every lock. It should only wake somebody up.
    pub on_state: Option<OnState>,
}

/// Where a job is. `Done`, `Failed` and `Cancelled` are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Waiting for a worker.
    Queued,
    /// A worker has begun.
    Running,
    /// The result is there.
    Done,
    /// [`Job::result`] has the error.
    Failed,
    /// Cancelled by its owner or by the end of the engine.
    Cancelled,
}

impl JobState {
    /// True when the state cannot change any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A snapshot of a job's progress.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// State at the moment of the snapshot.
    pub state: JobState,
    /// Sampler steps done in the current batch.
    pub step: usize,
    /// Sampler steps of one batch; 0 until the first step.
    pub n_steps: usize,
    /// Samples finished.
    pub samples_done: usize,
    /// Device index: -1 the CPU, k the k-th CUDA device.
    pub device: i32,
    /// Done part of the work, 0 to 1.
    pub fraction: f64,
    /// Estimated seconds to the end, from the pace so far; NaN while unknown.
    pub eta_s: f64,
}

/// A submitted job. Clones share it; dropping them neither cancels nor waits.
#[derive(Clone)]
pub struct Job(pub(super) Arc<Ticket>);

impl Job {
    /// Snapshot of the progress; never blocks on the work.
    pub fn progress(&self) -> Progress {
        self.0.lock().progress(self.0.spec.n_samples)
    }

    /// Waits for the end of the job and returns its final state.
    ///
    /// # Errors
    /// [`PosteriorError::Timeout`] when `timeout` (None: for ever) passes first.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<JobState, PosteriorError> {
        // A deadline beyond the clock's range is no deadline.
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        let mut status = self.0.lock();
        while !status.state.is_final() {
            let Some(deadline) = deadline else {
                status = self.0.changed.wait(status).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(PosteriorError::Timeout { waited: timeout.unwrap_or_default() });
            }
            status =
                self.0.changed.wait_timeout(status, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(status.state)
    }

    /// Cancels the job: final at once, and its worker drops it within one sampler step. No effect
    /// on a job that has ended.
    pub fn cancel(&self) {
        self.0.settle(Outcome::Cancelled);
    }

    /// The result.
    ///
    /// # Errors
    /// [`PosteriorError::NotReady`] before the end, [`PosteriorError::Cancelled`], or the error of
    /// a failed job as [`PosteriorError::Shared`].
    pub fn result(&self) -> Result<Arc<Posterior>, PosteriorError> {
        let status = self.0.lock();
        match &status.outcome {
            Some(Outcome::Done(posterior)) => Ok(posterior.clone()),
            Some(Outcome::Failed(error)) => Err(PosteriorError::Shared(error.clone())),
            Some(Outcome::Cancelled) => Err(PosteriorError::Cancelled),
            None => Err(PosteriorError::NotReady { state: status.state.name() }),
        }
    }
}

/// How a job ended.
pub(super) enum Outcome {
    Done(Arc<Posterior>),
    Failed(Arc<PosteriorError>),
    Cancelled,
}

impl Outcome {
    fn state(&self) -> JobState {
        match self {
            Self::Done(_) => JobState::Done,
            Self::Failed(_) => JobState::Failed,
            Self::Cancelled => JobState::Cancelled,
        }
    }
}

/// The part of a job that its handle and the workers share.
pub(super) struct Ticket {
    pub spec: JobSpec,
    status: Mutex<Status>,
    changed: Condvar,
}

struct Status {
    state: JobState,
    /// Changes of state that the owner has not been told of.
    untold: VecDeque<JobState>,
    /// Whether a thread is telling the owner.
    telling: bool,
    outcome: Option<Outcome>,
    step: usize,
    n_steps: usize,
    in_batch: usize,
    samples_done: usize,
    started: Option<Instant>,
    device: i32,
}

impl Status {
    fn progress(&self, n_samples: usize) -> Progress {
        let batch = self.in_batch as f64 * self.step as f64 / self.n_steps.max(1) as f64;
        let fraction = match self.state {
            JobState::Done => 1.0,
            _ => ((self.samples_done as f64 + batch) / n_samples.max(1) as f64).min(1.0),
        };
        let eta_s = match (self.state, self.started) {
            (JobState::Running, Some(start)) if fraction > 0.0 => {
                start.elapsed().as_secs_f64() * (1.0 - fraction) / fraction
            }
            (state, _) if state.is_final() => 0.0,
            _ => f64::NAN,
        };
        let Self { state, step, n_steps, samples_done, device, .. } = *self;
        Progress { state, step, n_steps, samples_done, device, fraction, eta_s }
    }
}

impl Ticket {
    pub fn new(spec: JobSpec) -> Self {
        let status = Status {
            state: JobState::Queued,
            untold: VecDeque::new(),
            telling: false,
            outcome: None,
            step: 0,
            n_steps: 0,
            in_batch: 0,
            samples_done: 0,
            started: None,
            device: -1,
        };
        Self { spec, status: Mutex::new(status), changed: Condvar::new() }
    }

    pub fn state(&self) -> JobState {
        self.lock().state
    }

    /// What long work asks between its parts.
    ///
    /// # Errors
    /// [`PosteriorError::Cancelled`] once nobody wants the job any more.
    pub fn check_wanted(&self) -> Result<(), PosteriorError> {
        if self.state().is_final() { Err(PosteriorError::Cancelled) } else { Ok(()) }
    }

    /// Queued -> Running, at the first batch.
    pub fn start(&self, device: i32) {
        let mut status = self.lock();
        if status.state == JobState::Queued {
            status.started = Some(Instant::now());
            status.device = device;
            self.enter(status, JobState::Running);
        }
    }

    /// Progress of the batch in which `in_batch` samples of this job take part.
    pub fn step(&self, in_batch: usize, step: usize, n_steps: usize) {
        let mut status = self.lock();
        (status.in_batch, status.step, status.n_steps) = (in_batch, step, n_steps);
    }

    /// A batch has ended with `samples` finished samples of this job.
    pub fn advance(&self, samples: usize) {
        let mut status = self.lock();
        status.samples_done += samples;
        (status.in_batch, status.step) = (0, 0);
    }

    /// Ends the job; the first outcome stays.
    pub fn settle(&self, outcome: Outcome) {
        let mut status = self.lock();
        if status.outcome.is_none() {
            let state = outcome.state();
            status.outcome = Some(outcome);
            self.enter(status, state);
        }
    }

    /// Changes the state and tells the owner.
    ///
    /// A thread that finds another one telling leaves its message to that one: so calls keep their
    /// order and never overlap, and one that cancels its own job does not wait for itself.
    fn enter<'a>(&'a self, mut status: MutexGuard<'a, Status>, state: JobState) {
        status.state = state;
        self.changed.notify_all();
        let Some(on_state) = &self.spec.on_state else {
            return;
        };
        status.untold.push_back(state);
        if mem::replace(&mut status.telling, true) {
            return;
        }
        while let Some(state) = status.untold.pop_front() {
            drop(status);
            // The callback is the owner's code: its panic is not this job's failure.
            if catch_unwind(AssertUnwindSafe(|| on_state(state))).is_err() {
                log::error!("a job's on_state callback panicked at {}", state.name());
            }
            status = self.lock();
        }
        status.telling = false;
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
