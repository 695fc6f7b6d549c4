//! What a job needs and what the engine holds, in bytes.

use super::devices::{memory_total, resident_bytes};
use super::job::JobSpec;
use crate::error::PosteriorError;
use crate::sampler::CPU_BATCH;
use pellucid_exposure::{Exposure, ModelGrid, Wcs};
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;

/// Activations of the network per image pixel of a batch: the shipped U-Nets hold about 400
/// 32-bit values per pixel for the vector-Jacobian product, rounded up.
const ACTIVATION_BYTES_PER_PIXEL: u64 = 4096;

/// Activations of a noise network per pixel of an exposure and row of a batch: 16, 32 and 64 channels at full, half and quarter
/// resolution, six of each alive, and the reflected spectrum, rounded up.
const NOISE_BYTES_PER_PIXEL: u64 = 2048;

/// Most pixels that a noise network sees around those of the likelihood: its reach and the window's alignment.
const NOISE_MARGIN_PX: f64 = 64.0;

/// The matrix-free operator per sub-pixel while it is built: geometry (16), four 64-bit indices and
/// weights in vectors (64), joined (64) and as tensors (64), the weights in f32 (16), kernel and
/// spectrum. Images that pass it later take no more ([`super::runner`]).
///
/// Measured by the process's highest resident memory: 2048 x 2048 pixels at 2x take 3.5 GB for a
/// prediction (estimate 4.3 GB) and 3.8 GB for a job of 16 samples (4.6 GB).
const OPERATOR_BYTES_PER_SUBPIXEL: u64 = 256;

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

/// With m used pixels in all, N model pixels, n samples: the operator's rows in f32, twice while
/// they are whitened and in f64 while they are compressed (16 m N); k x k matrices in f64, k the
/// smaller of m and N, while it is diagonalised, or as many pixels as one exposure with correlated
/// noise uses (24 k^2); the result; a batch of activations; the weights; the sub-pixels. A job with a
/// noise model keeps the operator beside its compressed form (4 m N), finds effective variances in the
/// k directions of the data (16 m k) and passes what it sees of an exposure through the noise network.
///
/// # Errors
/// [`PosteriorError::Exposure`] when a WCS fails.
pub(super) fn estimate(
    spec: &JobSpec,
    model: &Path,
    noise: Option<&Path>,
) -> Result<MemoryEstimate, PosteriorError> {
    let (mut data, mut used, mut correlated, mut largest) = (0, 0, 0, 0);
    for exposure in &spec.exposures {
        let most = most_used(exposure, &spec.grid)?;
        data += exposure.pixels.len() as u64;
        // The bounding box of a turned square is twice as large.
        let window = ((2.0 * most as f64).sqrt() + 2.0 * NOISE_MARGIN_PX).powi(2) as u64;
        largest = largest.max(window.min(exposure.pixels.len() as u64));
        used += most;
        if exposure.noise_correlation.is_some() {
            correlated = most.max(correlated);
        }
    }
    let image = (spec.grid.ny * spec.grid.nx) as u64;
    let side = used.min(image).max(correlated);
    let result_bytes = result_bytes(spec.n_samples as u64, image, data);
    let size = |path: &Path| path.metadata().map_or(0, |m| m.len());
    let weights = size(model) + noise.map_or(0, size);
    let learned = match noise {
        Some(_) => (4 * used)
            .saturating_mul(image)
            .saturating_add((16 * used).saturating_mul(side))
            .saturating_add(CPU_BATCH as u64 * largest * NOISE_BYTES_PER_PIXEL),
        None => 0,
    };
    let batch = CPU_BATCH as u64 * image * ACTIVATION_BYTES_PER_PIXEL;
    let rows = (16 * used).saturating_mul(image);
    let square = (24 * side).saturating_mul(side);
    // The file's bytes and the tensors are both alive while it loads.
    let host_bytes = [rows, square, learned, batch, result_bytes, operator(&spec.exposures)]
        .into_iter()
        .fold(2 * weights, u64::saturating_add);
    Ok(MemoryEstimate { host_bytes, device_bytes: 0, result_bytes })
}

/// For A x of one image: the predictions, the image in f64 and f32, one operator at a time.
pub(super) fn prediction(exposures: &[Arc<Exposure>], grid: &ModelGrid) -> u64 {
    let data: u64 = exposures.iter().map(|e| e.pixels.len() as u64).sum();
    operator(exposures) + 4 * data + 16 * (grid.ny * grid.nx) as u64
}

/// # Errors
/// [`PosteriorError::Memory`] when the machine has less.
pub(super) fn check(need: u64) -> Result<(), PosteriorError> {
    let have = memory_total();
    if have > 0 && need > have { Err(PosteriorError::Memory { need, have }) } else { Ok(()) }
}

/// The matrix-free operator of the exposure with most sub-pixels.
fn operator(exposures: &[Arc<Exposure>]) -> u64 {
    let largest = exposures.iter().map(|exposure| subpixels(exposure)).max();
    OPERATOR_BYTES_PER_SUBPIXEL * largest.unwrap_or(0)
}

/// Sub-pixels of an exposure's [`Geometry`], which covers all of it whatever the grid.
///
/// [`Geometry`]: pellucid_exposure::Geometry
fn subpixels(exposure: &Exposure) -> u64 {
    let [half_x, half_y] = exposure.psf.half_size_subpx();
    let side = |n: usize| (n * exposure.psf.oversample() + 2 * half_x.max(half_y)) as u64;
    let (ny, nx) = exposure.pixels.dim();
    side(ny) * side(nx)
}

/// An upper bound on the pixels of an exposure that are good and lie on the grid, from the size of
/// its middle pixel: an a x b rectangle holds at most (a + 1)(b + 1) pixel centres. 10 % a side are
/// for distortion, and a pixel for the shape of pixels that are not square.
fn most_used(exposure: &Exposure, grid: &ModelGrid) -> Result<u64, PosteriorError> {
    let [x, y] = exposure.centre_px();
    let around = [[x, y], [x - 0.5, y], [x + 0.5, y], [x, y - 0.5], [x, y + 0.5]];
    let radec = exposure.wcs.pixel_to_sky(&around)?;
    // A grid of the same scale at the exposure, which the grid itself may be far from.
    let local = ModelGrid { ra_deg: radec[0][0], dec_deg: radec[0][1], ..grid.clone() };
    let at = local.sky_to_pixel(&radec)?;
    let across = |axis: usize| (at[2][axis] - at[1][axis], at[4][axis] - at[3][axis]);
    let ((xx, xy), (yx, yy)) = (across(0), across(1));
    let per_model_pixel = (xx * yy - xy * yx).abs().sqrt().recip();
    let side = |n: usize| 1.1 * n as f64 * per_model_pixel + 2.0;
    let most = side(grid.ny) * side(grid.nx);
    let good = exposure.good.iter().filter(|good| **good).count();
    // Also for a bound that is not a number.
    Ok(if most < good as f64 { most as u64 } else { good as u64 })
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

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use pellucid_exposure::{CallbackWcs, Geometry, Psf};

    /// `side` squared good pixels of `scale_arcsec`, turned by `turn` and stretched along x.
    fn exposure(side: usize, scale_arcsec: f64, turn: f64, stretch: f64) -> Exposure {
        let grid = ModelGrid::new(side, side, 30.0, -5.0, scale_arcsec).expect("a valid grid");
        let middle = (side as f64 - 1.0) / 2.0;
        let wcs = CallbackWcs::new(
            move |xy, radec| {
                let turned = xy.iter().map(|[x, y]| {
                    let (x, y) = ((x - middle) * stretch, y - middle);
                    let (sin, cos) = turn.sin_cos();
                    [middle + cos * x - sin * y, middle + sin * x + cos * y]
                });
                let turned: Vec<[f64; 2]> = turned.collect();
                radec.copy_from_slice(&grid.pixel_to_sky(&turned).map_err(|_| 1)?);
                Ok(())
            },
            None,
        );
        let psf = Psf::new(Array2::ones((5, 9)), 3, false).expect("a valid PSF");
        let (shape, wcs, psf) = ((side, side), Arc::new(wcs), Arc::new(psf));
        let (ones, good) = (Array2::ones(shape), Array2::from_elem(shape, true));
        Exposure::new("one", ones.clone(), ones, good, wcs, psf).expect("a valid exposure")
    }

    #[test]
    fn the_bounds_hold_and_are_close() {
        for (side, scale, turn, stretch) in [
            (100, 0.05, 0.0, 1.0),
            (100, 0.05, 0.6, 1.0),
            (100, 0.02, 0.8, 1.0),
            (60, 0.13, 0.3, 1.2),
            (110, 0.05, 0.785, 0.8),
            (20, 0.05, 0.2, 1.0),
        ] {
            let exposure = exposure(side, scale, turn, stretch);
            let grid = ModelGrid::new(48, 64, 30.0, -5.0, 0.05).expect("a valid grid");
            let geometry = Geometry::new(&exposure, &grid).expect("they overlap");
            assert_eq!(subpixels(&exposure), geometry.base.len() as u64);
            let (most, used) =
                (most_used(&exposure, &grid).expect("a WCS") as f64, geometry.used.len() as f64);
            assert!((1.0..1.6).contains(&(most / used)), "{side} {scale} {turn}: {most} {used}");
        }
    }

    #[test]
    fn a_whole_frame_around_a_small_grid_fits() {
        let frame = exposure(1014, 0.1, 0.3, 1.0);
        let grid = ModelGrid::new(64, 64, 30.0, -5.0, 0.1).expect("a valid grid");
        let most = most_used(&frame, &grid).expect("a WCS");
        assert!(most < 6000, "{most}");
        let far = ModelGrid { ra_deg: 210.0, dec_deg: 5.0, ..grid };
        assert_eq!(most_used(&frame, &far).expect("a WCS"), most);
    }
}
