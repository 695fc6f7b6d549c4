//! Stamps to the plugin, and a job of them.

use serde_json::{Map, Value};

use super::read::Cut;
use super::{GAUSSIAN, Target};
use crate::error::Result;
use crate::input::InstrumentNames;
use crate::session::{Engine, Exposure, Job, JobBuilder};

/// A target whose exposures the plugin has.
pub struct Ready {
    pub(super) cut: Cut,
    pub(super) exposures: Vec<Exposure>,
}

/// A target at work.
pub struct Submitted {
    pub(super) ready: Ready,
    pub(super) job: Job,
}

impl Target {
    /// The options of its job.
    pub(super) fn job_options(
        &self,
        names: &InstrumentNames,
        exposure_times_s: &[f64],
    ) -> Map<String, Value> {
        let mut options = Map::new();
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                options.insert(key.into(), value);
            }
        };
        set("sampler", self.sampler.clone().map(Value::from));
        set("steps", self.steps.map(Value::from));
        set("sweeps", self.sweeps.map(Value::from));
        set("trajectories", self.trajectories.map(Value::from));
        set("leapfrog_steps", self.leapfrog_steps.map(Value::from));
        set("precision", self.precision.clone().map(Value::from));
        set("flux_scale", self.flux_scale.map(Value::from));
        if self.noise != GAUSSIAN {
            set("instrument", names.instrument.clone().map(Value::from));
            set("filter", names.filter.clone().map(Value::from));
            let times = (!exposure_times_s.is_empty()).then(|| exposure_times_s.into());
            set("exposure_times_s", times);
            set("accept_noise_mismatch", self.accept_noise_mismatch.then_some(true.into()));
        }
        options
    }
}

impl Cut {
    /// Which of the PSFs belongs to exposure `k`.
    pub(super) fn psf_index(&self, k: usize) -> usize {
        if self.psfs.len() == 1 { 0 } else { k }
    }

    /// Gives pixels and PSFs to the plugin.
    ///
    /// # Errors
    /// [`HostError::Plugin`](crate::HostError::Plugin), naming the stamp and the pixel.
    pub fn hand_over(self, engine: &Engine) -> Result<Ready> {
        let kernels: Result<Vec<_>> = self
            .psfs
            .iter()
            .map(|psf| engine.psf(psf.kernel.view(), psf.oversample, psf.pixel_integrated))
            .collect();
        let kernels = kernels?;
        let correlation = self.correlation.as_ref().map(|c| &c.correlation);
        let exposures: Result<Vec<_>> = self
            .exposures
            .iter()
            .enumerate()
            .map(|(k, part)| {
                part.stamp.to_exposure(engine, &kernels[self.psf_index(k)], correlation)
            })
            .collect();
        Ok(Ready { exposures: exposures?, cut: self })
    }
}

impl Ready {
    /// Its job.
    pub fn job(&self) -> JobBuilder<'_> {
        let target = &self.cut.target;
        JobBuilder {
            exposures: self.exposures.iter().collect(),
            grid: self.cut.grid,
            samples: target.samples,
            seed: target.seed,
            prior: target.prior.clone(),
            likelihood: target.noise.clone(),
            options: self.cut.options.clone(),
            priority: 0,
        }
    }

    /// Queues the job.
    ///
    /// # Errors
    /// Those of [`Engine::submit`].
    pub fn submit(self, engine: &Engine) -> Result<Submitted> {
        let job = engine.submit(&self.job())?;
        Ok(Submitted { ready: self, job })
    }
}

impl Submitted {
    /// Its job, to wait for.
    pub fn job(&self) -> &Job {
        &self.job
    }
}
