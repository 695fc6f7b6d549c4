//! Does the posterior fit the data? Per exposure and sample: chi^2, whiteness of the residuals,
//! posterior-predictive p-value; per sample: flux at the model's edge; and flags.
//!
//! A sample x of the true posterior makes the residual y - A x a draw of the noise, averaged over
//! data: the pair (x, y) is then distributed as if x had been drawn from the prior and y from x.
//! So chi^2 of a *sample* has as many degrees of freedom as there are pixels; no parameters are
//! subtracted. The posterior *mean* fits better, see [`ExposureDiagnostics::chi2_mean_reduced`].
//!
//! References, cited by key:
//! - Moran 1950: Biometrika 37, 17
//! - Gelman 1996: Gelman, Meng & Stern, Statistica Sinica 6, 733
//! - Spiegelhalter 2002: J. R. Stat. Soc. B 64, 583

mod flags;
mod noise;
mod statistics;
mod whiten;

pub use flags::{
    CHI2_RANGE, EDGE_FLUX_LIMIT, Flags, SIGNIFICANCE, edge_flux_fraction, edge_ring_width,
};
pub use noise::{NoiseCheck, NoiseStatistic};
pub use statistics::{chi2_survival, lag_one, median};
pub use whiten::Whitener;

use crate::error::PosteriorError;
use ndarray::{Array2, Array3, ArrayView4, Axis};
use pellucid_exposure::Exposure;
use serde::Serialize;

/// The fit of all samples to one exposure. NaN (`null` in JSON) stands for a failed sample.
#[derive(Clone, Debug, Serialize)]
pub struct ExposureDiagnostics {
    /// The exposure's id.
    pub id: String,
    /// Degrees of freedom of a sample's chi^2: the number of used pixels.
    pub dof: usize,
    /// Per sample r^T S^-1 r, r = y - A x over the used pixels, S the noise covariance.
    pub chi2: Vec<f64>,
    /// Per sample [`lag_one`] of the whitened residuals, expected 0.
    pub whiteness: Vec<f64>,
    /// Its standard error for white residuals.
    pub whiteness_se: f64,
    /// Per sample P(chi^2_dof >= chi2): data replicated under the sample fit no better.
    pub p_values: Vec<f64>,
    /// Posterior-predictive p-value (Gelman 1996, eq. 7): mean of `p_values`; near 0 or 1 a misfit.
    pub ppp: f64,
    /// chi^2 of the mean of the samples.
    pub chi2_mean: f64,
    /// p_D = n/(n - 1) (mean of `chi2` - `chi2_mean`) (Spiegelhalter 2002, eq. 10, made unbiased
    /// for n samples): how many parameters the data constrain. NaN for a single sample.
    pub effective_parameters: f64,
    /// `chi2_mean` over its expectation, dof - (mean of `chi2` - `chi2_mean`); 1 for a good fit.
    pub chi2_mean_reduced: f64,
    /// The residuals against the noise model; None for Gaussian noise.
    pub noise: Option<NoiseCheck>,
    /// What is suspicious about this exposure.
    pub flags: Flags,
}

/// What the samples cost.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cost {
    /// Surface brightness (e-/s per data pixel) of one network unit.
    pub flux_scale: f64,
    /// Network evaluations of the batches in which this job's samples were drawn.
    pub network_evaluations: usize,
    /// Part of the sampling time spent in the network, 0 to 1.
    pub network_time_share: f64,
    /// Seconds of sampling, shared with the other jobs of the same batches.
    pub sampling_seconds: f64,
    /// Per sample, iterations of the conjugate gradients.
    pub cg_iterations: Vec<usize>,
    /// Per sample, iterations stopped because the network's Jacobian was not positive there.
    pub cg_breakdowns: Vec<usize>,
    /// Per sample, split-Gibbs sweeps after the guidance; 0 where the data are as sharp as the prior's smallest
    /// noise level or sharper (the last step is then conditioned on the data instead), or in the `convolved` mode.
    pub sweeps: Vec<usize>,
    /// Evaluations of noise models in those batches, one an exposure.
    pub noise_evaluations: usize,
    /// Part of the sampling time spent in them, 0 to 1.
    pub noise_time_share: f64,
    /// Per sample, Metropolis proposals after the step size was found; 0 without a noise model.
    pub proposals: Vec<usize>,
    /// Per sample, how many of them were accepted.
    pub accepted: Vec<usize>,
    /// Per sample, the step size that was found: the angle, radians, by which a leapfrog step turns about the Gaussian
    /// reference; NaN without trajectories.
    pub step_sizes: Vec<f64>,
}

/// Fit, flags and cost of a job.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnostics {
    /// In the order of the exposures.
    pub exposures: Vec<ExposureDiagnostics>,
    /// Per sample, flux in the border ring over total flux.
    pub edge_flux_fraction: Vec<f64>,
    /// Samples that failed.
    pub failed_samples: Vec<usize>,
    /// What is suspicious about any exposure or the samples.
    pub flags: Flags,
    /// What the samples cost.
    #[serde(flatten)]
    pub cost: Cost,
}

impl ExposureDiagnostics {
    /// Judges `models` [n + 1, ny, nx]: A x of the n samples, then of their mean, in the
    /// exposure's unit; `used` are the flat indices of the pixels of the likelihood, ascending.
    ///
    /// # Errors
    /// [`PosteriorError::Shape`]; [`PosteriorError::Numeric`] when the noise correlation is not
    /// positive definite over the used pixels.
    pub fn new(
        exposure: &Exposure,
        used: &[usize],
        models: &Array3<f32>,
    ) -> Result<Self, PosteriorError> {
        let (rows, ny, nx) = models.dim();
        if exposure.pixels.dim() != (ny, nx) || rows < 2 {
            return Err(PosteriorError::Shape {
                what: format!("models of exposure {}", exposure.id),
                need: format!("[n + 1, {}, {}]", exposure.pixels.nrows(), exposure.pixels.ncols()),
                got: format!("{:?}", models.dim()),
            });
        }
        let whitener = Whitener::new(exposure, used)?;
        let residuals: Vec<Array2<f64>> = models
            .axis_iter(Axis(0))
            .map(|model| &exposure.pixels - &model.mapv(f64::from))
            .collect();
        let white = whitener.whiten(&residuals)?;
        let chi2_of = |row: usize| white.row(row).iter().map(|w| w * w).sum::<f64>();

        let (n, dof) = (rows - 1, used.len());
        let chi2: Vec<f64> = (0..n).map(chi2_of).collect();
        let lags: Vec<_> =
            (0..n).map(|k| lag_one(&scatter(white.row(k).as_slice(), used, (ny, nx)))).collect();
        let p_values: Vec<f64> = chi2.iter().map(|c| chi2_survival(*c, dof)).collect();
        let mean = |values: &[f64]| {
            let good: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
            (good.iter().sum::<f64>() / good.len() as f64, good.len() as f64)
        };
        let chi2_mean = chi2_of(n);
        let (average, n_good) = mean(&chi2);
        let gain = average - chi2_mean;
        let whiteness: Vec<f64> = lags.iter().map(|lag| lag.0).collect();
        let whiteness_se = lags.first().map_or(f64::NAN, |lag| lag.1);
        let flags = Flags::of_exposure(&chi2, dof, &whiteness, whiteness_se);
        Ok(Self {
            id: exposure.id.clone(),
            dof,
            ppp: mean(&p_values).0,
            chi2,
            whiteness,
            whiteness_se,
            p_values,
            chi2_mean,
            effective_parameters: gain * n_good / (n_good - 1.0),
            chi2_mean_reduced: chi2_mean / (dof as f64 - gain),
            noise: None,
            flags,
        })
    }
}

impl Diagnostics {
    /// Puts the exposures together with the samples [n, 1, ny, nx] and their cost.
    pub fn new(
        exposures: Vec<ExposureDiagnostics>,
        samples: ArrayView4<'_, f32>,
        cost: Cost,
    ) -> Self {
        let images = samples.index_axis(Axis(1), 0);
        let edge: Vec<f64> = images.outer_iter().map(edge_flux_fraction).collect();
        let failed = |k: &usize| images.index_axis(Axis(0), *k).iter().any(|v| !v.is_finite());
        let flags = Flags::of_samples(&edge).and(exposures.iter().map(|e| e.flags));
        Self {
            failed_samples: (0..edge.len()).filter(failed).collect(),
            edge_flux_fraction: edge,
            exposures,
            flags,
            cost,
        }
    }
}

/// Whether a flat index is among `used`.
fn scatter_indices(used: &[usize], pixels: usize) -> Vec<bool> {
    let mut mask = vec![false; pixels];
    used.iter().for_each(|i| mask[*i] = true);
    mask
}

/// Values at flat indices of an image, NaN elsewhere.
fn scatter(values: Option<&[f64]>, used: &[usize], shape: (usize, usize)) -> Array2<f64> {
    let mut image = vec![f64::NAN; shape.0 * shape.1];
    for (value, index) in values.unwrap_or_default().iter().zip(used) {
        image[*index] = *value;
    }
    Array2::from_shape_vec(shape, image).expect("the buffer has the image's size")
}

#[cfg(test)]
mod tests;
