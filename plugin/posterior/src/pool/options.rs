//! A job's options, as they arrive in `options_json`.

use crate::error::PosteriorError;
use crate::sampler::{SamplerKind, SamplerOptions};
pub use crate::score::model_file::Precision;
use serde::{Deserialize, Serialize};

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
    /// Noise levels of the guided stage; the sampler's own number when left out.
    pub steps: Option<usize>,
    /// Split-Gibbs sweeps (`calibrated`); the sampler's own number when left out.
    pub sweeps: Option<usize>,
    /// Steps of the prior-only reverse SDE in a sweep; the sampler's own number when left out.
    pub sweep_steps: Option<usize>,
    /// Steps of the prior-only finish; the sampler's own number when left out.
    pub finish_steps: Option<usize>,
    /// Conjugate-gradient iterations of a guided step; the sampler's own number when left out.
    pub cg_iterations: Option<usize>,
    /// Arithmetic of the network: `f32` or `bf16`.
    pub precision: Precision,
    /// Surface brightness (e-/s per data pixel) of one network unit; estimated from the data when
    /// left out.
    pub flux_scale: Option<f64>,
}

impl Options {
    /// # Errors
    /// [`PosteriorError::Config`] naming the option, [`PosteriorError::Unsupported`] for `smc`.
    pub(super) fn check(&self) -> Result<(), PosteriorError> {
        self.sampler_options()?;
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
}
