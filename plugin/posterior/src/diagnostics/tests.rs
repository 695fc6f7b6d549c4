//! Known answers.

use super::*;
use ndarray::Array4;
use pellucid_exposure::{ModelGrid, NoiseCorrelation, Psf};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::sync::Arc;

const SIGMA: f64 = 0.3;

fn normal(shape: (usize, usize), rng: &mut ChaCha8Rng) -> Array2<f64> {
    Array2::from_shape_simple_fn(shape, || StandardNormal.sample(rng))
}

/// `pixels` with noise variance SIGMA^2, pixel (1, 1) masked.
fn exposure(pixels: Array2<f64>) -> Exposure {
    let shape = pixels.dim();
    let grid = ModelGrid::new(shape.0, shape.1, 10.0, 20.0, 0.1).expect("a valid grid");
    let psf = Psf::new(Array2::ones((1, 1)), 1, true).expect("a valid PSF");
    let mut good = Array2::from_elem(shape, true);
    good[[1, 1]] = false;
    let variance = Array2::from_elem(shape, SIGMA * SIGMA);
    let (wcs, psf) = (Arc::new(grid), Arc::new(psf));
    Exposure::new("test", pixels, variance, good, wcs, psf).expect("a valid exposure")
}

fn used(exposure: &Exposure) -> Vec<usize> {
    exposure.good.iter().enumerate().filter(|(_, good)| **good).map(|(i, _)| i).collect()
}

/// n models and their mean below them.
fn with_mean(samples: &[Array2<f64>]) -> Array3<f32> {
    let views: Vec<_> = samples.iter().map(|s| s.view()).collect();
    let mut all = ndarray::stack(Axis(0), &views).expect("samples have one shape");
    let mean = all.mean_axis(Axis(0)).expect("at least one sample");
    all.push(Axis(0), mean.view()).expect("the mean has the shape of a sample");
    all.mapv(|v| v as f32)
}

#[test]
fn survival_of_chi2() {
    // Even dof: exp(-h) sum of h^k / k! for k < dof/2, h = chi2 / 2.
    for (dof, chi2) in [(2usize, 1.7), (10, 4.0), (1000, 1020.0), (100_000, 100_300.0)] {
        let half: f64 = chi2 / 2.0;
        let mut log_term = -half;
        let mut sum = 0.0;
        for k in 0..dof / 2 {
            sum += f64::exp(log_term);
            log_term += half.ln() - ((k + 1) as f64).ln();
        }
        let got = chi2_survival(chi2, dof);
        assert!((got - sum).abs() < 1e-8, "dof {dof}: {got} {sum}");
    }
    assert_eq!(chi2_survival(0.0, 3), 1.0);
    assert!(chi2_survival(f64::NAN, 3).is_nan() && chi2_survival(1.0, 0).is_nan());
}

#[test]
fn lag_one_of_known_images() {
    let stripes = Array2::from_shape_fn((4, 4), |(_, x)| if x % 2 == 0 { 1.0 } else { -1.0 });
    let (lag, se) = lag_one(&stripes);
    assert_eq!((lag, se), (0.0, (24f64).sqrt().recip()), "12 unlike and 12 like pairs");
    let mut half = Array2::from_elem((2, 3), 2.0);
    half[[0, 0]] = f64::NAN;
    assert_eq!(lag_one(&half), (1.0, (5f64).sqrt().recip()));
}

#[test]
fn whiteness_has_its_standard_error() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut square = 0.0;
    for _ in 0..400 {
        let (lag, se) = lag_one(&normal((24, 20), &mut rng));
        square += (lag / se).powi(2) / 400.0;
    }
    assert!((square - 1.0).abs() < 0.2, "variance of the standardised lag: {square}");
}

#[test]
fn residuals_of_pure_noise_raise_no_flag() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let truth = normal((20, 20), &mut rng);
    let exposure = exposure(&truth + normal((20, 20), &mut rng) * SIGMA);
    let used = used(&exposure);
    let fit = ExposureDiagnostics::new(&exposure, &used, &with_mean(&[truth])).expect("valid");
    assert_eq!(fit.dof, 399);
    assert!((fit.chi2[0] / 399.0 - 1.0).abs() < 0.3 && !fit.flags.mismatch);
    assert!(fit.ppp > 0.001 && fit.ppp < 0.999 && fit.effective_parameters.is_nan());
    assert_eq!(fit.p_values[0], chi2_survival(fit.chi2[0], 399));
}

/// Prior N(0, 1) per pixel, A = 1: the posterior is N(w y, w SIGMA^2) with w = 1/(1 + SIGMA^2) and
/// constrains w per pixel.
#[test]
fn effective_parameters_of_a_gaussian() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let shape = (30, 30);
    let exposure = exposure(normal(shape, &mut rng) + normal(shape, &mut rng) * SIGMA);
    let w = 1.0 / (1.0 + SIGMA * SIGMA);
    let samples: Vec<_> = (0..16)
        .map(|_| &exposure.pixels * w + normal(shape, &mut rng) * (w.sqrt() * SIGMA))
        .collect();
    let used = used(&exposure);
    let fit = ExposureDiagnostics::new(&exposure, &used, &with_mean(&samples)).expect("valid");
    let parameters = w * used.len() as f64;
    assert!((fit.effective_parameters / parameters - 1.0).abs() < 0.05, "{fit:?}");
    assert!((fit.chi2_mean_reduced - 1.0).abs() < 0.3, "{}", fit.chi2_mean_reduced);
    assert!(
        fit.chi2.iter().all(|c| (c / fit.dof as f64 - 1.0).abs() < 0.25) && !fit.flags.mismatch
    );
}

#[test]
fn misfits_are_flagged() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let noise = normal((24, 24), &mut rng) * SIGMA;
    let model = with_mean(&[Array2::zeros((24, 24))]);
    let judge = |pixels: Array2<f64>| {
        let exposure = exposure(pixels);
        ExposureDiagnostics::new(&exposure, &used(&exposure), &model).expect("valid")
    };
    let loud = judge(&noise * 1.5);
    assert!(loud.flags.chi2 && !loud.flags.whiteness && loud.flags.mismatch && loud.ppp < 1e-6);
    let wave = Array2::from_shape_fn((24, 24), |(y, _)| 0.25 * (0.5 * y as f64).sin());
    let smooth = judge(&noise * 0.8 + wave);
    assert!(smooth.flags.whiteness && !smooth.flags.chi2, "{smooth:?}");
}

#[test]
fn correlated_noise_is_whitened() {
    let shape = (24, 24);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    // A moving average over two columns: correlation 1/2 at lag (0, 1).
    let white = normal((24, 25), &mut rng);
    let noise = Array2::from_shape_fn(shape, |(y, x)| {
        SIGMA * (white[[y, x]] + white[[y, x + 1]]) / 2f64.sqrt()
    });
    let table = NoiseCorrelation::new(ndarray::arr2(&[[0.5, 1.0, 0.5]])).expect("valid");
    let model = with_mean(&[Array2::zeros(shape)]);
    let told = exposure(noise).with_noise_correlation(Arc::new(table));
    let untold = Exposure { noise_correlation: None, ..told.clone() };
    let used = used(&told);
    let told = ExposureDiagnostics::new(&told, &used, &model).expect("valid");
    let untold = ExposureDiagnostics::new(&untold, &used, &model).expect("valid");
    assert!(untold.flags.whiteness && !told.flags.mismatch, "{told:?}");
    assert!((told.chi2[0] / told.dof as f64 - 1.0).abs() < 0.25, "{told:?}");

    let impossible = NoiseCorrelation::new(ndarray::arr2(&[[0.9, 1.0, 0.9]])).expect("a table");
    let exposure = exposure(white.slice_axis(Axis(1), (0..24).into()).to_owned())
        .with_noise_correlation(Arc::new(impossible));
    let error = ExposureDiagnostics::new(&exposure, &used, &model).expect_err("not a covariance");
    assert!(matches!(error, PosteriorError::Numeric { .. }), "{error}");
}

#[test]
fn edge_flux_of_known_images() {
    let sky = Array2::<f32>::ones((64, 64));
    assert_eq!(edge_ring_width((64, 64)), 2);
    assert!((edge_flux_fraction(sky.view()) - (1.0 - 3600.0 / 4096.0)).abs() < 1e-12);
    let mut galaxy = Array2::<f32>::zeros((64, 64));
    galaxy[[30, 31]] = 5.0;
    assert_eq!(edge_flux_fraction(galaxy.view()), 0.0);
    assert!(edge_flux_fraction((galaxy * -1.0).view()).is_nan());
    assert_eq!(edge_flux_fraction(Array2::<f32>::ones((1, 1)).view()), 1.0);
}

#[test]
fn failed_samples_become_null() {
    let exposure = exposure(Array2::zeros((6, 6)));
    let failed = Array2::from_elem((6, 6), f64::NAN);
    let models = [Array2::zeros((6, 6)), failed, Array2::zeros((6, 6))];
    let views: Vec<_> = models.iter().map(|m| m.view()).collect();
    let models = ndarray::stack(Axis(0), &views).expect("one shape").mapv(|v| v as f32);
    let fit = ExposureDiagnostics::new(&exposure, &used(&exposure), &models).expect("valid");
    let mut samples = Array4::<f32>::ones((2, 1, 6, 6));
    samples.index_axis_mut(Axis(0), 1).fill(f32::NAN);
    let all = Diagnostics::new(vec![fit], samples.view(), Cost::default());
    assert_eq!(all.failed_samples, [1]);
    assert!(all.flags.edge_flux && all.flags.mismatch);
    let json = serde_json::to_value(&all).expect("numbers and strings");
    assert_eq!(json["exposures"][0]["chi2"][0], 0.0);
    assert!(json["exposures"][0]["chi2"][1].is_null() && json["flux_scale"] == 0.0);
}
