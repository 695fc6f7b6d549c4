//! The forward model y = A x + n without a matrix, and its exact adjoint.
//!
//! Per exposure: bilinear look-up of the model at the sub-pixels of the detector (zero outside),
//! times the pixel-area factor, convolved with the PSF, reduced to data pixels. Exposures are
//! stacked. Both directions are linear maps written by hand, no autograd:
//!
//! A = P C G,  A^T = G^T C^T P^T
//!
//! G gather ([`gather`]), C convolution by FFT ([`convolve`]), P pooling, or sampling when the PSF
//! contains the detector pixel. The samplers use a compressed dense A; this one predicts images
//! at every data pixel and tests the other.

mod convolve;
mod exposure;
mod gather;

pub use exposure::ExposureOperator;

use crate::error::PosteriorError;
use pellucid_exposure::{Exposure, ModelGrid};
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// A for a stack of exposures.
#[derive(Debug)]
pub struct ForwardModel {
    exposures: Vec<ExposureOperator>,
    grid: [i64; 2],
    kind: Kind,
}

impl ForwardModel {
    /// Builds A on `device` in `kind` (`Float` or `Double`).
    ///
    /// # Errors
    /// [`PosteriorError::Exposure`] when a WCS fails or an exposure misses the grid.
    pub fn new(
        exposures: &[Arc<Exposure>],
        grid: &ModelGrid,
        kind: Kind,
        device: Device,
    ) -> Result<Self, PosteriorError> {
        let exposures = exposures
            .iter()
            .map(|exposure| ExposureOperator::new(exposure, grid, kind, device))
            .collect::<Result<_, _>>()?;
        Ok(Self { exposures, grid: [grid.ny as i64, grid.nx as i64], kind })
    }

    /// The operators of the exposures.
    pub fn exposures(&self) -> &[ExposureOperator] {
        &self.exposures
    }

    /// A x on every data pixel, masked or not.
    ///
    /// # Shapes
    /// x [B, 1, H, W] of this model's kind; per exposure [B, ny, nx].
    ///
    /// # Units
    /// x surface brightness per data pixel; the result in the unit of each exposure.
    ///
    /// # Errors
    /// [`PosteriorError::Shape`] for another shape.
    ///
    /// # Accuracy
    /// 1e-5 of the peak in f32 against `pellucid_exposure::apply_slow` (test
    /// `agrees_with_the_slow_oracle`).
    pub fn apply(&self, x: &Tensor) -> Result<Vec<Tensor>, PosteriorError> {
        let [h, w] = self.grid;
        let x = match x.size()[..] {
            [_, 1, ny, nx] if [ny, nx] == self.grid => x.to_kind(self.kind).view([-1, h * w]),
            _ => return Err(shape("model image", format!("[B, 1, {h}, {w}]"), x)),
        };
        Ok(self.exposures.iter().map(|operator| operator.apply(&x)).collect())
    }

    /// A^T y, summed over the exposures; y per exposure [B, ny, nx], the result [B, 1, H, W].
    ///
    /// # Errors
    /// [`PosteriorError::Shape`] for other shapes.
    ///
    /// # Accuracy
    /// <A x, y> = <x, A^T y> to 1e-12 relative in f64, 1e-5 in f32 (test `adjoint`).
    pub fn adjoint(&self, y: &[Tensor]) -> Result<Tensor, PosteriorError> {
        let [h, w] = self.grid;
        if y.len() != self.exposures.len() || y.is_empty() {
            return Err(PosteriorError::Shape {
                what: "data images".into(),
                need: format!("{} exposures", self.exposures.len()),
                got: y.len().to_string(),
            });
        }
        let mut sum: Option<Tensor> = None;
        for (operator, y) in self.exposures.iter().zip(y) {
            let [ny, nx] = operator.shape();
            if y.dim() != 3 || y.size()[1..] != [ny, nx] {
                return Err(shape("data image", format!("[B, {ny}, {nx}]"), y));
            }
            let part = operator.adjoint(&y.to_kind(self.kind));
            sum = Some(sum.map_or_else(|| part.shallow_clone(), |s| s + &part));
        }
        let sum = sum.expect("there is at least one exposure");
        Ok(sum.view([-1, 1, h, w]))
    }

    /// A x on the used pixels of all exposures, one after the other: [B, m].
    ///
    /// # Errors
    /// As [`ForwardModel::apply`].
    pub fn apply_used(&self, x: &Tensor) -> Result<Tensor, PosteriorError> {
        let images = self.apply(x)?;
        let rows: Vec<Tensor> =
            images.iter().zip(&self.exposures).map(|(y, e)| e.mask(y)).collect();
        Ok(Tensor::cat(&rows, 1))
    }

    /// Adjoint of [`ForwardModel::apply_used`]: y [B, m] to [B, 1, H, W].
    ///
    /// # Errors
    /// [`PosteriorError::Shape`].
    pub fn adjoint_used(&self, y: &Tensor) -> Result<Tensor, PosteriorError> {
        let sizes: Vec<i64> = self.exposures.iter().map(|e| e.used().len() as i64).collect();
        let m = sizes.iter().sum::<i64>();
        if y.dim() != 2 || y.size()[1] != m {
            return Err(shape("stacked data", format!("[B, {m}]"), y));
        }
        let parts = y.to_kind(self.kind).split_with_sizes(sizes, 1);
        let images: Vec<Tensor> =
            parts.iter().zip(&self.exposures).map(|(y, e)| e.unmask(y)).collect();
        self.adjoint(&images)
    }
}

fn shape(what: &str, need: String, got: &Tensor) -> PosteriorError {
    PosteriorError::Shape { what: what.into(), need, got: format!("{:?}", got.size()) }
}

#[cfg(test)]
mod tests;
