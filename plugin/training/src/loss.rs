//! Denoising score-matching losses.

use pellucid_posterior::score::edm::{Preconditioning, network};
use pellucid_posterior::score::parameters::Parameters;
use pellucid_posterior::score::unet::UnetConfig;
use tch::{Kind, Tensor};

use crate::batch::Batch;

/// Weight of the noise levels in the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weighting {
    /// (sigma^2 + sigma_d^2) / (sigma sigma_d)^2: unit loss of an untrained net at every level
    /// (Karras et al. 2022, table 1).
    Edm,
    /// sigma^2 on the score, as eq. (6) of Adam et al. 2023: 1 / sigma^2 on the denoised image.
    Score,
}

/// Loss of each image of the batch, [B]: the mean over pixels of w(sigma) (D - x_0)^2.
pub fn per_image(
    config: &UnetConfig,
    parameters: &Parameters,
    sigma_d: f64,
    weighting: Weighting,
    batch: &Batch,
) -> Tensor {
    let c = Preconditioning::new(&batch.sigma, sigma_d);
    let x = &batch.x0 + &batch.z * batch.sigma.reshape([-1, 1, 1, 1]);
    let f = network(config, parameters, &x, &batch.sigma, &c);
    // In terms of F the EDM weight is 1: the target is (x_0 - c_skip x) / c_out.
    let target = (&batch.x0 - &x * &c.c_skip) / &c.c_out;
    let squared = (f - target).square().mean_dim([1i64, 2, 3].as_slice(), false, Kind::Float);
    match weighting {
        Weighting::Edm => squared,
        Weighting::Score => squared * (c.c_out.flatten(0, -1) / &batch.sigma).square(),
    }
}
