//! The Gaussian to which Hamiltonian trajectories refer.

use tch::{Device, Kind, Tensor};

use super::GaussianLikelihood;
use crate::error::PosteriorError;
use crate::rng::{SampleRng, normal};

const LAST: [i64; 2] = [-2, -1];

/// N(m, P), the posterior of x_s = x_0 + sigma_s z under the Gaussian approximations of prior and
/// likelihood: P^-1 = Q^-1 + W^T W with Q stationary of power P_prior + sigma_s^2.
#[derive(Debug)]
pub(crate) struct Reference {
    w: Tensor,
    y: Tensor,
    prior_mean: Tensor,
    /// Power of Q, [H, W].
    power: Tensor,
    /// (1 + W Q W^T)^-1, [k, k] f64.
    inverse: Tensor,
    /// m, [H, W].
    mean: Tensor,
}

impl Reference {
    /// # Errors
    /// [`PosteriorError::Torch`] when the factorisation fails.
    pub fn new(
        likelihood: &GaussianLikelihood,
        prior_mean: &Tensor,
        prior_power: &Tensor,
        sigma: f64,
    ) -> Result<Self, PosteriorError> {
        let power = prior_power + sigma * sigma;
        let (w, y) = (likelihood.w.shallow_clone(), likelihood.y.shallow_clone());
        let rows = w.reshape([-1, power.size()[0], power.size()[1]]);
        let spread: Vec<Tensor> =
            rows.split(512, 0).iter().map(|part| filter(part, &power)).collect();
        let gram = Tensor::cat(&spread, 0).flatten(1, 2).matmul(&w.tr()).to_kind(Kind::Double);
        let gram = (&gram + gram.tr()) * 0.5 + Tensor::eye(w.size()[0], (Kind::Double, w.device()));
        let inverse = gram.f_linalg_cholesky(false)?.cholesky_inverse(false);
        let mut reference = Self {
            w,
            y,
            prior_mean: prior_mean.shallow_clone(),
            power,
            inverse,
            mean: Tensor::new(),
        };
        let start = prior_mean.reshape([1, 1, prior_mean.size()[0], -1]);
        reference.mean =
            (&start + reference.correct(&reference.residual(&start))).reshape(prior_mean.size());
        Ok(reference)
    }

    /// m, [H, W].
    pub fn mean(&self) -> &Tensor {
        &self.mean
    }

    /// y - W x, [B, k] f64.
    fn residual(&self, x: &Tensor) -> Tensor {
        &self.y - x.flatten(1, 3).matmul(&self.w.tr()).to_kind(Kind::Double)
    }

    /// W^T u as images.
    fn pull(&self, u: &Tensor) -> Tensor {
        let [h, w] = [self.power.size()[0], self.power.size()[1]];
        u.to_kind(Kind::Float).matmul(&self.w).reshape([-1, 1, h, w])
    }

    /// Q W^T (1 + W Q W^T)^-1 u.
    fn correct(&self, u: &Tensor) -> Tensor {
        filter(&self.pull(&u.matmul(&self.inverse)), &self.power)
    }

    /// P g = Q g - Q W^T (1 + W Q W^T)^-1 W Q g, [B, 1, H, W].
    pub fn covariance(&self, g: &Tensor) -> Tensor {
        let spread = filter(g, &self.power);
        let seen = spread.flatten(1, 3).matmul(&self.w.tr()).to_kind(Kind::Double);
        spread - self.correct(&seen)
    }

    /// A draw from N(0, P) a stream, by Matheron's rule: with v ~ N(0, Q) and e ~ N(0, 1) it is
    /// v - Q W^T (1 + W Q W^T)^-1 (W v + e).
    pub fn draw(&self, rngs: &mut [SampleRng], device: Device) -> Tensor {
        let [h, w] = [self.power.size()[0], self.power.size()[1]];
        let v = filter(&normal(rngs, &[1, h, w], device), &self.power.sqrt());
        let e = normal(rngs, &[self.w.size()[0]], device).to_kind(Kind::Double);
        let seen = v.flatten(1, 3).matmul(&self.w.tr()).to_kind(Kind::Double) + e;
        v - self.correct(&seen)
    }

    /// grad ln N(x; m, P) in its two parts: the prior's -Q^-1 (x - mean) and the data's W^T (y - W x).
    pub fn score(&self, x: &Tensor) -> (Tensor, Tensor) {
        (filter(&(&self.prior_mean - x), &self.power.reciprocal()), self.pull(&self.residual(x)))
    }
}

fn filter(x: &Tensor, gain: &Tensor) -> Tensor {
    let spectrum = x.fft_fft2(None::<&[i64]>, LAST, "ortho") * gain;
    spectrum.fft_ifft2(None::<&[i64]>, LAST, "ortho").real()
}
