//! The pixels of an exposure that see the model, ready for the plugin.

use ndarray::Array2;

use crate::error::Result;
use crate::fits::{Header, Region};
use crate::session::{Engine, Exposure, ExposureBuilder, FluxConvention, LookupTable, Psf};

/// A rectangle of a chip. Arrays are [y, x].
#[derive(Debug, Clone)]
pub struct Stamp {
    /// Name in errors and products: file, extension and section.
    pub id: String,
    /// Where on the chip.
    pub region: Region,
    /// e-/s.
    pub pixels: Array2<f64>,
    /// Standard deviation, e-/s.
    pub sigma: Array2<f64>,
    /// Data-quality bits.
    pub quality: Option<Array2<u32>>,
    /// Bits that exclude a pixel.
    pub bad_bits: u32,
    /// What a pixel's value measures.
    pub flux_convention: FluxConvention,
    /// Header with the reference pixel moved to the stamp.
    pub header: Header,
    /// Distortion tables moved to the stamp.
    pub tables: Vec<LookupTable>,
}

impl Stamp {
    /// Hands the stamp to the plugin.
    ///
    /// # Errors
    /// [`HostError::Plugin`](crate::HostError::Plugin), naming the stamp and the pixel.
    pub fn to_exposure(
        &self,
        engine: &Engine,
        psf: &Psf,
        noise_correlation: Option<&Array2<f64>>,
    ) -> Result<Exposure> {
        let wcs = engine.wcs(&self.header, &self.tables)?;
        engine.exposure(&ExposureBuilder {
            id: &self.id,
            pixels: self.pixels.view(),
            sigma: self.sigma.view(),
            quality: self.quality.as_ref().map(|q| q.view()),
            bad_bits: self.bad_bits,
            flux_convention: self.flux_convention,
            noise_correlation: noise_correlation.map(Array2::view),
            wcs: &wcs,
            psf,
        })
    }

    /// Which pixels are good, as far as quality bits say.
    pub fn good(&self) -> Array2<bool> {
        match &self.quality {
            Some(quality) => quality.mapv(|q| q & self.bad_bits == 0),
            None => Array2::from_elem(self.pixels.dim(), true),
        }
    }
}
