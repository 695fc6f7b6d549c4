//! Stationary noise correlation, e.g. from drizzling.

use ndarray::Array2;

use crate::{ExposureError, Result};

const WHAT: &str = "the noise correlation";
const SYMMETRY_TOLERANCE: f64 = 1e-3;

/// Correlation coefficient of the noise of two pixels as a function of their offset.
///
/// cov(i, j) = sigma_i sigma_j c(y_i - y_j, x_i - x_j), and 0 beyond the array.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseCorrelation {
    correlation: Array2<f64>,
}

impl NoiseCorrelation {
    /// From an odd x odd correlation (or covariance) function with zero offset in the middle; it is
    /// divided by that value and made exactly symmetric.
    ///
    /// # Errors
    /// [`ExposureError::Shape`] for even sizes, [`ExposureError::NonFinite`],
    /// [`ExposureError::Value`] when the middle is not positive, another element exceeds it, or
    /// c(-d) differs from c(d) by more than 0.001.
    pub fn new(correlation: Array2<f64>) -> Result<Self> {
        let (ny, nx) = correlation.dim();
        if ny % 2 == 0 || nx % 2 == 0 {
            return Err(ExposureError::shape(WHAT, "[odd, odd]", (ny, nx)));
        }
        if let Some((index, &value)) = correlation.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(ExposureError::NonFinite { what: WHAT.into(), index, value });
        }
        let middle = correlation[[ny / 2, nx / 2]];
        if middle <= 0.0 {
            return Err(ExposureError::value("the middle of the noise correlation", "> 0", middle));
        }
        let normalised = correlation / middle;
        let mut symmetric = normalised.clone();
        for ((y, x), value) in symmetric.indexed_iter_mut() {
            let opposite = normalised[[ny - 1 - y, nx - 1 - x]];
            if (*value - opposite).abs() > SYMMETRY_TOLERANCE {
                let what = format!("{WHAT} at x = {x}, y = {y}");
                let need = format!("{opposite}, as at the opposite offset");
                return Err(ExposureError::value(what, need, *value));
            }
            *value = 0.5 * (*value + opposite);
            if value.abs() > 1.0 {
                let what = format!("{WHAT} at x = {x}, y = {y}");
                return Err(ExposureError::value(
                    what,
                    "at most 1, its value in the middle",
                    *value,
                ));
            }
        }
        Ok(Self { correlation: symmetric })
    }

    /// The correlation function, `[odd, odd]`, 1 in the middle.
    pub fn correlation(&self) -> &Array2<f64> {
        &self.correlation
    }

    /// Correlation coefficient at an offset in pixels.
    pub fn at(&self, dy: isize, dx: isize) -> f64 {
        let (ny, nx) = self.correlation.dim();
        let index = |d: isize, n: usize| (n / 2).checked_add_signed(d);
        let at = index(dy, ny).zip(index(dx, nx)).and_then(|index| self.correlation.get(index));
        at.copied().unwrap_or(0.0)
    }

    /// Covariance matrix of the pixels (y, x) with standard deviations `sigma`.
    ///
    /// Shapes: `[n, n]` for the n pairs of `pixels` and `sigma`; a longer slice is cut. A measured
    /// function may give a matrix that is not quite positive definite.
    pub fn covariance(&self, pixels: &[(usize, usize)], sigma: &[f64]) -> Array2<f64> {
        let n = pixels.len().min(sigma.len());
        Array2::from_shape_fn((n, n), |(i, j)| {
            let ((yi, xi), (yj, xj)) = (pixels[i], pixels[j]);
            let apart = |a: usize, b: usize| a as isize - b as isize;
            sigma[i] * sigma[j] * self.at(apart(yi, yj), apart(xi, xj))
        })
    }
}
