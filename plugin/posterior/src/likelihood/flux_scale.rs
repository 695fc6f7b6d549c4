//! How bright is one network unit? A rule on the data, used when the caller does not say.

use std::sync::Arc;

use pellucid_exposure::{Exposure, Geometry, ModelGrid};

use crate::error::PosteriorError;
use crate::score::Denoiser;

/// Largest factor by which the estimate may leave the scale the prior was trained at.
const MAX_FACTOR: f64 = 1e4;

/// flux_scale (e-/s) at which the galaxy's summed flux equals that of the prior's mean image.
///
/// The total over the model's footprint is the mean of the used pixels, weighted by inverse
/// variance where they overlap, times the number of model pixels; flux_scale is its ratio to the
/// sum of the prior's mean image. The total must stand three standard errors above zero;
/// otherwise that bound is used, so that noise cannot set the scale. A prior with a vanishing mean
/// (a test field) has scale 1.
///
/// # Errors
/// [`PosteriorError::Exposure`] from the geometry.
pub fn estimate_flux_scale(
    exposures: &[Arc<Exposure>],
    grid: &ModelGrid,
    denoiser: &dyn Denoiser,
) -> Result<f64, PosteriorError> {
    let expected = denoiser.mean().sum(tch::Kind::Double).double_value(&[]);
    if expected.abs() < 1e-9 {
        return Ok(1.0);
    }
    let (mut total, mut weight) = (0.0, 0.0);
    for exposure in exposures {
        let used = Geometry::new(exposure, grid)?.used;
        let nx = exposure.pixels.dim().1;
        let pixel = |i: &usize| (i / nx, i % nx);
        let mean = used.iter().map(|i| exposure.pixels[pixel(i)]).sum::<f64>() / used.len() as f64;
        let variance = used.iter().map(|i| exposure.variance[pixel(i)]).sum::<f64>()
            / (used.len() as f64).powi(2);
        total += mean / variance;
        weight += 1.0 / variance;
    }
    let error = weight.sqrt().recip();
    let mean = (total / weight).max(3.0 * error);
    let scale = mean * (grid.ny * grid.nx) as f64 / expected;
    Ok(scale.abs().clamp(1.0 / MAX_FACTOR, MAX_FACTOR))
}
