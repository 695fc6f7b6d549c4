//! Everything that touches foreign memory or foreign code; what passes it is safe Rust.

pub(crate) mod array;
pub(crate) mod borrow;
pub(crate) mod callback;
pub(crate) mod error;
pub(crate) mod guard;
pub(crate) mod handle;
pub(crate) mod text;

pub use error::BoundaryError;
