//! The plugin's diagnostics, typed.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::error::{HostError, Result};

/// Reasons to distrust a posterior.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flags {
    /// chi2/dof is significantly off.
    pub chi2: bool,
    /// Residuals are correlated.
    pub whiteness: bool,
    /// Too much flux at the model's edge, or in the exposures just beyond it
    /// ([`EdgeLight`](crate::input::EdgeLight)).
    pub edge_flux: bool,
    /// The model's pixel scale is not the one the prior was trained at.
    pub prior_scale: bool,
    /// The residuals do not look like the noise that the noise model was trained on.
    pub noise_mismatch: bool,
    /// The noise model does not say what its noise looks like, so that nothing was compared; no mismatch by itself.
    pub noise_unchecked: bool,
    /// The exposure time lies outside of the noise model's training.
    pub exposure_time: bool,
    /// Any of them, `noise_unchecked` aside: prior, noise model and data do not match.
    pub mismatch: bool,
}

impl Flags {
    /// The reasons of both.
    pub fn and(self, other: Self) -> Self {
        Self {
            chi2: self.chi2 | other.chi2,
            whiteness: self.whiteness | other.whiteness,
            edge_flux: self.edge_flux | other.edge_flux,
            prior_scale: self.prior_scale | other.prior_scale,
            noise_mismatch: self.noise_mismatch | other.noise_mismatch,
            noise_unchecked: self.noise_unchecked | other.noise_unchecked,
            exposure_time: self.exposure_time | other.exposure_time,
            mismatch: false,
        }
        .summed()
    }

    fn summed(self) -> Self {
        let fit = self.chi2 | self.whiteness | self.noise_mismatch;
        Self { mismatch: fit | self.edge_flux | self.prior_scale | self.exposure_time, ..self }
    }

    /// `chi2,whiteness`; `-` for none.
    pub fn describe(&self) -> String {
        let named = [
            (self.chi2, "chi2"),
            (self.whiteness, "whiteness"),
            (self.edge_flux, "edge-flux"),
            (self.prior_scale, "prior-scale"),
            (self.noise_mismatch, "noise-mismatch"),
            (self.noise_unchecked, "noise-unchecked"),
            (self.exposure_time, "exposure-time"),
        ];
        let set: Vec<_> = named.iter().filter(|(on, _)| *on).map(|(_, n)| *n).collect();
        match set.is_empty() {
            true => "-".into(),
            false => set.join(","),
        }
    }

    /// The inverse of [`Flags::describe`].
    pub(super) fn parse(text: &str) -> Self {
        let has = |name| text.split(',').any(|t| t.trim() == name);
        Self {
            chi2: has("chi2"),
            whiteness: has("whiteness"),
            edge_flux: has("edge-flux"),
            prior_scale: has("prior-scale"),
            noise_mismatch: has("noise-mismatch"),
            noise_unchecked: has("noise-unchecked"),
            exposure_time: has("exposure-time"),
            mismatch: false,
        }
        .summed()
    }
}

/// The fit of all samples to one exposure; NaN where a sample failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExposureFit {
    /// Name of the exposure.
    pub id: String,
    /// Pixels used.
    pub dof: usize,
    /// Per sample.
    #[serde(deserialize_with = "reals")]
    pub chi2: Vec<f64>,
    /// Per sample, correlation of neighbouring whitened residuals; expected 0.
    #[serde(deserialize_with = "reals")]
    pub whiteness: Vec<f64>,
    /// Standard error of `whiteness` for white residuals.
    #[serde(deserialize_with = "real")]
    pub whiteness_se: f64,
    /// Per sample, probability of a larger chi2.
    #[serde(deserialize_with = "reals")]
    pub p_values: Vec<f64>,
    /// Posterior-predictive p-value.
    #[serde(deserialize_with = "real")]
    pub ppp: f64,
    /// chi2 of the posterior mean over its expectation.
    #[serde(deserialize_with = "real")]
    pub chi2_mean_reduced: f64,
    /// Effective number of parameters.
    #[serde(deserialize_with = "real")]
    pub effective_parameters: f64,
    /// The residuals against the noise model; None for Gaussian noise.
    pub noise: Option<NoiseCheck>,
    /// What is suspicious.
    pub flags: Flags,
}

/// The residuals against the noise that the noise model was trained on; NaN where a sample failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NoiseCheck {
    /// Whether the noise model says what its noise looks like; if not, there is nothing else here.
    pub checked: bool,
    /// The statistics that were compared.
    pub statistics: Vec<NoiseStatistic>,
    /// Per sample, the largest deviation of a statistic in standard errors.
    #[serde(deserialize_with = "reals")]
    pub significance: Vec<f64>,
    /// The statistic that deviates most.
    pub worst: Option<String>,
}

/// A statistic of the residuals of an exposure.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NoiseStatistic {
    /// Its name: bias, level, beyond_4, beyond_8, lag_x, lag_y, structure, score.
    pub name: String,
    /// Median over the samples.
    #[serde(deserialize_with = "real")]
    pub value: f64,
    /// Mean over noise held out from training.
    #[serde(deserialize_with = "real")]
    pub expected: f64,
    /// Standard error.
    #[serde(deserialize_with = "real")]
    pub standard_error: f64,
    /// Off by more than matters, and significantly.
    pub flagged: bool,
}

impl ExposureFit {
    /// Median over the samples of chi2/dof.
    pub fn reduced_chi2(&self) -> f64 {
        super::quantile(self.chi2.iter().copied(), 0.5) / self.dof as f64
    }

    /// Median over the samples of [`NoiseCheck::significance`], and the statistic behind it; None when nothing
    /// was checked.
    pub fn noise_significance(&self) -> Option<(f64, &str)> {
        let check = self.noise.as_ref().filter(|check| check.checked)?;
        let median = super::quantile(check.significance.iter().copied(), 0.5);
        Some((median, check.worst.as_deref().unwrap_or("-")))
    }
}

/// What the samples cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cost {
    /// e-/s per detector pixel that are one network unit.
    #[serde(deserialize_with = "real")]
    pub flux_scale: f64,
    /// Network evaluations.
    pub network_evaluations: u64,
    /// Share of the time spent in the network, 0 to 1.
    #[serde(deserialize_with = "real")]
    pub network_time_share: f64,
    /// Seconds of sampling.
    #[serde(deserialize_with = "real")]
    pub sampling_seconds: f64,
    /// Conjugate-gradient iterations per sample.
    pub cg_iterations: Vec<u64>,
    /// Of those, stopped because the network's Jacobian was not positive.
    pub cg_breakdowns: Vec<u64>,
    /// Evaluations of noise models.
    pub noise_evaluations: u64,
    /// Share of the time spent in them, 0 to 1.
    #[serde(deserialize_with = "real")]
    pub noise_time_share: f64,
    /// Metropolis proposals per sample, after the step size was found; 0 without a noise model.
    pub proposals: Vec<u64>,
    /// Of those, accepted.
    pub accepted: Vec<u64>,
    /// Step size per sample: the angle, radians, of a leapfrog step; NaN without a noise model.
    #[serde(deserialize_with = "reals")]
    pub step_sizes: Vec<f64>,
}

impl Cost {
    /// Share of the proposals of all samples that were accepted; None without proposals.
    pub fn acceptance(&self) -> Option<f64> {
        let [proposals, accepted] =
            [&self.proposals, &self.accepted].map(|counts| counts.iter().sum::<u64>());
        (proposals > 0).then(|| accepted as f64 / proposals as f64)
    }

    /// Median step size over the samples; NaN without any.
    pub fn step_size(&self) -> f64 {
        super::quantile(self.step_sizes.iter().copied(), 0.5)
    }
}

/// Fit, flags and cost of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Diagnostics {
    /// In the order of the exposures.
    pub exposures: Vec<ExposureFit>,
    /// Per sample, share of the flux in the model's border.
    #[serde(deserialize_with = "reals")]
    pub edge_flux_fraction: Vec<f64>,
    /// Samples that failed.
    pub failed_samples: Vec<usize>,
    /// Why, per sample.
    pub sample_errors: Vec<Option<String>>,
    /// What is suspicious about any exposure or the samples.
    pub flags: Flags,
    /// What it cost.
    #[serde(flatten)]
    pub cost: Cost,
}

impl Diagnostics {
    /// Reads the plugin's JSON; keys it does not have stay at zero, keys not known here are
    /// passed over.
    ///
    /// # Errors
    /// [`HostError::Answer`] for a known key of another type.
    pub fn from_json(json: &Value) -> Result<Self> {
        let read = serde_json::from_value(json.clone());
        let mut diagnostics: Self =
            read.map_err(|e| HostError::Answer { what: "diagnostics", reason: e.to_string() })?;
        if diagnostics.failed_samples.is_empty() {
            let errors = diagnostics.sample_errors.iter().enumerate();
            diagnostics.failed_samples =
                errors.filter_map(|(k, e)| e.is_some().then_some(k)).collect();
        }
        Ok(diagnostics)
    }
}

/// JSON has no NaN; the plugin writes null.
fn real<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

fn reals<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let values = Vec::<Option<f64>>::deserialize(deserializer)?;
    Ok(values.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_nan_and_unknown_keys_are_passed_over() {
        let json = serde_json::json!({
            "exposures": [{"id": "a", "dof": 10, "chi2": [11.0, null], "ppp": null, "new": 1}],
            "failed_samples": [1],
            "flux_scale": 0.5,
            "cg_breakdowns": [3, 0],
            "provenance": {}
        });
        let read = Diagnostics::from_json(&json).unwrap();
        assert!(read.exposures[0].chi2[1].is_nan() && read.exposures[0].ppp.is_nan());
        assert_eq!(read.exposures[0].reduced_chi2(), 1.1);
        assert_eq!((read.cost.flux_scale, read.failed_samples[0]), (0.5, 1));
        assert!(Diagnostics::from_json(&serde_json::json!({"exposures": 3})).is_err());
    }

    #[test]
    fn flags_survive_their_text() {
        let flags = Flags::parse("chi2,edge-flux");
        assert!(flags.chi2 && flags.edge_flux && flags.mismatch && !flags.whiteness);
        assert_eq!(flags.describe(), "chi2,edge-flux");
        assert_eq!(Flags::parse("-"), Flags::default());
        let more = flags.and(Flags { prior_scale: true, ..Flags::default() });
        assert_eq!(more.describe(), "chi2,edge-flux,prior-scale");
        assert_eq!(Flags::parse(&more.describe()), more);
        assert!(Flags::default().and(Flags::parse("prior-scale")).mismatch);
    }
}
