//! Model files and the JSON options of jobs and engines.

use pellucid_posterior::pool::{EngineConfig, Options};
use pellucid_posterior::score::model_file::{Device, Precision, PriorModel, read_tensors};
use pellucid_posterior::score::noise::file::NoiseModel;

use crate::scratch::Scratch;

/// Loads `data` as a prior, as a noise model and as named tensors.
///
/// # Panics
/// If what was loaded is not finite.
pub fn run(data: &[u8]) {
    let _ = serde_json::from_slice::<Options>(data);
    let _ = serde_json::from_slice::<EngineConfig>(data);
    let file = Scratch::new("safetensors", data);
    let _ = PriorModel::read_metadata(file.path());
    if let Ok(prior) = PriorModel::load(file.path(), Device::Cpu, Precision::F32) {
        for image in [prior.denoiser.mean(), prior.denoiser.power()] {
            assert!(image.isfinite().all().int64_value(&[]) == 1, "a prior that is not finite");
        }
    }
    if let Ok(noise) = NoiseModel::load(file.path(), Device::Cpu) {
        assert!(noise.forward.variance() > 0.0);
    }
    let _ = read_tensors(file.path());
}
