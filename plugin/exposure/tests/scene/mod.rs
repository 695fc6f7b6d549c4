//! Exposures, PSFs and headers for the forward-model tests.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::Arc;

use ndarray::Array2;
use pellucid_exposure::{Exposure, HeaderWcs, ModelGrid, Psf, Wcs};

/// A TAN header of square pixels, 1-based CRPIX, rotated by `angle_deg`.
pub fn tan_header(radec: [f64; 2], crpix: [f64; 2], scale_arcsec: f64, angle_deg: f64) -> String {
    let (sin, cos) = angle_deg.to_radians().sin_cos();
    let scale = scale_arcsec / 3600.0;
    let cd = [-scale * cos, scale * sin, scale * sin, scale * cos];
    format!(
        "CTYPE1  = 'RA---TAN'\nCTYPE2  = 'DEC--TAN'\n\
         CRVAL1  = {:E}\nCRVAL2  = {:E}\nCRPIX1  = {:E}\nCRPIX2  = {:E}\n\
         CD1_1   = {:E}\nCD1_2   = {:E}\nCD2_1   = {:E}\nCD2_2   = {:E}\nRADESYS = 'ICRS'\n",
        radec[0], radec[1], crpix[0], crpix[1], cd[0], cd[1], cd[2], cd[3]
    )
}

/// The same with SIP terms of the size of ACS's, which bend a small stamp visibly when scaled up.
pub fn sip_header(radec: [f64; 2], crpix: [f64; 2], scale_arcsec: f64, angle_deg: f64) -> String {
    let header = tan_header(radec, crpix, scale_arcsec, angle_deg).replace("TAN'", "TAN-SIP'");
    header
        + "A_ORDER = 3\nB_ORDER = 3\nA_2_0   = 8.5E-4\nA_1_1   = -5.2E-4\nA_0_3   = 9.0E-6\n\
           B_0_2   = -7.2E-4\nB_1_1   = 6.0E-4\nB_2_1   = -4.0E-6\n"
}

pub fn header_wcs(header: &str) -> Arc<dyn Wcs> {
    Arc::new(HeaderWcs::new(header, Vec::new()).expect("a valid header"))
}

/// A Gaussian of `sigma` sub-pixels about the middle of a `size` x `size` array.
pub fn gaussian_kernel(size: usize, sigma: f64) -> Array2<f64> {
    let middle = (size as f64 - 1.0) / 2.0;
    Array2::from_shape_fn((size, size), |(y, x)| {
        let r2 = (y as f64 - middle).powi(2) + (x as f64 - middle).powi(2);
        (-0.5 * r2 / (sigma * sigma)).exp()
    })
}

/// A kernel without any symmetry.
pub fn lopsided_kernel(ny: usize, nx: usize) -> Array2<f64> {
    Array2::from_shape_fn((ny, nx), |(y, x)| {
        let (y, x) = (y as f64 / ny as f64, x as f64 / nx as f64);
        (-6.0 * (y - 0.3).powi(2) - 9.0 * (x - 0.6).powi(2)).exp() * (1.0 + 0.8 * x * y) - 0.01
    })
}

pub fn exposure(shape: (usize, usize), wcs: Arc<dyn Wcs>, psf: Psf) -> Exposure {
    let good = Array2::from_elem(shape, true);
    let ones = Array2::ones(shape);
    Exposure::new("test", ones.clone(), ones, good, wcs, Arc::new(psf)).expect("a valid exposure")
}

/// Repeatable numbers in 0..1 without a pattern (splitmix64).
pub fn noise_image(ny: usize, nx: usize, seed: u64) -> Array2<f64> {
    let mut state = seed;
    Array2::from_shape_simple_fn((ny, nx), || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    })
}

/// A round Gaussian galaxy of `sigma_px` model pixels at the model pixel `at` = `[x, y]`.
pub fn galaxy(grid: &ModelGrid, at: [f64; 2], sigma_px: f64) -> Array2<f64> {
    Array2::from_shape_fn((grid.ny, grid.nx), |(y, x)| {
        let r2 = (y as f64 - at[1]).powi(2) + (x as f64 - at[0]).powi(2);
        (-0.5 * r2 / (sigma_px * sigma_px)).exp()
    })
}

/// Flux-weighted mean position `[x, y]`.
pub fn centroid(image: &Array2<f64>) -> [f64; 2] {
    let mut sums = [0.0; 3];
    for ((y, x), value) in image.indexed_iter() {
        for (sum, factor) in sums.iter_mut().zip([x as f64, y as f64, 1.0]) {
            *sum += value * factor;
        }
    }
    [sums[0] / sums[2], sums[1] / sums[2]]
}
