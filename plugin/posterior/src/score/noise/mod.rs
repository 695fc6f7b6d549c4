//! Scores of the noise: Score-based Likelihood Characterisation, SLIC (Legin et al. 2023,
//! arXiv 2302.00046; Adam et al. 2023, arXiv 2311.18002, eqs. 4 and 14 to 17).
//!
//! One convention serves every SDE. With x_t = mu x_0 + sigma z the data's residual is
//! mu y - A x_t = mu (eta_0 - r A z) with r = sigma / mu, so that the score of the noise perturbed by
//! N(mu eta_0, sigma^2 A A^T) is
//!
//! s(mu eta, t) = s(eta, r) / mu,   s(eta, r) = grad ln q_r(eta),   q_r = p_noise * N(0, r^2 K K^T)
//!
//! K K^T is A A^T on the pixel grid of one exposure, made stationary (circulant).

pub mod aligned;
pub mod file;
pub mod learned;
mod mixture;
pub mod net;
pub mod reference;
pub mod rows;
pub mod stationary;
pub(crate) mod window;

pub use mixture::MixtureNoise;

use tch::Tensor;

/// Score of one exposure's noise, blurred at the levels of the prior's SDE.
pub trait NoiseScore {
    /// s(eta, r), the gradient of ln q_r at eta.
    ///
    /// # Shapes and units
    /// eta [B, ny, nx] in the exposure's unit (e-/s), r [B] in the same unit (noise level of the model
    /// image in surface brightness), from 0 on. The result [B, ny, nx] in 1 / (e-/s).
    fn score(&self, eta: &Tensor, r: &Tensor) -> Tensor;

    /// Standard deviation of the core of the noise, outliers left out, e-/s: the scale on which the score
    /// varies.
    fn core_sigma(&self) -> f64;

    /// Pixels beyond which the score does not depend on the image, or too little to matter.
    fn reach_px(&self) -> usize;
}
