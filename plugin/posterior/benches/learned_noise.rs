//! Noise with outliers, posterior known from a long Gibbs sampler: sampling with the noise's score, in
//! closed form or learned (`--noise FILE`), beside the paper's mode and beside Gaussian noise of the same
//! variance.

mod shared;

use std::rc::Rc;
use std::sync::Arc;

use pellucid_exposure::Exposure;
use pellucid_posterior::likelihood::{Likelihood, SlicLikelihood};
use pellucid_posterior::sampler::{SamplerKind, SamplerOptions};
use pellucid_posterior::score::model_file::PriorModel;
use pellucid_posterior::score::noise::file::NoiseModel;
use pellucid_posterior::score::noise::{MixtureNoise, NoiseScore};
use pellucid_posterior::sde::Sde;
use shared::exact::{covariance, draw_field, field_model, mean_error, power, variance_ratio};
use shared::gibbs::{Outliers, Truth, gibbs};
use shared::problem::{Drawn, Telescope, draw, likelihood};
use shared::report::{Report, Target};
use tch::{Device, Kind, Tensor};

const SNR: f64 = 10.0;

/// The figures that a mode has to reach: mean error, variance ratio's distance from 1, coverage's.
type Goal = Option<(f64, f64, f64)>;

struct Problem {
    case: String,
    model: PriorModel,
    truth: Truth,
    /// Model pixels nearest to outliers.
    near: Tensor,
}

fn main() {
    let mut report = Report::new("learned_noise");
    let samples = argument("--samples").unwrap_or(128);
    let reference_samples = argument("--reference-samples").unwrap_or(32);
    let sweeps = argument("--sweeps").unwrap_or(150);
    let only = argument("--exposures");
    let power = power(64, 4.0, 3.0);
    let mean = Tensor::zeros([64, 64], (Kind::Double, Device::Cpu));
    let prior_covariance = covariance(&power);
    for count in [1, 2, 4].into_iter().filter(|n| only.is_none_or(|o| o == *n)) {
        let telescope = Telescope::new(64, 32, count, 3.0);
        let sky = draw_field(&mean, &power, 5);
        let sigma = telescope.signal_rms(&sky) / SNR;
        let noise = Outliers { share: 0.05, sigma, factor: 20.0 };
        let (eta, outliers) = noise.draw(telescope.a.size()[0], 11);
        let (exposures, y) = telescope.observe_with(&sky, &eta, noise.variance());
        let truth = gibbs(&telescope.a, &power, &prior_covariance, &y, noise, &outliers, sweeps);
        let case = format!("{count} x 32x32, S/N {SNR}");
        report.row(&case, "Gibbs: doubt of the mean / sigma", truth.doubt, Target::AtMost(0.03));
        let rows = telescope.a.abs().argmax(1, false).masked_select(&outliers);
        let problem = Problem {
            case,
            model: field_model(&mean, &power, Sde::Ve { sigma_min: 0.002, sigma_max: 50.0 }),
            truth,
            near: rows.unique_consecutive(false, false, None).0,
        };
        let mut options = SamplerOptions::new(SamplerKind::Calibrated);
        for (name, value) in [
            ("--steps", &mut options.steps),
            ("--trajectories", &mut options.trajectories),
            ("--leapfrog", &mut options.leapfrog_steps),
            ("--finish-steps", &mut options.finish_steps),
        ] {
            *value = argument(name).unwrap_or(*value);
        }
        let blur =
            telescope.a.square().sum(Kind::Double).double_value(&[]) / telescope.a.size()[0] as f64;
        let parts = [(1.0 - noise.share, sigma), (noise.share, noise.factor * sigma)];
        let closed: Rc<dyn NoiseScore> =
            Rc::new(MixtureNoise::new(&parts, blur).expect("a valid mixture"));
        let slic = |exposures: &[Arc<Exposure>], noise: Rc<dyn NoiseScore>, flux_scale: f64| {
            let (noise, denoiser) = (vec![noise; count], &*problem.model.denoiser);
            let grid = &telescope.grid;
            let built =
                SlicLikelihood::new(exposures, grid, denoiser, &noise, flux_scale, Device::Cpu);
            Rc::new(built.expect("a valid problem"))
        };
        let exact = slic(&exposures, closed, 1.0);
        problem.judge(
            &mut report,
            "calibrated",
            &exact,
            &options,
            samples,
            Some((0.05, 0.08, 0.02)),
        );
        if let Some(file) = shared::shipped::argument("--noise") {
            let model = NoiseModel::load(file.as_ref(), Device::Cpu);
            let net: Rc<dyn NoiseScore> = model.unwrap_or_else(|e| panic!("{e}")).net;
            // It learned noise whose core is 1 e-/s.
            let (bright, _) = telescope.observe_with(&(&sky / sigma), &(&eta / sigma), 1.0);
            let learned = slic(&bright, net, 1.0 / sigma);
            let goal = Some((0.15, 0.08, 0.02));
            problem.judge(&mut report, "learned", &learned, &options, samples, goal);
            if reference_samples > 0 {
                let paper = SamplerOptions::new(SamplerKind::Convolved);
                problem.judge(
                    &mut report,
                    "learned, convolved",
                    &learned,
                    &paper,
                    reference_samples,
                    None,
                );
            }
        }
        let total = likelihood(&telescope, &exposures, &*problem.model.denoiser, 1.0);
        problem.judge(&mut report, "gaussian", &total, &options, samples, None);
        let paper = SamplerOptions::new(SamplerKind::Convolved);
        if reference_samples > 0 {
            problem.judge(&mut report, "convolved", &exact, &paper, reference_samples, None);
        }
    }
    report.finish();
}

impl Problem {
    fn judge(
        &self,
        report: &mut Report,
        mode: &str,
        likelihood: &(impl Clone + Into<Likelihood>),
        options: &SamplerOptions,
        samples: usize,
        goal: Goal,
    ) {
        let drawn: Drawn = draw(&self.model, likelihood, options, samples, 1);
        let Truth { mean, variance, draws, .. } = &self.truth;
        let flat = drawn.images.flatten(1, 2);
        let mut row = |metric: &str, value: f64, target: Target| {
            report.row(&self.case, &format!("{mode}: {metric}"), value, target);
        };
        let at_most = |of: fn(&(f64, f64, f64)) -> f64| {
            goal.as_ref().map_or(Target::None, |g| Target::AtMost(of(g)))
        };
        row("mean error / sigma", mean_error(&flat, mean, variance), at_most(|g| g.0));
        let near = |t: &Tensor, dim: i64| t.index_select(dim, &self.near);
        let error = mean_error(&near(&flat, 1), &near(mean, 0), &near(variance, 0));
        row("mean error near outliers", error, Target::None);
        let within =
            |of: f64, by: Option<f64>| by.map_or(Target::None, |b| Target::Within(of - b, of + b));
        row("variance ratio", variance_ratio(&flat, variance), within(1.0, goal.map(|g| g.1)));
        for level in [0.68, 0.95] {
            let metric = format!("{:.0} % interval covers", 100.0 * level);
            row(&metric, coverage(&flat, draws, level), within(level, goal.map(|g| g.2)));
        }
        if drawn.proposals > 0 {
            row("acceptance", drawn.accepted as f64 / drawn.proposals as f64, Target::None);
        }
        row("failed samples", drawn.failed as f64, Target::AtMost(0.0));
        row("evaluations a batch", drawn.evaluations_per_sample, Target::None);
        row("ms a sample", 1e3 * drawn.seconds_per_sample, Target::None);
    }
}

/// Share of the exact draws [d, n] inside of the samples' [s, n] central interval of probability `level`.
/// Order statistics j and s + 1 - j enclose a further draw with probability 1 - 2 j / (s + 1) exactly;
/// the rest of the way to `level` is added.
fn coverage(samples: &Tensor, draws: &Tensor, level: f64) -> f64 {
    let s = samples.size()[0];
    let j = ((1.0 - level) / 2.0 * (s + 1) as f64).round().max(1.0) as i64;
    let sorted = samples.sort(0, false).0;
    let inside =
        draws.ge_tensor(&sorted.get(j - 1)).logical_and(&draws.le_tensor(&sorted.get(s - j)));
    let nominal = 1.0 - 2.0 * j as f64 / (s + 1) as f64;
    inside.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]) + level - nominal
}

fn argument(name: &str) -> Option<usize> {
    shared::shipped::argument(name)?.parse().ok()
}
