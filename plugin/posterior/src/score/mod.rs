//! Scores of the prior, as denoisers.
//!
//! By Tweedie's formula the score of the noised prior is s(x, sigma) = (D(x, sigma) - x) / sigma^2
//! with D the posterior mean of x_0 (Robbins 1956; Efron 2011). Samplers and training share the
//! networks here, so the two cannot drift apart.

pub mod analytic;
pub mod edm;
pub mod model_file;
pub mod noise;
pub mod parameters;
pub mod unet;

use tch::Tensor;

/// A denoiser of the prior, in network units (x / flux_scale).
///
/// Tensors are not `Sync`: a denoiser belongs to the worker that loaded it.
pub trait Denoiser {
    /// D(x, sigma) = E[x_0 | x_0 + sigma z = x].
    ///
    /// # Shapes
    /// x [B, 1, H, W], sigma [B]; the result has the shape of x.
    fn denoise(&self, x: &Tensor, sigma: &Tensor) -> Tensor;

    /// D at x together with its vector-Jacobian product.
    fn linearize(&self, x: &Tensor, sigma: &Tensor) -> Linearized;

    /// Mean image of the prior, [H, W].
    fn mean(&self) -> &Tensor;

    /// Power spectrum of x_0 - mean over the unitary FFT2, [H, W]: the stationary Gaussian that
    /// preconditions the guidance.
    fn power(&self) -> &Tensor;
}

/// A denoiser linearised at one x.
pub struct Linearized {
    /// D(x, sigma), detached.
    pub value: Tensor,
    vjp: Box<dyn Fn(&Tensor) -> Tensor>,
}

impl Linearized {
    /// From a value and a closed-form u -> J^T u.
    pub fn new(value: Tensor, vjp: impl Fn(&Tensor) -> Tensor + 'static) -> Self {
        Self { value, vjp: Box::new(vjp) }
    }

    /// From a differentiable function, by reverse mode; the tape is kept for repeated products.
    pub fn by_autograd(x: &Tensor, f: impl FnOnce(&Tensor) -> Tensor) -> Self {
        tch::with_grad(|| {
            let leaf = x.detach().set_requires_grad(true);
            let output = f(&leaf);
            let value = output.detach();
            Self::new(value, move |u| {
                tch::with_grad(|| {
                    let product = (&output * u).sum(output.kind());
                    Tensor::run_backward(&[&product], &[&leaf], true, false).swap_remove(0)
                })
            })
        })
    }

    /// J^T u, [B, 1, H, W].
    pub fn vjp(&self, u: &Tensor) -> Tensor {
        (self.vjp)(u)
    }
}
