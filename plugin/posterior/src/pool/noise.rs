//! The likelihood of a job: Gaussian noise, or a noise model by name.

use std::rc::Rc;

use tch::Device;

use super::job::JobSpec;
use super::options::Sampler;
use crate::error::PosteriorError;
use crate::likelihood::{
    GaussianLikelihood, Likelihood, SlicLikelihood, estimate_flux_scale, robust_flux_scale,
};
use crate::score::model_file::PriorModel;
use crate::score::noise::file::{NoiseModel, NoiseUse};
use crate::score::noise::stationary::Autocovariance;

/// [`JobSpec::likelihood`] of noise with the exposures' own variances.
pub(super) const GAUSSIAN: &str = "gaussian";

/// The likelihood of a job, with the noise model's metadata and hash for its provenance.
///
/// # Errors
/// Of the likelihoods; [`PosteriorError::Config`] for a noise model that is not for these exposures.
pub(super) fn likelihood(
    spec: &JobSpec,
    noise: Option<&NoiseModel>,
    model: &PriorModel,
    flux_scale: f64,
    device: Device,
) -> Result<(Likelihood, serde_json::Value), PosteriorError> {
    let (exposures, grid, denoiser) = (&spec.exposures, &spec.grid, &*model.denoiser);
    let Some(noise) = noise else {
        let built = GaussianLikelihood::new(exposures, grid, denoiser, flux_scale, device)?;
        return Ok((Rc::new(built).into(), GAUSSIAN.into()));
    };
    check(spec, noise, model, flux_scale)?;
    let said = serde_json::json!({
        "name": spec.likelihood, "sha256": noise.sha256, "licence": noise.metadata.licence,
    });
    let scores = vec![noise.net.clone(); exposures.len()];
    let built = SlicLikelihood::new(exposures, grid, denoiser, &scores, flux_scale, device)?;
    Ok((Rc::new(built).into(), said))
}

/// The flux scale of a job that does not say it: see [`estimate_flux_scale`] and [`robust_flux_scale`].
///
/// # Errors
/// Of these.
pub(super) fn flux_scale(
    spec: &JobSpec,
    noise: Option<&NoiseModel>,
    model: &PriorModel,
) -> Result<f64, PosteriorError> {
    let (exposures, grid, denoiser) = (&spec.exposures, &spec.grid, &*model.denoiser);
    match noise {
        None => estimate_flux_scale(exposures, grid, denoiser),
        Some(noise) => {
            let core_sigma = vec![noise.net.core_sigma(); exposures.len()];
            robust_flux_scale(exposures, grid, denoiser, &core_sigma)
        }
    }
}

/// Whether the noise model is for each of the exposures. `calibrated` asks for the noise as it is,
/// `convolved` for every level of the prior. A mismatch that the options accept is logged.
fn check(
    spec: &JobSpec,
    noise: &NoiseModel,
    model: &PriorModel,
    flux_scale: f64,
) -> Result<(), PosteriorError> {
    let largest_level_e_per_s = match spec.options.sampler {
        Sampler::Convolved => model.metadata.sde.noise_range()[1] * flux_scale,
        Sampler::Calibrated | Sampler::Smc => 0.0,
    };
    let half = noise.forward.lags().size()[0] as usize / 2;
    for exposure in &spec.exposures {
        let fits = noise.check(&NoiseUse {
            instrument: spec.options.instrument.as_deref(),
            filter: spec.options.filter.as_deref(),
            pixel_scale_arcsec: exposure.pixel_scale_arcsec()?,
            unit: "e-/s",
            forward: &Autocovariance::forward(exposure, &spec.grid, half)?,
            largest_level_e_per_s,
        });
        match fits {
            Err(error) if spec.options.accept_noise_mismatch => {
                log::warn!("exposure {}: {error}; used as the options say", exposure.id);
            }
            fits => fits?,
        }
    }
    Ok(())
}
