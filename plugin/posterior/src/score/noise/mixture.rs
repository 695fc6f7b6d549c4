//! White noise with outliers, in closed form: for baselines and for tests of the samplers.

use std::f64::consts::PI;

use tch::{Kind, Tensor};

use super::NoiseScore;
use crate::error::PosteriorError;

/// Independent pixels of density sum_j w_j N(0, sigma_j^2).
///
/// At r = 0 the score is exact. At r > 0 the blur r^2 K K^T correlates the pixels, and the exact blurred
/// density is a sum over all assignments of pixels to components. Its one-pixel marginals stand in for
/// it: sum_j w_j N(0, sigma_j^2 + r^2 (K K^T)_ii). With one component that leaves out the correlation.
#[derive(Clone, Debug)]
pub struct MixtureNoise {
    components: Vec<(f64, f64)>,
    blur: f64,
}

impl MixtureNoise {
    /// From (weight, standard deviation in e-/s) of the components, and (K K^T)_ii: the mean square norm
    /// of the forward operator's rows.
    ///
    /// # Errors
    /// [`PosteriorError::Config`] when there is no component, or a weight or deviation is not positive.
    pub fn new(components: &[(f64, f64)], blur: f64) -> Result<Self, PosteriorError> {
        let positive = |v: f64| v.is_finite() && v > 0.0;
        if components.is_empty() || !components.iter().all(|&(w, s)| positive(w) && positive(s)) {
            let got = format!("{components:?}");
            return Err(PosteriorError::config(
                "noise components",
                "positive weights and sigmas",
                got,
            ));
        }
        let total: f64 = components.iter().map(|(w, _)| w).sum();
        let components = components.iter().map(|&(w, s)| (w / total, s)).collect();
        Ok(Self { components, blur })
    }

    /// ln of the one-pixel density at eta, elementwise; r as in [`NoiseScore::score`].
    pub fn log_density(&self, eta: &Tensor, r: &Tensor) -> Tensor {
        self.log_terms(eta, r).0.logsumexp([0i64].as_slice(), false)
    }

    /// ln w_j N(eta; 0, v_j), and v_j, stacked along a new first dimension.
    fn log_terms(&self, eta: &Tensor, r: &Tensor) -> (Tensor, Tensor) {
        let blur = r.to_kind(eta.kind()).square().reshape([-1, 1, 1]) * self.blur;
        let variances: Vec<Tensor> = self.components.iter().map(|(_, s)| &blur + s * s).collect();
        let terms: Vec<Tensor> = self
            .components
            .iter()
            .zip(&variances)
            .map(|((w, _), v)| eta.square() / (v * -2.0) - (v * (2.0 * PI)).log() * 0.5 + w.ln())
            .collect();
        (Tensor::stack(&terms, 0), Tensor::stack(&variances, 0))
    }
}

impl NoiseScore for MixtureNoise {
    fn score(&self, eta: &Tensor, r: &Tensor) -> Tensor {
        let (terms, variances) = self.log_terms(eta, r);
        let share = terms.softmax(0, None::<Kind>);
        -eta * (share / variances).sum_dim_intlist([0i64].as_slice(), false, eta.kind())
    }

    fn core_sigma(&self) -> f64 {
        // The commonest component.
        let heavier = |a: &&(f64, f64), b: &&(f64, f64)| a.0.total_cmp(&b.0);
        self.components.iter().max_by(heavier).expect("because there is a component").1
    }

    fn reach_px(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn score_is_the_gradient_of_the_log_density() {
        let noise = MixtureNoise::new(&[(0.95, 0.3), (0.05, 6.0)], 0.4).unwrap();
        let eta = Tensor::linspace(-9.0, 9.0, 61, (Kind::Double, Device::Cpu)).reshape([1, 1, 61]);
        for level in [0.0, 0.5] {
            let r = Tensor::from_slice(&[level]);
            let step = 1e-5;
            let slope = (noise.log_density(&(&eta + step), &r)
                - noise.log_density(&(&eta - step), &r))
                / (2.0 * step);
            let error = (noise.score(&eta, &r) - slope).abs().max().double_value(&[]);
            assert!(error < 1e-7, "r = {level}: {error}");
        }
    }

    #[test]
    fn density_integrates_to_one() {
        let noise = MixtureNoise::new(&[(1.9, 0.3), (0.1, 6.0)], 0.4).unwrap();
        let eta = Tensor::linspace(-60.0, 60.0, 120_001, (Kind::Double, Device::Cpu));
        let density =
            noise.log_density(&eta.reshape([1, 1, -1]), &Tensor::from_slice(&[1.0])).exp();
        let total = density.sum(Kind::Double).double_value(&[]) * 1e-3;
        assert!((total - 1.0).abs() < 1e-9, "{total}");
    }
}
