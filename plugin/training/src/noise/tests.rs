//! Known answers: Gaussian noise, and white noise of which 5 % of the pixels are outliers.

use pellucid_posterior::rng::SampleRng;
use pellucid_posterior::score::noise::learned::{Estimate, LearnedNoise, Limits, Perturbation};
use pellucid_posterior::score::noise::net::NoiseNetConfig;
use pellucid_posterior::score::noise::stationary::Autocovariance;
use pellucid_posterior::score::parameters::Parameters;
use tch::{Device, Kind, Tensor, no_grad};

use super::batch::{Levels, NoiseBank, per_pair};
use super::core::measure;
use crate::adam::Adam;
use crate::schedule::{Schedule, average_decay};

const SHARE: f64 = 0.05;
const OUTLIER: f64 = 20.0;

fn normal(shape: &[i64], seed: u64) -> Tensor {
    let mut values = vec![0f32; shape.iter().product::<i64>() as usize];
    SampleRng::new(seed, 0).fill_normal(&mut values);
    Tensor::from_slice(&values).reshape(shape)
}

/// 0.95 N(0, 1) + 0.05 N(0, 20^2) in every pixel.
fn mixture(shape: &[i64], seed: u64) -> Tensor {
    // A normal number beyond 1.96 is the twentieth, by its two tails.
    let outlier = normal(shape, seed).abs().gt(1.959_964).to_kind(Kind::Float);
    normal(shape, seed + 1) * (outlier * (OUTLIER - 1.0) + 1.0)
}

/// d ln p / d eta of the mixture.
fn closed_form(eta: &Tensor) -> Tensor {
    let component =
        |share: f64, sigma: f64| (eta.square() / (-2.0 * sigma * sigma)).exp() * (share / sigma);
    let (core, outlier) = (component(1.0 - SHARE, 1.0), component(SHARE, OUTLIER));
    let slope = &core + &outlier / (OUTLIER * OUTLIER);
    -eta * slope / (core + outlier)
}

/// A blur of 0.8 pixels, unit sum.
fn blur() -> Autocovariance {
    let d = Tensor::arange(9, (Kind::Double, Device::Cpu)) - 4i64;
    let lags = (d.unsqueeze(1).square() + d.unsqueeze(0).square()) / (-4.0 * 0.8 * 0.8);
    let lags = lags.exp();
    let sum = lags.sum(Kind::Double);
    Autocovariance::new("blur", &(lags / sum)).unwrap()
}

fn model(core: Autocovariance, estimate: Estimate) -> LearnedNoise {
    LearnedNoise::new(estimate, core, blur(), Limits { r: 30.0, white: 100.0 }, Device::Cpu)
}

fn levels(zero_share: f64, largest: f64) -> Levels {
    let rms = blur().variance().sqrt();
    Levels { zero_share, white_share: 0.25, largest, largest_white: 10.0 * largest, rms }
}

#[test]
fn the_core_is_measured_beside_outliers() {
    let noise = mixture(&[100, 64, 64], 1);
    let mask = Tensor::ones([100, 64, 64], (Kind::Uint8, Device::Cpu));
    let core = measure(&noise, &mask).unwrap();
    // Clipping leaves outliers of less than 3 sigma: 1 % of sigma. White stays exactly white.
    assert!((core.variance().sqrt() - 1.0).abs() < 0.02, "{}", core.variance());
    assert!((core.lags().abs().sum(Kind::Double).double_value(&[]) / core.variance() - 1.0) < 1e-9);

    // Neighbours that share half a pixel: correlation 0.8 of (1, 0.5) * (1, 0.5).
    let white = normal(&[100, 64, 65], 4);
    let correlated = white.narrow(2, 0, 64) + white.narrow(2, 1, 64) * 0.5;
    let core = measure(&correlated, &mask).unwrap();
    let lag = |dx: i64| core.lags().double_value(&[20, 20 + dx]) / core.variance();
    assert!((core.variance() / 1.25 - 1.0).abs() < 0.01, "{}", core.variance());
    assert!((lag(1) - 0.4).abs() < 0.005 && lag(2).abs() < 0.01, "{}", lag(1));
    // Masked pixels do not count.
    let _ = correlated.narrow(2, 0, 30).fill_(1e3);
    let _ = mask.narrow(2, 0, 30).fill_(0);
    let masked = measure(&correlated, &mask).unwrap();
    assert!(core.relative_difference(&masked) < 0.02);
}

/// A steep spectrum, 1 to 1/64 along each axis, as drizzling leaves: power in equal bins within 3 %.
#[test]
fn the_core_of_drizzled_noise_keeps_its_spectrum() {
    let kernel =
        Tensor::from_slice(&[0.25f32, 0.375, 0.25]) + Tensor::from_slice(&[0.0f32, 0.125, 0.0]);
    let kernel = (kernel.unsqueeze(1) * kernel.unsqueeze(0)).reshape([1, 1, 3, 3]);
    let white = normal(&[400, 1, 66, 66], 3);
    let noise = white.conv2d(&kernel, None::<Tensor>, [1, 1], [0, 0], [1, 1], 1).squeeze_dim(1);
    let mask = Tensor::ones([400, 64, 64], (Kind::Uint8, Device::Cpu));
    let core = measure(&noise, &mask).unwrap().spectrum([32, 32], Device::Cpu);
    // Along a row of a half spectrum of 64 samples: (0.5 + 0.5 cos w)^2 (k = 0 along the other).
    let w = Tensor::arange(33, (Kind::Double, Device::Cpu)) * (std::f64::consts::PI / 32.0);
    let truth = (w.cos() * 0.5 + 0.5).square();
    let ratio = core.get(0).to_kind(Kind::Double).narrow(0, 0, 20) / truth.narrow(0, 0, 20);
    println!("{ratio}");
    let worst = (ratio - 1.0).abs().max().double_value(&[]);
    assert!(worst < 0.05, "{worst}");
}

/// For Gaussian noise the exact score has the loss -1 at all levels, and a wrong one a larger loss.
#[test]
fn the_loss_is_least_at_the_score() {
    let d = Tensor::arange(9, (Kind::Double, Device::Cpu)) - 4i64;
    let lags = ((d.unsqueeze(1).square() + d.unsqueeze(0).square()) * -1.5).exp();
    let core = || Autocovariance::new("core", &lags).unwrap();
    let exact = model(core(), Estimate::Gaussian);
    let root = exact.spectra([32, 32])[0].sqrt();
    let filter = pellucid_posterior::score::noise::stationary::filter;
    let noise = filter(&normal(&[256, 32, 32], 1), &root);
    let bank = NoiseBank::new(&noise, 1.0).unwrap();
    let levels = levels(0.25, 30.0);
    let batch = bank.draw(&levels, 256, 32, 1, 0);
    let loss = |score: &LearnedNoise| {
        per_pair(score, &batch).reshape([4, 64]).mean_dim([1i64].as_slice(), false, Kind::Double)
    };
    let best = Vec::<f64>::try_from(loss(&exact)).unwrap();
    println!("loss by level {best:?}");
    assert!(best.iter().all(|l| (l + 1.0).abs() < 0.03), "{best:?}");
    // A net whose F is off by a constant is worse by its square, in units of h.
    let config = NoiseNetConfig { widths: vec![8], blocks: 1, embedding: 8 };
    let mut weights = Parameters::initialise(&config.layout(), 1);
    weights.insert("out.bias", Tensor::from_slice(&[0.3f32]));
    let off = Vec::<f64>::try_from(loss(&model(core(), Estimate::Net(config, weights)))).unwrap();
    println!("with an offset {off:?}");
    assert!(off.iter().zip(&best).all(|(off, best)| off - best > 0.02), "{off:?}");
}

/// A few hundred steps take most of the base's error at r = 0 away.
#[test]
fn training_approaches_the_closed_form() {
    let config = NoiseNetConfig { widths: vec![16], blocks: 1, embedding: 8 };
    let adam_start = Parameters::initialise(&config.layout(), 1);
    let mut adam = Adam::new(adam_start);
    let lags = Tensor::zeros([3, 3], (Kind::Double, Device::Cpu));
    let _ = lags.get(1).get(1).fill_(1.0);
    let core = Autocovariance::new("core", &lags).unwrap();
    let estimate = Estimate::Net(config.clone(), adam.weights.map(Tensor::shallow_clone));
    let mut score = model(core, estimate);
    let bank = NoiseBank::new(&mixture(&[200, 32, 32], 7), 1.0).unwrap();
    let levels = levels(0.5, 3.0);
    let held_out = mixture(&[40, 32, 32], 9);
    let truth = closed_form(&held_out);
    let error = |score: &LearnedNoise| {
        let rho = Tensor::zeros([40], (Kind::Float, Device::Cpu));
        let s = no_grad(|| score.unit_score(&held_out, &Perturbation::blur(&rho)));
        let mean = |t: Tensor| t.square().mean(Kind::Double).double_value(&[]);
        (mean(s - &truth) / mean(truth.shallow_clone())).sqrt()
    };
    let before = error(&score);
    let steps = 300;
    let schedule = Schedule { peak: 1e-2, warm_up: 20, cool_down: 0.6, steps };
    for step in 0..steps {
        let batch = bank.draw(&levels, 8, 24, 1, step);
        per_pair(&score, &batch).mean(Kind::Float).backward();
        adam.update(schedule.rate(step), 1.0, average_decay(step, 8, 1e4));
    }
    score.estimate = Estimate::Net(config, adam.average.map(|t| t.detach()));
    let after = error(&score);
    println!("relative rms error at r = 0: base {before:.3}, trained {after:.3}");
    assert!(after < 0.6 * before && after < 0.2, "{before} to {after}");
}
