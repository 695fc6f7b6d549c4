//! The reference sampler: convolved likelihood and Euler-Maruyama (Adam et al. 2023).
//!
//! The likelihood at time t is N(mu y; A x_t, mu^2 S + sigma^2 A A^T) (their eqs 4, 11, 14); in the
//! scaled variable x_t / mu with v = (sigma / mu)^2 its score is W^T (1 + v W W^T)^-1 (y - W x).
//! It is biased: for one Gaussian mode of prior variance c with r = noise variance / a^2 the
//! sampled variance over the true one is (c + r) c r Int_0^inf dv / ((c + v)^2 (r + v)^2).

use tch::{Kind, Tensor};

use super::SamplerOptions;
use super::batch::{Batch, DataVectors};
use super::solver::level_tensor;
use crate::error::PosteriorError;
use crate::score::Denoiser;

/// Draws one sample a row, [B, 1, H, W], by `o.steps` steps uniform in t.
///
/// `likelihood_score` is grad_x ln p_t(y | x) in the scaled variable, of a batch, x and v = (sigma / mu)^2.
pub(super) fn sample(
    batch: &mut Batch<'_>,
    o: &SamplerOptions,
    likelihood_score: impl Fn(&mut Batch<'_>, &Tensor, f64) -> Tensor,
) -> Result<Tensor, PosteriorError> {
    let sde = batch.model.metadata.sde;
    batch.steps_total = o.steps;
    let t_min = sde.t_min();
    let dt = (1.0 - t_min) / o.steps as f64;
    let mut x = batch.noise() * sde.noise_level(1.0);
    for i in 0..o.steps {
        let t = 1.0 - i as f64 * dt;
        let v = sde.noise_level(t).powi(2);
        // dx = -g^2 s dt + g dw in the scaled variable, where g^2 = dv/dt.
        let g2dt = (sde.diffusion(t) / sde.mu(t)).powi(2) * dt;
        let d =
            batch.net().denoise(&x, &level_tensor(&vec![v.sqrt(); batch.rngs.len()], x.device()));
        let score = (&d - &x) / v + likelihood_score(batch, &x, v);
        x += score * g2dt;
        // The last step is the mean alone (Song et al. 2021, appendix G).
        if i + 1 < o.steps {
            x += batch.noise() * g2dt.sqrt();
        }
        batch.tick()?;
    }
    Ok(x)
}

/// W^T (1 + v W W^T)^-1 (y - W x).
pub(super) fn gaussian_score(batch: &Batch<'_>, x: &Tensor, v: f64) -> Tensor {
    let weighted: DataVectors = batch
        .residual(x)
        .iter()
        .zip(&batch.groups)
        .map(|(r, g)| (r / (&g.likelihood.s2 * v + 1.0)).to_kind(Kind::Double))
        .collect();
    batch.adjoint(&weighted)
}
