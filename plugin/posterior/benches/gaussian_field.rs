//! Gaussian-field prior, exact posterior known: `calibrated` against it.
//!
//! (`convolved` against the closed form of its bias: `tests/sampler.rs`.)

mod shared;

use pellucid_posterior::sampler::{SamplerKind, SamplerOptions};
use pellucid_posterior::sde::Sde;
use shared::exact::{
    FieldPosterior, covariance, draw_field, field_model, mean_error, power, variance_ratio,
};
use shared::problem::{Telescope, draw, likelihood};
use shared::report::{Report, Target};
use tch::{Device, Kind, Tensor};

fn main() {
    let mut report = Report::new("gaussian_field");
    let samples = argument("--samples").unwrap_or(512);
    let truths = argument("--truths").unwrap_or(1) as u64;
    let only = argument("--pixels");
    let sde = Sde::Ve { sigma_min: 0.002, sigma_max: 50.0 };
    let power = power(64, 4.0, 3.0);
    let mean = Tensor::zeros([64, 64], (Kind::Double, Device::Cpu));
    let prior_covariance = covariance(&power);
    let model = field_model(&mean, &power, sde);
    for pixels in [16, 32].into_iter().filter(|p| only.is_none_or(|o| o == *p)) {
        let telescope = Telescope::new(64, pixels, 4, 3.0);
        for snr in [1.0, 3.0, 10.0, 30.0] {
            let mut options = SamplerOptions::new(SamplerKind::Calibrated);
            for (name, value) in [
                ("--steps", &mut options.steps),
                ("--sweeps", &mut options.sweeps),
                ("--sweep-steps", &mut options.sweep_steps),
                ("--finish-steps", &mut options.finish_steps),
                ("--cg", &mut options.cg_iterations),
            ] {
                *value = argument(name).unwrap_or(*value);
            }
            let (mut error2, mut ratio, mut fine, mut ms) = (0.0, 0.0, 0.0, 0.0);
            for t in 0..truths {
                let truth = draw_field(&mean, &power, 5 + t);
                let sigma = telescope.signal_rms(&truth) / snr;
                let (exposures, y) = telescope.observe(&truth, sigma, 11 + t);
                let exact = FieldPosterior::new(&telescope.a, &prior_covariance, sigma);
                let (exact_mean, _) = exact.solve(&y, &mean);
                let lik = likelihood(&telescope, &exposures, &*model.denoiser, 1.0);
                let drawn = draw(&model, &lik, &options, samples, 1 + t);
                let n = truths as f64;
                error2 += mean_error(&drawn.images, &exact_mean, &exact.variance).powi(2) / n;
                ratio += variance_ratio(&drawn.images, &exact.variance) / n;
                fine += fine_variance_ratio(&drawn.images, &power) / n;
                ms += 1e3 * drawn.seconds_per_sample / n;
            }
            let case = format!("4 x {pixels}x{pixels}, S/N {snr}");
            report.row(&case, "mean error / sigma", error2.sqrt(), Target::AtMost(0.03));
            report.row(&case, "variance ratio", ratio, Target::Within(0.97, 1.03));
            report.row(&case, "variance ratio, k >= 24", fine, Target::Within(0.97, 1.03));
            report.row(&case, "ms a sample", ms, Target::None);
        }
    }
    report.finish();
}

/// Sample variance over prior power, averaged over the modes of 24 cycles a frame and more, which the PSF
/// hides from the data: there the posterior is the prior.
fn fine_variance_ratio(images: &Tensor, power: &Tensor) -> f64 {
    let spectrum = images.fft_fft2(None::<&[i64]>, [-2, -1], "ortho");
    let centred = &spectrum - spectrum.mean_dim([0i64].as_slice(), true, None);
    let n = images.size()[0] as f64;
    let variance = centred.abs().square().sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
    let side = power.size()[0];
    let k = Tensor::arange(side, (Kind::Double, Device::Cpu));
    let k = k.minimum(&(side - &k)).square();
    let hidden = (k.unsqueeze(1) + k.unsqueeze(0)).ge(24.0 * 24.0);
    (variance / (n - 1.0) / power).masked_select(&hidden).mean(Kind::Double).double_value(&[])
}

fn argument(name: &str) -> Option<usize> {
    shared::shipped::argument(name)?.parse().ok()
}
