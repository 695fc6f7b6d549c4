//! Gaussian-field prior, exact posterior known: `calibrated` against it, `convolved` against the
//! closed form of its bias.

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
    let sde = Sde::Ve { sigma_min: 0.002, sigma_max: 50.0 };
    let power = power(64, 4.0, 3.0);
    let mean = Tensor::zeros([64, 64], (Kind::Double, Device::Cpu));
    let prior_covariance = covariance(&power);
    let model = field_model(&mean, &power, sde);
    for pixels in [16, 32] {
        let telescope = Telescope::new(64, pixels, 4, 3.0);
        for snr in [1.0, 3.0, 10.0, 30.0] {
            let truth = draw_field(&mean, &power, 5);
            let sigma = telescope.signal_rms(&truth) / snr;
            let (exposures, y) = telescope.observe(&truth, sigma, 11);
            let exact = FieldPosterior::new(&telescope.a, &prior_covariance, sigma);
            let (exact_mean, _) = exact.solve(&y, &mean);
            let lik = likelihood(&telescope, &exposures, &*model.denoiser, 1.0);
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
            let drawn = draw(&model, &lik, &options, samples, 1);
            let case = format!("4 x {pixels}x{pixels}, S/N {snr}");
            let error = mean_error(&drawn.images, &exact_mean, &exact.variance);
            let ratio = variance_ratio(&drawn.images, &exact.variance);
            report.row(&case, "mean error / sigma", error, Target::AtMost(0.03));
            report.row(&case, "variance ratio", ratio, Target::Within(0.97, 1.03));
            report.row(&case, "network evaluations", drawn.evaluations_per_sample, Target::None);
            report.row(&case, "directions kept", lik.w.size()[0] as f64, Target::None);
            report.row(&case, "ms a sample", 1e3 * drawn.seconds_per_sample, Target::None);
        }
    }
    report.finish();
}

fn argument(name: &str) -> Option<usize> {
    shared::shipped::argument(name)?.parse().ok()
}
