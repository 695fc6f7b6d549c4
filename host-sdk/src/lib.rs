//! Load the Pellucid plugin safely: sessions, exposures, FITS input and products.
//!
//! [`session`] is the plugin as Rust values, [`input`] and [`fits`] read exposures, [`product`] writes
//! what comes out; [`target`] goes from a description to a product. Arrays go in and come out as ndarray views, [y, x]. `examples/host.rs` is a whole
//! host.
//!
//! ```no_run
//! use pellucid_host::Status;
//! use pellucid_host::fits::Header;
//! use pellucid_host::ndarray::Array2;
//! use pellucid_host::session::{Engine, EngineOptions, ExposureBuilder, JobBuilder, Plugin};
//! use pellucid_host::sky::ModelGrid;
//!
//! /// Total flux of each sample; `None` for one that failed.
//! fn fluxes(
//!     cards: &str,
//!     pixels: &Array2<f64>,
//!     sigma: &Array2<f64>,
//!     kernel: &Array2<f64>,
//!     grid: ModelGrid,
//! ) -> pellucid_host::Result<Vec<Option<f32>>> {
//!     let engine = Engine::create(&Plugin::find(None)?, &EngineOptions::default())?;
//!     let wcs = engine.wcs(&Header::from_cards(cards), &[])?;
//!     let psf = engine.psf(kernel.view(), 4, false)?;
//!     let quality = pixels.mapv(|value| u32::from(value.is_nan()));
//!     let exposure = engine.exposure(&ExposureBuilder {
//!         quality: Some(quality.view()),
//!         bad_bits: 1,
//!         ..ExposureBuilder::new("visit 1", pixels.view(), sigma.view(), &wcs, &psf)
//!     })?;
//!     let job = JobBuilder { seed: 7, ..JobBuilder::new([&exposure], grid, "galaxies64-ve") };
//!     let result = match engine.submit(&job) {
//!         Err(error) if error.status() == Some(Status::Memory) => {
//!             engine.submit(&JobBuilder { samples: 4, ..job })?.finish()?
//!         }
//!         submitted => submitted?.finish()?,
//!     };
//!     let samples = result.samples()?;
//!     Ok(samples.iter()?.map(|image| image.map(|image| image.sum())).collect())
//! }
//! ```

#![deny(unsafe_code)]

mod atomic;
pub mod clock;
mod error;
pub mod fits;
pub mod input;
pub mod product;
pub mod session;
pub mod sky;
pub mod target;

pub use atomic::check_output;
pub use error::{HostError, Result, Status};
/// The arrays of this interface.
pub use ndarray;
