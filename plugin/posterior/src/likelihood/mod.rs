//! Likelihoods p(y | x).

mod compress;
mod flux_scale;
mod gaussian;

pub use flux_scale::estimate_flux_scale;
pub(crate) use gaussian::factorise;
pub use gaussian::{GaussianLikelihood, Preconditioner};
