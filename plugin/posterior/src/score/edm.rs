//! EDM preconditioning around a network F (Karras et al. 2022, arXiv 2206.00364, table 1):
//! D(x, sigma) = c_skip x + c_out F(c_in x, c_noise).

use tch::{Kind, Tensor};

use super::parameters::Parameters;
use super::unet::{self, UnetConfig};
use super::{Denoiser, Linearized};

/// Factor before the compression of the second input channel.
const COMPRESSION: f64 = 4.0;

/// The coefficients of one noise level, each [B, 1, 1, 1].
#[derive(Debug)]
pub struct Preconditioning {
    /// sigma_d^2 / (sigma^2 + sigma_d^2).
    pub c_skip: Tensor,
    /// sigma sigma_d / sqrt(sigma^2 + sigma_d^2).
    pub c_out: Tensor,
    /// 1 / sqrt(sigma^2 + sigma_d^2).
    pub c_in: Tensor,
    /// ln(sigma) / 4, [B].
    pub c_noise: Tensor,
}

impl Preconditioning {
    /// Coefficients for sigma [B] and the standard deviation sigma_d of the training images.
    pub fn new(sigma: &Tensor, sigma_d: f64) -> Self {
        let s = sigma.to_kind(Kind::Float).reshape([-1, 1, 1, 1]);
        let total = &s * &s + sigma_d * sigma_d;
        Self {
            c_skip: total.reciprocal() * (sigma_d * sigma_d),
            c_out: &s * total.rsqrt() * sigma_d,
            c_in: total.rsqrt(),
            c_noise: sigma.to_kind(Kind::Float).log() / 4.0,
        }
    }
}

/// The U-Net's answer F(c_in x, c_noise), [B, 1, H, W].
///
/// The network sees three copies of the image. c_in x is EDM's. An asinh-compressed copy: a
/// galaxy's core is a hundred times brighter than its arms, and would otherwise own every
/// normalisation. asinh(x / sigma): at a small sigma the noise that F must return is c_in x times
/// sigma_d / sigma, an amplification of hundreds that a normalised net gets wrong by a bias of the
/// sky; here the noise comes in at its own size.
pub fn network(
    config: &UnetConfig,
    p: &Parameters,
    x: &Tensor,
    sigma: &Tensor,
    c: &Preconditioning,
) -> Tensor {
    let scaled = x * &c.c_in;
    let compressed = (&scaled * COMPRESSION).asinh();
    let in_noise = (x / sigma.to_kind(Kind::Float).reshape([-1, 1, 1, 1])).asinh();
    unet::forward(config, p, &Tensor::cat(&[scaled, compressed, in_noise], 1), &c.c_noise)
}

/// A trained U-Net as a denoiser.
#[derive(Debug)]
pub struct UnetDenoiser {
    /// Sizes of the net.
    pub config: UnetConfig,
    /// Its weights; their kind is the kind of the arithmetic.
    pub parameters: Parameters,
    /// Standard deviation of the training images.
    pub sigma_d: f64,
    /// Mean image of the training set, [H, W].
    pub mean: Tensor,
    /// Power spectrum of the training set about its mean, [H, W].
    pub power: Tensor,
}

impl Denoiser for UnetDenoiser {
    fn denoise(&self, x: &Tensor, sigma: &Tensor) -> Tensor {
        let c = Preconditioning::new(sigma, self.sigma_d);
        let f = network(&self.config, &self.parameters, x, sigma, &c);
        x * &c.c_skip + f * &c.c_out
    }

    fn linearize(&self, x: &Tensor, sigma: &Tensor) -> Linearized {
        Linearized::by_autograd(x, |x| self.denoise(x, sigma))
    }

    fn mean(&self) -> &Tensor {
        &self.mean
    }

    fn power(&self) -> &Tensor {
        &self.power
    }
}
