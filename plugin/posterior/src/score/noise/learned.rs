//! The learned score: a whitened network around a base that is right for Gaussian noise.
//!
//! With S the spectrum of the noise's core and |K|^2 that of A A^T, both stationary,
//!
//! Sigma_r = S + r^2 |K|^2,   z = Sigma_r^(-1/2) eta,   s(eta, r) = -Sigma_r^(-1/2) F(z, eta, r)
//!
//! F = b(z) + net. For Gaussian noise F = z exactly, at every r. The base b(z) = z / (1 + (z / 6)^8) lets go of
//! outliers: a pixel that no Gaussian would produce says nothing about the light beneath. Above the largest
//! level of training the net is asked for that level; the perturbation then dominates, and the base is
//! right.

use std::cell::RefCell;
use std::collections::HashMap;

use tch::{Device, Kind, Tensor};

use super::NoiseScore;
use super::net::{self, NoiseNetConfig};
use super::stationary::{Autocovariance, filter, filter_transposed};
use crate::score::parameters::Parameters;

/// Whitened amplitude at which the base lets go.
const LETS_GO: f64 = 6.0;
/// Level, rms of the perturbation in core sigma, below which the network sees no difference.
const SMALLEST_LEVEL: f64 = 0.03;

/// The estimate of F.
#[derive(Debug)]
pub enum Estimate {
    /// F = z: Gaussian noise, in closed form.
    Gaussian,
    /// F = b(z) + net.
    Net(NoiseNetConfig, Parameters),
}

/// A stationary noise model with outliers.
#[derive(Debug)]
pub struct LearnedNoise {
    /// The estimate of F.
    pub estimate: Estimate,
    /// Covariance of the core, (e-/s)^2.
    core: Autocovariance,
    /// A A^T.
    forward: Autocovariance,
    core_sigma: f64,
    largest_level: f64,
    device: Device,
    /// (S, |K|^2) in units of the core's variance, by the shape of the image.
    spectra: RefCell<HashMap<[i64; 2], [Tensor; 2]>>,
}

impl LearnedNoise {
    /// Of the core's covariance in (e-/s)^2 and A A^T; `largest_level` in e-/s is the largest r of training.
    pub fn new(
        estimate: Estimate,
        core: Autocovariance,
        forward: Autocovariance,
        largest_level: f64,
        device: Device,
    ) -> Self {
        let core_sigma = core.variance().sqrt();
        let spectra = RefCell::default();
        Self { estimate, core, forward, core_sigma, largest_level, device, spectra }
    }

    /// Covariance of the core, (e-/s)^2.
    pub fn core(&self) -> &Autocovariance {
        &self.core
    }

    /// A A^T.
    pub fn forward(&self) -> &Autocovariance {
        &self.forward
    }

    /// Spectra S / core_sigma^2 and |K|^2 of images [ny, nx], see [`Autocovariance::spectrum`].
    pub fn spectra(&self, shape: [i64; 2]) -> [Tensor; 2] {
        let mut spectra = self.spectra.borrow_mut();
        let entry = spectra.entry(shape).or_insert_with(|| {
            let unit = self.core.scaled(self.core_sigma.powi(-2));
            [&unit, &self.forward].map(|c| c.spectrum(shape, self.device))
        });
        entry.each_ref().map(Tensor::shallow_clone)
    }

    /// Sigma_r^(-1/2) core_sigma, [B, 2 ny, nx + 1], for rho = r / core_sigma [B].
    pub fn whitener(&self, shape: [i64; 2], rho: &Tensor) -> Tensor {
        let [s, k2] = self.spectra(shape);
        (s + k2 * rho.square().reshape([-1, 1, 1])).rsqrt()
    }

    /// s(eta, r) core_sigma for x = eta / core_sigma [B, ny, nx] f32 and rho = r / core_sigma [B].
    pub fn unit_score(&self, x: &Tensor, rho: &Tensor) -> Tensor {
        let (_, ny, nx) = x.size3().expect("because eta is [B, ny, nx]");
        let whitener = self.whitener([ny, nx], rho);
        let z = filter(x, &whitener);
        let f = match &self.estimate {
            Estimate::Gaussian => z,
            Estimate::Net(config, parameters) => {
                let base = base(&z);
                // The last channel tells the zeros around the image from pixels.
                let inputs = [&base, &z.asinh(), &x.asinh(), &x.ones_like()];
                let inputs = Tensor::stack(&inputs, 1);
                base + net::forward(config, parameters, &inputs, &self.level(rho))
            }
        };
        -filter_transposed(&f, &whitener)
    }

    /// The network's measure of the level: ln of the perturbation's rms in core sigma.
    fn level(&self, rho: &Tensor) -> Tensor {
        let rms = self.forward.variance().sqrt();
        let rho = rho.clamp_max(self.largest_level / self.core_sigma);
        (rho * rms + SMALLEST_LEVEL).log()
    }
}

/// b(z) = z / (1 + (z / 6)^8).
fn base(z: &Tensor) -> Tensor {
    // Beyond 1e3 the result is zero to f32; the clamp keeps the power finite.
    let t = (z / LETS_GO).clamp(-1e3, 1e3).square().square().square();
    z / (t + 1.0)
}

impl NoiseScore for LearnedNoise {
    fn score(&self, eta: &Tensor, r: &Tensor) -> Tensor {
        let x = (eta / self.core_sigma).to_kind(Kind::Float);
        let rho = (r / self.core_sigma).to_kind(Kind::Float);
        (self.unit_score(&x, &rho) / self.core_sigma).to_kind(eta.kind())
    }

    fn core_sigma(&self) -> f64 {
        self.core_sigma
    }
}
