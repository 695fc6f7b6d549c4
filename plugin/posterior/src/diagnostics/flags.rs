//! When prior, model grid and data do not go together.

use super::statistics::median;
use ndarray::ArrayView2;
use serde::Serialize;

/// chi^2/dof outside of this range is suspicious, if it is also significant.
pub const CHI2_RANGE: [f64; 2] = [0.8, 1.25];
/// How many standard errors make a deviation significant.
pub const SIGNIFICANCE: f64 = 5.0;
/// More of the flux than this in the border ring: the grid is too small or the sky is not zero.
pub const EDGE_FLUX_LIMIT: f64 = 0.05;

/// Reasons to distrust a posterior. Each rests on the median over the samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flags {
    /// chi^2/dof lies outside of [`CHI2_RANGE`] and chi^2 more than [`SIGNIFICANCE`] standard
    /// deviations, sqrt(2 dof), from dof: wrong noise level, PSF, WCS or prior.
    pub chi2: bool,
    /// The residuals' lag-one correlation is significant: structure is left, or noise fitted.
    pub whiteness: bool,
    /// [`edge_flux_fraction`] exceeds [`EDGE_FLUX_LIMIT`].
    pub edge_flux: bool,
    /// The residuals do not look like the noise that the noise model was trained on
    /// ([`NoiseCheck`](super::NoiseCheck)); takes the place of `chi2` and `whiteness`. Or the exposure's errors are
    /// others than that noise's, or it is a model for something else that the job accepted.
    pub noise_mismatch: bool,
    /// The noise model does not say what its noise looks like: the residuals were not checked against it; or the exposure
    /// does not show whether its PSF is the noise model's. No mismatch by itself.
    pub noise_unchecked: bool,
    /// The exposure time lies outside of the noise model's training.
    pub exposure_time: bool,
    /// Any of the others, `noise_unchecked` aside: prior, noise model and data do not match.
    pub mismatch: bool,
}

impl Flags {
    pub(super) fn of_exposure(chi2: &[f64], dof: usize, lags: &[f64], lag_se: f64) -> Self {
        let (chi2, dof) = (median(chi2), dof as f64);
        let significant = (chi2 - dof).abs() > SIGNIFICANCE * (2.0 * dof).sqrt();
        let outside = chi2 / dof < CHI2_RANGE[0] || chi2 / dof > CHI2_RANGE[1];
        let whiteness = median(lags).abs() > SIGNIFICANCE * lag_se;
        Self { chi2: significant && outside, whiteness, ..Self::default() }.summed()
    }

    pub(super) fn of_samples(edge: &[f64]) -> Self {
        Self { edge_flux: median(edge) > EDGE_FLUX_LIMIT, ..Self::default() }.summed()
    }

    pub(super) fn and(self, others: impl Iterator<Item = Self>) -> Self {
        others.fold(self, |a, b| {
            Self {
                chi2: a.chi2 | b.chi2,
                whiteness: a.whiteness | b.whiteness,
                edge_flux: a.edge_flux | b.edge_flux,
                noise_mismatch: a.noise_mismatch | b.noise_mismatch,
                noise_unchecked: a.noise_unchecked | b.noise_unchecked,
                exposure_time: a.exposure_time | b.exposure_time,
                mismatch: false,
            }
            .summed()
        })
    }

    pub(super) fn summed(self) -> Self {
        let fit = self.chi2 | self.whiteness | self.noise_mismatch;
        Self { mismatch: fit | self.edge_flux | self.exposure_time, ..self }
    }
}

/// Width of the border ring: 1/32 of the shorter side, rounded up, in model pixels.
pub fn edge_ring_width(shape: (usize, usize)) -> usize {
    shape.0.min(shape.1).div_ceil(32)
}

/// Flux in the border ring over total flux; NaN when the total is not positive.
///
/// A constant sky of a 64 x 64 grid has 0.12; a galaxy well inside has almost nothing.
pub fn edge_flux_fraction(image: ArrayView2<'_, f32>) -> f64 {
    let (ny, nx) = image.dim();
    let w = edge_ring_width((ny, nx));
    let inside = |at: usize, n: usize| at >= w && at + w < n;
    let (mut total, mut ring) = (0.0, 0.0);
    for ((y, x), value) in image.indexed_iter() {
        total += f64::from(*value);
        if !(inside(y, ny) && inside(x, nx)) {
            ring += f64::from(*value);
        }
    }
    if total > 0.0 { ring / total } else { f64::NAN }
}
