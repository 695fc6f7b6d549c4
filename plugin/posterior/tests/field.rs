//! A blurred, rotated, dithered problem through compression, preconditioner and sampler, against the
//! exact posterior by dense algebra in f64.

#[path = "../benches/shared/mod.rs"]
mod shared;

use pellucid_posterior::sampler::{SamplerKind, SamplerOptions};
use pellucid_posterior::sde::Sde;
use shared::exact::{
    FieldPosterior, covariance, draw_field, field_model, mean_error, power, variance_ratio,
};
use shared::problem::{Telescope, draw, likelihood};
use tch::{Device, Kind, Tensor};

#[test]
fn calibrated_samples_have_the_exact_moments_behind_a_telescope() {
    let power = power(32, 3.0, 3.0);
    let mean = Tensor::zeros([32, 32], (Kind::Double, Device::Cpu));
    let model = field_model(&mean, &power, Sde::Ve { sigma_min: 0.002, sigma_max: 50.0 });
    let telescope = Telescope::new(32, 16, 4, 3.0);
    let truth = draw_field(&mean, &power, 5);
    let sigma = telescope.signal_rms(&truth) / 10.0;
    let (exposures, y) = telescope.observe(&truth, sigma, 11);
    let exact = FieldPosterior::new(&telescope.a, &covariance(&power), sigma);
    let (exact_mean, _) = exact.solve(&y, &mean);
    let lik = likelihood(&telescope, &exposures, &*model.denoiser, 1.0);
    let kept = lik.w.size()[0];
    assert!(kept < telescope.a.size()[0], "{kept} directions: nothing was compressed");
    let drawn = draw(&model, &lik, &SamplerOptions::new(SamplerKind::Calibrated), 96, 1);
    let error = mean_error(&drawn.images, &exact_mean, &exact.variance);
    let ratio = variance_ratio(&drawn.images, &exact.variance);
    println!("mean error {error:.4} sigma, variance ratio {ratio:.4}");
    // 96 exact samples: about 0.03 and 0.01.
    assert!(error < 0.06 && (ratio - 1.0).abs() < 0.05, "mean error {error}, variance {ratio}");
}
