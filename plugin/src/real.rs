//! The posterior engine behind the boundary's traits.

use std::sync::Arc;
use std::time::Duration;

use ::pellucid_exposure::{Exposure, ModelGrid};
use ndarray::{Array2, Array4};
use pellucid_posterior::{PosteriorError, pool};
use serde_json::Value;

use crate::BoundaryError;
use crate::engine::{Device, Engine, Job, JobSpec, JobState, Memory, Posterior, Progress, Result};

/// The engine of the shipped plugin.
pub struct TorchEngine(pool::Engine);

impl Engine for TorchEngine {
    type Config = pool::EngineConfig;
    type Options = pool::Options;
    type Job = pool::Job;
    const VERSION: &'static std::ffi::CStr = match std::ffi::CStr::from_bytes_with_nul(
        concat!("pellucid ", env!("CARGO_PKG_VERSION"), " (engine: libtorch)\0").as_bytes(),
    ) {
        Ok(version) => version,
        Err(_) => panic!("the text ends with its only NUL"),
    };

    fn devices() -> Vec<Device> {
        let device = |device: pool::DeviceInfo| Device {
            cuda: device.kind == pool::DeviceKind::Cuda,
            index: device.index,
            name: device.name,
            memory_total: device.mem_total,
            memory_free: device.mem_free,
        };
        pool::devices().into_iter().map(device).collect()
    }

    fn create(config: pool::EngineConfig) -> Result<Self> {
        Ok(Self(pool::Engine::create(config)?))
    }

    fn models(&self) -> Result<Value> {
        json("the list of models", &self.0.models())
    }

    fn memory(&self) -> Result<Memory> {
        let used = self.0.memory();
        Ok(Memory {
            host_now: used.host_now,
            host_peak: used.host_peak,
            device_now: used.device_now,
            device_peak: used.device_peak,
            results_held: used.results_held,
        })
    }

    fn estimate(&self, spec: &JobSpec<pool::Options>) -> Result<Memory> {
        let need = self.0.estimate(&specification(spec, None))?;
        Ok(Memory {
            host_peak: need.host_bytes,
            device_peak: need.device_bytes,
            results_held: need.result_bytes,
            ..Memory::default()
        })
    }

    fn submit(&self, mut spec: JobSpec<pool::Options>) -> Result<pool::Job> {
        let on_state = spec.on_state.take().map(|on_state| -> pool::OnState {
            Box::new(move |state_now| on_state(state(state_now)))
        });
        Ok(self.0.submit(specification(&spec, on_state))?)
    }

    fn predict(
        &self,
        exposures: &[Arc<Exposure>],
        grid: &ModelGrid,
        model: &Array2<f32>,
    ) -> Result<Vec<Array2<f32>>> {
        Ok(self.0.predict(exposures, grid, model)?)
    }
}

impl Job for pool::Job {
    type Posterior = pool::Posterior;

    fn progress(&self) -> Progress {
        let now = pool::Job::progress(self);
        Progress {
            state: state(now.state),
            step: now.step,
            n_steps: now.n_steps,
            samples_done: now.samples_done,
            device: now.device,
            fraction: now.fraction,
            eta_s: now.eta_s,
        }
    }

    fn wait(&self, timeout: Duration) -> Result<JobState> {
        match pool::Job::wait(self, Some(timeout)) {
            Ok(final_state) => Ok(state(final_state)),
            Err(PosteriorError::Timeout { .. }) => Ok(state(pool::Job::progress(self).state)),
            Err(error) => Err(error.into()),
        }
    }

    fn cancel(&self) {
        pool::Job::cancel(self);
    }

    fn result(&self) -> Result<Arc<pool::Posterior>> {
        Ok(pool::Job::result(self)?)
    }
}

impl Posterior for pool::Posterior {
    fn samples(&self) -> &Array4<f32> {
        &self.samples
    }

    fn sample_errors(&self) -> &[Option<String>] {
        &self.sample_errors
    }

    fn grid(&self) -> &ModelGrid {
        &self.grid
    }

    fn exposures(&self) -> &[Arc<Exposure>] {
        &self.exposures
    }

    fn diagnostics(&self) -> Result<Value> {
        json("the diagnostics", &self.diagnostics)
    }

    fn provenance(&self) -> Value {
        self.provenance.clone()
    }

    fn residual(&self, sample: Option<usize>, exposure: usize) -> Result<Array2<f32>> {
        Ok(pool::Posterior::residual(self, sample, exposure)?)
    }
}

fn specification(spec: &JobSpec<pool::Options>, on_state: Option<pool::OnState>) -> pool::JobSpec {
    pool::JobSpec {
        exposures: spec.exposures.clone(),
        grid: spec.grid.clone(),
        prior: spec.prior.clone(),
        likelihood: spec.likelihood.clone(),
        options: spec.options.clone(),
        n_samples: spec.n_samples,
        seed: spec.seed,
        priority: spec.priority,
        on_state,
    }
}

fn state(state: pool::JobState) -> JobState {
    match state {
        pool::JobState::Queued => JobState::Queued,
        pool::JobState::Running => JobState::Running,
        pool::JobState::Done => JobState::Done,
        pool::JobState::Failed => JobState::Failed,
        pool::JobState::Cancelled => JobState::Cancelled,
    }
}

fn json(what: &'static str, value: &impl serde::Serialize) -> Result<Value> {
    Ok(serde_json::to_value(value).map_err(|source| BoundaryError::Json { what, source })?)
}
