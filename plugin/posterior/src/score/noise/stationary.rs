//! Stationary covariances on the pixel grid of an exposure, and filters made of them.
//!
//! Filters reflect the image at its edges (half-sample symmetric, the boundary of the DCT-II): an image
//! of n pixels is extended to 2 n, filtered there by FFT, and trimmed. For a mirror-symmetric covariance the
//! reflected filters commute and are symmetric, so that roots and inverses are exact; for others
//! the transposed filter below keeps whatever is built as W^T W symmetric.
//!
//! Where no pixel lies beyond the edge, no boundary is right. Against the true (Toeplitz) score of 24 pixels
//! in one dimension, blur of 0.64 pixels, 2 x model grid, white core, the relative rms error at
//! r = 1, 10, 50 core sigma is 0.03, 0.10, 0.11 reflected, 0.03, 0.42, 0.66 periodic, 0.003, 0.24, 0.41 with zeros
//! outside.

use std::sync::Arc;

use pellucid_exposure::{Exposure, ModelGrid};
use tch::{Device, Kind, Tensor};

use super::rows::ForwardRows;
use crate::error::PosteriorError;

/// Smallest value of a spectrum relative to its largest: a covariance cut to a few lags has negative ones.
const FLOOR: f64 = 1e-6;

/// A stationary covariance by its values at small lags, zero beyond.
#[derive(Debug)]
pub struct Autocovariance {
    /// Lag (0, 0) in the middle, [2 m + 1, 2 n + 1] f64.
    lags: Tensor,
}

impl Autocovariance {
    /// From its lags, [odd, odd], (0, 0) in the middle.
    ///
    /// # Errors
    /// [`PosteriorError::Shape`] for even sides; [`PosteriorError::Numeric`] for values that are not finite, not
    /// symmetric (c(-d) = c(d), to 1e-6 of c(0)) or exceed c(0), which must be positive.
    pub fn new(what: &str, lags: &Tensor) -> Result<Self, PosteriorError> {
        let shape = lags.size();
        if shape.len() != 2 || shape.iter().any(|n| n % 2 == 0) {
            let (need, got) = ("[odd, odd]".into(), format!("{shape:?}"));
            return Err(PosteriorError::Shape { what: what.into(), need, got });
        }
        let lags = lags.detach().to_device(Device::Cpu).to_kind(Kind::Double).contiguous();
        let middle = lags.double_value(&[shape[0] / 2, shape[1] / 2]);
        let skew = (&lags - lags.flip([0, 1])).abs().max().double_value(&[]);
        let largest = lags.abs().max().double_value(&[]);
        // Written so that NaN fails.
        let sound =
            middle > 0.0 && middle.is_finite() && skew <= 1e-6 * middle && largest <= middle;
        if !sound {
            let reason = format!(
                "needed c(0) > 0, |c(d)| <= c(0) and c(-d) = c(d), got c(0) = {middle}, largest {largest}, asymmetry {skew}"
            );
            return Err(PosteriorError::Numeric { what: what.into(), reason });
        }
        Ok(Self { lags })
    }

    /// A A^T of one exposure as a stationary covariance, cut to `half` data pixels either side: see [`ForwardRows`].
    ///
    /// # Errors
    /// Of [`ForwardRows::new`] and [`ForwardRows::complete`]: the exposure must show all of it.
    pub fn forward(
        exposure: &Arc<Exposure>,
        grid: &ModelGrid,
        half: usize,
    ) -> Result<Self, PosteriorError> {
        ForwardRows::new(exposure, grid, half)?.complete()
    }

    /// Its values, [2 m + 1, 2 n + 1] f64.
    pub fn lags(&self) -> &Tensor {
        &self.lags
    }

    /// c(0).
    pub fn variance(&self) -> f64 {
        let [h, w] = self.shape();
        self.lags.double_value(&[h / 2, w / 2])
    }

    /// The covariance times `factor`.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        Self { lags: &self.lags * factor }
    }

    /// ||self - other|| / ||self|| over all lags.
    pub fn relative_difference(&self, other: &Self) -> f64 {
        let [[a, b], [c, d]] = [self.shape(), other.shape()];
        let (rows, columns) = (a.max(c), b.max(d));
        let fit = |t: &Tensor, [h, w]: [i64; 2]| {
            let (y, x) = ((rows - h) / 2, (columns - w) / 2);
            t.constant_pad_nd([x, x, y, y])
        };
        let mine = fit(&self.lags, [a, b]);
        let norm = |t: &Tensor| t.square().sum(Kind::Double).double_value(&[]).sqrt();
        norm(&(&mine - fit(&other.lags, [c, d]))) / norm(&mine)
    }

    /// Eigenvalues on the reflected grid of images [ny, nx]: the half spectrum [2 ny, nx + 1] f32 of a
    /// real FFT, at least [`FLOOR`] of the largest.
    pub fn spectrum(&self, [ny, nx]: [i64; 2], device: Device) -> Tensor {
        let ([rows, columns], [h, w]) = ([2 * ny, 2 * nx], self.shape());
        let mut grid = vec![0f64; (rows * columns) as usize];
        let lags = Vec::<f64>::try_from(self.lags.flatten(0, -1)).expect("because lags are f64");
        for (k, value) in lags.into_iter().enumerate() {
            let (y, x) = (k as i64 / w - h / 2, k as i64 % w - w / 2);
            grid[(y.rem_euclid(rows) * columns + x.rem_euclid(columns)) as usize] += value;
        }
        let transform = Tensor::from_slice(&grid)
            .reshape([rows, columns])
            .fft_rfft2(None::<&[i64]>, [-2, -1], "backward")
            .real();
        let floor = FLOOR * transform.max().double_value(&[]);
        transform.clamp_min(floor).to_kind(Kind::Float).to_device(device)
    }

    fn shape(&self) -> [i64; 2] {
        let (h, w) = self.lags.size2().expect("because lags are two-dimensional");
        [h, w]
    }
}

/// Filters x [B, ny, nx] by a symmetric half spectrum [.., 2 ny, nx + 1]: W x.
pub fn filter(x: &Tensor, spectrum: &Tensor) -> Tensor {
    let (_, ny, nx) = x.size3().expect("because x is [B, ny, nx]");
    let extended = Tensor::cat(&[x, &x.flip([1])], 1);
    let extended = Tensor::cat(&[&extended, &extended.flip([2])], 2);
    convolve(&extended, spectrum).narrow(1, 0, ny).narrow(2, 0, nx)
}

/// The transpose of [`filter`]: W^T y.
pub fn filter_transposed(y: &Tensor, spectrum: &Tensor) -> Tensor {
    let (_, ny, nx) = y.size3().expect("because y is [B, ny, nx]");
    let full = convolve(&y.constant_pad_nd([0, nx, 0, ny]), spectrum);
    let folded = full.narrow(1, 0, ny) + full.narrow(1, ny, ny).flip([1]);
    folded.narrow(2, 0, nx) + folded.narrow(2, nx, nx).flip([2])
}

fn convolve(x: &Tensor, spectrum: &Tensor) -> Tensor {
    let size = [x.size()[1], x.size()[2]];
    let transform = x.fft_rfft2(None::<&[i64]>, [-2, -1], "backward") * spectrum;
    transform.fft_irfft2(size.as_slice(), [-2, -1], "backward")
}
