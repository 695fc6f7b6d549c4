//! The engine: jobs in, posteriors out, from any thread.
//!
//! One worker thread per device (for now the CPU) takes batches from one queue. A batch holds
//! samples of any jobs with the same prior and options, so many small jobs cost as little as one
//! large one; a job with a noise model has its batches to itself. A sample depends on nothing but its job, so packing changes no result. Tensors never
//! leave the thread of their worker; what crosses threads are arrays.
//!
//! A job is Queued, then Running, then one of Done, Failed, Cancelled. Its errors (an unusable
//! model, a singular WCS, a panic) fail it alone. A worker that dies fails all its jobs and those
//! still to come, with [`PosteriorError::Device`].

mod catalogue;
mod config;
mod devices;
mod job;
mod memory;
mod noise;
mod options;
mod posterior;
mod queue;
mod runner;
mod worker;

pub use catalogue::{ModelMetadata, ModelSummary};
pub use config::EngineConfig;
pub use devices::{DeviceInfo, DeviceKind, devices};
pub use job::{Job, JobSpec, JobState, OnState, Progress};
pub use memory::{MemoryEstimate, MemoryUse};
pub use options::{Options, Precision, Sampler};
pub use posterior::Posterior;

use crate::error::PosteriorError;
use crate::forward_model::ForwardModel;
use catalogue::Catalogue;
use job::Ticket;
use ndarray::Array2;
use pellucid_exposure::{Exposure, ModelGrid};
use queue::{BatchKey, Queue};
use runner::TorchRunner;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use tch::{Device, Kind, Tensor};
use worker::{Runner, Worker};

/// Takes jobs and samples them. Dropping it cancels the jobs and waits for the worker, at most one
/// sampler step or the building of one job's likelihood; results stay valid.
pub struct Engine {
    pool: Pool,
    catalogue: Catalogue,
    results_held: Arc<AtomicU64>,
}

impl Engine {
    /// Starts the worker.
    ///
    /// # Errors
    /// [`PosteriorError::Config`] naming the field, [`PosteriorError::Unsupported`] for a CUDA
    /// device, [`PosteriorError::Device`] when no thread can be started.
    pub fn create(config: EngineConfig) -> Result<Self, PosteriorError> {
        config.validate()?;
        let catalogue = Catalogue::new(&config.model_dirs);
        let results_held = Arc::new(AtomicU64::new(0));
        let make = {
            let (catalogue, held) = (catalogue.clone(), results_held.clone());
            let threads = config.cpu_threads();
            move || TorchRunner::on_cpu(catalogue, held, threads)
        };
        let pool = Pool::start(config.queue_capacity, config.max_batch, make)?;
        Ok(Self { pool, catalogue, results_held })
    }

    /// The models that names reach, with those that cannot be read and why.
    pub fn models(&self) -> Vec<ModelSummary> {
        self.catalogue.list()
    }

    /// Queues a job.
    ///
    /// # Errors
    /// [`PosteriorError::Config`] or [`PosteriorError::Unsupported`] for a specification that no
    /// job can meet, [`PosteriorError::Exposure`] for a bad grid, [`PosteriorError::Model`] when
    /// there is no such prior or noise model, [`PosteriorError::Memory`] when the machine has too little memory,
    /// [`PosteriorError::QueueFull`], [`PosteriorError::Device`] when the worker has died. What only the work shows (a damaged model, exposures off the
    /// grid) fails the job instead.
    pub fn submit(&self, spec: JobSpec) -> Result<Job, PosteriorError> {
        let (prior, noise) = self.check(&spec)?;
        memory::check(memory::estimate(&spec, &prior, noise.as_deref())?.host_bytes)?;
        let key = BatchKey::new(prior, &spec.options);
        self.pool.submit(spec, if noise.is_some() { key.alone() } else { key })
    }

    /// Memory a job would need.
    ///
    /// # Errors
    /// As [`Engine::submit`], less memory and queue.
    pub fn estimate(&self, spec: &JobSpec) -> Result<MemoryEstimate, PosteriorError> {
        let (prior, noise) = self.check(spec)?;
        memory::estimate(spec, &prior, noise.as_deref())
    }

    /// Memory in use.
    pub fn memory(&self) -> MemoryUse {
        memory::in_use(self.results_held.load(Ordering::Relaxed))
    }

    /// A x of a model image on every data pixel, masked or not, in the caller's thread.
    ///
    /// # Shapes and units
    /// image [grid.ny, grid.nx], surface brightness per data pixel; per exposure [ny, nx] in the
    /// exposure's unit.
    ///
    /// # Errors
    /// [`PosteriorError::Shape`], [`PosteriorError::Exposure`], [`PosteriorError::Memory`] when the
    /// machine has too little memory for an exposure's sub-pixels.
    pub fn predict(
        &self,
        exposures: &[Arc<Exposure>],
        grid: &ModelGrid,
        image: &Array2<f32>,
    ) -> Result<Vec<Array2<f32>>, PosteriorError> {
        grid.check()?;
        memory::check(memory::prediction(exposures, grid))?;
        let (ny, nx) = image.dim();
        let pixels: Vec<f32> = image.iter().copied().collect();
        let x = Tensor::from_slice(&pixels).view([1, 1, ny as i64, nx as i64]);
        let predict = |exposure| {
            let one = slice::from_ref(exposure);
            let predicted = ForwardModel::new(one, grid, Kind::Double, Device::Cpu)?.apply(&x)?;
            Ok(runner::to_array3(&predicted[0])?.remove_axis(ndarray::Axis(0)))
        };
        exposures.iter().map(predict).collect()
    }

    /// Checks what can be checked without loading anything.
    /// The files of a job's prior and noise model.
    fn check(&self, spec: &JobSpec) -> Result<(PathBuf, Option<PathBuf>), PosteriorError> {
        if spec.exposures.is_empty() {
            return Err(PosteriorError::config("exposures", "at least 1", 0));
        }
        if spec.n_samples == 0 {
            return Err(PosteriorError::config("n_samples", "at least 1", 0));
        }
        spec.grid.check()?;
        spec.options.check()?;
        let noise = match spec.likelihood.as_str() {
            noise::GAUSSIAN => None,
            name => Some(self.catalogue.resolve(name)?),
        };
        if noise.is_some() {
            noise::refuse_unused(spec)?;
        }
        Ok((self.catalogue.resolve(&spec.prior)?, noise))
    }
}

/// Queue and worker, whatever the worker does to a job.
struct Pool {
    queue: Arc<Queue>,
    worker: Option<JoinHandle<()>>,
}

impl Pool {
    /// Starts the CPU worker; `make` builds its runner on the worker's thread.
    fn start<R: Runner + 'static>(
        capacity: usize,
        max_batch: usize,
        make: impl FnOnce() -> R + Send + 'static,
    ) -> Result<Self, PosteriorError> {
        let queue = Arc::new(Queue::new(capacity));
        let worker = std::thread::Builder::new().name("pellucid-cpu".into()).spawn({
            let queue = queue.clone();
            // What a job does is guarded where it is done. Whatever else ends the thread must not
            // leave its jobs waiting for ever.
            move || {
                let work = || Worker::new(queue.clone(), make(), max_batch, -1).run();
                if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
                    queue.abandon(worker::panic_message(&*payload));
                }
            }
        });
        let worker = worker.map_err(|e| PosteriorError::Device {
            device: "cpu".into(),
            reason: format!("no thread can be started: {e}"),
        })?;
        Ok(Self { queue, worker: Some(worker) })
    }

    fn submit(&self, spec: JobSpec, key: BatchKey) -> Result<Job, PosteriorError> {
        let ticket = Arc::new(Ticket::new(spec));
        self.queue.push(ticket.clone(), key)?;
        Ok(Job(ticket))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.close();
        let worker = self.worker.take();
        // It catches its panics.
        worker.map(JoinHandle::join);
    }
}

#[cfg(test)]
mod end_to_end;
#[cfg(test)]
mod tests;
