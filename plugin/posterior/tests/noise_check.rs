//! Residuals against the reference of a noise model: matching noise passes, other noise does not.

use std::rc::Rc;
use std::sync::Arc;

use ndarray::{Array2, Array3};
use pellucid_exposure::{Exposure, ModelGrid, Psf};
use pellucid_posterior::diagnostics::ExposureDiagnostics;
use pellucid_posterior::rng::SampleRng;
use pellucid_posterior::score::model_file::FORMAT;
use pellucid_posterior::score::noise::NoiseScore;
use pellucid_posterior::score::noise::file::{
    NoiseArchitecture, NoiseDoubts, NoiseMetadata, NoiseModel,
};
use pellucid_posterior::score::noise::learned::{Estimate, LearnedNoise, Limits};
use pellucid_posterior::score::noise::reference::NoiseReference;
use pellucid_posterior::score::noise::stationary::{Autocovariance, filter};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

const SIGMA: f64 = 0.03;
const SHAPE: [i64; 2] = [40, 36];

/// exp(-d^2 / 2 width^2), 11 x 11 lags.
fn covariance(variance: f64, width: f64) -> Autocovariance {
    let d = Tensor::arange(11, (Kind::Double, Device::Cpu)) - 5i64;
    let r2 = d.square().unsqueeze(1) + d.square().unsqueeze(0);
    Autocovariance::new("test", &((r2 / (-2.0 * width * width)).exp() * variance)).unwrap()
}

fn gaussian_noise(width: f64) -> LearnedNoise {
    let (core, blur) = (covariance(SIGMA * SIGMA, width), covariance(1.0, 0.8));
    LearnedNoise::new(Estimate::Gaussian, core, blur, Limits { r: 1.0, white: 1.0 }, Device::Cpu)
}

/// Noise of the core's covariance with tracks of rays on `share` of the pixels, [n, ny, nx] e-/s.
fn draw(n: usize, [ny, nx]: [i64; 2], width: f64, share: f64, seed: u64) -> Tensor {
    let [spectrum, _] = gaussian_noise(width).spectra([ny, nx]);
    let mut white = vec![0f32; n * (ny * nx) as usize];
    SampleRng::new(seed, 0).fill_normal(&mut white);
    let white = Tensor::from_slice(&white).reshape([n as i64, ny, nx]);
    let core = filter(&white, &spectrum.sqrt()) * SIGMA;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut rays = Array3::<f32>::zeros((n, ny as usize, nx as usize));
    for mut image in rays.outer_iter_mut() {
        // As many tracks as chance has it, 6 pixels long on average.
        for _ in 0..ny * nx / 6 {
            if rng.random::<f64>() > share {
                continue;
            }
            let [mut y, mut x] = [ny, nx].map(|side| rng.random_range(0.0..side as f64));
            let (dy, dx) = rng.random_range(0.0..std::f64::consts::TAU).sin_cos();
            let charge = (SIGMA * 5.0 * 100f64.powf(rng.random())) as f32;
            for _ in 0..rng.random_range(1..=11) {
                if let Some(pixel) = image.get_mut([y.max(-1.0) as usize, x.max(-1.0) as usize]) {
                    *pixel += charge;
                }
                (y, x) = (y + dy, x + dx);
            }
        }
    }
    let values: Vec<f32> = rays.iter().copied().collect();
    core + Tensor::from_slice(&values).reshape([n as i64, ny, nx])
}

/// A noise model with the reference of 80 cutouts with rays on `share` of their pixels.
fn model(share: Option<f64>) -> NoiseModel {
    let net = gaussian_noise(0.6);
    let measure = |share: f64| {
        let cutouts = draw(80, [48, 48], 0.6, share, 1);
        NoiseReference::measure(&net, &cutouts, &Tensor::ones_like(&cutouts)).unwrap().unwrap()
    };
    let metadata = NoiseMetadata {
        format: FORMAT,
        kind: "noise".into(),
        architecture: NoiseArchitecture::StationaryGaussian {},
        instrument: None,
        detector: None,
        filter: None,
        exposure_time_s: None,
        pixel_scale_data_arcsec: 0.05,
        pixel_scale_model_arcsec: 0.05,
        flux_convention: "surface_brightness".into(),
        unit: "e-/s".into(),
        core_sigma_e_per_s: net.core_sigma(),
        largest_level_e_per_s: 1.0,
        largest_white_e_per_s: 1.0,
        psf: "test".into(),
        licence: "MIT".into(),
        trained_on: "closed form".into(),
        training_steps: 0,
        training_images: 0,
        residual_reference: share.map(measure),
    };
    let forward = covariance(1.0, 0.8);
    NoiseModel { metadata, net: Rc::new(net), forward, sha256: String::new(), path: "test".into() }
}

/// Each image of noise as an exposure of nothing, masked in a corner and here and there, judged with a model of
/// zero light: a NaN sample among them, as of one that failed.
fn judge(noise: &Tensor, model: &NoiseModel) -> Vec<ExposureDiagnostics> {
    let [ny, nx] = SHAPE.map(|n| n as usize);
    let grid = Arc::new(ModelGrid::new(ny, nx, 10.0, 20.0, 0.05).unwrap());
    let psf = Arc::new(Psf::new(Array2::ones((1, 1)), 1, true).unwrap());
    let good = Array2::from_shape_fn((ny, nx), |(y, x)| y + x > 12 && (7 * y + 3 * x) % 41 != 0);
    let used: Vec<usize> = good.iter().enumerate().filter(|(_, g)| **g).map(|(i, _)| i).collect();
    let mut models = Array3::<f32>::zeros((3, ny, nx));
    models.index_axis_mut(ndarray::Axis(0), 1).fill(f32::NAN);
    (0..noise.size()[0])
        .map(|k| {
            let pixels = Vec::<f64>::try_from(noise.get(k).flatten(0, -1).to_kind(Kind::Double));
            let mut pixels = Array2::from_shape_vec((ny, nx), pixels.unwrap()).unwrap();
            // What a masked pixel holds does not matter.
            pixels[[0, 0]] = 1e9;
            let variance = Array2::from_elem((ny, nx), SIGMA * SIGMA);
            let exposure =
                Exposure::new("e", pixels, variance, good.clone(), grid.clone(), psf.clone())
                    .unwrap();
            let fit = ExposureDiagnostics::new(&exposure, &used, &models).unwrap();
            fit.with_noise(&exposure, &used, &models, model, NoiseDoubts::default()).unwrap()
        })
        .collect()
}

fn flagged(fits: &[ExposureDiagnostics]) -> f64 {
    let flagged = fits.iter().filter(|fit| fit.flags.noise_mismatch);
    flagged.count() as f64 / fits.len() as f64
}

#[test]
fn matching_noise_passes_and_other_noise_does_not() {
    let model = model(Some(0.01));
    let quiet = judge(&draw(200, SHAPE, 0.6, 0.01, 7), &model);
    let share = flagged(&quiet);
    println!("matching noise: {share:.3} flagged");
    assert!(share <= 0.05, "{share}");
    // chi^2 is far off wherever a ray is, and no flag.
    let far = quiet.iter().filter(|fit| fit.chi2[0] > 1.5 * fit.dof as f64).count();
    assert!(far > 150 && quiet.iter().all(|fit| !fit.flags.chi2 && !fit.flags.whiteness));
    let check = quiet[0].noise.as_ref().unwrap();
    assert!(check.checked && check.significance[0] > 0.0 && check.significance[1].is_nan());

    let blob = |peak: f64| {
        let at = |c: f64, n: i64| Tensor::arange(n, (Kind::Float, Device::Cpu)) - c;
        let r2 =
            at(24.0, SHAPE[0]).square().unsqueeze(1) + at(17.0, SHAPE[1]).square().unsqueeze(0);
        (r2 / -32.0).exp() * (peak * SIGMA)
    };
    let same = |seed| draw(20, SHAPE, 0.6, 0.01, seed);
    for (case, noise, worst) in [
        ("twice as loud", same(8) * 2.0, "level"),
        ("a third quieter", same(9) * 0.67, "level"),
        ("correlated over more pixels", draw(20, SHAPE, 1.0, 0.01, 10), "lag"),
        ("white", draw(20, SHAPE, 0.1, 0.01, 11), "lag"),
        ("a galaxy that leaked, peak 2 sigma", same(12) + blob(2.0), "structure"),
        ("a galaxy taken twice", same(13) - blob(2.0), "structure"),
        ("a sky of half a sigma", same(14) + 0.5 * SIGMA, "bias"),
        ("ten times the rays", draw(20, SHAPE, 0.6, 0.1, 15), "beyond"),
    ] {
        let fits = judge(&noise, &model);
        let named = |fit: &ExposureDiagnostics| {
            let statistics = &fit.noise.as_ref().unwrap().statistics;
            statistics.iter().any(|s| s.flagged && s.name.starts_with(worst))
        };
        let named = fits.iter().filter(|fit| named(fit)).count();
        println!("{case}: {:.2} flagged, of 20 {named} by {worst}", flagged(&fits));
        assert!(flagged(&fits) > 0.95 && named >= 18, "{case}: {:?}", fits[0].noise);
        assert!(fits[0].flags.mismatch);
    }
}

/// Rays are no surprise to a model trained beside them, and are one to a model that has seen none.
#[test]
fn rays_are_unknown_to_a_model_without() {
    let fits = judge(&draw(20, SHAPE, 0.6, 0.03, 21), &model(Some(0.0)));
    assert!(flagged(&fits) > 0.8, "{}", flagged(&fits));
    let fits = judge(&draw(60, SHAPE, 0.6, 0.0, 22), &model(Some(0.0)));
    let named =
        fits.iter().filter_map(|fit| fit.noise.as_ref()?.statistics.iter().find(|s| s.flagged));
    let named: Vec<_> = named.collect();
    assert!(flagged(&fits) < 0.05, "{named:?}");
}

#[test]
fn without_a_reference_it_says_so() {
    let fits = judge(&draw(3, SHAPE, 0.6, 0.05, 31), &model(None));
    for fit in fits {
        assert!(fit.flags.noise_unchecked && !fit.flags.noise_mismatch && fit.flags.chi2);
        assert!(!fit.noise.unwrap().checked);
    }
    let few = draw(7, [48, 48], 0.6, 0.0, 1);
    let none = NoiseReference::measure(&gaussian_noise(0.6), &few, &Tensor::ones_like(&few));
    assert!(none.unwrap().is_none());
}
