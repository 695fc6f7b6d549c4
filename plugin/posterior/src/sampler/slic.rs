//! Noise known by its score: guided descent, Hamiltonian trajectories, prior-only finish.
//!
//! The guidance takes each pixel's noise to be Gaussian with its effective variance. What it draws at a
//! small level sigma_s is the start of trajectories whose target is exact,
//!
//! p(x_s | y) ~ p_s(x_s) p_noise(y - A x_s),
//!
//! with the prior's score (D - x) / sigma_s^2 and the noise's score -A^T s(y - A x, 0). Drawing x_0 from
//! the prior given x_s then leaves x_0 with the likelihood p_noise * N(0, sigma_s^2 A A^T): the noise is
//! broadened by (sigma_s / rho)^2 of its variance in the direction that the data know best, and that blur
//! is common to all exposures, as it should be.
//!
//! Where that level would lie below the net's smallest (rho within five of it: bright targets, deep exposures), the
//! blur would broaden the noise by more than 4 %. There the noise is left Gaussian with its effective
//! variances and `calibrated` has the word: sweeps, or for sharp data the draw conditioned on them.
//!
//! Guidance by the score itself, D* = D - sigma^2 J^T A^T s(y - A D, r) with r^2 the trace of A C A^T over
//! that of A A^T, was tried in its place. Known-answer problem of `benches/learned_noise.rs`, one exposure, 64
//! samples, no trajectories: 100 steps of it end with a mean error of 0.34 sigma and a variance ratio of 1.15;
//! 25 steps guided by effective variances with 0.06 and 1.01, and with the trajectories (128 samples) at 0.01 and 1.00.

use std::time::Instant;

use tch::{Kind, Tensor};

use super::SamplerOptions;
use super::batch::Batch;
use super::calibrated::{self, descend, prior_only};
use super::convolved;
use super::hamiltonian::explore;
use super::solver::level_tensor;
use crate::error::PosteriorError;
use crate::likelihood::{GaussianLikelihood, SlicLikelihood};
use crate::rng::normal;
use crate::score::Denoiser;
use crate::score::model_file::PriorModel;

/// sigma_s as a share of rho: 4 % of the variance where the data are best, less elsewhere.
const LEVEL_SHARE: f64 = 0.2;

/// Whether sigma_s would lie below the net's smallest level.
pub(crate) fn is_gaussian_only(model: &PriorModel, likelihood: &GaussianLikelihood) -> bool {
    LEVEL_SHARE * likelihood.largest_rho() <= model.metadata.sde.noise_range()[0]
}

/// Draws one posterior sample a row, [B, 1, H, W].
pub(super) fn sample(
    batch: &mut Batch<'_>,
    likelihood: &SlicLikelihood,
    o: &SamplerOptions,
) -> Result<Tensor, PosteriorError> {
    if is_gaussian_only(batch.model, &likelihood.gaussian) {
        return calibrated::sample(batch, o);
    }
    let largest = batch.model.metadata.sde.noise_range()[1];
    let level = (LEVEL_SHARE * likelihood.gaussian.largest_rho()).min(0.5 * largest);
    batch.steps_total = o.steps + o.trajectories * o.leapfrog_steps + o.finish_steps;
    let fill = fill(batch, likelihood);
    let levels = vec![level; batch.rngs.len()];
    let x = descend(batch, largest, &levels, o.steps, o.cg_iterations)?;

    let reference = likelihood.reference(&*batch.model.denoiser, level)?;
    let sigma = level_tensor(&levels, x.device());
    let force = |batch: &mut Batch<'_>, x: &Tensor| {
        let (reference_prior, reference_data) = reference.score(x);
        let prior = (batch.net().denoise(x, &sigma) - x) / (level * level) - reference_prior;
        prior + noise_score(batch, likelihood, x, 0.0, &fill) - reference_data
    };
    let x = explore(batch, x, &reference, force, o)?;
    prior_only(batch, &x, &levels, 0.0, o.finish_steps)
}

/// The paper's own sampler: -A^T s(y - A x, sigma / mu) beside the prior's score (their eq. 4 in x / mu).
pub(super) fn convolved(
    batch: &mut Batch<'_>,
    likelihood: &SlicLikelihood,
    o: &SamplerOptions,
) -> Result<Tensor, PosteriorError> {
    let fill = fill(batch, likelihood);
    convolved::sample(batch, o, |batch, x, v| noise_score(batch, likelihood, x, v.sqrt(), &fill))
}

/// What the pixels hold that are not used, one stream a row: see [`SlicLikelihood`].
fn fill(batch: &mut Batch<'_>, likelihood: &SlicLikelihood) -> Tensor {
    let device = batch.device();
    normal(&mut batch.rngs, &[likelihood.hidden_pixels()], device)
}

/// grad_x ln q_r(y - A x) = -A^T s(y - A x, r), counted and timed.
fn noise_score(
    batch: &mut Batch<'_>,
    likelihood: &SlicLikelihood,
    x: &Tensor,
    r: f64,
    fill: &Tensor,
) -> Tensor {
    let eta = likelihood.residual(x);
    let level = Tensor::full([x.size()[0]], r, (Kind::Float, x.device()));
    let started = Instant::now();
    let s = likelihood.score(&eta, &level, fill);
    batch.noise_seconds += started.elapsed().as_secs_f64();
    batch.noise_evaluations += likelihood.exposures();
    -likelihood.pull(&s).reshape(x.size())
}
