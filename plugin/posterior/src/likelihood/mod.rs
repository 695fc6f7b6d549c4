//! Likelihoods p(y | x).

mod compress;
mod flux_scale;
mod gaussian;
mod preconditioner;

pub use flux_scale::estimate_flux_scale;
pub use gaussian::GaussianLikelihood;
pub(crate) use gaussian::factorise;
pub use preconditioner::Preconditioner;
