//! How bright is one network unit? A rule on the data, used when the caller does not say.

use std::sync::Arc;

use pellucid_exposure::{Exposure, ModelGrid};
use tch::{Device, Kind};

use crate::error::PosteriorError;
use crate::forward_model::ForwardModel;
use crate::score::Denoiser;

/// flux_scale (unit of the exposures) at which the galaxy is as bright as the prior's mean image m:
/// sum y / sum (A m), both over the used pixels, so that masks, cut-outs and chip edges cancel.
///
/// Exposures are weighted by their inverse mean variance. The sum must stand three standard errors above zero;
/// otherwise that bound is used, so that noise cannot set the scale. A prior with a vanishing mean
/// (a test field), or whose mean the used pixels do not see, has scale 1.
///
/// # Errors
/// [`PosteriorError::Exposure`] from the geometry.
pub fn estimate_flux_scale(
    exposures: &[Arc<Exposure>],
    grid: &ModelGrid,
    denoiser: &dyn Denoiser,
) -> Result<f64, PosteriorError> {
    let mean = denoiser.mean().to_device(Device::Cpu);
    let shape = [1, 1, grid.ny as i64, grid.nx as i64];
    let forward = ForwardModel::new(exposures, grid, Kind::Double, Device::Cpu)?;
    let expected = forward.apply(&mean.to_kind(Kind::Double).reshape(shape))?;
    let (mut observed, mut predicted, mut error2, mut weights) = (0f64, 0f64, 0f64, 0f64);
    for ((exposure, operator), model) in exposures.iter().zip(forward.exposures()).zip(&expected) {
        let model = Vec::<f64>::try_from(operator.mask(model).flatten(0, -1))?;
        let nx = exposure.pixels.ncols();
        let places = || operator.used().iter().map(|i| (i / nx, i % nx));
        let variance: f64 = places().map(|p| exposure.variance[p]).sum();
        let weight = model.len() as f64 / variance;
        observed += weight * places().map(|p| exposure.pixels[p]).sum::<f64>();
        predicted += weight * model.iter().sum::<f64>();
        error2 += weight * weight * variance;
        weights += weight * model.len() as f64;
    }
    if predicted.abs() < 1e-9 * weights {
        return Ok(1.0);
    }
    Ok(observed.max(3.0 * error2.sqrt()) / predicted.abs())
}
