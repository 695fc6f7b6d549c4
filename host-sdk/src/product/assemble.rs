//! From a finished job to a product.

use std::path::PathBuf;

use ndarray::{Array2, Axis, Zip};

use super::diagnostics::Diagnostics;
use super::{ExposureProduct, Product, Provenance, Statistics};
use crate::error::{HostError, Result};
use crate::fits::Card;
use crate::input::Stamp;
use crate::session::{Engine, Exposure, ResultSet};
use crate::sky::ModelGrid;

/// One exposure of a job and where it came from.
pub struct Observed<'a> {
    /// As handed to the plugin.
    pub exposure: &'a Exposure,
    /// Its pixels.
    pub stamp: &'a Stamp,
    /// Detector pixel scale, arcsec.
    pub pixel_scale_arcsec: f64,
    /// The exposure's file and its SHA-256.
    pub source: (PathBuf, String),
    /// The PSF's file and its SHA-256.
    pub psf: (PathBuf, String),
}

impl Product {
    /// Collects samples, statistics, models, residuals and diagnostics of a job.
    ///
    /// # Errors
    /// [`HostError::SamplesFailed`] if none is left, [`HostError::Plugin`].
    pub fn assemble(
        engine: &Engine,
        result: &ResultSet,
        grid: ModelGrid,
        observed: &[Observed<'_>],
        mut provenance: Provenance,
    ) -> Result<Self> {
        let json = result.diagnostics()?;
        let diagnostics = Diagnostics::from_json(&json)?;
        let count = result.samples()?.view()?.dim().0;
        if diagnostics.failed_samples.len() == count {
            let first = diagnostics.sample_errors.iter().flatten().next();
            return Err(HostError::SamplesFailed {
                count,
                first: first.cloned().unwrap_or_else(|| "no reason given".into()),
            });
        }
        let record = &json["provenance"];
        if let Some(device) = record["device"].as_str() {
            provenance.device = device.into();
        }
        if !record.is_null() {
            provenance.plugin_record = record.to_string();
        }
        let mean = result.statistic("mean")?;
        let range = result.percentiles(&[16.0, 84.0])?;
        // With a single sample there is no spread, but still a product worth writing.
        let std = match count.saturating_sub(diagnostics.failed_samples.len()) {
            1 => Array2::from_elem(mean.dim(), f32::NAN),
            _ => result.statistic("std")?,
        };
        let handles: Vec<_> = observed.iter().map(|o| o.exposure).collect();
        let models = engine.predict(&handles, &grid, mean.view())?;
        let mut exposures = Vec::with_capacity(observed.len());
        for (k, (part, model)) in observed.iter().zip(models).enumerate() {
            let residual = result.residual(None, k)?;
            let used = |image: &Array2<f64>| {
                let mut masked = image.mapv(|v| v as f32);
                Zip::from(&mut masked)
                    .and(&residual)
                    .for_each(|v, r| *v = if r.is_nan() { f32::NAN } else { *v });
                masked
            };
            exposures.push(ExposureProduct {
                id: part.stamp.id.clone(),
                data: used(&part.stamp.pixels),
                sigma: used(&part.stamp.sigma),
                model,
                pixel_scale_arcsec: part.pixel_scale_arcsec,
                wcs: detector_wcs(part.stamp),
                source: part.source.clone(),
                psf: part.psf.clone(),
                residual,
            });
        }
        let samples = result.samples()?;
        Ok(Self {
            grid,
            samples: samples.view()?.index_axis(Axis(1), 0).to_owned(),
            statistics: Statistics {
                median: result.statistic("median")?,
                mean,
                std,
                p16: range.index_axis(Axis(0), 0).to_owned(),
                p84: range.index_axis(Axis(0), 1).to_owned(),
            },
            exposures,
            diagnostics,
            provenance,
        })
    }
}

/// A stamp's WCS cards, and where it was cut out.
fn detector_wcs(stamp: &Stamp) -> Vec<Card> {
    let mut cards = stamp.header.wcs_cards();
    cards.push(Card::new("STAMPX0", stamp.region.x0, "first column on the chip, 0-based"));
    cards.push(Card::new("STAMPY0", stamp.region.y0, "first row on the chip, 0-based"));
    cards
}
