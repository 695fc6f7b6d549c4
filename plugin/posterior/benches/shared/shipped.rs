//! Shipped priors and unconditional samples of them.

use std::path::PathBuf;

use pellucid_posterior::rng::SampleRng;
use pellucid_posterior::sampler::solver::draw_prior;
use pellucid_posterior::score::model_file::{Precision, PriorModel};
use tch::{Device, Kind, Tensor};

/// Solver steps of an unconditional sample, before the restarts.
const STEPS: usize = 64;
/// Images evaluated together.
const BATCH: usize = 16;

/// The value after `name` on the command line.
pub fn argument(name: &str) -> Option<String> {
    let mut args = std::env::args();
    args.find(|a| a == name)?;
    args.next()
}

/// The prior named by `--prior FILE`, or the shipped VE prior.
pub fn prior() -> PriorModel {
    let shipped =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/models/galaxies64-ve.safetensors");
    let path = argument("--prior").map_or_else(|| PathBuf::from(shipped), PathBuf::from);
    PriorModel::load(&path, Device::Cpu, Precision::F32).unwrap_or_else(|e| panic!("{e}"))
}

/// Unconditional samples, [count, H, W] f32, network units.
pub fn samples(model: &PriorModel, count: usize, seed: u64) -> Tensor {
    let mut parts = Vec::new();
    tch::no_grad(|| {
        for first in (0..count).step_by(BATCH) {
            let n = BATCH.min(count - first);
            let mut rngs: Vec<_> =
                (0..n).map(|k| SampleRng::new(seed, (first + k) as u64)).collect();
            let size = model.metadata.image_size;
            let x0 = draw_prior(&*model.denoiser, &model.metadata.sde, size, &mut rngs, STEPS);
            parts.push(x0.squeeze_dim(1));
        }
    });
    Tensor::cat(&parts, 0).to_kind(Kind::Float)
}
