//! Posterior sampling of galaxy images: SDEs, scores, forward model, likelihood, samplers, worker pool.

#![forbid(unsafe_code)]

pub mod diagnostics;
pub mod error;
pub mod forward_model;
pub mod likelihood;
pub mod pool;
pub mod rng;
pub mod sampler;
pub mod score;
pub mod sde;

pub use error::PosteriorError;
