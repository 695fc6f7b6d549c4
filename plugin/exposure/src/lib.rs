//! Calibrated exposures: images, masks, PSF, WCS and the geometry between detector and model grid.
//!
//! Arrays are C order, `[y, x]`. Pixel coordinates are `[x, y]`, 0-based, with integers at pixel
//! centres; FITS's 1-based pixels appear only inside [`HeaderWcs`], [`LookupTable`] and
//! [`ModelGrid::header_cards`]. Sky positions are `[ra, dec]` in ICRS degrees.
//!
//! ```
//! use std::sync::Arc;
//! use ndarray::Array2;
//! use pellucid_exposure::{Exposure, Geometry, HeaderWcs, ModelGrid, Psf};
//!
//! let header = "CTYPE1  = 'RA---TAN'\nCTYPE2  = 'DEC--TAN'\nCRVAL1  = 150.1\nCRVAL2  = 2.2\n\
//!               CRPIX1  = 8.5\nCRPIX2  = 8.5\nCD1_1   = -2.8E-5\nCD2_2   = 2.8E-5\n";
//! let wcs = Arc::new(HeaderWcs::new(header, Vec::new())?);
//! let psf = Arc::new(Psf::new(Array2::ones((3, 3)), 2, false)?);
//! let (pixels, variance) = (Array2::zeros((16, 16)), Array2::ones((16, 16)));
//! let good = Array2::from_elem((16, 16), true);
//! let exposure = Exposure::new("f160w-1", pixels, variance, good, wcs, psf)?;
//!
//! let grid = ModelGrid::new(32, 32, 150.1, 2.2, 0.05)?;
//! let operator = Geometry::new(&exposure, &grid)?.dense(&exposure.psf);
//! assert_eq!(operator.dim(), (256, 1024));
//! # Ok::<(), pellucid_exposure::ExposureError>(())
//! ```
//!
//! References, cited by key:
//! - Paper I: Greisen & Calabretta 2002, A&A 395, 1061
//! - Paper II: Calabretta & Greisen 2002, A&A 395, 1077
//! - SIP: Shupe et al. 2005, ASP Conf. Ser. 347, 491
//! - ePSF: Anderson & King 2000, PASP 112, 1360
#![deny(unsafe_code)]

mod dense;
mod error;
mod exposure;
mod geometry;
mod model_grid;
mod noise_correlation;
mod oracle;
mod psf;
mod sky;
mod wcs;

pub use error::ExposureError;
pub use exposure::{Exposure, FluxConvention};
pub use geometry::Geometry;
pub use model_grid::{CardValue, ModelGrid};
pub use noise_correlation::NoiseCorrelation;
pub use oracle::apply_slow;
pub use psf::Psf;
pub use wcs::{CallbackWcs, GridWcs, HeaderWcs, LookupTable, TableKind, Wcs};

/// Result of this crate's fallible functions.
pub type Result<T, E = ExposureError> = std::result::Result<T, E>;
