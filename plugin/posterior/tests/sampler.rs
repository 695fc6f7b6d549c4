//! Samplers against closed forms, and their reproducibility.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use ndarray::Array2;
use pellucid_exposure::{Exposure, ModelGrid, Psf};
use pellucid_posterior::PosteriorError;
use pellucid_posterior::likelihood::GaussianLikelihood;
use pellucid_posterior::rng::SampleRng;
use pellucid_posterior::sampler::{self, CPU_BATCH, Observer, SamplerKind, SamplerOptions, Slot};
use pellucid_posterior::score::Denoiser;
use pellucid_posterior::score::analytic::GaussianField;
use pellucid_posterior::score::edm::UnetDenoiser;
use pellucid_posterior::score::model_file::{Architecture, FORMAT, Metadata, PriorModel};
use pellucid_posterior::score::parameters::Parameters;
use pellucid_posterior::score::unet::UnetConfig;
use pellucid_posterior::sde::Sde;
use tch::{Device, Kind, Tensor};

const SIDE: usize = 16;
const VE: Sde = Sde::Ve { sigma_min: 0.002, sigma_max: 50.0 };
const VP: Sde = Sde::Vp { beta_min: 0.1, beta_max: 20.0, epsilon: 1e-5 };
const TSVE: Sde = Sde::Tsve { sigma_min: 0.002, sigma_max: 50.0, t_star: 0.6, beta: 5.0 };

struct Patient;

impl Observer for Patient {
    fn step(&mut self, _: usize, _: usize) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

fn model(denoiser: Box<dyn Denoiser>, sde: Sde) -> PriorModel {
    let metadata = Metadata {
        format: FORMAT,
        kind: "prior".into(),
        architecture: Architecture::GaussianField {},
        sde,
        image_size: [SIDE, SIDE],
        channels: 1,
        pixel_scale_arcsec: 0.05,
        flux_convention: "surface_brightness".into(),
        flux_scale: None,
        licence: "MIT".into(),
        trained_on: "closed form".into(),
        training_steps: 0,
        training_images: 0,
    };
    PriorModel { metadata, denoiser, sha256: String::new(), path: "closed form".into() }
}

/// A white field of variance `c`: every pixel is one Gaussian mode.
fn white(c: f64, sde: Sde) -> PriorModel {
    let n = SIDE as i64;
    let zero = Tensor::zeros([n, n], (Kind::Float, Device::Cpu));
    let power = Tensor::full([n, n], c, (Kind::Float, Device::Cpu));
    model(Box::new(GaussianField::new(&zero, &power, Device::Cpu).unwrap()), sde)
}

fn small_unet() -> PriorModel {
    let config = UnetConfig { widths: vec![16, 32], attention_head: 8, ..UnetConfig::default() };
    let mut parameters = Parameters::initialise(&config.layout(), 3);
    let louder = parameters.get("head.out.weight") * 100.0;
    parameters.insert("head.out.weight", louder);
    let n = SIDE as i64;
    let mean = Tensor::zeros([n, n], (Kind::Float, Device::Cpu));
    let power = Tensor::ones([n, n], (Kind::Float, Device::Cpu));
    model(Box::new(UnetDenoiser { config, parameters, sigma_d: 0.9, mean, power }), VE)
}

/// Data that see each model pixel once: A is the identity.
fn identity(value: f64, variance: f64) -> (Vec<Arc<Exposure>>, ModelGrid) {
    let grid = ModelGrid::new(SIDE, SIDE, 10.0, -20.0, 0.05).unwrap();
    let psf = Arc::new(Psf::new(Array2::ones((1, 1)), 1, false).unwrap());
    let full = |v| Array2::from_elem((SIDE, SIDE), v);
    let good = Array2::from_elem((SIDE, SIDE), true);
    let wcs = Arc::new(grid.clone());
    let exposure = Exposure::new("flat", full(value), full(variance), good, wcs, psf).unwrap();
    (vec![Arc::new(exposure)], grid)
}

fn likelihood(prior: &PriorModel, value: f64, variance: f64) -> Rc<GaussianLikelihood> {
    let (exposures, grid) = identity(value, variance);
    let built = GaussianLikelihood::new(&exposures, &grid, &*prior.denoiser, 1.0, Device::Cpu);
    Rc::new(built.unwrap())
}

fn draw(prior: &PriorModel, l: &Rc<GaussianLikelihood>, o: &SamplerOptions, n: usize) -> Vec<f32> {
    let mut pixels = Vec::new();
    for first in (0..n).step_by(CPU_BATCH) {
        let slot = |k| Slot { likelihood: l.clone().into(), seed: 5, sample: k as u64 };
        let slots: Vec<Slot> = (first..first + CPU_BATCH).map(slot).collect();
        for outcome in sampler::run(prior, &slots, o, &mut Patient).unwrap().slots {
            pixels.extend(outcome.image.unwrap());
        }
    }
    pixels
}

fn moments(values: &[f32]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, variance)
}

/// One Gaussian mode with prior variance c and noise variance r: mean y c / (c + r), variance
/// c r / (c + r), for every SDE. 64 x 256 pixels: the standard error of the variance is 1.1 %.
#[test]
fn calibrated_samples_have_the_exact_moments_under_every_sde() {
    for sde in [VE, VP, TSVE] {
        for (c, r) in [(1.0, 1.0), (1.0, 0.04)] {
            let prior = white(c, sde);
            let l = likelihood(&prior, 1.0, r);
            let samples = draw(&prior, &l, &SamplerOptions::new(SamplerKind::Calibrated), 64);
            let (mean, variance) = moments(&samples);
            let (exact_mean, exact_variance) = (c / (c + r), c * r / (c + r));
            let shift = (mean - exact_mean).abs() / exact_variance.sqrt();
            let ratio = variance / exact_variance;
            assert!(shift < 0.03, "{sde:?} r = {r}: mean off by {shift} sigma");
            assert!((ratio - 1.0).abs() < 0.05, "{sde:?} r = {r}: variance ratio {ratio}");
        }
    }
}

/// (c + r) c r Int_0^inf dv / ((c + v)^2 (r + v)^2), by Simpson's rule in v = s / (1 - s).
fn convolved_variance_ratio(c: f64, r: f64) -> f64 {
    let n = 20_000;
    let f = |s: f64| {
        if s >= 1.0 {
            return 0.0;
        }
        let v = s / (1.0 - s);
        1.0 / ((c + v).powi(2) * (r + v).powi(2) * (1.0 - s).powi(2))
    };
    let h = 1.0 / f64::from(n);
    let odd: f64 = (0..n / 2).map(|i| f(f64::from(2 * i + 1) * h)).sum();
    let even: f64 = (1..n / 2).map(|i| f(f64::from(2 * i) * h)).sum();
    (c + r) * c * r * h / 3.0 * (f(0.0) + 4.0 * odd + 2.0 * even)
}

#[test]
fn the_bias_integral_is_two_thirds_where_noise_equals_signal() {
    assert!((convolved_variance_ratio(1.0, 1.0) - 2.0 / 3.0).abs() < 1e-6);
}

/// The reference sampler must show the bias of its approximation. 160 x 256 pixels: the standard
/// error is 0.7 %, Euler-Maruyama's own bias at 1000 steps below 1 %.
#[test]
fn convolved_samples_show_the_closed_form_bias() {
    for (c, r) in [(1.0, 1.0), (1.0, 0.25)] {
        let prior = white(c, VE);
        let l = likelihood(&prior, 0.5, r);
        let samples = draw(&prior, &l, &SamplerOptions::new(SamplerKind::Convolved), 160);
        let ratio = moments(&samples).1 / (c * r / (c + r));
        let expected = convolved_variance_ratio(c, r);
        println!("r = {r}: variance ratio {ratio:.4}, closed form {expected:.4}");
        assert!((ratio / expected - 1.0).abs() < 0.02, "r = {r}: {ratio}, closed form {expected}");
    }
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    let prior = small_unet();
    let (one, other) = (likelihood(&prior, 0.3, 0.01), likelihood(&prior, -0.2, 0.05));
    let options =
        SamplerOptions { steps: 6, sweeps: 1, ..SamplerOptions::new(SamplerKind::Calibrated) };
    let slot = |l: &Rc<GaussianLikelihood>, seed, sample| Slot {
        likelihood: l.clone().into(),
        seed,
        sample,
    };
    let image = |slots: &[Slot], at: usize| {
        let out = sampler::run(&prior, slots, &options, &mut Patient).unwrap();
        out.slots[at].image.clone().unwrap()
    };
    let alone = image(&[slot(&one, 9, 4)], 0);
    let full: Vec<_> = (0..8).map(|k| slot(&one, 9, k)).collect();
    assert_eq!(alone, image(&full, 4), "in a full batch");
    let mixed = [slot(&other, 1, 0), slot(&one, 9, 4), slot(&other, 1, 1), slot(&one, 9, 5)];
    assert_eq!(alone, image(&mixed, 1), "next to another job");
    // rho below the net's smallest level: guided all the way, which its neighbours are not.
    let sharp = likelihood(&prior, 0.1, 1e-8);
    let with_sharp = [slot(&sharp, 2, 0), slot(&one, 9, 4), slot(&sharp, 2, 1)];
    assert_eq!(alone, image(&with_sharp, 1), "next to sharper data");
    assert_eq!(image(&[slot(&sharp, 2, 1)], 0), image(&with_sharp, 2), "sharp data");
    let out = sampler::run(&prior, &with_sharp, &options, &mut Patient).unwrap();
    assert_eq!(out.slots.iter().map(|s| s.sweeps).collect::<Vec<_>>(), [0, 1, 0], "their sweeps");
}

#[test]
fn a_cancelled_batch_says_so() {
    struct Impatient;
    impl Observer for Impatient {
        fn step(&mut self, done: usize, _: usize) -> ControlFlow<()> {
            if done >= 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    let prior = white(1.0, VE);
    let slots = [Slot { likelihood: likelihood(&prior, 0.0, 1.0).into(), seed: 1, sample: 0 }];
    let options = SamplerOptions::new(SamplerKind::Calibrated);
    let error = sampler::run(&prior, &slots, &options, &mut Impatient).unwrap_err();
    assert!(matches!(error, PosteriorError::Cancelled));
}

#[test]
fn a_prior_that_returns_nan_fails_its_samples_and_nothing_else() {
    struct Broken(Tensor);
    impl Denoiser for Broken {
        fn denoise(&self, x: &Tensor, _: &Tensor) -> Tensor {
            x * f64::NAN
        }
        fn linearize(&self, x: &Tensor, s: &Tensor) -> pellucid_posterior::score::Linearized {
            pellucid_posterior::score::Linearized::new(self.denoise(x, s), |u| u.shallow_clone())
        }
        fn mean(&self) -> &Tensor {
            &self.0
        }
        fn power(&self) -> &Tensor {
            &self.0
        }
    }
    let n = SIDE as i64;
    let prior = model(Box::new(Broken(Tensor::ones([n, n], (Kind::Float, Device::Cpu)))), VE);
    let slots = [Slot { likelihood: likelihood(&prior, 0.0, 1.0).into(), seed: 1, sample: 0 }];
    let options = SamplerOptions::new(SamplerKind::Calibrated);
    let out = sampler::run(&prior, &slots, &options, &mut Patient).unwrap();
    assert!(out.slots[0].image.as_ref().unwrap_err().contains("finite"));
}

#[test]
fn streams_of_a_sample_are_its_own() {
    let (mut a, mut b) = ([0f32; 4], [0f32; 4]);
    SampleRng::new(1, 2).fill_normal(&mut a);
    SampleRng::new(1, 3).fill_normal(&mut b);
    assert_ne!(a, b);
}
