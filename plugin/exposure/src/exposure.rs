//! One calibrated exposure.

use std::sync::Arc;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::wcs::pixel_area_sr;
use crate::{ExposureError, NoiseCorrelation, Psf, Result, Wcs};

/// What a pixel's value means where pixels differ in area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FluxConvention {
    /// Surface brightness per nominal pixel: a constant sky is constant (flat-fielded HST `flt`,
    /// drizzled images).
    #[default]
    SurfaceBrightness,
    /// Flux in the pixel's actual area (an exposure multiplied by the pixel area map): a constant
    /// sky follows the area of the pixel relative to the nominal one, [`Wcs::reference_px`].
    PerPixel,
}

/// A calibrated image of the sky with its mask, variance, WCS and PSF.
#[derive(Debug, Clone)]
pub struct Exposure {
    /// Names the exposure in messages and products.
    pub id: String,
    /// `[y, x]`, flux per pixel and second (e-/s).
    pub pixels: Array2<f64>,
    /// `[y, x]`, variance of `pixels`.
    pub variance: Array2<f64>,
    /// `[y, x]`, false where masked; masked pixels may hold anything.
    pub good: Array2<bool>,
    /// Where its pixels lie on the sky.
    pub wcs: Arc<dyn Wcs>,
    /// Its PSF, in the pixel frame of this exposure.
    pub psf: Arc<Psf>,
    /// What a pixel's value means.
    pub flux_convention: FluxConvention,
    /// Correlation of its noise; `None`: independent pixels.
    pub noise_correlation: Option<Arc<NoiseCorrelation>>,
}

impl Exposure {
    /// A validated exposure in surface brightness with uncorrelated noise.
    ///
    /// Shapes and units: see the fields.
    ///
    /// # Errors
    /// Arrays of different shapes or empty; at an unmasked pixel a value that is not finite or a
    /// variance that is not positive (the first such pixel is named); everything masked; a WCS that
    /// fails or is singular at the middle of the image.
    pub fn new(
        id: impl Into<String>,
        pixels: Array2<f64>,
        variance: Array2<f64>,
        good: Array2<bool>,
        wcs: Arc<dyn Wcs>,
        psf: Arc<Psf>,
    ) -> Result<Self> {
        let exposure = Self {
            id: id.into(),
            pixels,
            variance,
            good,
            wcs,
            psf,
            flux_convention: FluxConvention::default(),
            noise_correlation: None,
        };
        exposure.check()?;
        Ok(exposure)
    }

    /// Say what pixel values mean.
    pub fn with_flux_convention(mut self, flux_convention: FluxConvention) -> Self {
        self.flux_convention = flux_convention;
        self
    }

    /// Say how the noise of neighbouring pixels is correlated.
    pub fn with_noise_correlation(mut self, correlation: Arc<NoiseCorrelation>) -> Self {
        self.noise_correlation = Some(correlation);
        self
    }

    /// # Errors
    /// As [`Exposure::new`], for an exposure whose fields were set by hand.
    pub fn check(&self) -> Result<()> {
        let (id, shape) = (&self.id, self.pixels.dim());
        if self.pixels.is_empty() {
            return Err(ExposureError::shape(format!("exposure {id}"), ">= [1, 1]", shape));
        }
        for (what, got) in [("variance", self.variance.dim()), ("mask", self.good.dim())] {
            if got != shape {
                return Err(ExposureError::shape(format!("{what} of exposure {id}"), shape, got));
            }
        }
        let mut any_good = false;
        for (index, _) in self.good.indexed_iter().filter(|(_, good)| **good) {
            any_good = true;
            let (value, variance) = (self.pixels[index], self.variance[index]);
            if !value.is_finite() {
                return Err(ExposureError::NonFinite {
                    what: format!("exposure {id}"),
                    index,
                    value,
                });
            }
            if !variance.is_finite() {
                let what = format!("variance of exposure {id}");
                return Err(ExposureError::NonFinite { what, index, value: variance });
            }
            if variance <= 0.0 {
                let exposure = id.clone();
                return Err(ExposureError::NegativeVariance { exposure, index, value: variance });
            }
        }
        if !any_good {
            return Err(ExposureError::NoGoodPixels { exposure: id.clone() });
        }
        pixel_area_sr(&*self.wcs, self.centre_px(), &format!("exposure {id}")).map(|_| ())
    }

    /// Root of the area of the pixel in the middle, arcsec.
    ///
    /// # Errors
    /// A WCS that fails or is singular there.
    pub fn pixel_scale_arcsec(&self) -> Result<f64> {
        let what = format!("exposure {}", self.id);
        let area_sr = pixel_area_sr(&*self.wcs, self.centre_px(), &what)?;
        Ok(area_sr.sqrt().to_degrees() * 3600.0)
    }

    /// 0-based pixel `[x, y]` in the middle of the image.
    pub fn centre_px(&self) -> [f64; 2] {
        let (ny, nx) = self.pixels.dim();
        [(nx as f64 - 1.0) / 2.0, (ny as f64 - 1.0) / 2.0]
    }

    /// The kernel used for the whole exposure: the PSF at its middle ([`Psf::at`]).
    ///
    /// A PSF grid changes slowly: 19 pixels from the middle along x and y the kernel of STScI's
    /// WFC3/IR F160W grid differs by less than 0.5 % of its sum (L1;
    /// `validation::real_psf_grids_and_correlations_are_accepted`).
    pub fn kernel(&self) -> Array2<f64> {
        let [x, y] = self.centre_px();
        self.psf.at(x, y)
    }
}
