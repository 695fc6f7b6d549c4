//! The same job for both sides of the ABI.

pub mod direct;
pub mod host;
pub mod open;
pub mod problem;
