//! What a job needs and what the engine holds, in bytes.

use super::devices::resident_bytes;
use super::job::JobSpec;
use crate::sampler::CPU_BATCH;
use serde::Serialize;
use std::path::Path;

/// Activations of the network per image pixel of a batch: the shipped U-Nets hold about 400
/// 32-bit values per pixel for the vector-Jacobian product, rounded up.
const ACTIVATION_BYTES_PER_PIXEL: u64 = 4096;

/// Memory a job will need, from the sizes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryEstimate {
    /// Main memory at the peak: model, operator and its decomposition, one batch, the result.
    pub host_bytes: u64,
    /// Memory of the CUDA device; 0 on the CPU.
    pub device_bytes: u64,
    /// Part of `host_bytes` that the result keeps.
    pub result_bytes: u64,
}

/// Memory of this process and of the results that are alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryUse {
    /// Resident memory of the process now.
    pub host_now: u64,
    /// Its highest value so far.
    pub host_peak: u64,
    /// Memory of the CUDA devices now; 0 on the CPU.
    pub device_now: u64,
    /// Its highest value so far; 0 on the CPU.
    pub device_peak: u64,
    /// Samples and models of results that somebody holds.
    pub results_held: u64,
}

/// With m data pixels in all, N model pixels, n samples: the operator's rows in f32, twice while
/// they are whitened and in f64 while they are compressed (16 m N), their m x m normal matrix,
/// eigenvectors and workspace in f64 (24 m^2), the
/// result (4 (n + 1) (N + m)), a batch of activations, the weights.
pub(super) fn estimate(spec: &JobSpec, model: &Path) -> MemoryEstimate {
    let data: u64 = spec.exposures.iter().map(|e| e.pixels.len() as u64).sum();
    let image = (spec.grid.ny * spec.grid.nx) as u64;
    let samples = spec.n_samples as u64;
    let result_bytes = result_bytes(samples, image, data);
    let weights = model.metadata().map_or(0, |m| m.len());
    let batch = CPU_BATCH as u64 * image * ACTIVATION_BYTES_PER_PIXEL;
    let operator = (16 * data).saturating_mul(image).saturating_add((24 * data).saturating_mul(data));
    // The file's bytes and the tensors are both alive while it loads.
    let host_bytes = (2 * weights + batch).saturating_add(operator).saturating_add(result_bytes);
    MemoryEstimate { host_bytes, device_bytes: 0, result_bytes }
}

/// Samples and the models of samples and mean, f32.
pub(super) fn result_bytes(samples: u64, image: u64, data: u64) -> u64 {
    (samples.saturating_add(1)).saturating_mul(4 * (image + data))
}

/// `results_held` with the process's numbers.
pub(super) fn in_use(results_held: u64) -> MemoryUse {
    let (host_now, host_peak) = resident_bytes();
    MemoryUse { host_now, host_peak, device_now: 0, device_peak: 0, results_held }
}
