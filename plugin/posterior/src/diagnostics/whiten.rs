//! Residuals in units in which the noise is white with unit variance.

use crate::error::PosteriorError;
use crate::likelihood::factorise;
use ndarray::Array2;
use pellucid_exposure::Exposure;
use tch::Tensor;

/// S^-1/2 of one exposure: w = L^-1 r with L L^T = S, the noise covariance of the used pixels, by
/// the same factor as the likelihood; r / sigma without a correlation.
///
/// With a correlation, w_i is the standardised part of residual i that the pixels before it in
/// C order do not predict, so w stays an image. Cost: m^3/3 once and m^2 per residual, m used pixels.
pub struct Whitener<'a> {
    used: &'a [usize],
    sigma: Vec<f64>,
    factor: Option<Tensor>,
}

impl<'a> Whitener<'a> {
    /// For the pixels `used` (flat indices, ascending) of an exposure.
    ///
    /// # Errors
    /// [`PosteriorError::Numeric`] when the covariance is far from positive definite over `used`.
    pub fn new(exposure: &Exposure, used: &'a [usize]) -> Result<Self, PosteriorError> {
        let nx = exposure.pixels.ncols();
        let places: Vec<_> = used.iter().map(|i| (i / nx, i % nx)).collect();
        let sigma: Vec<f64> = places.iter().map(|&p| exposure.variance[p].sqrt()).collect();
        let factor = match &exposure.noise_correlation {
            Some(noise) => Some(factorise(noise, &places, &sigma, &exposure.id)?),
            None => None,
        };
        Ok(Self { used, sigma, factor })
    }

    /// Whitens residual images [ny, nx] into [residuals.len(), used.len()].
    ///
    /// # Errors
    /// [`PosteriorError::Torch`].
    pub fn whiten(&self, residuals: &[Array2<f64>]) -> Result<Array2<f64>, PosteriorError> {
        let (k, m) = (residuals.len(), self.used.len());
        let mut rows = Vec::with_capacity(k * m);
        for residual in residuals {
            let nx = residual.ncols();
            rows.extend(self.used.iter().map(|i| residual[[i / nx, i % nx]]));
        }
        let white = match &self.factor {
            None => rows.iter().zip(self.sigma.iter().cycle()).map(|(r, s)| r / s).collect(),
            Some(factor) => {
                let columns = Tensor::from_slice(&rows).f_view([k as i64, m as i64])?.f_tr()?;
                let solved = factor.f_linalg_solve_triangular(&columns, false, true, false)?;
                Vec::<f64>::try_from(solved.f_tr()?.f_reshape([-1])?)?
            }
        };
        Ok(Array2::from_shape_vec((k, m), white).expect("one value per residual and pixel"))
    }
}
