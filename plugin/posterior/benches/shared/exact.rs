//! Exact posteriors of Gaussian fields, by dense algebra in f64.

use pellucid_posterior::rng::SampleRng;
use pellucid_posterior::score::analytic::GaussianField;
use pellucid_posterior::score::model_file::{Architecture, FORMAT, Metadata, PriorModel};
use pellucid_posterior::sde::Sde;
use tch::{Device, Kind, Tensor};

const F64: (Kind, Device) = (Kind::Double, Device::Cpu);

/// A galaxy-like power spectrum of unit pixel variance, [n, n] f64: flat to `knee` cycles a frame,
/// then falling as k^-`slope`.
pub fn power(n: i64, knee: f64, slope: f64) -> Tensor {
    let k = Tensor::arange(n, F64);
    let k = k.minimum(&(n - &k));
    let k2 = k.square().unsqueeze(1) + k.square().unsqueeze(0);
    let p = (k2 / (knee * knee) + 1.0).pow_tensor_scalar(-slope / 2.0);
    // The mean of the power over modes is the pixel variance.
    &p / p.mean(Kind::Double)
}

/// A draw from the field, [n, n] f64.
pub fn draw_field(mean: &Tensor, power: &Tensor, seed: u64) -> Tensor {
    let mut white = vec![0f32; power.numel()];
    SampleRng::new(seed, 1 << 41).fill_normal(&mut white);
    let white = Tensor::from_slice(&white).to_kind(Kind::Double).reshape(power.size());
    let spectrum = white.fft_fft2(None::<&[i64]>, [-2, -1], "ortho") * power.sqrt();
    mean + spectrum.fft_ifft2(None::<&[i64]>, [-2, -1], "ortho").real()
}

/// C = F^H diag(power) F as a matrix [n, n].
pub fn covariance(power: &Tensor) -> Tensor {
    let n = power.numel() as i64;
    let [h, w] = [power.size()[0], power.size()[1]];
    let eye = Tensor::eye(n, F64).reshape([n, h, w]);
    let spectrum = eye.fft_fft2(None::<&[i64]>, [-2, -1], "ortho") * power;
    spectrum.fft_ifft2(None::<&[i64]>, [-2, -1], "ortho").real().reshape([n, n])
}

/// The exact posterior of fields of one covariance under y = A x + N(0, sigma^2): factorised once,
/// solved for any data and prior mean.
pub struct FieldPosterior {
    a: Tensor,
    ac: Tensor,
    factor: Tensor,
    /// Pixel variances, [n].
    pub variance: Tensor,
}

impl FieldPosterior {
    /// A [m, n], C [n, n].
    pub fn new(a: &Tensor, covariance: &Tensor, sigma: f64) -> Self {
        let a = a.to_kind(Kind::Double);
        let ac = a.matmul(covariance);
        let gram = ac.matmul(&a.tr()) + Tensor::eye(a.size()[0], F64) * (sigma * sigma);
        let factor = gram.linalg_cholesky(false);
        let white = Tensor::linalg_solve_triangular(&factor, &ac, false, true, false);
        let removed = white.square().sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
        let variance = covariance.diagonal(0, 0, 1) - removed;
        Self { a, ac, factor, variance }
    }

    /// Posterior mean [n] and log evidence, up to a constant that data and prior mean do not change.
    pub fn solve(&self, y: &Tensor, mean: &Tensor) -> (Tensor, f64) {
        let prior_mean = mean.reshape([-1]).to_kind(Kind::Double);
        let r = y - self.a.mv(&prior_mean);
        let solved = r.unsqueeze(1).cholesky_solve(&self.factor, false).squeeze_dim(1);
        let evidence = -0.5 * r.dot(&solved).double_value(&[]);
        (prior_mean + self.ac.tr().mv(&solved), evidence)
    }
}

/// A Gaussian-field prior as a model.
pub fn field_model(mean: &Tensor, power: &Tensor, sde: Sde) -> PriorModel {
    let [h, w] = [power.size()[0] as usize, power.size()[1] as usize];
    let field = GaussianField::new(mean, power, Device::Cpu).expect("a valid field");
    model(Box::new(field), Architecture::GaussianField {}, [h, w], sde)
}

/// Wraps an analytic denoiser as a model.
pub fn model(
    denoiser: Box<dyn pellucid_posterior::score::Denoiser>,
    architecture: Architecture,
    image_size: [usize; 2],
    sde: Sde,
) -> PriorModel {
    let metadata = Metadata {
        format: FORMAT,
        kind: "prior".into(),
        architecture,
        sde,
        image_size,
        channels: 1,
        pixel_scale_arcsec: 0.03,
        flux_convention: "surface_brightness".into(),
        flux_scale: None,
        licence: "MIT OR Apache-2.0".into(),
        trained_on: "closed form".into(),
        training_steps: 0,
        training_images: 0,
    };
    PriorModel { metadata, denoiser, sha256: String::new(), path: "closed form".into() }
}

/// rms of (mean of n samples - exact mean) / sigma, less what n exact samples would give.
pub fn mean_error(samples: &Tensor, mean: &Tensor, variance: &Tensor) -> f64 {
    let n = samples.size()[0];
    let flat = samples.reshape([n, -1]);
    let shift2 = ((flat.mean_dim([0i64].as_slice(), false, Kind::Double) - mean).square()
        / variance)
        .mean(Kind::Double)
        .double_value(&[]);
    (shift2 - variance_ratio(samples, variance) / n as f64).max(0.0).sqrt()
}

/// Mean over pixels of sample variance / exact variance.
pub fn variance_ratio(samples: &Tensor, variance: &Tensor) -> f64 {
    let n = samples.size()[0];
    let sample = samples.reshape([n, -1]).var_dim([0i64].as_slice(), true, false);
    (sample / variance).mean(Kind::Double).double_value(&[])
}
