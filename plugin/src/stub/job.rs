//! Jobs of the stub and their results.

use std::collections::VecDeque;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use ::pellucid_exposure::{Exposure, ModelGrid, apply_slow};
use ndarray::{Array2, Array4, s};
use serde_json::{Value, json};

use super::{StubError, StubOptions};
use crate::engine::{Job, JobSpec, JobState, Posterior, Progress, Result};

struct Status {
    state: JobState,
    step: usize,
    outcome: Option<Result<Arc<StubPosterior>, StubError>>,
    untold: VecDeque<JobState>,
    telling: bool,
}

pub(super) struct Ticket {
    spec: JobSpec<StubOptions>,
    status: Mutex<Status>,
    changed: Condvar,
}

impl Ticket {
    pub(super) fn new(spec: JobSpec<StubOptions>) -> Self {
        let status = Status {
            state: JobState::Queued,
            step: 0,
            outcome: None,
            untold: VecDeque::new(),
            telling: false,
        };
        Self { spec, status: Mutex::new(status), changed: Condvar::new() }
    }

    /// The worker's part.
    pub(super) fn run(&self) {
        if !self.advance(JobState::Running, None) {
            return;
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| self.work()));
        let outcome = outcome.unwrap_or_else(|_| {
            Err(StubError::Panic { message: "on request, in the worker".into() })
        });
        assert_ne!(self.spec.options.panic_in, "thread", "panic on request");
        let state = if outcome.is_ok() { JobState::Done } else { JobState::Failed };
        self.advance(state, Some(outcome));
    }

    pub(super) fn fail(&self, error: StubError) {
        self.advance(JobState::Failed, Some(Err(error)));
    }

    pub(super) fn cancel(&self) {
        self.advance(JobState::Cancelled, Some(Err(StubError::Cancelled)));
    }

    fn work(&self) -> Result<Arc<StubPosterior>, StubError> {
        let options = &self.spec.options;
        for step in 0..options.steps {
            thread::sleep(Duration::from_millis(options.step_ms));
            let mut status = self.lock();
            if status.state.is_final() {
                return Err(StubError::Cancelled);
            }
            status.step = step + 1;
        }
        assert_ne!(options.panic_in, "worker", "panic on request");
        if options.fail_in == "worker" {
            return Err(StubError::Induced { place: "worker" });
        }
        Ok(Arc::new(StubPosterior::draw(&self.spec)))
    }

    /// Enters a state unless the job has ended, and returns whether it did. A thread that finds
    /// another one telling the host leaves its message to that one, which keeps them in order.
    fn advance(
        &self,
        state: JobState,
        outcome: Option<Result<Arc<StubPosterior>, StubError>>,
    ) -> bool {
        let mut status = self.lock();
        if status.state.is_final() {
            return false;
        }
        (status.state, status.outcome) = (state, outcome);
        self.changed.notify_all();
        let Some(on_state) = &self.spec.on_state else {
            return true;
        };
        status.untold.push_back(state);
        if mem::replace(&mut status.telling, true) {
            return true;
        }
        while let Some(state) = status.untold.pop_front() {
            drop(status);
            on_state(state);
            status = self.lock();
        }
        status.telling = false;
        true
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job of the stub.
#[derive(Clone)]
pub struct StubJob(pub(super) Arc<Ticket>);

impl StubJob {
    fn entering(&self, slot: &str) {
        assert_ne!(self.0.spec.options.panic_in, slot, "panic on request");
    }
}

impl Job for StubJob {
    type Posterior = StubPosterior;

    fn progress(&self) -> Progress {
        self.entering("job_poll");
        let (n_steps, n_samples) = (self.0.spec.options.steps, self.0.spec.n_samples);
        let Status { state, step, .. } = *self.0.lock();
        let done = state == JobState::Done;
        Progress {
            state,
            step,
            n_steps,
            samples_done: if done { n_samples } else { 0 },
            device: -1,
            fraction: if done { 1.0 } else { step as f64 / n_steps.max(1) as f64 },
            eta_s: f64::NAN,
        }
    }

    fn wait(&self, timeout: Duration) -> Result<JobState> {
        self.entering("job_wait");
        let unfinished = |status: &mut Status| !status.state.is_final();
        let waited = self.0.changed.wait_timeout_while(self.0.lock(), timeout, unfinished);
        let (status, _) = waited.unwrap_or_else(PoisonError::into_inner);
        Ok(status.state)
    }

    fn cancel(&self) {
        self.entering("job_cancel");
        self.0.cancel();
    }

    fn result(&self) -> Result<Arc<StubPosterior>> {
        self.entering("job_result");
        match &self.0.lock().outcome {
            None => Err(StubError::NotReady.into()),
            Some(outcome) => Ok(outcome.clone()?),
        }
    }
}

/// A result of the stub.
pub struct StubPosterior {
    samples: Array4<f32>,
    errors: Vec<Option<String>>,
    exposures: Vec<Arc<Exposure>>,
    grid: ModelGrid,
    seed: u64,
    panic_in: String,
}

impl StubPosterior {
    /// Sample k is a function of (seed, k).
    fn draw(spec: &JobSpec<StubOptions>) -> Self {
        let ModelGrid { ny, nx, .. } = spec.grid;
        let mut samples = Array4::zeros((spec.n_samples, 1, ny, nx));
        let mut errors = vec![None; spec.n_samples];
        for (k, error) in errors.iter_mut().enumerate() {
            let mut sample = samples.slice_mut(s![k, 0, .., ..]);
            if spec.options.failed_samples.contains(&k) {
                *error = Some("failed on request".to_owned());
                sample.fill(f32::NAN);
                continue;
            }
            let mut state = spec.seed ^ splitmix(&mut (k as u64));
            sample.mapv_inplace(|_| (splitmix(&mut state) >> 40) as f32 / (1 << 24) as f32);
        }
        Self {
            samples,
            errors,
            exposures: spec.exposures.clone(),
            grid: spec.grid.clone(),
            seed: spec.seed,
            panic_in: spec.options.panic_in.clone(),
        }
    }

    fn entering(&self, slot: &str) {
        assert_ne!(self.panic_in, slot, "panic on request");
    }
}

/// The next number of SplitMix64 (Steele, Lea & Flood 2014, OOPSLA, fig. 17).
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Posterior for StubPosterior {
    fn samples(&self) -> &Array4<f32> {
        self.entering("result_samples");
        &self.samples
    }

    fn sample_errors(&self) -> &[Option<String>] {
        self.entering("sample_errors");
        &self.errors
    }

    fn grid(&self) -> &ModelGrid {
        self.entering("result_header");
        &self.grid
    }

    fn exposures(&self) -> &[Arc<Exposure>] {
        &self.exposures
    }

    fn diagnostics(&self) -> Result<Value> {
        self.entering("result_diagnostics");
        let exposures: Vec<_> = self.exposures.iter().map(|e| json!({"id": e.id})).collect();
        Ok(json!({"exposures": exposures}))
    }

    fn provenance(&self) -> Value {
        json!({"engine": "stub", "seed": self.seed})
    }

    fn residual(&self, sample: Option<usize>, exposure: usize) -> Result<Array2<f32>> {
        self.entering("result_residuals");
        let exposure = &self.exposures[exposure];
        let good: Vec<_> = (0..self.errors.len()).filter(|&k| self.errors[k].is_none()).collect();
        let image = |k: usize| self.samples.slice(s![k, 0, .., ..]).mapv(f64::from);
        let model = match sample {
            Some(k) => image(k),
            None => good.iter().fold(Array2::zeros((self.grid.ny, self.grid.nx)), |sum, &k| {
                sum + image(k) / good.len() as f64
            }),
        };
        let mut residual = &exposure.pixels - &apply_slow(exposure, &self.grid, &model)?;
        residual.zip_mut_with(&exposure.good, |r, good| {
            if !good {
                *r = f64::NAN;
            }
        });
        Ok(residual.mapv(|r| r as f32))
    }
}

impl Drop for StubPosterior {
    fn drop(&mut self) {
        if self.panic_in == "result_release" && !thread::panicking() {
            panic!("panic on request");
        }
    }
}
