//! An engine without libtorch: deterministic numbers instead of samples, a real life cycle, and
//! failures on request. ABI, life-cycle, Miri and fuzz tests run on it; the exported table drives it
//! in builds without the feature `torch`.

mod job;

use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use ::pellucid_exposure::{Exposure, ModelGrid, apply_slow};
use ndarray::Array2;
use pellucid_ffi::*;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::{Device, Engine, JobSpec, Memory, Result};
use crate::status::Coded;
use job::Ticket;
pub use job::{StubJob, StubPosterior};

/// Most jobs that may wait: the queue is made at once.
const MAX_QUEUE: usize = 1 << 16;
/// Longest step, ms: a release waits for the end of one.
const MAX_STEP_MS: u64 = 1000;
/// Most values of a result, 64 MiB: an allocator that fails would abort the host.
const MAX_VALUES: usize = 1 << 24;

/// Configuration of a [`StubEngine`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StubConfig {
    /// As the real engine; ignored.
    pub device: String,
    /// As the real engine; ignored.
    pub threads: usize,
    /// Jobs that may wait.
    pub queue_capacity: usize,
    /// As the real engine; ignored.
    pub max_batch: usize,
    /// As the real engine; ignored.
    pub model_dirs: Vec<String>,
    /// Slot to panic in, by name.
    pub panic_in: String,
    /// Slot to fail in with `PELLUCID_E_DEVICE`, by name.
    pub fail_in: String,
}

impl Default for StubConfig {
    fn default() -> Self {
        Self {
            device: "auto".into(),
            threads: 0,
            queue_capacity: 64,
            max_batch: 0,
            model_dirs: Vec::new(),
            panic_in: String::new(),
            fail_in: String::new(),
        }
    }
}

/// Options of a stub's job.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StubOptions {
    /// Steps a job takes.
    pub steps: usize,
    /// Length of a step, ms.
    pub step_ms: u64,
    /// Samples to fail.
    pub failed_samples: Vec<usize>,
    /// Slot to panic in, by name; `worker`: in the job; `thread`: outside of it, which kills the worker.
    pub panic_in: String,
    /// `worker`: the job fails with `PELLUCID_E_DEVICE`.
    pub fail_in: String,
}

impl Default for StubOptions {
    fn default() -> Self {
        Self {
            steps: 3,
            step_ms: 1,
            failed_samples: Vec::new(),
            panic_in: String::new(),
            fail_in: String::new(),
        }
    }
}

/// What a stub reports.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StubError {
    /// A failure that was asked for.
    #[error("the stub was told to fail in {place}")]
    Induced {
        /// Slot or `worker`.
        place: &'static str,
    },
    /// More than a stub is good for.
    #[error("{what} is {got}, a stub takes at most {most}")]
    Limit {
        /// Which number.
        what: &'static str,
        /// The largest it takes.
        most: u64,
        /// The number.
        got: u64,
    },
    /// The queue is full.
    #[error("the queue is full: {capacity} jobs are waiting")]
    QueueFull {
        /// Jobs that may wait.
        capacity: usize,
    },
    /// The job has no result yet.
    #[error("the job is not finished")]
    NotReady,
    /// The job was cancelled.
    #[error("the job was cancelled")]
    Cancelled,
    /// The worker panicked.
    #[error("the worker panicked: {message}")]
    Panic {
        /// The panic's message.
        message: String,
    },
    /// The worker is gone, and its jobs with it.
    #[error("device cpu: its worker thread died: create a new engine")]
    WorkerDied,
}

impl Coded for StubError {
    fn code(&self) -> pellucid_status {
        match self {
            Self::Induced { .. } | Self::WorkerDied => PELLUCID_E_DEVICE,
            Self::Limit { .. } => PELLUCID_E_CONFIG,
            Self::QueueFull { .. } | Self::NotReady => PELLUCID_E_STATE,
            Self::Cancelled => PELLUCID_E_CANCELLED,
            Self::Panic { .. } => PELLUCID_E_PANIC,
        }
    }
}

/// The jobs that may be alive.
type Submitted = Mutex<Vec<Weak<Ticket>>>;

/// Fails every job when its thread dies.
struct LastWill(Arc<Submitted>);

impl Drop for LastWill {
    fn drop(&mut self) {
        if thread::panicking() {
            living(&self.0).for_each(|ticket| ticket.fail(StubError::WorkerDied));
        }
    }
}

fn living(submitted: &Submitted) -> impl Iterator<Item = Arc<Ticket>> {
    let all = std::mem::take(&mut *submitted.lock().unwrap_or_else(PoisonError::into_inner));
    all.into_iter().filter_map(|ticket| ticket.upgrade())
}

/// The engine; see the module.
pub struct StubEngine {
    config: StubConfig,
    queue: Option<SyncSender<Arc<Ticket>>>,
    submitted: Arc<Submitted>,
    worker: Option<JoinHandle<()>>,
}

impl StubEngine {
    fn may(&self, place: &'static str) -> Result<(), StubError> {
        if self.config.fail_in == place { Err(StubError::Induced { place }) } else { Ok(()) }
    }
}

fn limit(what: &'static str, most: u64, got: u64) -> Result<(), StubError> {
    if got > most { Err(StubError::Limit { what, most, got }) } else { Ok(()) }
}

impl Engine for StubEngine {
    type Config = StubConfig;
    type Options = StubOptions;
    type Job = StubJob;
    const VERSION: &'static std::ffi::CStr = match std::ffi::CStr::from_bytes_with_nul(
        concat!("pellucid ", env!("CARGO_PKG_VERSION"), " (engine: stub)\0").as_bytes(),
    ) {
        Ok(version) => version,
        Err(_) => panic!("the text ends with its only NUL"),
    };

    fn devices() -> Vec<Device> {
        let name = "stub".to_owned();
        vec![Device { cuda: false, index: -1, name, memory_total: 0, memory_free: 0 }]
    }

    fn create(config: StubConfig) -> Result<Self> {
        assert_ne!(config.panic_in, "engine_create", "panic on request");
        if config.fail_in == "engine_create" {
            return Err(StubError::Induced { place: "engine_create" }.into());
        }
        limit("queue_capacity", MAX_QUEUE as u64, config.queue_capacity as u64)?;
        let (queue, jobs): (_, Receiver<Arc<Ticket>>) = mpsc::sync_channel(config.queue_capacity);
        let submitted = Arc::<Submitted>::default();
        let work = {
            let submitted = Arc::clone(&submitted);
            move || {
                // Dropped last: whoever submits after it finds the queue gone, whoever did before is told.
                let will = LastWill(submitted);
                jobs.into_iter().for_each(|ticket| ticket.run());
                drop(will);
            }
        };
        let worker = thread::Builder::new()
            .name("pellucid-stub".into())
            .spawn(work)
            .map_err(|_| StubError::Induced { place: "thread" })?;
        let (queue, worker) = (Some(queue), Some(worker));
        Ok(Self { config, queue, submitted, worker })
    }

    fn models(&self) -> Result<Value> {
        self.may("list_models")?;
        Ok(json!([{"name": "stub", "kind": "prior"}]))
    }

    fn memory(&self) -> Result<Memory> {
        self.may("engine_memory")?;
        Ok(Memory { host_now: 1, ..Memory::default() })
    }

    fn estimate(&self, spec: &JobSpec<StubOptions>) -> Result<Memory> {
        self.may("job_estimate")?;
        let results_held = (4 * spec.n_samples * spec.grid.ny * spec.grid.nx) as u64;
        Ok(Memory { host_peak: results_held, results_held, ..Memory::default() })
    }

    fn submit(&self, spec: JobSpec<StubOptions>) -> Result<StubJob> {
        self.may("job_submit")?;
        limit("step_ms", MAX_STEP_MS, spec.options.step_ms)?;
        let sides = [spec.n_samples, spec.grid.ny, spec.grid.nx];
        let values = sides.into_iter().fold(1, usize::saturating_mul);
        limit("size of the result", MAX_VALUES as u64, values as u64)?;
        let ticket = Arc::new(Ticket::new(spec));
        let queue = self.queue.as_ref().expect("because only drop takes it");
        // Held while sending, so that a dying worker finds every job it has been sent.
        let mut submitted = self.submitted.lock().unwrap_or_else(PoisonError::into_inner);
        queue.try_send(Arc::clone(&ticket)).map_err(|error| match error {
            TrySendError::Full(_) => StubError::QueueFull { capacity: self.config.queue_capacity },
            TrySendError::Disconnected(_) => StubError::WorkerDied,
        })?;
        submitted.retain(|ticket| ticket.strong_count() > 0);
        submitted.push(Arc::downgrade(&ticket));
        Ok(StubJob(ticket))
    }

    fn predict(
        &self,
        exposures: &[Arc<Exposure>],
        grid: &ModelGrid,
        model: &Array2<f32>,
    ) -> Result<Vec<Array2<f32>>> {
        self.may("predict")?;
        let model = model.mapv(f64::from);
        let image =
            |exposure: &Arc<Exposure>| Ok(apply_slow(exposure, grid, &model)?.mapv(|v| v as f32));
        exposures.iter().map(image).collect()
    }

    fn entering(&self, slot: &'static str) {
        assert_ne!(self.config.panic_in, slot, "panic on request");
    }
}

impl Drop for StubEngine {
    fn drop(&mut self) {
        living(&self.submitted).for_each(|ticket| ticket.cancel());
        drop(self.queue.take());
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
        if self.config.panic_in == "engine_release" && !thread::panicking() {
            panic!("panic on request");
        }
    }
}
