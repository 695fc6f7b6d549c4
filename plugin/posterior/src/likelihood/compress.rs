//! Compression of a whitened linear problem y = W x + N(0, 1) to the directions that carry
//! information.
//!
//! A PSF passes few of the modes that the pixels could record. The left range of B = W C^(1/2),
//! with C the prior's covariance, is found by randomised subspace iteration (Halko, Martinsson &
//! Tropp 2011, arXiv 0909.4061, algorithm 4.4); rotating the data into it is exact up to directions
//! whose signal is below [`TOLERANCE`] of their noise. The Gram matrix W W^T is diagonalised there,
//! after which its square root and its inverse are divisions.

use tch::{Kind, Tensor};

use crate::error::PosteriorError;
use crate::rng::SampleRng;

/// Largest singular value of B that may be dropped, with [`AMPLITUDE_MARGIN`]: 0.06 % of the
/// posterior variance for a direction of average power, 1 % for one with sixteen times as much.
const TOLERANCE: f64 = 0.1;
/// Factor on the prior's amplitudes when directions are judged: one galaxy's arm holds more power at
/// a frequency than the average galaxy. Where the prior's mean image is brighter than this many
/// standard deviations, as in the cores, it sets the amplitude: galaxies vary by as much as they shine.
const AMPLITUDE_MARGIN: f64 = 4.0;
/// Directions added at a time.
const BLOCK: i64 = 192;
/// Probes that estimate what an attempt left out.
const PROBES: i64 = 8;

/// A problem in its informative directions, where W W^T = diag(s2).
#[derive(Debug)]
pub struct Compressed {
    /// W, [k, n] f32.
    pub w: Tensor,
    /// y, [k] f64.
    pub y: Tensor,
    /// Squared singular values of W, descending, [k] f64.
    pub s2: Tensor,
}

impl Compressed {
    /// The problem W [k, n] with y [k], f64, turned until W W^T is diagonal, and the rotation V [k, k].
    pub fn diagonal(w: &Tensor, y: &Tensor) -> Result<(Self, Tensor), PosteriorError> {
        let (s2, v) = w.matmul(&w.tr()).f_linalg_eigh("L")?;
        // eigh sorts upwards; rounding can leave the smallest below zero.
        let (s2, v) = (s2.flip([0]).clamp_min(0.0), v.flip([1]));
        let w = v.tr().matmul(w).to_kind(Kind::Float).contiguous();
        Ok((Self { w, y: v.tr().matmul(y), s2 }, v))
    }
}

/// Compresses W [m, n] (f32, whitened) and y [m]; `mean` and `power` [H, W] are the prior's, H W = n.
/// With the compressed problem come its directions, orthonormal columns U [m, k] f64: W is about U times
/// the compressed W.
///
/// # Errors
/// [`PosteriorError::Torch`] when a factorisation fails.
pub fn compress(
    w: &Tensor,
    y: &Tensor,
    mean: &Tensor,
    power: &Tensor,
) -> Result<(Compressed, Tensor), PosteriorError> {
    let q = range(&scale_by_prior(w, mean, power))?;
    let (w, y) = match &q {
        Some(q) => (q.tr().matmul(w), q.tr().matmul(y)),
        None => (w.shallow_clone(), y.shallow_clone()),
    };
    let (small, v) = Compressed::diagonal(&w.to_kind(Kind::Double), &y.to_kind(Kind::Double))?;
    let directions = q.map_or_else(|| v.shallow_clone(), |q| q.to_kind(Kind::Double).matmul(&v));
    Ok((small, directions))
}

/// W diag(a) C^(1/2), [m, n], with C stationary and a the local amplitude sqrt(margin^2 + mean^2 / variance).
fn scale_by_prior(w: &Tensor, mean: &Tensor, power: &Tensor) -> Tensor {
    let (height, width) = power.size2().expect("because a power spectrum is [H, W]");
    let variance = power.mean(Kind::Float).clamp_min(f64::from(f32::MIN_POSITIVE));
    let local = (mean.square() / variance + AMPLITUDE_MARGIN * AMPLITUDE_MARGIN).sqrt();
    let images = w.reshape([-1, height, width]);
    let amplitude = power.sqrt().narrow(1, 0, width / 2 + 1);
    // Chunks keep the complex intermediate small.
    let scaled: Vec<Tensor> = images
        .split(512, 0)
        .iter()
        .map(|part| {
            let spectrum = (part * &local).fft_rfft2(None::<&[i64]>, [-2, -1], "ortho");
            (spectrum * &amplitude).fft_irfft2([height, width].as_slice(), [-2, -1], "ortho")
        })
        .collect();
    Tensor::cat(&scaled, 0).reshape([-1, height * width])
}

/// An orthonormal basis [m, k] of the range of B up to the tolerance, grown block by block; `None`
/// when it is not worth having.
fn range(b: &Tensor) -> Result<Option<Tensor>, PosteriorError> {
    let (m, n) = b.size2()?;
    let probe = b.matmul(&gaussian(n, PROBES, u64::MAX));
    let mut basis: Option<Tensor> = None;
    let mut rank = 0;
    while rank + BLOCK + PROBES < 3 * m / 4 {
        let outside = |y: &Tensor| match &basis {
            Some(q) => y - q.matmul(&q.tr().matmul(y)),
            None => y.shallow_clone(),
        };
        let start = orthonormal(&outside(&b.matmul(&gaussian(n, BLOCK, rank as u64))))?;
        // One subspace iteration: the spectrum falls slowly where dithers overlap. Twice outside the
        // basis: once leaves rounding errors of the size of the strongest direction.
        let block = outside(&b.matmul(&b.tr().matmul(&start)));
        let block = orthonormal(&outside(&orthonormal(&block)?))?;
        let q = match &basis {
            Some(q) => Tensor::cat(&[q, &block], 1),
            None => block,
        };
        rank += BLOCK;
        let left = &probe - q.matmul(&q.tr().matmul(&probe));
        // E |R omega|^2 = |R|_F^2: the Frobenius norm bounds the spectral one, and is spread over
        // the directions left out; a tenth of them is the effective number of a falling spectrum.
        let frobenius2 = left.square().sum(Kind::Double).double_value(&[]) / PROBES as f64;
        let directions = ((m.min(n) - rank) as f64 / 10.0).max(1.0);
        if (frobenius2 / directions).sqrt() < TOLERANCE {
            return Ok(Some(q));
        }
        basis = Some(q);
    }
    if m > n {
        return Ok(Some(orthonormal(b)?));
    }
    Ok(None)
}

/// Orthonormal basis of the columns of `a`.
fn orthonormal(a: &Tensor) -> Result<Tensor, PosteriorError> {
    Ok(Tensor::f_linalg_qr(a, "reduced")?.0)
}

/// Standard normal test matrix, the same for the same arguments.
fn gaussian(rows: i64, columns: i64, stream: u64) -> Tensor {
    let mut values = vec![0f32; (rows * columns) as usize];
    SampleRng::new(0x5eed, stream).fill_normal(&mut values);
    Tensor::from_slice(&values).reshape([rows, columns])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(m: i64, n: i64, side: i64) -> (Tensor, Tensor, Tensor) {
        // Rows that are smooth bumps: a blurring operator whose spectrum falls fast.
        let row = Tensor::arange(side, (Kind::Float, tch::Device::Cpu));
        let rows: Vec<Tensor> = (0..m)
            .map(|i| {
                let (cy, cx) = ((i * 7 % side) as f64 + 0.3, (i * 11 % side) as f64 + 0.6);
                let bump = |c: f64| ((&row - c).square() / -8.0).exp();
                (bump(cy).unsqueeze(1) * bump(cx).unsqueeze(0)).reshape([n]) * 3.0
            })
            .collect();
        let k = Tensor::arange(side, (Kind::Float, tch::Device::Cpu));
        let k = k.minimum(&(side - &k));
        let k2 = k.square().unsqueeze(1) + k.square().unsqueeze(0);
        (
            Tensor::stack(&rows, 0),
            gaussian(m, 1, 1).squeeze_dim(1),
            (k2 + 4.0).pow_tensor_scalar(-1.5) * 100.0,
        )
    }

    /// Posterior mean and variance of a Gaussian prior by a dense solve in f64.
    fn posterior(w: &Tensor, y: &Tensor, power: &Tensor) -> (Tensor, Tensor) {
        let (w, y) = (w.to_kind(Kind::Double), y.to_kind(Kind::Double));
        let n = w.size()[1];
        let side = power.size()[0];
        let eye = Tensor::eye(n, (Kind::Double, tch::Device::Cpu)).reshape([n, side, side]);
        let spectrum = eye.fft_fft2(None::<&[i64]>, [-2, -1], "ortho") * power;
        let c = spectrum.fft_ifft2(None::<&[i64]>, [-2, -1], "ortho").real().reshape([n, n]);
        let gram = w.matmul(&c).matmul(&w.tr())
            + Tensor::eye(w.size()[0], (Kind::Double, tch::Device::Cpu));
        let gain = Tensor::linalg_solve(&gram, &w.matmul(&c), true).tr();
        (gain.matmul(&y), (&c - gain.matmul(&w).matmul(&c)).diagonal(0, 0, 1))
    }

    #[test]
    fn compression_keeps_the_posterior() {
        let (w, y, power) = problem(900, 1024, 32);
        let (small, directions) = compress(&w, &y, &power.zeros_like(), &power).unwrap();
        let rank = small.w.size()[0];
        assert!(rank < 700, "rank {rank}");
        let gram = small.w.to_kind(Kind::Double);
        let gram = gram.matmul(&gram.tr());
        let off = (&gram - small.s2.diag(0)).abs().max().double_value(&[]);
        assert!(off < 1e-4 * small.s2.max().double_value(&[]), "off-diagonal {off}");
        let inside = directions.tr().matmul(&w.to_kind(Kind::Double)) - &small.w;
        let inside = inside.abs().max().double_value(&[]);
        assert!(inside < 1e-4, "U^T W differs from the compressed W by {inside}");
        let (mean, variance) = posterior(&w, &y, &power);
        let (mean_c, variance_c) = posterior(&small.w, &small.y, &power);
        let shift = ((mean_c - mean) / variance.sqrt()).abs().max().double_value(&[]);
        let ratio = (variance_c / &variance - 1.0).abs().max().double_value(&[]);
        assert!(shift < 5e-3 && ratio < 2e-3, "shift {shift} sigma, variance {ratio}");
    }
}
