//! The result of a job.

use crate::diagnostics::Diagnostics;
use crate::error::PosteriorError;
use ndarray::{Array2, Array3, Array4, Axis, RemoveAxis};
use pellucid_exposure::{Exposure, ModelGrid};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Independent samples of the galaxy, with everything needed to judge them.
pub struct Posterior {
    /// Surface brightness, e-/s per data pixel, [n, 1, ny, nx]; NaN for failed samples.
    pub samples: Array4<f32>,
    /// Why sample k failed, None when it did not.
    pub sample_errors: Vec<Option<String>>,
    /// The exposures, as submitted.
    pub exposures: Vec<Arc<Exposure>>,
    /// The grid of the samples.
    pub grid: ModelGrid,
    /// Fit, flags and cost.
    pub diagnostics: Diagnostics,
    /// Versions, hashes, options, seed, device: enough to draw the same samples again.
    pub provenance: serde_json::Value,
    /// Per exposure A x in the frame of its pixels, [n + 1, ny, nx]: the samples, then their mean.
    pub(super) models: Vec<Array3<f32>>,
    /// Per exposure the pixels that entered the likelihood, [ny, nx].
    pub(super) used: Vec<Array2<bool>>,
    pub(super) _held: Held,
}

impl Posterior {
    /// Mean of the samples that did not fail, [ny, nx], e-/s per data pixel.
    pub fn mean(&self) -> Array2<f32> {
        mean_of(&self.samples, &self.sample_errors)
    }

    /// A x of a sample (None: of the mean) in the frame of an exposure, every data pixel,
    /// [ny, nx], in the exposure's unit.
    ///
    /// # Errors
    /// [`PosteriorError::Config`] when there is no such sample or exposure.
    pub fn model(
        &self,
        sample: Option<usize>,
        exposure: usize,
    ) -> Result<Array2<f32>, PosteriorError> {
        let models = self.models.get(exposure).ok_or_else(|| {
            PosteriorError::config("exposure", format!("below {}", self.models.len()), exposure)
        })?;
        let n = self.sample_errors.len();
        match sample {
            Some(k) if k >= n => Err(PosteriorError::config("sample", format!("below {n}"), k)),
            k => Ok(models.index_axis(Axis(0), k.unwrap_or(n)).to_owned()),
        }
    }

    /// y - A x of a sample (None: of the mean) in the frame of an exposure, [ny, nx]; NaN at
    /// pixels that did not enter the likelihood.
    ///
    /// # Errors
    /// As [`Posterior::model`].
    pub fn residual(
        &self,
        sample: Option<usize>,
        exposure: usize,
    ) -> Result<Array2<f32>, PosteriorError> {
        let mut residual = self.model(sample, exposure)?;
        ndarray::Zip::from(&mut residual)
            .and(&self.exposures[exposure].pixels)
            .and(&self.used[exposure])
            .for_each(|r, y, used| *r = if *used { (y - f64::from(*r)) as f32 } else { f32::NAN });
        Ok(residual)
    }
}

/// Mean over the samples without an error, [ny, nx]; NaN when all failed.
pub(super) fn mean_of(samples: &Array4<f32>, errors: &[Option<String>]) -> Array2<f32> {
    let images = samples.index_axis(Axis(1), 0);
    let good = || images.outer_iter().zip(errors).filter(|(_, error)| error.is_none());
    let mut sum = Array2::<f64>::zeros(images.raw_dim().remove_axis(Axis(0)));
    good().for_each(|(image, _)| sum += &image.mapv(f64::from));
    sum.mapv(|v| (v / good().count() as f64) as f32)
}

/// Counts the bytes of a result for as long as it lives.
pub(super) struct Held {
    total: Arc<AtomicU64>,
    bytes: u64,
}

impl Held {
    pub fn new(total: &Arc<AtomicU64>, bytes: u64) -> Self {
        total.fetch_add(bytes, Ordering::Relaxed);
        Self { total: total.clone(), bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
