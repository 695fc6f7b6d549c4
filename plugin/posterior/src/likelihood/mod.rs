//! Likelihoods p(y | x).

mod compress;
mod effective;
mod flux_scale;
mod gaussian;
mod preconditioner;
mod reference;
mod robust;
mod slic;

pub use flux_scale::{estimate_flux_scale, robust_flux_scale};
pub use gaussian::GaussianLikelihood;
pub(crate) use gaussian::factorise;
pub use preconditioner::Preconditioner;
pub(crate) use reference::Reference;
pub use slic::SlicLikelihood;

use std::rc::Rc;

/// What a sampler is told of the data.
#[derive(Clone, Debug)]
pub enum Likelihood {
    /// Gaussian noise.
    Gaussian(Rc<GaussianLikelihood>),
    /// Noise known by its score.
    Slic(Rc<SlicLikelihood>),
}

impl Likelihood {
    /// The Gaussian likelihood, or the Gaussian approximation of the other.
    pub fn gaussian(&self) -> &Rc<GaussianLikelihood> {
        match self {
            Self::Gaussian(likelihood) => likelihood,
            Self::Slic(likelihood) => &likelihood.gaussian,
        }
    }

    /// Whether both are of one job.
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(self.gaussian(), other.gaussian())
    }
}

impl From<Rc<GaussianLikelihood>> for Likelihood {
    fn from(likelihood: Rc<GaussianLikelihood>) -> Self {
        Self::Gaussian(likelihood)
    }
}

impl From<Rc<SlicLikelihood>> for Likelihood {
    fn from(likelihood: Rc<SlicLikelihood>) -> Self {
        Self::Slic(likelihood)
    }
}
