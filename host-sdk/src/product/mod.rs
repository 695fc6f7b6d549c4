//! The product of a run: one FITS file per target, and its figure.
//!
//! | extension | content |
//! |---|---|
//! | SAMPLES | [n, y, x] f32, surface brightness in e-/s per detector pixel; NaN in failed samples |
//! | MEDIAN, MEAN, STD, P16, P84 | [y, x] over the samples that did not fail |
//! | DATA_k, SIGMA_k | the stamp of exposure k and its noise rms, e-/s; NaN at pixels not used |
//! | MODEL_k | A x of the posterior mean in the frame of exposure k |
//! | RESIDUAL_k | data - model; NaN at pixels not used |
//! | DIAGNOSTICS | one row per sample and exposure |
//! | EXPOSURES | one row per exposure: fit, flags, files and their hashes |
//!
//! Images on the model grid carry its TAN WCS; detector images carry theirs unless it
//! needs look-up tables.

mod assemble;
mod diagnostics;
mod figure;
mod read;
mod write;

use std::path::PathBuf;

use ndarray::{Array2, Array3};

pub use assemble::Observed;
pub use diagnostics::{Cost, Diagnostics, ExposureFit, Flags, NoiseCheck, NoiseStatistic};
pub use figure::write_figure;

use crate::fits::Card;
use crate::sky::ModelGrid;

/// Everything a product holds.
#[derive(Debug, Clone)]
pub struct Product {
    /// The grid of samples and statistics.
    pub grid: ModelGrid,
    /// [n, y, x].
    pub samples: Array3<f32>,
    /// [y, x].
    pub statistics: Statistics,
    /// One per exposure.
    pub exposures: Vec<ExposureProduct>,
    /// Fit and flags.
    pub diagnostics: Diagnostics,
    /// How it was made.
    pub provenance: Provenance,
}

/// Statistics over the samples that did not fail, [y, x].
#[derive(Debug, Clone)]
pub struct Statistics {
    /// 50th percentile.
    pub median: Array2<f32>,
    /// Mean.
    pub mean: Array2<f32>,
    /// Standard deviation (n - 1).
    pub std: Array2<f32>,
    /// 16th percentile.
    pub p16: Array2<f32>,
    /// 84th percentile.
    pub p84: Array2<f32>,
}

/// One exposure in a product. Images are [y, x], e-/s.
#[derive(Debug, Clone)]
pub struct ExposureProduct {
    /// Its name.
    pub id: String,
    /// Pixels that were used; NaN elsewhere.
    pub data: Array2<f32>,
    /// Their noise rms; NaN elsewhere.
    pub sigma: Array2<f32>,
    /// A x of the posterior mean, every pixel.
    pub model: Array2<f32>,
    /// y - A x of the posterior mean; NaN at pixels not used.
    pub residual: Array2<f32>,
    /// Detector pixel scale, arcsec.
    pub pixel_scale_arcsec: f64,
    /// Its WCS, if a few cards can tell it.
    pub wcs: Vec<Card>,
    /// The exposure's file and its SHA-256.
    pub source: (PathBuf, String),
    /// The PSF's file and its SHA-256.
    pub psf: (PathBuf, String),
}

/// How a product was made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Provenance {
    /// Version of this host.
    pub host_version: String,
    /// Version of the plugin.
    pub plugin_version: String,
    /// The prior's name and SHA-256 of its file.
    pub prior: (String, String),
    /// The noise model: `gaussian` or a name, and SHA-256 of its file if it has one.
    pub noise: (String, String),
    /// The noise correlation's file and its SHA-256, if there was one.
    pub noise_correlation: Option<(String, String)>,
    /// Seed of the samples.
    pub seed: u64,
    /// Device the plugin ran on.
    pub device: String,
    /// The options handed to the plugin, JSON.
    pub config: String,
    /// What the plugin itself says of the run, JSON.
    pub plugin_record: String,
    /// When the run ended, UTC, ISO 8601; empty leaves the card out.
    pub date: String,
    /// The night it belongs to, if it does.
    pub night: Option<NightRecord>,
}

/// What ties a product to a target of a night.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NightRecord {
    /// The night's name.
    pub night: String,
    /// The target's name.
    pub target: String,
    /// SHA-256 of the contents of exposures, PSFs and noise correlation, and of all settings.
    pub inputs_sha256: String,
    /// SHA-256 of that, of prior and noise model, and of the versions of host and plugin.
    pub sha256: String,
}

impl Product {
    /// Total flux of every sample that did not fail, e-/s: sum of surface brightness times the
    /// area of a model pixel in detector pixels of the first exposure.
    pub fn fluxes(&self) -> Vec<f64> {
        let scale = self
            .exposures
            .first()
            .map_or(1.0, |e| (self.grid.pixel_scale_arcsec / e.pixel_scale_arcsec).powi(2));
        self.samples
            .outer_iter()
            .map(|image| image.iter().map(|v| f64::from(*v)).sum::<f64>() * scale)
            .filter(|flux| flux.is_finite())
            .collect()
    }
}

/// Quantile `q` (0 to 1) of finite values, linear between order statistics; NaN if there are none.
pub fn quantile(values: impl IntoIterator<Item = f64>, q: f64) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let position = q.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (position.floor(), position.ceil());
    let (a, b) = (sorted[low as usize], sorted[high as usize]);
    a + (b - a) * (position - low)
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_interpolate_and_skip_what_is_not_finite() {
        let values = [3.0, f64::NAN, 1.0, 2.0];
        assert_eq!(quantile(values, 0.5), 2.0);
        assert_eq!(quantile(values, 0.25), 1.5);
        assert!(quantile([f64::NAN], 0.5).is_nan());
    }
}
