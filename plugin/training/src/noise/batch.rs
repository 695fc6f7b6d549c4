//! Batches of perturbed noise, and their loss.

use pellucid_posterior::score::noise::learned::{LearnedNoise, PROBE, Perturbation};
use pellucid_posterior::score::noise::stationary::{filter, filter_transposed};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tch::{Kind, Tensor};

/// Smallest positive level, rms of the perturbation in core sigma.
const SMALLEST: f64 = 0.03;

/// Cutouts in units of the core sigma.
#[derive(Debug)]
pub struct NoiseBank {
    pixels: Vec<f32>,
    count: usize,
    side: usize,
}

/// How levels are drawn: `zero_share` at zero, where the white perturbation is [`PROBE`], `white_share` white from
/// there to `largest_white`, the others blurred, up to `largest`; the last two log-uniform.
#[derive(Clone, Copy, Debug)]
pub struct Levels {
    /// Share of the images at level zero.
    pub zero_share: f64,
    /// Share of the images with white noise alone.
    pub white_share: f64,
    /// Largest r, core sigma.
    pub largest: f64,
    /// Largest white perturbation, core sigma.
    pub largest_white: f64,
    /// rms of K: c(0) of A A^T, rooted.
    pub rms: f64,
}

/// Clean noise, levels and perturbations of one step.
#[derive(Debug)]
pub struct NoiseBatch {
    /// eta_0 in core sigma, [B, n, n].
    pub x0: Tensor,
    /// What eta_0 is perturbed by.
    pub by: Perturbation,
    /// xi, [B, n, n].
    pub xi: Tensor,
}

impl NoiseBank {
    /// Of cutouts [n, side, side], divided by `sigma`.
    ///
    /// # Errors
    /// Of libtorch.
    pub fn new(cutouts: &Tensor, sigma: f64) -> Result<Self, tch::TchError> {
        let (count, side) = (cutouts.size()[0] as usize, cutouts.size()[1] as usize);
        Ok(Self { pixels: Vec::try_from((cutouts / sigma).flatten(0, -1))?, count, side })
    }

    /// Batch `step` of `seed`: `size` pieces [n, n] of random cutouts, mirrored at random. Axes are not
    /// swapped: rows and columns of a detector differ.
    pub fn draw(&self, levels: &Levels, size: usize, n: usize, seed: u64, step: u64) -> NoiseBatch {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(step);
        let (side, area) = (self.side, self.side * self.side);
        let mut x0 = Vec::with_capacity(size * n * n);
        for _ in 0..size {
            let image = &self.pixels[rng.random_range(0..self.count) * area..][..area];
            let [top, left] = [0, 0].map(|_: usize| rng.random_range(0..=side - n));
            let mirror: [bool; 2] = [rng.random(), rng.random()];
            let place = |i: usize, back: bool| if back { n - 1 - i } else { i };
            for y in 0..n {
                let row = &image[(top + place(y, mirror[0])) * side + left..][..n];
                x0.extend((0..n).map(|x| row[place(x, mirror[1])]));
            }
        }
        let xi: Vec<f32> = (0..size * n * n).map(|_| StandardNormal.sample(&mut rng)).collect();
        let shape = [size as i64, n as i64, n as i64];
        NoiseBatch {
            x0: Tensor::from_slice(&x0).reshape(shape),
            by: levels.draw(&mut rng, size),
            xi: Tensor::from_slice(&xi).reshape(shape),
        }
    }
}

impl Levels {
    /// One level from each of `count` equally likely intervals: zero, then white, then blurred, ascending.
    fn draw(&self, rng: &mut ChaCha8Rng, count: usize) -> Perturbation {
        let shift: f64 = rng.random();
        let between = |u: f64, low: f64, high: f64| (low * (high / low).powf(u)) as f32;
        let level = |k: usize| {
            let u = (k as f64 + shift) / count as f64 - self.zero_share;
            let blurred = (u - self.white_share) / (1.0 - self.zero_share - self.white_share);
            if blurred >= 0.0 {
                (between(blurred, SMALLEST / self.rms, self.largest), 0.0)
            } else {
                let u = u.max(0.0) / self.white_share;
                (0.0, between(u, PROBE, self.largest_white))
            }
        };
        let (rho, white): (Vec<f32>, Vec<f32>) = (0..count).map(level).unzip();
        Perturbation { rho: Tensor::from_slice(&rho), white: Tensor::from_slice(&white) }
    }
}

/// Loss of each pair of the batch, [B].
///
/// Perturbed noise eta = eta_0 + G xi with G = r K, or white, has the score s with G^T s = -E[xi | eta], the minimiser of
/// E |G^T s + xi|^2: denoising score matching (Vincent 2011, Neural Computation 23, 1661) in the paper's form
/// (Adam et al. 2023, eqs. 14 to 17) times G^T, so that K need not be inverted and no constant (the paper's 1e-3) be
/// added to |F k|^2. What it leaves free, the components that K does not pass, the sampler never asks
/// for: it uses A^T s.
///
/// The constant |xi|^2 is left out, and the sum divided by the mean square of h = G / Sigma_r^(1/2): -1 for
/// Gaussian noise and its exact score, at every level, so that relative errors count alike. What would
/// explode as 1 / h at small levels, the term xi G^T s at eta_0 itself, is odd in xi and cancels between the two
/// images eta_0 +- G xi, as in sliced score matching (Song et al. 2019, arXiv 1905.07088), whose limit this is.
///
/// At r = 0 the perturbation is white, [`PROBE`] core sigma: there the score is that of the noise itself, and
/// needed (to sample noise) at all frequencies.
pub fn per_pair(score: &LearnedNoise, batch: &NoiseBatch) -> Tensor {
    let shape = [batch.x0.size()[1], batch.x0.size()[2]];
    let [_, k2] = score.spectra(shape);
    let g = batch.by.root(&k2);
    let h = &g * score.whitener(shape, &batch.by);
    // Reflected images have the frequencies pi k / n, k = 0 to n - 1, along each axis.
    let modes = h.narrow(1, 0, shape[0]).narrow(2, 0, shape[1]);
    let weight = modes.square().mean_dim([1i64, 2].as_slice(), false, Kind::Float).reciprocal();
    let n = filter(&batch.xi, &g);
    let eta = Tensor::cat(&[&batch.x0 + &n, &batch.x0 - &n], 0);
    let s = score.unit_score(&eta, &batch.by.twice());
    let v = filter_transposed(&s, &g.repeat([2, 1, 1]));
    let xi = Tensor::cat(&[&batch.xi, &-&batch.xi], 0);
    let loss = (&v * (&v + xi * 2.0)).mean_dim([1i64, 2].as_slice(), false, Kind::Float);
    let halves = loss.chunk(2, 0);
    (&halves[0] + &halves[1]) * weight / 2.0
}
