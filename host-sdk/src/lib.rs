//! Load the Pellucid plugin safely: sessions, exposures, FITS input and products.
//!
//! [`session`] is the plugin as Rust values, [`input`] and [`fits`] read exposures, [`product`] writes
//! what comes out. Arrays go in and come out as ndarray views, [y, x]. `examples/host.rs` is a whole
//! host.
//!
//! ```no_run
//! use pellucid_host::Status;
//! use pellucid_host::fits::Header;
//! use pellucid_host::ndarray::{Array2, ArrayView2};
//! use pellucid_host::session::{Engine, EngineOptions, ExposureBuilder, JobBuilder, Plugin};
//! use pellucid_host::sky::ModelGrid;
//!
//! /// Total flux of each sample; `None` for one that failed.
//! fn fluxes(
//!     cards: &str,
//!     pixels: ArrayView2<'_, f64>,
//!     sigma: ArrayView2<'_, f64>,
//!     kernel: ArrayView2<'_, f64>,
//!     grid: ModelGrid,
//! ) -> pellucid_host::Result<Vec<Option<f32>>> {
//!     let engine = Engine::create(&Plugin::find(None)?, &EngineOptions::default())?;
//!     let wcs = engine.wcs(&Header::from_cards(cards.into()), &[])?;
//!     let psf = engine.psf(kernel, 4, false)?;
//!     let exposure = engine.exposure(&ExposureBuilder {
//!         bad_bits: 4096,
//!         quality: Some(Array2::zeros(pixels.dim()).view()),
//!         ..ExposureBuilder::new("visit 1", pixels, sigma, &wcs, &psf)
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
mod error;
pub mod fits;
pub mod input;
pub mod product;
pub mod session;
pub mod sky;

pub use atomic::check_output;
pub use error::{HostError, Result, Status};
/// The arrays of this interface.
pub use ndarray;
