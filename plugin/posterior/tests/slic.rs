//! Sampling with noise known by its score, against exact posteriors.

#[path = "../benches/shared/mod.rs"]
mod shared;

use std::rc::Rc;
use std::sync::Arc;

use ndarray::Array2;
use pellucid_exposure::{Exposure, ModelGrid, Psf};
use pellucid_posterior::likelihood::{Likelihood, SlicLikelihood};
use pellucid_posterior::sampler::{self, CPU_BATCH, SamplerKind, SamplerOptions, Slot};
use pellucid_posterior::score::model_file::PriorModel;
use pellucid_posterior::score::noise::{MixtureNoise, NoiseScore};
use pellucid_posterior::sde::Sde;
use shared::exact::{
    FieldPosterior, covariance, draw_field, field_model, mean_error, power, variance_ratio,
};
use shared::problem::{Patient, Telescope, draw};
use tch::{Device, Kind, Tensor};

const F64: (Kind, Device) = (Kind::Double, Device::Cpu);
const VE: Sde = Sde::Ve { sigma_min: 0.002, sigma_max: 50.0 };

fn noise(components: &[(f64, f64)], exposures: usize) -> Vec<Rc<dyn NoiseScore>> {
    let one: Rc<dyn NoiseScore> = Rc::new(MixtureNoise::new(components, 0.1).unwrap());
    vec![one; exposures]
}

fn slic(
    exposures: &[Arc<Exposure>],
    grid: &ModelGrid,
    prior: &PriorModel,
    components: &[(f64, f64)],
) -> Rc<SlicLikelihood> {
    let noise = noise(components, exposures.len());
    let built = SlicLikelihood::new(exposures, grid, &*prior.denoiser, &noise, 1.0, Device::Cpu);
    Rc::new(built.unwrap())
}

/// Exposures with masked pixels, blurred, rotated and dithered; Gaussian noise as a score. With N of
/// them the blur by sigma_s is common to all, and must not count N times.
#[test]
fn a_gaussian_score_gives_the_gaussian_posterior() {
    let power = power(32, 3.0, 3.0);
    let mean = Tensor::zeros([32, 32], F64);
    let prior = field_model(&mean, &power, VE);
    for count in [1, 2, 4] {
        let telescope = Telescope::new(32, 16, count, 3.0);
        let truth = draw_field(&mean, &power, 5);
        let sigma = telescope.signal_rms(&truth) / 10.0;
        let (exposures, y) = telescope.observe(&truth, sigma, 11);
        let exact = FieldPosterior::new(&telescope.a, &covariance(&power), sigma);
        let (exact_mean, _) = exact.solve(&y, &mean);
        let l = slic(&exposures, &telescope.grid, &prior, &[(1.0, sigma)]);
        let drawn = draw(&prior, &l, &SamplerOptions::new(SamplerKind::Calibrated), 48, 1);
        let error = mean_error(&drawn.images, &exact_mean, &exact.variance);
        let ratio = variance_ratio(&drawn.images, &exact.variance);
        println!("{count} exposures: mean error {error:.4} sigma, variance ratio {ratio:.4}");
        // 48 exact samples: about 0.04 and 0.015.
        assert!(error < 0.06 && (ratio - 1.0).abs() < 0.05, "{count}: {error}, {ratio}");
    }
}

/// rho from four times the net's smallest level down to half of it, where no level is left for trajectories.
#[test]
fn bright_targets_keep_their_moments() {
    let power = power(32, 3.0, 3.0);
    let mean = Tensor::zeros([32, 32], F64);
    let telescope = Telescope::new(32, 16, 2, 3.0);
    let truth = draw_field(&mean, &power, 5);
    let sigma = telescope.signal_rms(&truth) / 30.0;
    let (exposures, y) = telescope.observe(&truth, sigma, 11);
    let exact = FieldPosterior::new(&telescope.a, &covariance(&power), sigma);
    let (exact_mean, _) = exact.solve(&y, &mean);
    let prior = |sigma_min| field_model(&mean, &power, Sde::Ve { sigma_min, sigma_max: 50.0 });
    let components = [(1.0, sigma)];
    let rho = slic(&exposures, &telescope.grid, &prior(0.002), &components).gaussian.largest_rho();
    for ratio in [4.0, 1.5, 0.5] {
        let prior = prior(rho / ratio);
        let l = slic(&exposures, &telescope.grid, &prior, &components);
        let drawn = draw(&prior, &l, &SamplerOptions::new(SamplerKind::Calibrated), 48, 1);
        let error = mean_error(&drawn.images, &exact_mean, &exact.variance);
        let spread = variance_ratio(&drawn.images, &exact.variance);
        println!("rho = {ratio} s: mean error {error:.4} sigma, variance ratio {spread:.4}");
        assert!(error < 0.08 && (spread - 1.0).abs() < 0.07, "{ratio}: {error}, {spread}");
    }
}

/// Data that see each model pixel once: A is the identity.
fn identity(side: usize, value: f64, masked: Option<f64>) -> (Vec<Arc<Exposure>>, ModelGrid) {
    let grid = ModelGrid::new(side, side, 10.0, -20.0, 0.05).unwrap();
    let psf = Arc::new(Psf::new(Array2::ones((1, 1)), 1, false).unwrap());
    let mut pixels = Array2::from_elem((side, side), value);
    let mut good = Array2::from_elem((side, side), true);
    if let Some(hidden) = masked {
        for i in 0..side / 2 {
            (pixels[[i, i]], good[[i, i]]) = (hidden, false);
        }
    }
    let variance = Array2::ones((side, side));
    let wcs = Arc::new(grid.clone());
    let exposure = Exposure::new("flat", pixels, variance, good, wcs, psf).unwrap();
    (vec![Arc::new(exposure)], grid)
}

fn white(side: i64, c: f64) -> PriorModel {
    field_model(&Tensor::zeros([side, side], F64), &Tensor::full([side, side], c, F64), VE)
}

/// Each pixel is a target of its own, p(x) ~ N(x; 0, 1) sum_j w_j N(y - x; 0, s_j^2), with two modes that
/// the guidance gets wrong: 12 trajectories leave a difference of 0.057, 24 of 0.035. Quadrature gives the
/// distribution function; 24 x 256 draws know it to 0.006.
#[test]
fn non_gaussian_targets_are_left_invariant() {
    let prior = white(16, 1.0);
    let components = [(0.8, 0.2), (0.2, 2.0)];
    let density = MixtureNoise::new(&components, 1.0).unwrap();
    let y = 1.2;
    let (exposures, grid) = identity(16, y, None);
    let l = slic(&exposures, &grid, &prior, &components);
    let options =
        SamplerOptions { trajectories: 100, ..SamplerOptions::new(SamplerKind::Calibrated) };
    let drawn = draw(&prior, &l, &options, 24, 3);
    let x = Tensor::linspace(-6.0, 6.0, 12_001, F64);
    let eta = (-&x + y).reshape([1, 1, -1]);
    let log = density.log_density(&eta, &Tensor::zeros([1], F64)).flatten(0, -1) - x.square() * 0.5;
    let weight = log.softmax(0, Kind::Double);
    let mut worst: f64 = 0.0;
    for edge in [-0.5, 0.0, 0.3, 0.6, 0.9, 1.2, 1.5, 1.8, 2.1] {
        let exact = (&weight * x.le(edge)).sum(Kind::Double).double_value(&[]);
        let sampled = drawn.images.le(edge).to_kind(Kind::Double).mean(Kind::Double);
        worst = worst.max((sampled.double_value(&[]) - exact).abs());
    }
    println!("largest difference of the distribution functions {worst:.4}");
    assert!(worst < 0.02, "{worst}");
}

fn images(prior: &PriorModel, slots: &[Slot]) -> Vec<Vec<f32>> {
    let options = SamplerOptions {
        steps: 6,
        trajectories: 2,
        finish_steps: 3,
        ..SamplerOptions::new(SamplerKind::Calibrated)
    };
    let out = sampler::run(prior, slots, &options, &mut Patient).unwrap();
    out.slots.into_iter().map(|slot| slot.image.unwrap()).collect()
}

fn slot(likelihood: &(impl Clone + Into<Likelihood>), seed: u64, sample: u64) -> Slot {
    Slot { likelihood: likelihood.clone().into(), seed, sample }
}

#[test]
fn what_a_masked_pixel_holds_does_not_matter() {
    let prior = white(16, 1.0);
    let drawn = [0.0, 1e6, f64::NAN].map(|hidden| {
        let (exposures, grid) = identity(16, 0.5, Some(hidden));
        let l = slic(&exposures, &grid, &prior, &[(0.9, 0.2), (0.1, 2.0)]);
        images(&prior, &[slot(&l, 3, 0)])
    });
    assert_eq!(drawn[0], drawn[1]);
    assert_eq!(drawn[0], drawn[2]);
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    let prior = white(16, 1.0);
    let (exposures, grid) = identity(16, 0.5, Some(0.0));
    let l = slic(&exposures, &grid, &prior, &[(0.9, 0.2), (0.1, 2.0)]);
    let other = slic(&exposures, &grid, &prior, &[(0.5, 0.1), (0.5, 1.0)]);
    let alone = images(&prior, &[slot(&l, 9, 4)]).swap_remove(0);
    let full: Vec<Slot> = (0..CPU_BATCH as u64).map(|k| slot(&l, 9, k)).collect();
    assert_eq!(alone, images(&prior, &full)[4], "in a full batch");
    let gaussian = shared::problem::likelihood(
        &Telescope::new(16, 8, 1, 3.0),
        &Telescope::new(16, 8, 1, 3.0).observe(&Tensor::zeros([16, 16], F64), 0.1, 1).0,
        &*prior.denoiser,
        1.0,
    );
    let mixed = [slot(&gaussian, 1, 0), slot(&other, 1, 0), slot(&l, 9, 4), slot(&other, 1, 1)];
    assert_eq!(alone, images(&prior, &mixed)[2], "next to other jobs");
}

#[test]
fn as_many_scores_as_exposures() {
    let (exposures, grid) = identity(16, 0.5, None);
    let prior = white(16, 1.0);
    let two = noise(&[(1.0, 1.0)], 2);
    let built = SlicLikelihood::new(&exposures, &grid, &*prior.denoiser, &two, 1.0, Device::Cpu);
    assert!(built.unwrap_err().to_string().contains("noise scores"));
}
