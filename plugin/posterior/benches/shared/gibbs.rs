//! The posterior of a Gaussian field under noise with outliers, by Gibbs sampling.
//!
//! Given which pixels are outliers the posterior is Gaussian and drawn exactly; given the image each
//! pixel's membership is a coin. Chains start from the true outliers.

use pellucid_posterior::rng::{SampleRng, normal};
use tch::{Device, Kind, Tensor};

const F64: (Kind, Device) = (Kind::Double, Device::Cpu);
const CHAINS: usize = 16;
const BURN_IN: usize = 30;
/// Sweeps between two draws that are kept.
const THIN: usize = 10;

/// Noise (1 - share) N(0, sigma^2) + share N(0, (factor sigma)^2).
#[derive(Clone, Copy)]
pub struct Outliers {
    pub share: f64,
    pub sigma: f64,
    pub factor: f64,
}

impl Outliers {
    /// Variance of the mixture.
    pub fn variance(&self) -> f64 {
        self.sigma * self.sigma * (1.0 + self.share * (self.factor * self.factor - 1.0))
    }

    /// Noise [m] and which pixels are outliers.
    pub fn draw(&self, m: i64, seed: u64) -> (Tensor, Tensor) {
        let mut rngs = [SampleRng::new(seed, 1 << 40)];
        let is_outlier = uniform(&mut rngs, m).lt(self.share).squeeze_dim(0);
        let z = normal(&mut rngs, &[m], Device::Cpu).to_kind(Kind::Double).squeeze_dim(0);
        (
            z * (is_outlier.to_kind(Kind::Double) * (self.factor - 1.0) + 1.0) * self.sigma,
            is_outlier,
        )
    }
}

/// Uniform numbers, [rngs, n], from pairs of normal ones.
fn uniform(rngs: &mut [SampleRng], n: i64) -> Tensor {
    let z = normal(rngs, &[2, n], Device::Cpu).to_kind(Kind::Double).square();
    (z.sum_dim_intlist([1i64].as_slice(), false, Kind::Double) * -0.5).exp()
}

/// Moments and draws of the posterior.
pub struct Truth {
    /// Mean [n], averaged over the conditional means.
    pub mean: Tensor,
    /// Variance [n].
    pub variance: Tensor,
    /// Nearly independent draws [d, n].
    pub draws: Tensor,
    /// rms difference of the means of the two halves of the chains, in posterior sigmas.
    pub doubt: f64,
}

/// `sweeps` sweeps of every chain. A [m, n], C [n, n], prior mean zero.
pub fn gibbs(
    a: &Tensor,
    power: &Tensor,
    covariance: &Tensor,
    y: &Tensor,
    noise: Outliers,
    outliers: &Tensor,
    sweeps: usize,
) -> Truth {
    let a = a.to_kind(Kind::Double);
    let (m, n) = a.size2().expect("a matrix");
    let ac = a.matmul(covariance);
    let core = noise.sigma * noise.sigma;
    let gram = ac.matmul(&a.tr()) + Tensor::eye(m, F64) * core;
    let inverse = gram.linalg_cholesky(false).cholesky_inverse(false);
    drop(gram);
    let extra = core * (noise.factor * noise.factor - 1.0);
    let mut rngs: Vec<_> = (0..CHAINS as u64).map(|k| SampleRng::new(0x61bb5, k)).collect();
    let mut members = outliers.unsqueeze(0).repeat([CHAINS as i64, 1]);
    let mut means = Tensor::zeros([CHAINS as i64, n], F64);
    let (mut square, mut sum) = (Tensor::zeros([n], F64), Tensor::zeros([n], F64));
    let mut draws = Vec::new();
    for sweep in 0..BURN_IN + sweeps {
        let side = power.size();
        let white = normal(&mut rngs, &side, Device::Cpu).to_kind(Kind::Double);
        let spectrum = white.fft_fft2(None::<&[i64]>, [-2, -1], "ortho") * power.sqrt();
        let field = spectrum.fft_ifft2(None::<&[i64]>, [-2, -1], "ortho").real().flatten(1, 2);
        let scale = (members.to_kind(Kind::Double) * extra + core).sqrt();
        let e = normal(&mut rngs, &[m], Device::Cpu).to_kind(Kind::Double) * scale;
        let drawn = y - field.matmul(&a.tr()) - e;
        let solved =
            solve(&inverse, &members, &Tensor::stack(&[&drawn, &y.expand_as(&drawn)], 1), extra);
        let pulled = solved.matmul(&ac);
        let x = field + pulled.select(1, 0);
        let residual = (y - x.matmul(&a.tr())).square();
        let density = |variance: f64, share: f64| {
            (&residual * (-0.5 / variance)).exp() * (share / variance.sqrt())
        };
        let out = density(core + extra, noise.share);
        let total = density(core, 1.0 - noise.share) + &out;
        members = uniform(&mut rngs, m).lt_tensor(&(out / total));
        if sweep < BURN_IN {
            continue;
        }
        means += pulled.select(1, 1);
        square += x.square().sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
        sum += x.sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
        if (sweep - BURN_IN).is_multiple_of(THIN) {
            draws.push(x);
        }
    }
    let count = (CHAINS * sweeps) as f64;
    let variance = (square - sum.square() / count) / (count - 1.0);
    let means = means / sweeps as f64;
    let half = |from: usize| {
        means.narrow(0, from as i64, CHAINS as i64 / 2).mean_dim(
            [0i64].as_slice(),
            false,
            Kind::Double,
        )
    };
    let apart = (half(0) - half(CHAINS / 2)).square() / &variance;
    Truth {
        mean: means.mean_dim([0i64].as_slice(), false, Kind::Double),
        doubt: apart.mean(Kind::Double).double_value(&[]).sqrt(),
        variance,
        draws: Tensor::cat(&draws, 0),
    }
}

/// (K_0 + extra E E^T)^-1 r of every chain by Woodbury's identity, E the columns of its outliers;
/// r [chains, 2, m].
fn solve(inverse: &Tensor, members: &Tensor, r: &Tensor, extra: f64) -> Tensor {
    let plain = r.matmul(inverse);
    let rows: Vec<Tensor> = (0..CHAINS as i64)
        .map(|chain| {
            let at = members.get(chain).nonzero().squeeze_dim(1);
            let columns = inverse.index_select(0, &at);
            let inner = columns.index_select(1, &at) + Tensor::eye(at.numel() as i64, F64) / extra;
            let own = plain.get(chain);
            let right = own.index_select(1, &at).tr();
            let weight = right.cholesky_solve(&inner.linalg_cholesky(false), false);
            own - weight.tr().matmul(&columns)
        })
        .collect();
    Tensor::stack(&rows, 0)
}
