//! The likelihood's pieces: noise covariance, flux scale.

use std::sync::Arc;

use ndarray::{Array2, s};
use pellucid_exposure::{Exposure, ModelGrid, NoiseCorrelation, Psf};
use pellucid_posterior::diagnostics::Whitener;
use pellucid_posterior::likelihood::estimate_flux_scale;
use pellucid_posterior::score::analytic::GaussianField;
use tch::{Device, Kind, Tensor};

const SIDE: usize = 16;

fn exposure(pixels: Array2<f64>, variance: Array2<f64>, good: Array2<bool>) -> Exposure {
    let (ny, nx) = pixels.dim();
    let grid = ModelGrid::new(ny, nx, 10.0, -20.0, 0.05).unwrap();
    let psf = Arc::new(Psf::new(Array2::ones((1, 1)), 1, false).unwrap());
    Exposure::new("test", pixels, variance, good, Arc::new(grid), psf).unwrap()
}

/// A bright off-centre blob, and a prior whose mean is half of it.
fn blob() -> (Array2<f64>, GaussianField) {
    let blob = Array2::from_shape_fn((SIDE, SIDE), |(y, x)| {
        let (dy, dx) = (y as f64 - 7.0, x as f64 - 8.0);
        10.0 * (-(dy * dy + dx * dx) / 8.0).exp()
    });
    let n = SIDE as i64;
    let values: Vec<f64> = blob.iter().map(|v| v / 2.0).collect();
    let mean = Tensor::from_slice(&values).reshape([n, n]);
    let power = Tensor::ones([n, n], (Kind::Double, Device::Cpu));
    (blob, GaussianField::new(&mean, &power, Device::Cpu).unwrap())
}

fn scale(pixels: &Array2<f64>, unit: f64, good: Array2<bool>, prior: &GaussianField) -> f64 {
    let (ny, nx) = pixels.dim();
    let variance = Array2::from_elem((ny, nx), 0.01 * unit * unit);
    let data = Arc::new(exposure(pixels * unit, variance, good));
    let grid = ModelGrid::new(SIDE, SIDE, 10.0, -20.0, 0.05).unwrap();
    estimate_flux_scale(&[data], &grid, prior).unwrap()
}

#[test]
fn the_flux_scale_depends_neither_on_the_cut_nor_on_masks_nor_on_the_unit() {
    let (pixels, prior) = blob();
    let good = |shape| Array2::from_elem(shape, true);
    let whole = scale(&pixels, 1.0, good((SIDE, SIDE)), &prior);
    assert!((whole - 2.0).abs() < 1e-6, "{whole}");
    let cut = pixels.slice(s![4..12, 4..12]).to_owned();
    let of_cut = scale(&cut, 1.0, good((8, 8)), &prior);
    assert!((of_cut - 2.0).abs() < 1e-6, "of a cut-out: {of_cut}");
    let mut masked = good((SIDE, SIDE));
    masked.slice_mut(s![6..9, 7..10]).fill(false);
    let of_masked = scale(&pixels, 1.0, masked, &prior);
    assert!((of_masked - 2.0).abs() < 1e-6, "with a masked core: {of_masked}");
    let of_small_unit = scale(&pixels, 1e-9, good((SIDE, SIDE)), &prior);
    assert!((of_small_unit / 2e-9 - 1.0).abs() < 1e-6, "in another unit: {of_small_unit}");
}

#[test]
fn noise_cannot_set_the_flux_scale() {
    let (pixels, prior) = blob();
    let good = Array2::from_elem((SIDE, SIDE), true);
    let scale = scale(&(pixels * 0.0 - 5.0), 1.0, good, &prior);
    // Three standard errors of the sum, 3 x 0.1 x 16, over the sum of the mean image, 125.66.
    assert!((scale - 4.8 / 125.66).abs() < 1e-4, "{scale}");
}

#[test]
fn repairing_a_correlation_leaves_quiet_pixels_alone() {
    // 0.252 with each of four neighbours and nothing beyond: 1 - 4 x 0.252 < 0 at the highest frequency.
    let mut correlation = Array2::zeros((3, 3));
    correlation[[1, 1]] = 1.0;
    for at in [[0, 1], [1, 0], [1, 2], [2, 1]] {
        correlation[at] = 0.252;
    }
    let variance = Array2::from_shape_fn((SIDE, SIDE), |at| if at == (3, 3) { 1e6 } else { 1.0 });
    let good = Array2::from_elem((SIDE, SIDE), true);
    let mut noisy = exposure(Array2::zeros((SIDE, SIDE)), variance, good);
    noisy.noise_correlation = Some(Arc::new(NoiseCorrelation::new(correlation).unwrap()));
    let used: Vec<usize> = (0..SIDE * SIDE).collect();
    let whitener = Whitener::new(&noisy, &used).unwrap();
    // The first pixel has no predecessor: its whitened value is its residual over its sigma.
    let mut residual = Array2::zeros((SIDE, SIDE));
    residual[[0, 0]] = 1.0;
    let white = whitener.whiten(&[residual]).unwrap()[[0, 0]];
    assert!((white - 1.0).abs() < 6e-3, "{white}");
}
