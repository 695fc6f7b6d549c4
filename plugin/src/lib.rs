//! libpellucid.so: the C ABI over the posterior engine.
//!
//! An adapter and nothing more: [`table`] makes the function table of `pellucid.h` for any
//! [`engine::Engine`]. The slots check what C hands in (`boundary`), turn it into exposure types
//! (`convert`), call the engine and turn what fails into a status ([`status`]). The exported table
//! drives the posterior engine, or the [`stub`] in builds without the feature `torch`.

mod boundary;
mod convert;
pub mod engine;
mod exports;
pub mod limits;
mod logs;
#[cfg(feature = "torch")]
mod real;
mod slots;
pub mod status;
pub mod stub;
mod summary;

pub use boundary::BoundaryError;
pub use exports::pellucid_get_api;
pub use slots::{predict_extension, table};
