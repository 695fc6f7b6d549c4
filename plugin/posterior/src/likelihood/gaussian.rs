//! Gaussian noise: y = A x + n with n ~ N(0, S).

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use ndarray::Array2;
use pellucid_exposure::{Exposure, Geometry, ModelGrid, NoiseCorrelation};
use tch::{Device, Kind, Tensor};

use super::compress::{Compressed, compress};
use super::preconditioner::{Bands, Preconditioner};
use crate::error::PosteriorError;
use crate::score::Denoiser;

/// Most memory a dense operator may take before it is compressed, bytes.
pub(super) const MAX_OPERATOR_BYTES: usize = 4 << 30;

/// The likelihood of stacked exposures in whitened, compressed coordinates, network units:
/// y = W x + N(0, 1) with W W^T = diag(s2).
#[derive(Debug)]
pub struct GaussianLikelihood {
    /// W, [k, H W] f32.
    pub w: Tensor,
    /// y, [k] f64.
    pub y: Tensor,
    /// Squared singular values of W, [k] f64.
    pub s2: Tensor,
    /// The largest of them.
    pub s2_max: f64,
    /// Used pixels of all exposures.
    pub pixels: usize,
    bands: Bands,
    preconditioners: RefCell<HashMap<u64, Rc<Preconditioner>>>,
}

impl GaussianLikelihood {
    /// Builds the operator of `exposures` on `grid`, whitens it with their variance (and
    /// correlation), and compresses it.
    ///
    /// # Units
    /// x is in network units: surface brightness / `flux_scale` (e-/s).
    ///
    /// # Errors
    /// [`PosteriorError::Exposure`] from the geometry, [`PosteriorError::Numeric`] when a noise
    /// covariance is not positive definite, [`PosteriorError::Unsupported`] when the operator would
    /// not fit in memory.
    pub fn new(
        exposures: &[Arc<Exposure>],
        grid: &ModelGrid,
        denoiser: &dyn Denoiser,
        flux_scale: f64,
        device: Device,
    ) -> Result<Self, PosteriorError> {
        let n = grid.ny * grid.nx;
        let mut rows = Vec::new();
        let mut values = Vec::new();
        let mut pixels = 0;
        for exposure in exposures {
            let geometry = Geometry::new(exposure, grid)?;
            pixels += geometry.used.len();
            if pixels * n * 4 > MAX_OPERATOR_BYTES {
                let what = format!("a problem of {pixels} pixels on {n} model pixels");
                return Err(PosteriorError::Unsupported { what });
            }
            let (w, y) = whiten(exposure, &geometry)?;
            rows.push(w * flux_scale);
            values.push(y);
        }
        let (w, y) = (Tensor::cat(&rows, 0), Tensor::cat(&values, 0));
        let [mean, power] = [denoiser.mean(), denoiser.power()].map(|t| t.to_device(Device::Cpu));
        Ok(Self::from_whitened(compress(&w, &y, &mean, &power)?.0, &power, pixels, device))
    }

    pub(super) fn from_whitened(
        c: Compressed,
        power: &Tensor,
        pixels: usize,
        device: Device,
    ) -> Self {
        Self {
            bands: Bands::new(&c.w, power).to(device),
            w: c.w.to_device(device),
            y: c.y.to_device(device),
            s2_max: c.s2.max().double_value(&[]),
            s2: c.s2.to_device(device),
            pixels,
            preconditioners: RefCell::default(),
        }
    }

    /// The largest rho with rho^2 A A^T <= S, network units.
    pub fn largest_rho(&self) -> f64 {
        1.0 / self.s2_max.sqrt().max(f64::MIN_POSITIVE)
    }

    /// The preconditioner at a noise level, kept for the next sample of the job.
    ///
    /// # Errors
    /// [`PosteriorError::Torch`] when the factorisation fails.
    pub fn preconditioner(&self, sigma: f64) -> Result<Rc<Preconditioner>, PosteriorError> {
        if let Some(known) = self.preconditioners.borrow().get(&sigma.to_bits()) {
            return Ok(known.clone());
        }
        let preconditioner = Rc::new(self.bands.preconditioner(sigma)?);
        self.preconditioners.borrow_mut().insert(sigma.to_bits(), preconditioner.clone());
        Ok(preconditioner)
    }
}

impl GaussianLikelihood {
    /// Posterior mean [H, W] under the stationary Gaussian of the prior's mean and power: where the
    /// reverse SDE starts. At sigma_max the mean of x_t is that of the posterior, not zero. For one
    /// mode of prior variance 400 and noise variance 30, 25 guided steps down from zero at
    /// sigma_max = 50 end 0.04 posterior sigma short.
    ///
    /// # Errors
    /// As [`GaussianLikelihood::preconditioner`].
    pub fn gaussian_mean(&self, denoiser: &dyn Denoiser) -> Result<Tensor, PosteriorError> {
        let (mean, power) = (denoiser.mean(), denoiser.power());
        let unlimited = 1e3 * power.max().double_value(&[]).sqrt();
        let r = &self.y - self.w.mv(&mean.reshape([-1])).to_kind(Kind::Double);
        let u = self.preconditioner(unlimited)?.apply(&r.unsqueeze(0)).to_kind(Kind::Float);
        let pulled = u.matmul(&self.w).reshape(mean.size());
        let spectrum = pulled.fft_fft2(None::<&[i64]>, [-2, -1], "ortho") * power;
        Ok(mean + spectrum.fft_ifft2(None::<&[i64]>, [-2, -1], "ortho").real())
    }
}

/// Whitened rows [m, n] f32 (for x in flux units) and values [m] f32 of one exposure.
fn whiten(exposure: &Exposure, geometry: &Geometry) -> Result<(Tensor, Tensor), PosteriorError> {
    let nx = geometry.nx;
    let at: Vec<(usize, usize)> = geometry.used.iter().map(|&i| (i / nx, i % nx)).collect();
    let a = matrix(&geometry.dense(&exposure.psf));
    let y: Vec<f64> = at.iter().map(|&p| exposure.pixels[p]).collect();
    let sigma: Vec<f64> = at.iter().map(|&p| exposure.variance[p].sqrt()).collect();
    let (y, sigma_column) = (Tensor::from_slice(&y), Tensor::from_slice(&sigma));
    let Some(correlation) = &exposure.noise_correlation else {
        let w = a / sigma_column.unsqueeze(1).to_kind(Kind::Float);
        return Ok((w, (y / sigma_column).to_kind(Kind::Float)));
    };
    let factor = factorise(correlation, &at, &sigma, &exposure.id)?;
    let joint = Tensor::cat(&[a.to_kind(Kind::Double), y.unsqueeze(1)], 1);
    let white = factor.f_linalg_solve_triangular(&joint, false, true, false)?;
    let n = a.size()[1];
    let white = white.to_kind(Kind::Float);
    Ok((white.narrow(1, 0, n).contiguous(), white.select(1, n).contiguous()))
}

/// Cholesky factor L, L L^T = S, of the noise covariance of the pixels `at` (y, x) with standard
/// deviations `sigma`.
///
/// A correlation measured from pixels, and cut off where it drowns, is often just not positive: up
/// to 1 % of white noise is added until it is, 1 % of each pixel's own variance.
pub(crate) fn factorise(
    correlation: &NoiseCorrelation,
    at: &[(usize, usize)],
    sigma: &[f64],
    exposure: &str,
) -> Result<Tensor, PosteriorError> {
    let unit = matrix64(&correlation.covariance(at, &vec![1.0; at.len()]));
    let eye = Tensor::eye(at.len() as i64, (Kind::Double, Device::Cpu));
    for white in [0.0, 1e-5, 1e-4, 1e-3, 1e-2] {
        if let Ok(factor) = (&unit + &eye * white).f_linalg_cholesky(false) {
            if white > 0.0 {
                log::warn!(
                    "exposure {exposure}: the noise correlation is not positive definite; {white} of its variance was added as white noise"
                );
            }
            return Ok(factor * Tensor::from_slice(sigma).unsqueeze(1));
        }
    }
    Err(PosteriorError::Numeric {
        what: format!("the noise covariance of exposure {exposure}"),
        reason: "it is not positive definite, even with 1 % of white noise added".into(),
    })
}

pub(super) fn matrix(a: &Array2<f32>) -> Tensor {
    let (m, n) = a.dim();
    let standard = a.as_standard_layout();
    let values = standard.as_slice().expect("because the layout is standard");
    Tensor::from_slice(values).reshape([m as i64, n as i64])
}

fn matrix64(a: &Array2<f64>) -> Tensor {
    let (m, n) = a.dim();
    let standard = a.as_standard_layout();
    let values = standard.as_slice().expect("because the layout is standard");
    Tensor::from_slice(values).reshape([m as i64, n as i64])
}
