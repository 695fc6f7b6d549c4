//! The shipped prior end to end: truths drawn from it, observed, sampled; are the samples
//! calibrated?

mod shared;

use pellucid_posterior::sampler::{SamplerKind, SamplerOptions};
use shared::problem::{Telescope, draw, likelihood};
use shared::report::{Report, Target};
use shared::shipped::{argument, prior, samples};
use tch::{Kind, Tensor};

/// Signal-to-noise ratio of a pixel of the galaxy, `Telescope::typical_signal` over sigma.
const SNR: f64 = 15.0;

/// Network units above which a pixel counts as bright.
const BRIGHT: f64 = 0.05;

fn main() {
    let number = |name: &str| argument(name).and_then(|v| v.parse::<usize>().ok());
    let mut report = Report::new("learned_prior");
    let model = prior();
    let truths = number("--truths").unwrap_or(20);
    let count = number("--samples").unwrap_or(64);
    let mut options = SamplerOptions::new(SamplerKind::Calibrated);
    options.steps = number("--steps").unwrap_or(options.steps);
    options.sweeps = number("--sweeps").unwrap_or(options.sweeps);
    options.sweep_steps = number("--sweep-steps").unwrap_or(options.sweep_steps);
    options.finish_steps = number("--finish-steps").unwrap_or(options.finish_steps);
    let snr = argument("--snr").and_then(|v| v.parse().ok()).unwrap_or(SNR);
    let telescope = Telescope::new(model.metadata.image_size[0], 32, 4, 3.0);
    let images = samples(&model, truths, 4242);
    let mut sums = Sums::default();
    for t in 0..truths {
        let truth = images.get(t as i64);
        let sigma = telescope.typical_signal(&truth) / snr;
        let (exposures, y) = telescope.observe(&truth, sigma, 900 + t as u64);
        let lik = likelihood(&telescope, &exposures, &*model.denoiser, 1.0);
        let drawn = draw(&model, &lik, &options, count, t as u64);
        let model_data = drawn.images.to_kind(Kind::Float).reshape([-1, telescope.a.size()[1]]);
        let residual = (y - model_data.matmul(&telescope.a.tr()).to_kind(Kind::Double)) / sigma;
        sums.chi2 += residual.square().mean(Kind::Double).double_value(&[]);
        sums.add(&truth.to_kind(Kind::Double), &drawn.images);
        sums.failed += drawn.failed;
        sums.cg_iterations += drawn.cg_iterations;
        sums.cg_breakdowns += drawn.cg_breakdowns;
        sums.seconds += drawn.seconds_per_sample;
        sums.network_share += drawn.network_share;
        sums.evaluations = drawn.evaluations_per_sample;
        sums.directions += lik.w.size()[0] as f64;
        println!(
            "# truth {t}: {} directions, {:.2} s a sample",
            lik.w.size()[0],
            drawn.seconds_per_sample
        );
    }
    sums.report(&mut report, truths as f64, count as f64);
    report.finish();
}

#[derive(Default)]
struct Sums {
    z: f64,
    z2: f64,
    with_bright: usize,
    bright_z: f64,
    bright_z2: f64,
    exact_z2: f64,
    rank_z2: f64,
    sky: [f64; 3],
    within68: f64,
    within95: f64,
    flux_z2: f64,
    chi2: f64,
    failed: usize,
    cg_iterations: usize,
    cg_breakdowns: usize,
    seconds: f64,
    network_share: f64,
    evaluations: f64,
    directions: f64,
}

impl Sums {
    fn add(&mut self, truth: &Tensor, images: &Tensor) {
        let mean = images.mean_dim([0i64].as_slice(), false, Kind::Double);
        let std = images.std_dim([0i64].as_slice(), true, false);
        let z = (truth - &mean) / &std;
        let average = |t: &Tensor| t.mean(Kind::Double).double_value(&[]);
        self.z += average(&z);
        self.z2 += average(&z.square());
        // What exact samples give: a sample in the truth's place, against the others.
        let others = images.narrow(0, 1, images.size()[0] - 1);
        let of_others = others.mean_dim([0i64].as_slice(), false, Kind::Double);
        let exact = (images.get(0) - of_others) / others.std_dim([0i64].as_slice(), true, false);
        self.exact_z2 += average(&exact.square());
        // Normal scores of the truth's rank: a heavy tail is worth no more than its rank.
        let below = images.lt_tensor(truth).to_kind(Kind::Double);
        let rank = below.sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
        let score = ((rank + 0.5) / (images.size()[0] as f64 + 1.0)).special_ndtri();
        self.rank_z2 += average(&score.square());
        let bright = truth.gt(BRIGHT);
        // A faint truth has no bright pixel.
        let of_bright = z.masked_select(&bright);
        if of_bright.numel() > 0 {
            self.with_bright += 1;
            self.bright_z += average(&of_bright);
            self.bright_z2 += average(&of_bright.square());
        }
        let sky = bright.logical_not();
        self.sky[0] += average(&truth.masked_select(&sky));
        self.sky[1] += average(&mean.masked_select(&sky));
        self.sky[2] += average(&std.masked_select(&sky));
        for (half, sum) in [(0.34135, &mut self.within68), (0.47725, &mut self.within95)] {
            let q = |p: f64| images.quantile_scalar(p, Some(0), false, "linear");
            let inside =
                truth.ge_tensor(&q(0.5 - half)).logical_and(&truth.le_tensor(&q(0.5 + half)));
            *sum += average(&inside.to_kind(Kind::Double));
        }
        let flux = images.sum_dim_intlist([1i64, 2].as_slice(), false, Kind::Double);
        let shift = truth.sum(Kind::Double) - flux.mean(Kind::Double);
        self.flux_z2 += (shift / flux.std(true)).square().double_value(&[]);
    }

    fn report(&self, report: &mut Report, truths: f64, n: f64) {
        let case = format!("{truths} truths, {n} samples");
        let exact = |p: f64| p * (n - 1.0) / (n + 1.0);
        let mut row = |metric: &str, value: f64, target| report.row(&case, metric, value, target);
        row("failed samples", self.failed as f64, Target::AtMost(0.0));
        row("z mean", self.z / truths, Target::Within(-0.05, 0.05));
        row("z rms", (self.z2 / truths).sqrt(), Target::Within(0.95, 1.08));
        row("z rms of exact samples", (self.exact_z2 / truths).sqrt(), Target::None);
        row("z rms of ranks", (self.rank_z2 / truths).sqrt(), Target::None);
        let with_bright = self.with_bright as f64;
        row("truths without bright pixels", truths - with_bright, Target::None);
        if self.with_bright > 0 {
            row("z mean, bright pixels", self.bright_z / with_bright, Target::None);
            row("z rms, bright pixels", (self.bright_z2 / with_bright).sqrt(), Target::None);
        }
        row("sky: truth", self.sky[0] / truths, Target::None);
        row("sky: posterior mean", self.sky[1] / truths, Target::None);
        row("sky: posterior deviation", self.sky[2] / truths, Target::None);
        let (low, high) = (exact(0.6827), exact(0.9545));
        row("coverage, 68 %", self.within68 / truths, Target::Within(low - 0.03, low + 0.03));
        row("coverage, 95 %", self.within95 / truths, Target::Within(high - 0.03, high + 0.03));
        row("coverage of exact samples, 68 %", low, Target::None);
        row("coverage of exact samples, 95 %", high, Target::None);
        row("chi2 / dof", self.chi2 / truths, Target::Within(0.97, 1.04));
        row("flux z rms", (self.flux_z2 / truths).sqrt(), Target::None);
        let broken = self.cg_breakdowns as f64 / self.cg_iterations.max(1) as f64;
        row("CG breakdowns / iterations", broken, Target::None);
        row("network evaluations a sample", self.evaluations, Target::None);
        row("directions kept", self.directions / truths, Target::None);
        row("seconds a sample", self.seconds / truths, Target::None);
        row("network share of the time", self.network_share / truths, Target::None);
    }
}
