//! The learned score: a whitened network around a base that is right for Gaussian noise.
//!
//! With S the spectrum of the noise's core and |K|^2 that of A A^T, both stationary,
//!
//! Sigma_r = S + r^2 |K|^2 + w^2,   z = Sigma_r^(-1/2) eta,   s(eta, r) = -Sigma_r^(-1/2) F(z, eta, r)
//!
//! w is a white perturbation: none where light is inferred, where the blur of the prior's level is all there
//! is. Noise is *drawn* down a ladder of white levels instead, because K leaves whatever the telescope does
//! not pass, and cosmic rays brighter than its largest level, as they are.
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
/// Pixels beyond this many core sigma, and 20 of the perturbation, are cut there: the score is zero either
/// way, and the FFT of a saturated cosmic ray in f32 would leave its rounding on all others.
pub const BRIGHTEST: f64 = 1000.0;
/// White perturbation that stands for none, core sigma: small enough to leave the noise as it is (0.25 % of the
/// variance). Training perturbs by it at level zero.
pub const PROBE: f64 = 0.05;
/// Pixels beyond which the whitening filters weigh next to nothing, in both directions together. With this margin the
/// shipped models' scores are those of the whole frame to 1e-3 of their rms up to levels of three core sigma, to 1e-2 at
/// a hundred (`tests/noise_window.rs`; measured 7e-4 and 5e-3).
const WHITENING_REACH_PX: usize = 12;
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

/// Largest levels of training; beyond, the network is asked for these.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// r, e-/s.
    pub r: f64,
    /// Standard deviation of the white perturbation, e-/s.
    pub white: f64,
}

/// Gaussian perturbations of a batch of images, covariance rho^2 K K^T + white^2, in core sigma.
#[derive(Debug)]
pub struct Perturbation {
    /// r / core_sigma, [B].
    pub rho: Tensor,
    /// Standard deviation of the white part / core_sigma, [B].
    pub white: Tensor,
}

impl Perturbation {
    /// By the prior's level alone.
    pub fn blur(rho: &Tensor) -> Self {
        Self { rho: rho.shallow_clone(), white: rho.zeros_like() }
    }

    /// White alone.
    pub fn white(white: &Tensor) -> Self {
        Self { rho: white.zeros_like(), white: white.shallow_clone() }
    }

    /// Root of its spectrum on images with the spectrum |K|^2 = `k2`, [B, 2 ny, nx + 1].
    pub fn root(&self, k2: &Tensor) -> Tensor {
        self.spectrum(k2).sqrt()
    }

    fn spectrum(&self, k2: &Tensor) -> Tensor {
        let [rho2, white2] = [&self.rho, &self.white].map(|t| t.square().reshape([-1, 1, 1]));
        k2 * rho2 + white2
    }

    /// Twice the batch.
    #[must_use]
    pub fn twice(&self) -> Self {
        Self { rho: self.rho.repeat([2]), white: self.white.repeat([2]) }
    }
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
    limits: Limits,
    device: Device,
    /// (S, |K|^2) in units of the core's variance, by the shape of the image.
    spectra: RefCell<HashMap<[i64; 2], [Tensor; 2]>>,
}

impl LearnedNoise {
    /// Of the core's covariance in (e-/s)^2, A A^T, and the largest levels of training.
    pub fn new(
        estimate: Estimate,
        core: Autocovariance,
        forward: Autocovariance,
        limits: Limits,
        device: Device,
    ) -> Self {
        let core_sigma = core.variance().sqrt();
        let spectra = RefCell::default();
        Self { estimate, core, forward, core_sigma, limits, device, spectra }
    }

    /// The same with another estimate of F.
    #[must_use]
    pub fn with(&self, estimate: Estimate) -> Self {
        let (core, forward) = (self.core.scaled(1.0), self.forward.scaled(1.0));
        Self::new(estimate, core, forward, self.limits, self.device)
    }

    /// Covariance of the core, (e-/s)^2.
    pub fn core(&self) -> &Autocovariance {
        &self.core
    }

    /// A A^T.
    pub fn forward(&self) -> &Autocovariance {
        &self.forward
    }

    /// Largest white perturbation of training, core sigma.
    pub fn largest_white(&self) -> f64 {
        self.limits.white / self.core_sigma
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

    /// Sigma_r^(-1/2) core_sigma, [B, 2 ny, nx + 1].
    pub fn whitener(&self, shape: [i64; 2], by: &Perturbation) -> Tensor {
        let [s, k2] = self.spectra(shape);
        (s + by.spectrum(&k2)).rsqrt()
    }

    /// s(eta, r) core_sigma for x = eta / core_sigma [B, ny, nx] f32, perturbed `by`.
    pub fn unit_score(&self, x: &Tensor, by: &Perturbation) -> Tensor {
        let (_, ny, nx) = x.size3().expect("because eta is [B, ny, nx]");
        let whitener = self.whitener([ny, nx], by);
        let f = match &self.estimate {
            Estimate::Gaussian => filter(x, &whitener),
            Estimate::Net(config, parameters) => {
                let rms = &by.rho * self.forward.variance().sqrt() + &by.white;
                let limit = (rms * 20.0 + BRIGHTEST).reshape([-1, 1, 1]);
                let x = &x.minimum(&limit).maximum(&-limit);
                let z = filter(x, &whitener);
                let base = base(&z);
                // The last channel tells the zeros around the image from pixels.
                let inputs = [&base, &z.asinh(), &x.asinh(), &x.ones_like()];
                let inputs = Tensor::stack(&inputs, 1);
                base + net::forward(config, parameters, &inputs, &self.level(by))
            }
        };
        -filter_transposed(&f, &whitener)
    }

    /// The network's measure of the levels, [B, 2]: ln of the rms of blur and white noise in core sigma.
    fn level(&self, by: &Perturbation) -> Tensor {
        let rms = self.forward.variance().sqrt();
        let blur = by.rho.clamp_max(self.limits.r / self.core_sigma) * rms;
        let white = by.white.clamp_max(self.limits.white / self.core_sigma);
        // No perturbation at all is asked for as it was trained.
        let white = white.clamp_min(PROBE).where_self(&by.rho.le(0.0), &white);
        (Tensor::stack(&[blur, white], 1) + SMALLEST_LEVEL).log()
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
        (self.unit_score(&x, &Perturbation::blur(&rho)) / self.core_sigma).to_kind(eta.kind())
    }

    fn core_sigma(&self) -> f64 {
        self.core_sigma
    }

    fn reach_px(&self) -> usize {
        let network = match &self.estimate {
            Estimate::Gaussian => 0,
            Estimate::Net(config, _) => config.reach_px(),
        };
        network + WHITENING_REACH_PX
    }
}
