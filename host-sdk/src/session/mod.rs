//! The plugin as Rust values: an [`Engine`] and what it makes.
//!
//! Every handle frees itself when dropped, may be moved between threads and shared, and outlives
//! the engine that made it.

mod array;
mod call;
mod engine;
mod exposure;
mod handle;
mod job;
mod plugin;
mod posterior;
#[cfg(feature = "abi-stable")]
mod stable;

pub use engine::{Device, Engine, EngineOptions, Memory, Model};
pub use exposure::{
    Exposure, ExposureBuilder, FluxConvention, LookupTable, Psf, TableAxis, TableKind, Wcs,
};
pub use job::{Job, JobBuilder, JobState, Progress};
pub use plugin::{ENVIRONMENT, Plugin, SONAME};
pub use posterior::{ResultSet, Samples};
