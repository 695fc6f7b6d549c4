//! The likelihood of a job: Gaussian noise, or a noise model by name.

use std::rc::Rc;

use pellucid_exposure::FluxConvention;
use tch::Device;

use super::job::JobSpec;
use super::options::Sampler;
use crate::error::PosteriorError;
use crate::likelihood::{
    GaussianLikelihood, Likelihood, SlicLikelihood, estimate_flux_scale, robust_flux_scale,
};
use crate::score::model_file::PriorModel;
use crate::score::noise::file::{NoiseDoubts, NoiseModel, NoiseUse};
use crate::score::noise::stationary::Autocovariance;

/// [`JobSpec::likelihood`] of noise with the exposures' own variances.
pub(super) const GAUSSIAN: &str = "gaussian";

/// The likelihood of a job, with the noise model's metadata and hash for its provenance.
///
/// # Errors
/// Of the likelihoods.
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
/// `convolved` for every level of the prior. A mismatch that the options accept is logged. For each exposure
/// what else is to be doubted.
///
/// # Errors
/// [`PosteriorError::Config`] naming the difference, or an exposure time too many or too few.
pub(super) fn check(
    spec: &JobSpec,
    noise: &NoiseModel,
    model: &PriorModel,
    flux_scale: f64,
) -> Result<Vec<NoiseDoubts>, PosteriorError> {
    let (times, count) = (&spec.options.exposure_times_s, spec.exposures.len());
    if !times.is_empty() && times.len() != count {
        return Err(PosteriorError::config("exposure_times_s", count, times.len()));
    }
    let largest_level_e_per_s = match spec.options.sampler {
        Sampler::Convolved => model.metadata.sde.noise_range()[1] * flux_scale,
        Sampler::Calibrated | Sampler::Smc => 0.0,
    };
    let half = noise.forward.lags().size()[0] as usize / 2;
    let mut doubts = Vec::with_capacity(count);
    for (k, exposure) in spec.exposures.iter().enumerate() {
        let flux_convention = match exposure.flux_convention {
            FluxConvention::SurfaceBrightness => "surface_brightness",
            FluxConvention::PerPixel => "per_pixel",
        };
        let fits = noise.check(&NoiseUse {
            instrument: spec.options.instrument.as_deref(),
            filter: spec.options.filter.as_deref(),
            pixel_scale_arcsec: exposure.pixel_scale_arcsec()?,
            unit: "e-/s",
            flux_convention,
            exposure_time_s: times.get(k).copied(),
            forward: &Autocovariance::forward(exposure, &spec.grid, half)?,
            largest_level_e_per_s,
        });
        match fits {
            Err(error) if spec.options.accept_noise_mismatch => {
                log::warn!("exposure {}: {error}; used as the options say", exposure.id);
                doubts.push(NoiseDoubts::default());
            }
            fits => doubts.push(fits?),
        }
        if doubts[k].exposure_time {
            log::warn!(
                "exposure {}: {} s are outside of the exposure times that noise model {} was trained for",
                exposure.id,
                times[k],
                spec.likelihood
            );
        }
    }
    Ok(doubts)
}
