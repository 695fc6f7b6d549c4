//! Priors whose score is known in closed form, for baselines and for tests of the whole stack.
//!
//! A Gaussian field has covariance F^H diag(P) F with F the unitary FFT2; in that basis the noised
//! prior is diagonal and D(x, sigma) = m + F^H [P / (P + sigma^2)] F (x - m), the Wiener filter.

use std::f64::consts::PI;
use tch::{Device, Kind, Tensor};

use super::{Denoiser, Linearized};
use crate::error::PosteriorError;

/// P / (P + sigma^2) applied in Fourier space to x [B, 1, H, W], or [B, K, H, W] with power [K, H, W].
fn wiener(x: &Tensor, power: &Tensor, sigma: &Tensor) -> Tensor {
    let s2 = sigma.to_kind(x.kind()).square().reshape([-1, 1, 1, 1]);
    let gain = power / (power + s2);
    filter(x, &gain)
}

fn filter(x: &Tensor, gain: &Tensor) -> Tensor {
    let spectrum = x.fft_fft2(None::<&[i64]>, [-2, -1], "ortho") * gain;
    spectrum.fft_ifft2(None::<&[i64]>, [-2, -1], "ortho").real()
}

pub(super) fn checked_power(power: &Tensor, device: Device) -> Result<Tensor, PosteriorError> {
    let least = power.min().double_value(&[]);
    if least < 0.0 {
        return Err(PosteriorError::Weights {
            name: "power".into(),
            need: "values >= 0".into(),
            got: least.to_string(),
        });
    }
    // A real field needs P(k) = P(-k); a power spectrum that is not symmetric is no covariance.
    let mirrored = power.flip([-2, -1]).roll([1, 1], [-2, -1]);
    let skew = (power - &mirrored).abs().max().double_value(&[]);
    if skew > 1e-5 * power.max().double_value(&[]) {
        return Err(PosteriorError::Weights {
            name: "power".into(),
            need: "P(k) = P(-k)".into(),
            got: format!("a difference of {skew}"),
        });
    }
    Ok(power.to_device(device).to_kind(Kind::Float))
}

/// A stationary Gaussian field.
#[derive(Debug)]
pub struct GaussianField {
    mean: Tensor,
    power: Tensor,
}

impl GaussianField {
    /// From mean and power [H, W].
    ///
    /// # Errors
    /// [`PosteriorError::Weights`] when the power is negative or not symmetric in k.
    pub fn new(mean: &Tensor, power: &Tensor, device: Device) -> Result<Self, PosteriorError> {
        let power = checked_power(power, device)?;
        Ok(Self { mean: mean.to_device(device).to_kind(Kind::Float), power })
    }
}

impl Denoiser for GaussianField {
    fn denoise(&self, x: &Tensor, sigma: &Tensor) -> Tensor {
        &self.mean + wiener(&(x - &self.mean), &self.power, sigma)
    }

    fn linearize(&self, x: &Tensor, sigma: &Tensor) -> Linearized {
        let (power, sigma) = (self.power.shallow_clone(), sigma.shallow_clone());
        // The filter is symmetric: its own transpose.
        Linearized::new(self.denoise(x, &sigma), move |u| wiener(u, &power, &sigma))
    }

    fn mean(&self) -> &Tensor {
        &self.mean
    }

    fn power(&self) -> &Tensor {
        &self.power
    }
}

/// A mixture of stationary Gaussian fields.
#[derive(Debug)]
pub struct GaussianMixture {
    log_weights: Tensor,
    means: Tensor,
    powers: Tensor,
    mean: Tensor,
    power: Tensor,
}

impl GaussianMixture {
    /// From weights [K], means and powers [K, H, W].
    ///
    /// # Errors
    /// [`PosteriorError::Weights`] for negative or vanishing weights, or a bad power.
    pub fn new(
        weights: &Tensor,
        means: &Tensor,
        powers: &Tensor,
        device: Device,
    ) -> Result<Self, PosteriorError> {
        let k = weights.numel() as i64;
        let total = weights.sum(Kind::Double).double_value(&[]);
        if k == 0 || weights.min().double_value(&[]) < 0.0 || total <= 0.0 {
            return Err(PosteriorError::Weights {
                name: "weights".into(),
                need: "values >= 0 with a positive sum".into(),
                got: format!("{:?}", Vec::<f64>::try_from(weights.to_kind(Kind::Double))?),
            });
        }
        for (name, tensor) in [("means", means), ("power", powers)] {
            if tensor.size()[0] != k {
                return Err(PosteriorError::Weights {
                    name: name.into(),
                    need: format!("{k} components"),
                    got: tensor.size()[0].to_string(),
                });
            }
        }
        let powers = checked_power(powers, device)?;
        let weights = (weights.to_kind(Kind::Float) / total).to_device(device);
        let means = means.to_device(device).to_kind(Kind::Float);
        let column = weights.reshape([-1, 1, 1]);
        let mean = (&means * &column).sum_dim_intlist([0i64].as_slice(), false, Kind::Float);
        let spread = (&means - &mean).fft_fft2(None::<&[i64]>, [-2, -1], "ortho").abs().square();
        let power =
            ((&powers + spread) * &column).sum_dim_intlist([0i64].as_slice(), false, Kind::Float);
        if power.isfinite().all().int64_value(&[]) == 0 {
            return Err(PosteriorError::Weights {
                name: "means".into(),
                need: "components whose mixture has a power that is finite in f32".into(),
                got: "NaN or infinity".into(),
            });
        }
        Ok(Self { log_weights: weights.log(), means, powers, mean, power })
    }

    /// Log responsibilities ln p(k | x, sigma), [B, K], in f64.
    pub fn log_responsibilities(&self, x: &Tensor, sigma: &Tensor) -> Tensor {
        let s2 = sigma.to_kind(Kind::Double).square().reshape([-1, 1, 1, 1]);
        let variance = self.powers.to_kind(Kind::Double) + s2;
        let residual = (x - &self.means).fft_fft2(None::<&[i64]>, [-2, -1], "ortho").abs().square();
        let quadratic = residual.to_kind(Kind::Double) / &variance + (variance * (2.0 * PI)).log();
        let log = quadratic.sum_dim_intlist([-2i64, -1].as_slice(), false, Kind::Double) * -0.5;
        (log + self.log_weights.to_kind(Kind::Double)).log_softmax(-1, None::<Kind>)
    }

    fn components(&self, x: &Tensor, sigma: &Tensor) -> Tensor {
        &self.means + wiener(&(x - &self.means), &self.powers, sigma)
    }
}

impl Denoiser for GaussianMixture {
    fn denoise(&self, x: &Tensor, sigma: &Tensor) -> Tensor {
        let r = self.log_responsibilities(x, sigma).exp().to_kind(Kind::Float);
        (self.components(x, sigma) * r.unsqueeze(-1).unsqueeze(-1)).sum_dim_intlist(
            [1i64].as_slice(),
            true,
            Kind::Float,
        )
    }

    /// J = (1 / sigma^2) (E[C_k] + Cov_k[D_k]) with C_k / sigma^2 the Wiener filter of component k
    /// (second-order Tweedie; Efron 2011).
    fn linearize(&self, x: &Tensor, sigma: &Tensor) -> Linearized {
        let sum = |t: &Tensor| t.sum_dim_intlist([1i64].as_slice(), true, Kind::Float);
        let r = self.log_responsibilities(x, sigma).exp().to_kind(Kind::Float);
        let r = r.unsqueeze(-1).unsqueeze(-1);
        let d = self.components(x, sigma);
        let value = sum(&(&d * &r));
        let deviation = &d - &value;
        let (powers, sigma) = (self.powers.shallow_clone(), sigma.shallow_clone());
        Linearized::new(value, move |u| {
            let s2 = sigma.square().reshape([-1, 1, 1, 1]);
            let within = wiener(&u.expand_as(&deviation), &powers, &sigma);
            let overlap =
                (&deviation * u).sum_dim_intlist([-2i64, -1].as_slice(), true, Kind::Float);
            sum(&((within + overlap / s2 * &deviation) * &r))
        })
    }

    fn mean(&self) -> &Tensor {
        &self.mean
    }

    fn power(&self) -> &Tensor {
        &self.power
    }
}
