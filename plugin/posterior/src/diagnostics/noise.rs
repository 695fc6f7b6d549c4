//! Do the residuals look like the noise that the noise model was trained on?

use super::flags::{Flags, SIGNIFICANCE};
use super::statistics::median;
use super::{ExposureDiagnostics, scatter_indices};
use crate::error::PosteriorError;
use crate::score::noise::file::{NoiseDoubts, NoiseModel};
use crate::score::noise::reference::{NoiseStatistics, STATISTICS};
use crate::score::noise::window::Window;
use ndarray::{Array3, Axis};
use pellucid_exposure::Exposure;
use serde::Serialize;
use tch::{Kind, Tensor};

/// Posterior-predictive check against learned noise: discrepancies that depend on the residual of a sample alone
/// (Gelman 1996, eq. 6), against their distribution for noise held out from training.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NoiseCheck {
    /// Whether the noise model says what its noise looks like; if not, there is nothing else here.
    pub checked: bool,
    /// In the order of [`STATISTICS`].
    pub statistics: Vec<NoiseStatistic>,
    /// Per sample the largest deviation of any statistic, standard errors.
    pub significance: Vec<f64>,
    /// The statistic that deviates most.
    pub worst: Option<&'static str>,
}

/// One statistic of the residuals of an exposure; [`STATISTICS`] says which there are.
#[derive(Clone, Debug, Serialize)]
pub struct NoiseStatistic {
    /// Its name.
    pub name: &'static str,
    /// Median over the samples.
    pub value: f64,
    /// Mean over held-out noise.
    pub expected: f64,
    /// Standard error for noise on as many pixels.
    pub standard_error: f64,
    /// Larger than deviations that do not matter, and [`SIGNIFICANCE`] standard errors.
    pub flagged: bool,
}

impl ExposureDiagnostics {
    /// Checks the residuals of `models`, as in [`ExposureDiagnostics::new`], against the noise model of a job.
    ///
    /// chi^2 and whiteness are still those for Gaussian noise of the exposure's own variance, but where the check
    /// can be made they raise no flag: cosmic rays that stay in the residuals, as they should, would raise it.
    /// `doubts` were there before: what differs from training is a mismatch, whatever the residuals look like.
    ///
    /// # Errors
    /// [`PosteriorError::Torch`].
    pub fn with_noise(
        mut self,
        exposure: &Exposure,
        used: &[usize],
        models: &Array3<f32>,
        noise: &NoiseModel,
        doubts: NoiseDoubts,
    ) -> Result<Self, PosteriorError> {
        self.flags.exposure_time = doubts.exposure_time;
        self.flags.noise_mismatch = doubts.error_level || doubts.accepted_mismatch;
        self.flags.noise_unchecked =
            noise.metadata.residual_reference.is_none() || doubts.forward_unseen;
        let check = check(exposure, used, models, noise)?;
        if check.checked {
            let noise_mismatch =
                self.flags.noise_mismatch || check.statistics.iter().any(|s| s.flagged);
            self.flags = Flags { noise_mismatch, chi2: false, whiteness: false, ..self.flags };
        }
        self.flags = self.flags.summed();
        self.noise = Some(check);
        Ok(self)
    }
}

fn check(
    exposure: &Exposure,
    used: &[usize],
    models: &Array3<f32>,
    noise: &NoiseModel,
) -> Result<NoiseCheck, PosteriorError> {
    let Some(reference) = &noise.metadata.residual_reference else {
        return Ok(NoiseCheck::default());
    };
    let (rows, ny, nx) = models.dim();
    // The last row is the mean: its residual is not a draw of the noise.
    let samples = models.slice_axis(Axis(0), (0..rows - 1).into());
    let window = Window::around(used, [ny, nx], noise.net.reach_px());
    let sources: Vec<Option<usize>> = (0..window.pixels()).map(|i| window.source(i, ny)).collect();
    let residuals: Vec<f32> = samples
        .outer_iter()
        .flat_map(|model| {
            let residual = |i: &Option<usize>| {
                let at = i.map(|i| (i / nx, i % nx));
                at.map_or(0.0, |at| (exposure.pixels[at] - f64::from(model[at])) as f32)
            };
            sources.iter().map(residual).collect::<Vec<_>>()
        })
        .collect();
    let [ny, nx] = window.shape.map(|n| n as i64);
    let residuals = Tensor::from_slice(&residuals).f_reshape([rows as i64 - 1, ny, nx])?;
    let places: Vec<usize> = used.iter().map(|&i| window.place(i)).collect();
    let mask = scatter_indices(&places, window.pixels());
    let mask = Tensor::from_slice(&mask).f_reshape([ny, nx])?.to_kind(Kind::Float);
    let found = NoiseStatistics::new(&*noise.net, &residuals, &mask)?;

    let mut statistics = Vec::with_capacity(STATISTICS.len());
    let mut significance = vec![f64::NAN; found.values.len()];
    for (k, (name, absolute, relative)) in STATISTICS.into_iter().enumerate() {
        let Some((expected, standard_error)) = reference.expected(name, found.pixels[k]) else {
            continue;
        };
        let values: Vec<f64> = found.values.iter().map(|row| row[k]).collect();
        for (worst, value) in significance.iter_mut().zip(&values) {
            // A number wins over NaN, which stays where a sample failed.
            *worst = worst.max((value - expected).abs() / standard_error);
        }
        let value = median(&values);
        let deviation = (value - expected).abs();
        let matters = deviation > absolute + relative * expected.abs();
        let flagged = matters && deviation > SIGNIFICANCE * standard_error;
        statistics.push(NoiseStatistic { name, value, expected, standard_error, flagged });
    }
    let deviation = |s: &&NoiseStatistic| (s.value - s.expected).abs() / s.standard_error;
    let worst = statistics.iter().max_by(|a, b| deviation(a).total_cmp(&deviation(b)));
    let worst = worst.map(|s| s.name);
    Ok(NoiseCheck { checked: true, worst, statistics, significance })
}
