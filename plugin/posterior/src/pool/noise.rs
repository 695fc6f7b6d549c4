//! The likelihood of a job: Gaussian noise, or a noise model by name.

use std::rc::Rc;

use pellucid_exposure::{Exposure, FluxConvention};
use tch::Device;

use super::job::JobSpec;
use super::options::Sampler;
use crate::error::PosteriorError;
use crate::likelihood::{
    GaussianLikelihood, Likelihood, SlicLikelihood, estimate_flux_scale, robust_flux_scale,
};
use crate::score::model_file::PriorModel;
use crate::score::noise::file::{ERROR_TOLERANCE, NoiseDoubts, NoiseModel, NoiseUse};
use crate::score::noise::rows::ForwardRows;

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
/// `convolved` for every level of the prior. A mismatch that the options accept is logged and a doubt. For each exposure
/// what is to be doubted.
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
        let faint_error = faint_error(exposure);
        let fits = noise.check(&NoiseUse {
            instrument: spec.options.instrument.as_deref(),
            detector: spec.options.detector.as_deref(),
            filter: spec.options.filter.as_deref(),
            pixel_scale_arcsec: exposure.pixel_scale_arcsec()?,
            unit: "e-/s",
            flux_convention,
            exposure_time_s: times.get(k).copied(),
            faint_error_e_per_s: faint_error,
            forward: &ForwardRows::new(exposure, &spec.grid, half)?,
            largest_level_e_per_s,
        });
        let (id, name) = (&exposure.id, &spec.likelihood);
        let found = match fits {
            Err(error) if spec.options.accept_noise_mismatch => {
                log::warn!("exposure {id}: {error}; used as the options say");
                NoiseDoubts { accepted_mismatch: true, ..NoiseDoubts::default() }
            }
            fits => fits?,
        };
        if found.exposure_time {
            log::warn!(
                "exposure {id}: {} s are outside of the exposure times that noise model {name} was trained for",
                times[k]
            );
        }
        if found.error_level {
            log::warn!(
                "exposure {id}: the errors of its faint pixels are {:.3e} e-/s, the noise that noise model {name} was trained on has {:.3e}: more than {ERROR_TOLERANCE} times apart",
                faint_error.unwrap_or(f64::NAN),
                noise.metadata.core_sigma_e_per_s
            );
        }
        if found.forward_unseen {
            let (ny, nx) = exposure.pixels.dim();
            log::warn!(
                "exposure {id}: its PSF and pixel scale cannot be compared with those of noise model {name}: too few of its {ny} x {nx} pixels see nothing but the model",
            );
        }
        doubts.push(found);
    }
    Ok(doubts)
}

/// Lower quartile of the standard deviations of the good pixels, e-/s: those of the sky, where light adds no photon noise.
fn faint_error(exposure: &Exposure) -> Option<f64> {
    let pairs = exposure.variance.iter().zip(&exposure.good);
    let mut variances: Vec<f64> = pairs.filter(|(_, good)| **good).map(|(v, _)| *v).collect();
    let quarter = variances.len() / 4;
    (!variances.is_empty())
        .then(|| variances.select_nth_unstable_by(quarter, f64::total_cmp).1.sqrt())
}

/// Refuses what a job with a noise model has no use for, and would record as if it had.
///
/// # Errors
/// [`PosteriorError::Config`] naming it.
pub(super) fn refuse_unused(spec: &JobSpec) -> Result<(), PosteriorError> {
    let name = &spec.likelihood;
    let o = &spec.options;
    for (what, given) in [("sweeps", o.sweeps), ("sweep_steps", o.sweep_steps)] {
        if let Some(got) = given {
            let need = format!("none with noise model {name}, which samples by trajectories");
            return Err(PosteriorError::config(what, need, got));
        }
    }
    if let Some(one) = spec.exposures.iter().find(|e| e.noise_correlation.is_some()) {
        let what = format!("noise correlation of exposure {}", one.id);
        let need = format!("none with noise model {name}, which has its own");
        return Err(PosteriorError::config(what, need, "one"));
    }
    Ok(())
}
