//! Jobs and their progress.

use std::mem::size_of;
use std::sync::Arc;

use ::pellucid_exposure::{Exposure, ModelGrid};
use pellucid_ffi::*;
use serde::de::DeserializeOwned;

use super::{from_keys, keys, side, within};
use crate::engine::{JobSpec, Progress};
use crate::limits::MAX_SAMPLES;
use crate::status::Failure;

/// The texts of a description.
pub(crate) struct Texts {
    pub(crate) prior: String,
    pub(crate) likelihood: Option<String>,
    pub(crate) options: Option<String>,
}

/// What to sample.
pub(crate) fn spec<O: DeserializeOwned + Default>(
    desc: &pellucid_job_desc,
    texts: Texts,
    exposures: Vec<Arc<Exposure>>,
) -> Result<JobSpec<O>, Failure> {
    let size = (side(desc.out_ny, "out_ny")?, side(desc.out_nx, "out_nx")?);
    within(desc.n_samples, 1, MAX_SAMPLES, "n_samples", "1 to 1000000")?;
    let options = match texts.options.as_deref() {
        None => O::default(),
        Some(json) => from_keys(keys(json, "options_json")?, "options_json")?,
    };
    Ok(JobSpec {
        exposures,
        grid: grid(size, desc.ra, desc.dec, desc.pixscale)?,
        prior: texts.prior,
        likelihood: texts.likelihood.unwrap_or_else(|| "gaussian".into()),
        options,
        n_samples: desc.n_samples as usize,
        seed: desc.seed,
        priority: desc.priority,
        on_state: None,
    })
}

/// The model grid of `(ny, nx)` pixels around a position.
pub(crate) fn grid(
    (ny, nx): (usize, usize),
    ra: f64,
    dec: f64,
    pixscale: f64,
) -> Result<ModelGrid, Failure> {
    Ok(ModelGrid::new(ny, nx, ra, dec, pixscale)?)
}

/// Progress as C sees it.
pub(crate) fn progress(progress: &Progress) -> pellucid_progress {
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    pellucid_progress {
        struct_size: size_of::<pellucid_progress>() as u32,
        state: progress.state as i32,
        step: count(progress.step),
        n_steps: count(progress.n_steps),
        samples_done: count(progress.samples_done),
        device: progress.device,
        fraction: progress.fraction,
        eta_s: progress.eta_s,
    }
}
