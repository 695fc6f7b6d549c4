//! A for one exposure.

use super::convolve::Convolution;
use super::gather::Gather;
use crate::error::PosteriorError;
use pellucid_exposure::{Exposure, Geometry, ModelGrid};
use tch::{Device, Kind, Tensor};

/// A = P C G of one exposure, on flattened model images.
///
/// A PSF that varies over the detector is taken at the middle of the exposure
/// ([`Exposure::kernel`]): over a stamp of one galaxy it hardly changes.
#[derive(Debug)]
pub struct ExposureOperator {
    gather: Gather,
    convolution: Convolution,
    /// Weights of a data pixel's s x s sub-pixels, [s, 1, s]; their sum is 1.
    pool: Tensor,
    oversample: i64,
    shape: [i64; 2],
    used: Tensor,
    used_pixels: Vec<usize>,
    padded: [i64; 2],
}

impl ExposureOperator {
    /// Builds the operator of `exposure` for models on `grid`.
    ///
    /// # Errors
    /// [`PosteriorError::Exposure`] when the WCS fails or the exposure misses the grid.
    pub fn new(
        exposure: &Exposure,
        grid: &ModelGrid,
        kind: Kind,
        device: Device,
    ) -> Result<Self, PosteriorError> {
        let g = Geometry::new(exposure, grid)?;
        let kernel = exposure.kernel();
        let middle = (kernel.nrows() / 2, kernel.ncols() / 2);
        let inner = [g.ny * g.oversample, g.nx * g.oversample];
        let pool = Tensor::from_slice(&g.pool).to_kind(kind).to_device(device);
        let used: Vec<i64> = g.used.iter().map(|&i| i as i64).collect();
        Ok(Self {
            gather: gather(&g, kind, device),
            convolution: Convolution::new(&kernel, middle, inner, g.pad, kind, device),
            pool: pool.view([-1, 1, 1]) * &pool,
            oversample: g.oversample as i64,
            shape: [g.ny as i64, g.nx as i64],
            used: Tensor::from_slice(&used).to_device(device),
            padded: [g.sub_ny() as i64, g.sub_nx() as i64],
            used_pixels: g.used,
        })
    }

    /// Rows and columns of the exposure.
    pub fn shape(&self) -> [i64; 2] {
        self.shape
    }

    /// Flat indices of the pixels of the likelihood: good, and with their centre on the model.
    pub fn used(&self) -> &[usize] {
        &self.used_pixels
    }

    /// A x: [B, N] to [B, ny, nx].
    pub(super) fn apply(&self, x: &Tensor) -> Tensor {
        let [rows, columns] = self.padded;
        let sub = self.gather.apply(x).view([-1, rows, columns]);
        let ([ny, nx], s) = (self.shape, self.oversample);
        let blurred = self.convolution.apply(&sub).reshape([-1, ny, s, nx, s]);
        (blurred * &self.pool).sum_dim_intlist(&[2i64, 4][..], false, x.kind())
    }

    /// A^T y: [B, ny, nx] to [B, N].
    pub(super) fn adjoint(&self, y: &Tensor) -> Tensor {
        let ([ny, nx], s) = (self.shape, self.oversample);
        let spread = y.unsqueeze(2).unsqueeze(4) * &self.pool;
        let sub = self.convolution.adjoint(&spread.reshape([-1, ny * s, nx * s]));
        self.gather.adjoint(&sub.flatten(1, 2))
    }

    /// The used pixels of [B, ny, nx]: [B, m].
    pub(crate) fn mask(&self, y: &Tensor) -> Tensor {
        y.flatten(1, 2).index_select(1, &self.used)
    }

    /// The transpose: [B, m] to [B, ny, nx], zero at the other pixels.
    pub(super) fn unmask(&self, y: &Tensor) -> Tensor {
        let [ny, nx] = self.shape;
        let zero = Tensor::zeros([y.size()[0], ny * nx], (y.kind(), y.device()));
        zero.index_copy(1, &self.used, y).view([-1, ny, nx])
    }
}

/// The corners of [`Geometry`]'s bilinear look-up, its area factor in the weights.
fn gather(g: &Geometry, kind: Kind, device: Device) -> Gather {
    let corner = |right: usize, upper: usize| {
        let step = (right * g.step_x + upper * g.step_y) as i64;
        let part = |fraction: f32, far: usize| {
            if far == 1 { f64::from(fraction) } else { 1.0 - f64::from(fraction) }
        };
        let index: Vec<i64> = g.base.iter().map(|&base| i64::from(base) + step).collect();
        let places = g.frac.iter().zip(&g.area);
        let weight: Vec<f64> = places
            .map(|([u, v], area)| f64::from(*area) * part(*u, right) * part(*v, upper))
            .collect();
        (index, weight)
    };
    let corners = [corner(0, 0), corner(1, 0), corner(0, 1), corner(1, 1)];
    let (index, weight): (Vec<_>, Vec<_>) = corners.into_iter().unzip();
    Gather::new(&index.concat(), &weight.concat(), g.grid_ny * g.grid_nx, kind, device)
}
