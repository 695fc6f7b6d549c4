//! The Gaussian likelihood nearest to one whose noise is known by its score.
//!
//! For a scale mixture of Gaussians s = -E[1/v | eta] eta, so that -s / eta is the precision to expect of
//! a pixel with residual eta. Variational EM alternates between the posterior of the light, Gaussian with
//! the precisions it is given, and each pixel's mean precision under it (Dempster, Laird & Rubin 1977,
//! section 4.5: iteratively reweighted least squares; here with the posterior's spread). Correlations
//! between pixels are left to the exact stage.

use tch::{Device, Kind, Tensor};

use super::compress::Compressed;
use crate::error::PosteriorError;
use crate::rng::{SampleRng, normal};

/// Rounds of EM.
const ROUNDS: usize = 12;
/// Posterior draws a round.
const DRAWS: u64 = 8;
/// Weight of the core's own precision beside that of a draw with a residual of one core sigma.
const SHRINKAGE: f64 = 0.02;
/// Range of a pixel's precision, in units of the core's.
const RANGE: (f64, f64) = (1e-6, 10.0);

/// Standard normal numbers of the draws, [draws, n]: the same for every job.
pub(super) fn draws(n: i64, device: Device) -> Tensor {
    normal(&mut streams(1 << 32), &[n], device)
}

fn streams(first: u64) -> Vec<SampleRng> {
    (first..first + DRAWS).map(|k| SampleRng::new(0x5eed, k)).collect()
}

/// The effective problem.
///
/// # Shapes
/// `small` is the problem with the core's noise everywhere, compressed to the directions U [m, k];
/// y [m] f64 the data and `score` the noise's score of [`DRAWS`] residuals [B, m] f64, all in units of
/// the core's sigma.
pub(super) fn effective(
    small: &Compressed,
    directions: &Tensor,
    y: &Tensor,
    mean: &Tensor,
    power: &Tensor,
    score: impl Fn(&Tensor) -> Tensor,
) -> Result<Compressed, PosteriorError> {
    let w = small.w.to_kind(Kind::Double);
    // The light in these directions is t = W x = W mean + L z with z ~ N(0, 1).
    let l = prior_factor(&w, power)?;
    let offset = y - directions.mv(&w.mv(&mean.to_kind(Kind::Double).reshape([-1])));
    let mut rngs = streams(1 << 33);
    let k = l.size()[0];
    let mut precision = y.ones_like();
    for _ in 0..ROUNDS {
        let inner = l.tr().matmul(&gram(directions, &precision)).matmul(&l)
            + Tensor::eye(k, (Kind::Double, Device::Cpu));
        let factor = inner.f_linalg_cholesky(false)?;
        let pulled = l.tr().mv(&directions.tr().mv(&(&precision * &offset)));
        let center_z = pulled.unsqueeze(1).cholesky_solve(&factor, false);
        let white = normal(&mut rngs, &[k], Device::Cpu).to_kind(Kind::Double).tr();
        let spread = factor.tr().f_linalg_solve_triangular(&white, true, true, false)?;
        let residual =
            (offset.unsqueeze(1) - directions.matmul(&l.matmul(&(center_z + spread)))).tr();
        let sum = |t: Tensor| t.mean_dim([0i64].as_slice(), false, Kind::Double) + SHRINKAGE;
        precision =
            (sum(-&residual * score(&residual)) / sum(residual.square())).clamp(RANGE.0, RANGE.1);
    }
    // W^T U^T diag(precision) U W, the information in the used pixels, as R R^T between two W.
    let factor = gram(directions, &precision).f_linalg_cholesky(false)?;
    let pulled = directions.tr().mv(&(&precision * y)).unsqueeze(1);
    let seen = factor.f_linalg_solve_triangular(&pulled, false, true, false)?.squeeze_dim(1);
    let rows = factor.tr().matmul(&w);
    Ok(Compressed::diagonal(&rows, &seen)?.0)
}

/// U^T diag(precision) U, [k, k] f64.
fn gram(u: &Tensor, precision: &Tensor) -> Tensor {
    let scaled = u * precision.sqrt().unsqueeze(1);
    scaled.tr().matmul(&scaled)
}

/// L with L L^T = W C W^T, C the prior's covariance, [k, k] f64.
fn prior_factor(w: &Tensor, power: &Tensor) -> Result<Tensor, PosteriorError> {
    let (height, width) = power.size2()?;
    let spectrum = w.reshape([-1, height, width]).fft_fft2(None::<&[i64]>, [-2, -1], "ortho");
    let spread = (spectrum * power).fft_ifft2(None::<&[i64]>, [-2, -1], "ortho").real();
    let gram = spread.flatten(1, 2).matmul(&w.tr());
    let floor = 1e-10 * gram.diagonal(0, 0, 1).max().double_value(&[]);
    let eye = Tensor::eye(gram.size()[0], (Kind::Double, Device::Cpu));
    Ok(((&gram + gram.tr()) * 0.5 + eye * floor).f_linalg_cholesky(false)?)
}
