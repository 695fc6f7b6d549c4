//! Stochastic differential equations of the prior.
//!
//! Every SDE here has the Gaussian perturbation kernel x_t = mu(t) x_0 + sigma(t) z with z ~ N(0, 1)
//! (Song et al. 2021, arXiv 2011.13456). Samplers work in the scaled variable x_t / mu(t), whose
//! noise level is [`Sde::noise_level`] = sigma(t) / mu(t): there every SDE is a VE SDE with another
//! schedule, so one sampler serves all three.

use serde::{Deserialize, Serialize};

use crate::error::PosteriorError;

/// Strength of the contraction of a TSVE SDE once t passes t*.
const TSVE_BETA_DEFAULT: f64 = 20.0;

/// A forward SDE dx = f(t) x dt + g(t) dw for t in [0, 1], by its perturbation kernel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum Sde {
    /// Variance exploding: mu = 1, sigma = sigma_min (sigma_max / sigma_min)^t.
    Ve {
        /// Noise level at t = 0, network units.
        sigma_min: f64,
        /// Noise level at t = 1, network units.
        sigma_max: f64,
    },
    /// Variance preserving with linear beta: B(t) = beta_min t + (beta_max - beta_min) t^2 / 2,
    /// mu = exp(-B / 2), sigma^2 = 1 - exp(-B).
    Vp {
        /// beta at t = 0.
        beta_min: f64,
        /// beta at t = 1.
        beta_max: f64,
        /// Smallest time used; sigma(0) = 0 is singular.
        #[serde(default = "vp_epsilon")]
        epsilon: f64,
    },
    /// Turbulent-space VE: the VE kernel times exp(-beta relu(t - t_star)) in mean and deviation, so
    /// that late times do not reach the largest amplitudes.
    Tsve {
        /// Noise level of the VE factor at t = 0, network units.
        sigma_min: f64,
        /// Noise level of the VE factor at t = 1, network units.
        sigma_max: f64,
        /// Time at which the contraction begins.
        t_star: f64,
        /// Rate of the contraction.
        #[serde(default = "tsve_beta")]
        beta: f64,
    },
}

fn vp_epsilon() -> f64 {
    1e-5
}

fn tsve_beta() -> f64 {
    TSVE_BETA_DEFAULT
}

impl Sde {
    /// Checks that the parameters describe a kernel whose noise grows with t.
    ///
    /// # Errors
    /// [`PosteriorError::Config`] naming the parameter, what is needed and what was got.
    pub fn validate(&self) -> Result<(), PosteriorError> {
        let check = |what: &str, need: &str, ok: bool, got: f64| {
            if ok {
                return Ok(());
            }
            Err(PosteriorError::config(format!("sde.{what}"), need, got))
        };
        match *self {
            Self::Ve { sigma_min, sigma_max } | Self::Tsve { sigma_min, sigma_max, .. } => {
                check("sigma_min", "a positive number", sigma_min > 0.0, sigma_min)?;
                let above = sigma_max > sigma_min && sigma_max.is_finite();
                check("sigma_max", "a finite number above sigma_min", above, sigma_max)?;
            }
            Self::Vp { beta_min, beta_max, epsilon } => {
                check("beta_min", "a number >= 0", beta_min >= 0.0, beta_min)?;
                let above = beta_max > beta_min && beta_max.is_finite();
                check("beta_max", "a finite number above beta_min", above, beta_max)?;
                check("epsilon", "in (0, 0.1)", epsilon > 0.0 && epsilon < 0.1, epsilon)?;
            }
        }
        if let Self::Tsve { t_star, beta, .. } = *self {
            check("t_star", "in [0, 1]", (0.0..=1.0).contains(&t_star), t_star)?;
            check("beta", "a finite number >= 0", beta >= 0.0 && beta.is_finite(), beta)?;
        }
        Ok(())
    }

    /// Smallest time the SDE is used at.
    pub fn t_min(&self) -> f64 {
        match *self {
            Self::Vp { epsilon, .. } => epsilon,
            _ => 0.0,
        }
    }

    /// Scale mu(t) of the signal in the perturbation kernel.
    pub fn mu(&self, t: f64) -> f64 {
        match *self {
            Self::Ve { .. } => 1.0,
            Self::Vp { .. } => (-0.5 * self.vp_integral(t)).exp(),
            Self::Tsve { t_star, beta, .. } => (-beta * (t - t_star).max(0.0)).exp(),
        }
    }

    /// Standard deviation sigma(t) of the perturbation kernel.
    pub fn sigma(&self, t: f64) -> f64 {
        match *self {
            Self::Ve { sigma_min, sigma_max } => sigma_min * (sigma_max / sigma_min).powf(t),
            // -expm1 keeps the digits that 1 - exp(-B) loses at small t.
            Self::Vp { .. } => (-(-self.vp_integral(t)).exp_m1()).sqrt(),
            Self::Tsve { sigma_min, sigma_max, .. } => {
                sigma_min * (sigma_max / sigma_min).powf(t) * self.mu(t)
            }
        }
    }

    /// sigma(t) / mu(t): the noise level in the scaled variable x / mu.
    pub fn noise_level(&self, t: f64) -> f64 {
        match *self {
            // sqrt(1 - e^-B) / e^(-B/2) = sqrt(e^B - 1).
            Self::Vp { .. } => self.vp_integral(t).exp_m1().sqrt(),
            _ => self.sigma(t) / self.mu(t),
        }
    }

    /// The time whose noise level is `level`, clamped to [t_min, 1].
    pub fn t_of_noise_level(&self, level: f64) -> f64 {
        let t = match *self {
            Self::Ve { sigma_min, sigma_max } | Self::Tsve { sigma_min, sigma_max, .. } => {
                (level / sigma_min).ln() / (sigma_max / sigma_min).ln()
            }
            Self::Vp { beta_min, beta_max, .. } => {
                // Root of (beta_max - beta_min) t^2 / 2 + beta_min t = ln(1 + level^2), in the form
                // that does not cancel.
                let b = (level * level).ln_1p();
                let slope = beta_max - beta_min;
                2.0 * b / (beta_min + (beta_min * beta_min + 2.0 * slope * b).sqrt())
            }
        };
        t.clamp(self.t_min(), 1.0)
    }

    /// Drift coefficient f(t) of dx = f(t) x dt + g(t) dw: d ln mu / dt.
    pub fn drift(&self, t: f64) -> f64 {
        match *self {
            Self::Ve { .. } => 0.0,
            Self::Vp { beta_min, beta_max, .. } => -0.5 * (beta_min + (beta_max - beta_min) * t),
            Self::Tsve { t_star, beta, .. } => {
                if t > t_star {
                    -beta
                } else {
                    0.0
                }
            }
        }
    }

    /// Diffusion coefficient g(t): g^2 = mu^2 d(sigma^2 / mu^2)/dt (Karras et al. 2022, eq. 19).
    pub fn diffusion(&self, t: f64) -> f64 {
        match *self {
            Self::Ve { sigma_min, sigma_max } | Self::Tsve { sigma_min, sigma_max, .. } => {
                self.sigma(t) * (2.0 * (sigma_max / sigma_min).ln()).sqrt()
            }
            Self::Vp { beta_min, beta_max, .. } => (beta_min + (beta_max - beta_min) * t).sqrt(),
        }
    }

    /// Noise levels [smallest, largest] the SDE spans.
    pub fn noise_range(&self) -> [f64; 2] {
        [self.noise_level(self.t_min()), self.noise_level(1.0)]
    }

    fn vp_integral(&self, t: f64) -> f64 {
        match *self {
            Self::Vp { beta_min, beta_max, .. } => {
                beta_min * t + 0.5 * (beta_max - beta_min) * t * t
            }
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Sde; 3] = [
        Sde::Ve { sigma_min: 0.002, sigma_max: 50.0 },
        Sde::Vp { beta_min: 0.1, beta_max: 20.0, epsilon: 1e-5 },
        Sde::Tsve { sigma_min: 0.002, sigma_max: 50.0, t_star: 0.4, beta: 15.0 },
    ];

    #[test]
    fn diffusion_squared_is_the_growth_of_the_scaled_variance() {
        for sde in ALL {
            for t in [0.1, 0.35, 0.6, 0.95] {
                let h = 1e-5;
                let slope =
                    (sde.noise_level(t + h).powi(2) - sde.noise_level(t - h).powi(2)) / (2.0 * h);
                let expected = sde.mu(t).powi(2) * slope;
                let got = sde.diffusion(t).powi(2);
                assert!((got / expected - 1.0).abs() < 1e-6, "{sde:?} t={t}: {got} {expected}");
            }
        }
    }

    #[test]
    fn drift_is_the_logarithmic_derivative_of_mu() {
        for sde in ALL {
            for t in [0.1, 0.35, 0.6, 0.95] {
                let h = 1e-6;
                let slope = (sde.mu(t + h).ln() - sde.mu(t - h).ln()) / (2.0 * h);
                assert!((sde.drift(t) - slope).abs() < 1e-6, "{sde:?} t={t}");
            }
        }
    }

    #[test]
    fn noise_level_inverts() {
        for sde in ALL {
            for t in [0.01, 0.2, 0.5, 0.9, 1.0] {
                assert!((sde.t_of_noise_level(sde.noise_level(t)) - t).abs() < 1e-9, "{sde:?} {t}");
            }
        }
    }

    #[test]
    fn vp_preserves_unit_variance() {
        let vp = ALL[1];
        for t in [1e-5, 0.01, 0.3, 1.0] {
            assert!((vp.mu(t).powi(2) + vp.sigma(t).powi(2) - 1.0).abs() < 1e-14);
        }
    }

    #[test]
    fn nonsense_parameters_are_named() {
        let bad = Sde::Ve { sigma_min: 1.0, sigma_max: 0.5 };
        assert!(bad.validate().unwrap_err().to_string().contains("sigma_max"));
    }
}
