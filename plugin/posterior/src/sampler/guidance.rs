//! Moment-matching posterior sampling (MMPS; Rozet et al. 2024, arXiv 2405.13712, eqs 11-16).
//!
//! p(y | x_t) is approximated by N(W D, 1 + W C W^T) with C = sigma^2 dD/dx the covariance of x_0
//! given x_t (second-order Tweedie). It is exact for a Gaussian prior.

use tch::Tensor;

use super::batch::Batch;
use super::linear_solve::{Limit, pull_back};
use super::solver::level_tensor;
use crate::error::PosteriorError;

/// The guided denoised image D* = D + C W^T u with (1 + W C W^T) u = y - W D, by `iterations`
/// preconditioned conjugate-gradient steps.
///
/// # Shapes
/// x [B, 1, H, W]; levels holds B noise levels.
pub(super) fn guide(
    batch: &mut Batch<'_>,
    x: &Tensor,
    levels: &[f64],
    iterations: usize,
) -> Result<Tensor, PosteriorError> {
    let at = batch.net().linearize_at(x, levels);
    let sigma2 = level_tensor(levels, x.device()).square().reshape([-1, 1, 1, 1]);
    let r = batch.residual(&at.value);
    let covariance = |v: &Tensor| at.vjp(v) * &sigma2;
    pull_back(batch, &at.value, r, covariance, levels, Limit { iterations, rms: 0.0 })
}
