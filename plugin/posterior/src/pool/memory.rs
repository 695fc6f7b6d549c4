//! What a job needs and what the engine holds, in bytes.

use super::devices::resident_bytes;
use super::job::JobSpec;
use crate::sampler::CPU_BATCH;
use pellucid_exposure::Exposure;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;

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
/// they are whitened and in f64 while they are compressed (16 m N); k x k matrices in f64, k the
/// smaller of m and N, while it is diagonalised, or as many pixels as the largest exposure with
/// correlated noise has (24 k^2); the result (4 (n + 1) (N + m)); a batch of activations; the
/// weights.
pub(super) fn estimate(spec: &JobSpec, model: &Path) -> MemoryEstimate {
    let pixels = |e: &Arc<Exposure>| e.pixels.len() as u64;
    let data: u64 = spec.exposures.iter().map(pixels).sum();
    let correlated = spec.exposures.iter().filter(|e| e.noise_correlation.is_some());
    let image = (spec.grid.ny * spec.grid.nx) as u64;
    let side = data.min(image).max(correlated.map(pixels).max().unwrap_or(0));
    let result_bytes = result_bytes(spec.n_samples as u64, image, data);
    let weights = model.metadata().map_or(0, |m| m.len());
    let batch = CPU_BATCH as u64 * image * ACTIVATION_BYTES_PER_PIXEL;
    let rows = (16 * data).saturating_mul(image);
    let square = (24 * side).saturating_mul(side);
    // The file's bytes and the tensors are both alive while it loads.
    let host_bytes =
        [rows, square, batch, result_bytes].into_iter().fold(2 * weights, u64::saturating_add);
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
