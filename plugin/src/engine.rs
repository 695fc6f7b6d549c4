//! What the C ABI needs of an engine: small, so that a stub can stand in for libtorch.

use std::sync::Arc;
use std::time::Duration;

use ::pellucid_exposure::{Exposure, ModelGrid};
use ndarray::{Array2, Array4};
use pellucid_ffi::*;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::status::Failure;

/// Result of an engine's functions.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// A posterior engine. Dropping it cancels its jobs and joins its workers.
pub trait Engine: Send + Sync + Sized + 'static {
    /// Configuration; refuses unknown keys, has a default for every field.
    type Config: DeserializeOwned + Default;
    /// Sampler options of a job; refuses unknown keys, has a default for every field.
    type Options: DeserializeOwned + Default + Send + Sync;
    /// A submitted job.
    type Job: Job;
    /// The library's version and the engine's name, for `version_string`.
    const VERSION: &'static std::ffi::CStr;

    /// The devices an engine could be created on; starts nothing.
    fn devices() -> Vec<Device>;
    /// Starts the workers.
    fn create(config: Self::Config) -> Result<Self>;
    /// The models on offer, as a JSON array.
    fn models(&self) -> Result<Value>;
    /// Memory in use.
    fn memory(&self) -> Result<Memory>;
    /// What a job would need.
    fn estimate(&self, spec: &JobSpec<Self::Options>) -> Result<Memory>;
    /// Queues a job.
    fn submit(&self, spec: JobSpec<Self::Options>) -> Result<Self::Job>;
    /// A x for every detector pixel of every exposure.
    fn predict(
        &self,
        exposures: &[Arc<Exposure>],
        grid: &ModelGrid,
        model: &Array2<f32>,
    ) -> Result<Vec<Array2<f32>>>;
    /// Called first in every slot that takes an engine; a place for a test engine to fail.
    fn entering(&self, _slot: &'static str) {}
}

/// A submitted job; clones share it, dropping one changes nothing.
pub trait Job: Clone + Send + Sync + 'static {
    /// Its result.
    type Posterior: Posterior;

    /// How far it is.
    fn progress(&self) -> Progress;
    /// Its state after at most `timeout`; final unless the time ran out.
    fn wait(&self, timeout: Duration) -> Result<JobState>;
    /// Asks it to stop.
    fn cancel(&self);
    /// Its result, or why there is none.
    fn result(&self) -> Result<Arc<Self::Posterior>>;
}

/// The result of a job.
pub trait Posterior: Send + Sync + 'static {
    /// [n, band, y, x] in C order, NaN for failed samples.
    fn samples(&self) -> &Array4<f32>;
    /// Per sample, why it failed.
    fn sample_errors(&self) -> &[Option<String>];
    /// Grid of the samples.
    fn grid(&self) -> &ModelGrid;
    /// The exposures of the job, in order.
    fn exposures(&self) -> &[Arc<Exposure>];
    /// Fit and flags, as a JSON object.
    fn diagnostics(&self) -> Result<Value>;
    /// Versions, hashes, configuration, seed, device, as a JSON object.
    fn provenance(&self) -> Value;
    /// y - A x of a sample, or of the mean, in the frame of an exposure.
    fn residual(&self, sample: Option<usize>, exposure: usize) -> Result<Array2<f32>>;
}

/// What to sample.
pub struct JobSpec<Options> {
    /// The exposures, all of one galaxy.
    pub exposures: Vec<Arc<Exposure>>,
    /// Grid of the samples.
    pub grid: ModelGrid,
    /// Name or path of the prior.
    pub prior: String,
    /// `gaussian`, or name or path of a noise model.
    pub likelihood: String,
    /// Sampler options.
    pub options: Options,
    /// Number of samples.
    pub n_samples: usize,
    /// Seed of the samples.
    pub seed: u64,
    /// Higher runs first.
    pub priority: i32,
    /// Called at every change of state, in order and one call at a time.
    pub on_state: Option<OnState>,
}

/// A wake-up at a change of state.
pub type OnState = Box<dyn Fn(JobState) + Send + Sync>;

/// State of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum JobState {
    /// Waits for a worker.
    Queued = PELLUCID_JOB_QUEUED,
    /// A worker is at it.
    Running = PELLUCID_JOB_RUNNING,
    /// Has a result.
    Done = PELLUCID_JOB_DONE,
    /// Has an error.
    Failed = PELLUCID_JOB_FAILED,
    /// Was stopped.
    Cancelled = PELLUCID_JOB_CANCELLED,
}

impl JobState {
    /// Whether the state cannot change any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Its state.
    pub state: JobState,
    /// Sampler steps done in the current batch.
    pub step: usize,
    /// Sampler steps of a batch.
    pub n_steps: usize,
    /// Samples finished.
    pub samples_done: usize,
    /// Device index, -1 the CPU.
    pub device: i32,
    /// Done part, 0 to 1.
    pub fraction: f64,
    /// Seconds left, NaN while unknown.
    pub eta_s: f64,
}

/// Memory in bytes, 0 where unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Of the process, now.
    pub host_now: u64,
    /// Of the process, highest.
    pub host_peak: u64,
    /// Of the device, now.
    pub device_now: u64,
    /// Of the device, highest.
    pub device_peak: u64,
    /// Of results that are alive.
    pub results_held: u64,
}

/// A compute device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// A GPU, rather than the CPU.
    pub cuda: bool,
    /// Number among the GPUs, -1 the CPU.
    pub index: i32,
    /// Product name.
    pub name: String,
    /// Bytes.
    pub memory_total: u64,
    /// Bytes.
    pub memory_free: u64,
}
