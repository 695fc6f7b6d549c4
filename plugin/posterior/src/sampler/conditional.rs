//! x_0 given x_s and the data, where p(x_0 | x_s) is taken for a Gaussian.
//!
//! For x_s = x_0 + s z the data are independent of x_s given x_0: p(x_0 | x_s, y) is p(x_0 | x_s) p(y | x_0)
//! up to a constant, whatever s. A net says nothing of p(x_0 | x_s) at its smallest level but mean and
//! covariance, and a Gaussian of these can be conditioned exactly, however sharp the data.

use std::f64::consts::TAU;

use tch::{Kind, Tensor};

use super::batch::{Batch, DataVectors};
use super::linear_solve::{Limit, pull_back};
use super::solver::level_tensor;
use crate::error::PosteriorError;
use crate::score::{Denoiser, Linearized};

/// What the solve leaves adds to the residuals of the data: 0.01 sigma change chi^2 by 1e-4 of itself.
const SOLVED: Limit = Limit { iterations: 200, rms: 0.01 };
/// Probes of the Jacobian's diagonal.
const PROBES: usize = 4;
/// Standard deviation of the Gaussian that smooths it, model pixels: with four probes some 200 numbers are averaged.
const SMOOTHING_PX: f64 = 2.0;
/// Least local variance, as a share of the stationary one. In an empty sky a net is surer of itself than it
/// should be (its Jacobian's diagonal was below zero in the shipped prior's), and then no data could move it. For a
/// faint truth a share of 1, 0.1, 0.03 gave chi^2/dof 0.97, 1.01, 1.09, and z-scores of rms 0.55, 0.76, 1.00.
const LEAST_SHARE: f64 = 0.1;

/// Draws x_0 from N(D(x, s), C) conditioned on the data.
///
/// C = B F^H diag(P s^2 / (P + s^2)) F B is the preconditioner's stationary covariance with the local amplitude
/// B of the net's own s^2 dD/dx, whose diagonal is probed (Hutchinson 1989); unlike that, C is symmetric
/// positive. The draw is Matheron's rule: e ~ N(0, C), n ~ N(0, 1), (1 + W C W^T) u = y - W (D + e) - n and
/// x_0 = D + e + C W^T u.
///
/// # Shapes
/// x [B, 1, H, W]; levels holds the B noise levels s.
pub(super) fn draw(
    batch: &mut Batch<'_>,
    x: &Tensor,
    levels: &[f64],
) -> Result<Tensor, PosteriorError> {
    let s2 = level_tensor(levels, x.device()).square().reshape([-1, 1, 1, 1]);
    let power = batch.net().power();
    let gain = power / (power + &s2);
    let at = batch.net().linearize_at(x, levels);
    let amplitude = amplitude(batch, &at, &gain);
    let c = gain * s2;

    let e = filter(&batch.noise(), &c.sqrt()) * &amplitude;
    let start = &at.value + e;
    let mut r: DataVectors = batch.residual(&start);
    for (g, r) in r.iter_mut().enumerate() {
        *r -= batch.data_noise(g);
    }
    let covariance = |v: &Tensor| filter(&(v * &amplitude), &c) * &amplitude;
    pull_back(batch, &start, r, covariance, levels, SOLVED)
}

/// Square root of the diagonal of dD/dx, smoothed, over that of the stationary filter `gain`.
fn amplitude(batch: &mut Batch<'_>, at: &Linearized, gain: &Tensor) -> Tensor {
    let mut diagonal = at.value.zeros_like();
    for _ in 0..PROBES {
        let signs = batch.noise().sign();
        diagonal += &signs * at.vjp(&signs);
    }
    let [_, h, w] = batch.image_shape();
    let k2 = |n: i64| {
        let k = Tensor::arange(n, (Kind::Float, at.value.device()));
        (k.minimum(&(n - &k)) * (TAU / n as f64)).square()
    };
    let window = ((k2(h).unsqueeze(1) + k2(w)) * (-0.5 * SMOOTHING_PX.powi(2))).exp();
    let stationary = gain.mean_dim([2i64, 3].as_slice(), true, Kind::Float);
    let share = filter(&(diagonal / PROBES as f64), &window) / stationary;
    share.clamp_min(LEAST_SHARE).sqrt()
}

/// F^H diag(gain) F v.
fn filter(v: &Tensor, gain: &Tensor) -> Tensor {
    let spectrum = v.fft_fft2(None::<&[i64]>, [-2, -1], "ortho") * gain;
    spectrum.fft_ifft2(None::<&[i64]>, [-2, -1], "ortho").real()
}
