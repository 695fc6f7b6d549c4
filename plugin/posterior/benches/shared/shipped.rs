//! Shipped priors and unconditional samples of them.

use std::path::PathBuf;

use pellucid_posterior::rng::{SampleRng, normal};
use pellucid_posterior::sampler::solver::{geometric, reverse_prior};
use pellucid_posterior::score::model_file::{Precision, PriorModel};
use tch::{Device, Kind, Tensor};

/// Solver steps of an unconditional sample.
const STEPS: usize = 96;
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
    let [h, w] = model.metadata.image_size.map(|n| n as i64);
    let [low, high] = model.metadata.sde.noise_range();
    let mut parts = Vec::new();
    tch::no_grad(|| {
        for first in (0..count).step_by(BATCH) {
            let n = BATCH.min(count - first);
            let mut rngs: Vec<_> =
                (0..n).map(|k| SampleRng::new(seed, (first + k) as u64)).collect();
            let x = normal(&mut rngs, &[1, h, w], Device::Cpu) * high;
            let grids = vec![geometric(high, low, STEPS); n];
            let x0 = reverse_prior(&*model.denoiser, &x, &grids, &mut rngs, || true);
            parts.push(x0.expect("because nothing stops it").squeeze_dim(1));
        }
    });
    Tensor::cat(&parts, 0).to_kind(Kind::Float)
}
