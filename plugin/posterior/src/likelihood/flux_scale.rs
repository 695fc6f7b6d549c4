//! How bright is one network unit? A rule on the data, used when the caller does not say.

use std::collections::HashSet;
use std::sync::Arc;

use pellucid_exposure::{Exposure, Geometry, ModelGrid};
use tch::{Device, Kind, Tensor};

use super::gaussian::{MAX_OPERATOR_BYTES, matrix};
use super::robust::{light, sharp};
use crate::error::PosteriorError;
use crate::forward_model::ForwardModel;
use crate::score::Denoiser;

/// Residuals beyond this many core sigma, and this share of the fitted light, do not count as light: the
/// fit of a bright core is not as good as its signal-to-noise.
const CLIP: (f64, f64) = (5.0, 0.3);

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
    let mut sums = Sums::default();
    for ((exposure, operator), model) in exposures.iter().zip(forward.exposures()).zip(&expected) {
        let model = Vec::<f64>::try_from(operator.mask(model).flatten(0, -1))?;
        let nx = exposure.pixels.ncols();
        let places = || operator.used().iter().map(|i| (i / nx, i % nx));
        let variance: f64 = places().map(|p| exposure.variance[p]).sum();
        let observed = places().map(|p| exposure.pixels[p]).sum();
        sums.add(model.len(), observed, model.iter().sum(), variance);
    }
    Ok(sums.scale())
}

/// As [`estimate_flux_scale`], where pixels may hold cosmic rays or be hot: with the noise's core
/// sigma, e-/s, for each exposure in place of its variance.
///
/// Pixels that are [`sharp`]er than the PSF allows are left out with their neighbours, and non-negative light x is
/// fitted to the others of all exposures under a heavy-tailed loss ([`light`]). Where y was left out or lies more
/// than five core sigma and 30 % from A x, and beside such pixels, A x takes its place in the sum. So a bright galaxy keeps
/// its flux even where it is called an outlier, and a ray loses its own.
///
/// # Errors
/// As [`estimate_flux_scale`]; [`PosteriorError::Unsupported`] when the operator would not fit in memory.
///
/// # Accuracy
/// Against the estimate from the same exposures without rays: `tests/flux_scale.rs`.
pub fn robust_flux_scale(
    exposures: &[Arc<Exposure>],
    grid: &ModelGrid,
    denoiser: &dyn Denoiser,
    core_sigma_e_per_s: &[f64],
) -> Result<f64, PosteriorError> {
    let n = grid.ny * grid.nx;
    let mean = denoiser.mean().to_device(Device::Cpu).to_kind(Kind::Float).reshape([-1]);
    let (mut rows, mut values, mut shapes) = (Vec::new(), Vec::<f32>::new(), Vec::new());
    let mut suspect = Vec::new();
    for (exposure, sigma) in exposures.iter().zip(core_sigma_e_per_s) {
        let geometry = Geometry::new(exposure, grid)?;
        let (used, nx, start) = (&geometry.used, geometry.nx, values.len());
        let pixels = start + used.len();
        if pixels * n * 4 > MAX_OPERATOR_BYTES {
            let what = format!("a problem of {pixels} pixels on {n} model pixels");
            return Err(PosteriorError::Unsupported { what });
        }
        values.extend(used.iter().map(|i| (exposure.pixels[[i / nx, i % nx]] / sigma) as f32));
        let a = matrix(&geometry.dense(&exposure.psf)) / *sigma;
        suspect.extend(grown(&sharp(&a, &values[start..], used, nx)?, used, nx));
        rows.push(a);
        shapes.push((geometry.used, nx));
    }
    let (a, y) = (Tensor::cat(&rows, 0), Tensor::from_slice(&values));
    drop(rows);
    let suspect = Tensor::from_slice(&suspect);
    let fitted = a.mv(&light(&a, &y, &suspect.logical_not().to_kind(Kind::Float)));
    let limit = &fitted * CLIP.1 + CLIP.0;
    let outlier = (&y - &fitted).abs().gt_tensor(&limit).logical_or(&suspect);
    let expected = a.mv(&mean);
    let (mut sums, mut at) = (Sums::default(), 0);
    for ((used, nx), sigma) in shapes.iter().zip(core_sigma_e_per_s) {
        let part = |t: &Tensor| t.narrow(0, at, used.len() as i64);
        let near = grown(&Vec::<bool>::try_from(part(&outlier))?, used, *nx);
        let seen = part(&fitted).where_self(&Tensor::from_slice(&near), &part(&y));
        let sum = |t: Tensor| sigma * t.sum(Kind::Double).double_value(&[]);
        let variance = used.len() as f64 * sigma * sigma;
        sums.add(used.len(), sum(seen), sum(part(&expected)), variance);
        at += used.len() as i64;
    }
    Ok(sums.scale())
}

/// Which of the used pixels are outliers or one of the eight neighbours of one.
fn grown(outlier: &[bool], used: &[usize], nx: usize) -> Vec<bool> {
    let hit: HashSet<(usize, usize)> =
        used.iter().zip(outlier).filter(|(_, hit)| **hit).map(|(i, _)| (i / nx, i % nx)).collect();
    let near = |i: &usize| {
        let (y, x) = (i / nx, i % nx);
        (y.saturating_sub(1)..=y + 1)
            .any(|v| (x.saturating_sub(1)..=x + 1).any(|u| hit.contains(&(v, u))))
    };
    used.iter().map(near).collect()
}

/// Weighted sums over the exposures.
#[derive(Default)]
struct Sums {
    observed: f64,
    predicted: f64,
    error2: f64,
    weights: f64,
}

impl Sums {
    /// An exposure's `count` pixels: sums of the data, of A m and of the variance.
    fn add(&mut self, count: usize, observed: f64, predicted: f64, variance: f64) {
        let weight = count as f64 / variance;
        self.observed += weight * observed;
        self.predicted += weight * predicted;
        self.error2 += weight * weight * variance;
        self.weights += weight * count as f64;
    }

    fn scale(&self) -> f64 {
        match self.predicted.abs() {
            unseen if unseen < 1e-9 * self.weights => 1.0,
            seen => self.observed.max(3.0 * self.error2.sqrt()) / seen,
        }
    }
}
