//! A job's options, as they arrive in `options_json`.

use crate::error::PosteriorError;
use crate::sampler::{SamplerKind, SamplerOptions};
pub use crate::score::model_file::Precision;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Steps of one stage: far more than any stage gains by.
const STEPS: RangeInclusive<usize> = 1..=100_000;
const SWEEPS: RangeInclusive<usize> = 0..=1000;
/// Without an iteration the guidance would see no data.
const CG_ITERATIONS: RangeInclusive<usize> = 1..=1000;
const TRAJECTORIES: RangeInclusive<usize> = 0..=1000;
const LEAPFROG_STEPS: RangeInclusive<usize> = 1..=1000;

/// The sampler, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampler {
    /// Moment-matched guidance and exact split-Gibbs sweeps.
    #[default]
    Calibrated,
    /// The reference: convolved likelihood and Euler-Maruyama (Adam et al. 2023).
    Convolved,
    /// Weighted particles; named in the interface, not served yet.
    Smc,
}

/// How to sample. Every field may be left out; an unknown one is an error.
///
/// `{"sampler": "calibrated", "steps": 25, "sweeps": 3, "precision": "f32", "flux_scale": 1.0}`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// `calibrated` or `convolved`.
    pub sampler: Sampler,
    /// Noise levels of the guided stage, 1 to 100000; the sampler's own number when left out.
    pub steps: Option<usize>,
    /// Split-Gibbs sweeps (`calibrated`, Gaussian noise), 0 to 1000; the sampler's own number when left out.
    pub sweeps: Option<usize>,
    /// Steps of the prior-only reverse SDE in a sweep, 1 to 100000; the sampler's own number when
    /// left out.
    pub sweep_steps: Option<usize>,
    /// Steps of the prior-only finish, 1 to 100000; the sampler's own number when left out.
    pub finish_steps: Option<usize>,
    /// Conjugate-gradient iterations of a guided step, 1 to 1000; the sampler's own number when
    /// left out.
    pub cg_iterations: Option<usize>,
    /// Hamiltonian trajectories of a sample with a noise model (`calibrated`), 0 to 1000, half of which find the
    /// step size; the sampler's own number when left out.
    pub trajectories: Option<usize>,
    /// Leapfrog steps of a trajectory, 1 to 1000; the sampler's own number when left out.
    pub leapfrog_steps: Option<usize>,
    /// Arithmetic of the network: `f32` or `bf16`.
    pub precision: Precision,
    /// Surface brightness (e-/s per data pixel) of one network unit; estimated from the data when
    /// left out.
    pub flux_scale: Option<f64>,
    /// INSTRUME of the exposures, which a noise model must have been trained for; not compared when left
    /// out.
    pub instrument: Option<String>,
    /// DETECTOR of the exposures, likewise.
    pub detector: Option<String>,
    /// FILTER of the exposures, likewise.
    pub filter: Option<String>,
    /// Exposure times in the order of the exposures, to compare with those of the noise model; not compared when
    /// left out.
    pub exposure_times_s: Vec<f64>,
    /// Use a noise model even where it was trained for another instrument, detector, filter, pixel
    /// scale, unit, forward kernel or range of levels; the log says what differs, and the exposure is flagged.
    pub accept_noise_mismatch: bool,
}

impl Options {
    /// # Errors
    /// [`PosteriorError::Config`] naming the option, [`PosteriorError::Unsupported`] for `smc`.
    pub(super) fn check(&self) -> Result<(), PosteriorError> {
        let o = self.sampler_options()?;
        for (what, value, range) in [
            ("steps", o.steps, STEPS),
            ("sweeps", o.sweeps, SWEEPS),
            ("sweep_steps", o.sweep_steps, STEPS),
            ("finish_steps", o.finish_steps, STEPS),
            ("cg_iterations", o.cg_iterations, CG_ITERATIONS),
            ("trajectories", o.trajectories, TRAJECTORIES),
            ("leapfrog_steps", o.leapfrog_steps, LEAPFROG_STEPS),
        ] {
            if !range.contains(&value) {
                let need = format!("{} to {}", range.start(), range.end());
                return Err(PosteriorError::config(what, need, value));
            }
        }
        match self.flux_scale {
            Some(scale) if !(scale.is_finite() && scale > 0.0) => {
                Err(PosteriorError::config("flux_scale", "a positive number", scale))
            }
            _ => Ok(()),
        }
    }

    /// The sampler's settings, its own where these say nothing.
    pub(super) fn sampler_options(&self) -> Result<SamplerOptions, PosteriorError> {
        let own = SamplerOptions::new(match self.sampler {
            Sampler::Calibrated => SamplerKind::Calibrated,
            Sampler::Convolved => SamplerKind::Convolved,
            Sampler::Smc => {
                return Err(PosteriorError::Unsupported { what: "sampler \"smc\"".into() });
            }
        });
        Ok(SamplerOptions {
            steps: self.steps.unwrap_or(own.steps),
            sweeps: self.sweeps.unwrap_or(own.sweeps),
            sweep_steps: self.sweep_steps.unwrap_or(own.sweep_steps),
            finish_steps: self.finish_steps.unwrap_or(own.finish_steps),
            cg_iterations: self.cg_iterations.unwrap_or(own.cg_iterations),
            trajectories: self.trajectories.unwrap_or(own.trajectories),
            leapfrog_steps: self.leapfrog_steps.unwrap_or(own.leapfrog_steps),
            ..own
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_unserved_options_are_refused() {
        let parse = serde_json::from_str::<Options>;
        let options = parse(r#"{"sampler": "convolved", "steps": 7, "precision": "bf16"}"#);
        let options = options.expect("known options");
        assert_eq!(options.sampler_options().expect("served").steps, 7);
        let error = parse(r#"{"stepps": 7}"#).expect_err("unknown").to_string();
        assert!(error.contains("stepps"), "{error}");
        let smc = parse(r#"{"sampler": "smc"}"#).expect("a known name").check();
        assert!(matches!(smc, Err(PosteriorError::Unsupported { .. })));
        let scale = Options { flux_scale: Some(-1.0), ..Options::default() };
        assert!(scale.check().is_err() && Options::default().check().is_ok());
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for (name, good, bad) in [
            ("steps", [1, 100_000], [0, 100_001]),
            ("sweeps", [0, 1000], [1001, 10_000_000_000_000_000_000]),
            ("sweep_steps", [1, 100_000], [0, usize::MAX]),
            ("finish_steps", [1, 100_000], [0, usize::MAX]),
            ("cg_iterations", [1, 1000], [0, 1001]),
            ("trajectories", [0, 1000], [1001, usize::MAX]),
            ("leapfrog_steps", [1, 1000], [0, 1001]),
        ] {
            let check = |value: usize| {
                let json = format!(r#"{{"{name}": {value}}}"#);
                serde_json::from_str::<Options>(&json).expect("a known option").check()
            };
            assert!(good.into_iter().all(|value| check(value).is_ok()), "{name}");
            for value in bad {
                match check(value) {
                    Err(PosteriorError::Config { what, .. }) => assert_eq!(what, name),
                    other => panic!("{name} {value}: {other:?}"),
                }
            }
        }
    }
}
