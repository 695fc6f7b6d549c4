//! Load the Pellucid plugin safely: sessions, exposures, FITS input and products.

//!
//! ```no_run
//! use pellucid_host::input::{ExposureFile, ExposureOptions, PsfImage, PsfOptions};
//! use pellucid_host::session::{Engine, EngineOptions, JobBuilder, Plugin};
//! use pellucid_host::sky::ModelGrid;
//! use std::time::Duration;
//!
//! # fn main() -> pellucid_host::Result<()> {
//! let engine = Engine::create(&Plugin::find(None)?, &EngineOptions::default())?;
//! let address = "exposure_1.fits".parse().unwrap_or_else(|never| match never {});
//! let mut file = ExposureFile::open(&address, &ExposureOptions::default())?;
//! let grid = ModelGrid {
//!     nx: 64,
//!     ny: 64,
//!     centre: file.chips()[0].centre(),
//!     pixel_scale_arcsec: 0.03,
//! };
//! let region = file.chips()[0].footprint(&grid).expect("the grid is centred on the chip");
//! let stamp = file.stamp(0, region)?;
//! let psf = "psf.fits".parse().unwrap_or_else(|never| match never {});
//! let psf = PsfImage::read(&psf, PsfOptions::default())?;
//! let psf = engine.psf(psf.kernel.view(), psf.oversample, psf.pixel_integrated)?;
//! let exposure = stamp.to_exposure(&engine, &psf, None)?;
//! let job = engine.submit(&JobBuilder {
//!     exposures: vec![&exposure],
//!     grid,
//!     samples: 32,
//!     seed: 1,
//!     prior: "galaxies64-ve".into(),
//!     likelihood: "gaussian".into(),
//!     options: Default::default(),
//!     priority: 0,
//! })?;
//! while !job.wait(Duration::from_secs(1))? {}
//! let samples = job.result()?.samples()?;
//! println!("{:?}", samples.view()?.dim());
//! # Ok(())
//! # }
//! ```

#![deny(unsafe_code)]

mod atomic;
mod error;
pub mod fits;
pub mod input;
pub mod product;
pub mod session;
pub mod sky;

pub use atomic::check_output;
pub use error::{HostError, Result};
