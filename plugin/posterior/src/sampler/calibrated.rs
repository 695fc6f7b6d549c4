//! The calibrated sampler: guided descent to rho, exact split-Gibbs sweeps, prior-only finish; a
//! draw conditioned on the data where rho is close to the net's smallest level or below it (sharp data).
//!
//! Where rho^2 W W^T <= 1 the likelihood of x_rho = x_0 + rho z is known exactly:
//! p(y | x_rho) = N(W x_rho, 1 - rho^2 W W^T), and x_0 is independent of y given x_rho. So a Gibbs
//! sweep that draws x_0 from the prior's reverse SDE and x_rho from its Gaussian conditional leaves
//! the posterior invariant, whatever the guidance left wrong.

use tch::Tensor;

use super::SamplerOptions;
use super::batch::{Batch, DataVectors};
use super::conditional;
use super::guidance::guide;
use super::solver::{Multistep, geometric, karras, level_tensor, reverse_prior};
use crate::error::PosteriorError;
use crate::likelihood::GaussianLikelihood;
use crate::score::model_file::PriorModel;

/// Margin between rho and the level at which 1 - rho^2 W W^T turns singular.
const RHO_MARGIN: f64 = 0.95;
/// A sweep's prior-only stage ends this far below rho, or at the net's smallest level: noise of level rho is added
/// next, beside which the rest is nothing.
const SWEEP_RATIO: f64 = 1.0 / 80.0;

/// Least rho of sweeps, in units of the net's smallest level s. Their x_0 is the denoised image at level s, which
/// lacks s^2 / rho^2 of the sharpest direction's variance: for a Gaussian field chi^2/dof was 4 % low at rho = 1.05 s.
const ROOM: f64 = 2.0;
/// Guided steps of sharp data, in units of those of others: no sweeps will follow, whose evaluations
/// they take.
const SHARP_STEPS: usize = 2;

/// Whether there is no room for sweeps between rho and the net's smallest level s: guidance goes down to s,
/// and the last step is conditioned on the data.
pub(crate) fn is_sharp(model: &PriorModel, likelihood: &GaussianLikelihood) -> bool {
    RHO_MARGIN * likelihood.largest_rho() <= ROOM * model.metadata.sde.noise_range()[0]
}

/// Draws one posterior sample a row, [B, 1, H, W]; all rows are sharp or none is.
pub(super) fn sample(batch: &mut Batch<'_>, o: &SamplerOptions) -> Result<Tensor, PosteriorError> {
    let [smallest, largest] = batch.model.metadata.sde.noise_range();
    // Little data: rho would lie above the prior's largest level, where nothing is left to guide.
    let rho = batch.per_row(|l| (RHO_MARGIN * l.largest_rho()).min(0.5 * largest));
    let sharp = is_sharp(batch.model, &batch.groups[0].likelihood);
    let steps = if sharp { SHARP_STEPS * o.steps } else { o.steps };
    let bottom = if sharp { vec![smallest; rho.len()] } else { rho.clone() };
    batch.steps_total = steps;
    if !sharp {
        batch.steps_total += o.sweeps * o.sweep_steps + o.finish_steps;
        batch.sweeps = o.sweeps;
    }

    let mut x = descend(batch, largest, &bottom, steps, o.cg_iterations)?;
    if sharp {
        return conditional::draw(batch, &x, &bottom);
    }
    for _ in 0..o.sweeps {
        let x0 = prior_only(batch, &x, &bottom, SWEEP_RATIO, o.sweep_steps)?;
        x = condition(batch, &x0, &rho);
    }
    prior_only(batch, &x, &bottom, 0.0, o.finish_steps)
}

/// The guided stage, `steps` levels with `cg_iterations` each: x at the rows' levels `bottom`.
pub(super) fn descend(
    batch: &mut Batch<'_>,
    largest: f64,
    bottom: &[f64],
    steps: usize,
    cg_iterations: usize,
) -> Result<Tensor, PosteriorError> {
    let mut x = batch.gaussian_means()? + batch.noise() * largest;
    let grids: Vec<Vec<f64>> = bottom.iter().map(|&b| geometric(largest, b, steps)).collect();
    let level = |i: usize| -> Vec<f64> { grids.iter().map(|grid| grid[i]).collect() };
    let mut solver = Multistep::default();
    for i in 0..steps {
        let guided = guide(batch, &x, &level(i), cg_iterations)?;
        let z = batch.noise();
        x = solver.step(&x, guided, &level(i), &level(i + 1), &z);
        batch.tick()?;
    }
    Ok(x)
}

/// x_0 from the prior's reverse SDE, started at x with noise level `from` and ended at `ratio` times
/// that or at the net's smallest level.
pub(super) fn prior_only(
    batch: &mut Batch<'_>,
    x: &Tensor,
    from: &[f64],
    ratio: f64,
    steps: usize,
) -> Result<Tensor, PosteriorError> {
    let smallest = batch.model.metadata.sde.noise_range()[0];
    let end = |from: f64| (from * ratio).max(smallest);
    let grids: Vec<_> = from.iter().map(|&f| karras(f, end(f), steps)).collect();
    let (net, rngs, mut progress) = batch.net_and_rngs();
    reverse_prior(net, x, &grids, rngs, || progress.tick()).ok_or(PosteriorError::Cancelled)
}

/// x_rho ~ p(x_rho | x_0, y) by Matheron's rule: z = x_0 + rho xi and e ~ N(0, 1 - rho^2 W W^T) are
/// a joint draw of x_rho and y's noise, whose innovation has unit covariance;
/// x_rho = z + rho^2 W^T (y - W z - e).
fn condition(batch: &mut Batch<'_>, x0: &Tensor, rho: &[f64]) -> Tensor {
    let rho_column = level_tensor(rho, x0.device()).reshape([-1, 1, 1, 1]);
    let z = x0 + batch.noise() * &rho_column;
    let rho2 = Tensor::from_slice(rho).square().unsqueeze(1).to_device(x0.device());
    let residual = batch.residual(&z);
    let mut innovation: DataVectors = Vec::with_capacity(residual.len());
    for (g, r) in residual.iter().enumerate() {
        let e = batch.data_noise(g);
        let deviation = (-(&rho2 * &batch.groups[g].likelihood.s2) + 1.0).clamp_min(0.0).sqrt();
        innovation.push(r - e * deviation);
    }
    z + batch.adjoint(&innovation) * rho_column.square()
}
