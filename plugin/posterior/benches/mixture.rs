//! A mixture of galaxy templates, exact posterior known: shares of the templates and moments, for
//! problems that one template dominates and for ambiguous ones; `calibrated` beside `convolved`.

mod shared;

use pellucid_posterior::sampler::{SamplerKind, SamplerOptions};
use pellucid_posterior::score::analytic::GaussianMixture;
use pellucid_posterior::score::model_file::{Architecture, PriorModel};
use pellucid_posterior::sde::Sde;
use shared::exact::{
    FieldPosterior, covariance, draw_field, mean_error, model, power, variance_ratio,
};
use shared::problem::{Telescope, draw, likelihood};
use shared::report::{Report, Target};
use tch::{Device, Kind, Tensor};

const SIDE: i64 = 32;
/// Scale length of a template's disc, pixels.
const SCALE_LENGTH_PX: f64 = 3.5;
const TEMPLATES: usize = 10;
/// Standard deviation of a template's own variation, per pixel; its peak is about 3.
const VARIATION: f64 = 0.1;
const SAMPLES: usize = 256;
/// Samples of the reference mode, whose thousand steps make it ten times slower.
const REFERENCE_SAMPLES: usize = 64;

struct Mixture {
    covariance: Tensor,
    means: Vec<Tensor>,
    power: Tensor,
    prior: GaussianMixture,
    model: PriorModel,
}

/// Exact posterior of the mixture: share, mean [n] and variance [n] of every template.
struct Exact {
    shares: Vec<f64>,
    means: Vec<Tensor>,
    variance: Tensor,
}

fn main() {
    let mut report = Report::new("mixture");
    let mixture = Mixture::new();
    let telescope = Telescope::new(SIDE as usize, 16, 4, 3.0);
    for (kind, snr, count) in [("dominated", 10.0, 4), ("ambiguous", 0.0, 3)] {
        for p in 0..count {
            let case = format!("{kind} {p}");
            let (exposures, exact) = if snr > 0.0 {
                mixture.problem(&telescope, 2 * p + 1, snr, 20 + p as u64)
            } else {
                mixture.ambiguous(&telescope, p)
            };
            for sampler in [SamplerKind::Calibrated, SamplerKind::Convolved] {
                let lik = likelihood(&telescope, &exposures, &*mixture.model.denoiser, 1.0);
                let options = SamplerOptions::new(sampler);
                let ours = sampler == SamplerKind::Calibrated;
                let count = if ours { SAMPLES } else { REFERENCE_SAMPLES };
                let drawn = draw(&mixture.model, &lik, &options, count, 3);
                let mode = format!("{sampler:?}").to_lowercase();
                let target = |t: f64| if ours { Target::AtMost(t) } else { Target::None };
                let (labels, shares) = mixture.shares(&drawn.images);
                let distance =
                    0.5 * shares.iter().zip(&exact.shares).map(|(a, b)| (a - b).abs()).sum::<f64>();
                let limit = if snr > 0.0 { 0.03 } else { 0.25 };
                report.row(&case, &format!("{mode}: total variation"), distance, target(limit));
                let moments = within(&drawn.images, &labels, &exact);
                // Every target of ours needs its figure; the reference may have no template to judge.
                if ours || moments.0.is_finite() {
                    let metric = format!("{mode}: mean error / sigma");
                    report.row(&case, &metric, moments.0, target(0.1));
                    report.row(&case, &format!("{mode}: variance ratio"), moments.1, Target::None);
                }
            }
            let second = second_largest(&exact.shares);
            report.row(&case, "exact share of the second", second, Target::None);
        }
    }
    report.finish();
}

/// Moments within the templates that hold at least 32 samples, averaged by number; NaN if none does.
fn within(images: &Tensor, labels: &[usize], exact: &Exact) -> (f64, f64) {
    let (mut error, mut ratio, mut total) = (0.0, 0.0, 0.0);
    let variance = &exact.variance;
    for (k, mean) in exact.means.iter().enumerate() {
        let rows: Vec<i64> =
            labels.iter().enumerate().filter(|(_, l)| **l == k).map(|(i, _)| i as i64).collect();
        // Where exact samples would hardly go there is no moment to compare with.
        if rows.len() < 32 || exact.shares[k] < 0.02 {
            continue;
        }
        let mine = images.index_select(0, &Tensor::from_slice(&rows));
        let weight = rows.len() as f64;
        error += weight * mean_error(&mine, mean, variance).powi(2);
        ratio += weight * variance_ratio(&mine, variance);
        total += weight;
    }
    ((error / total).sqrt(), ratio / total)
}

fn second_largest(shares: &[f64]) -> f64 {
    let mut sorted = shares.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    sorted[1]
}

impl Mixture {
    fn new() -> Self {
        let means: Vec<Tensor> = (0..TEMPLATES).map(template).collect();
        let power = power(SIDE, 4.0, 3.0) * (VARIATION * VARIATION);
        let weights = Tensor::from_slice(&[1f64; TEMPLATES]);
        let powers = power.unsqueeze(0).repeat([TEMPLATES as i64, 1, 1]);
        let stacked = Tensor::stack(&means, 0);
        let build = || GaussianMixture::new(&weights, &stacked, &powers, Device::Cpu);
        let (prior, denoiser) = (build().expect("a valid mixture"), build().expect("valid"));
        let sde = Sde::Ve { sigma_min: 0.002, sigma_max: 50.0 };
        let size = [SIDE as usize; 2];
        let model = model(Box::new(denoiser), Architecture::GaussianMixture {}, size, sde);
        let covariance = covariance(&power);
        Self { covariance, means, power, prior, model }
    }

    /// Data of a galaxy of template `k` and their exact posterior.
    fn problem(
        &self,
        telescope: &Telescope,
        k: usize,
        snr: f64,
        seed: u64,
    ) -> (Vec<std::sync::Arc<pellucid_exposure::Exposure>>, Exact) {
        let truth = draw_field(&self.means[k], &self.power, seed);
        let sigma = telescope.signal_rms(&truth) / snr;
        let (exposures, y) = telescope.observe(&truth, sigma, seed);
        let exact = FieldPosterior::new(&telescope.a, &self.covariance, sigma);
        let (means, evidence): (Vec<_>, Vec<_>) =
            self.means.iter().map(|mean| exact.solve(&y, mean)).unzip();
        let largest = evidence.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = evidence.iter().map(|e| (e - largest).exp()).sum();
        let shares = evidence.iter().map(|e| (e - largest).exp() / total).collect();
        (exposures, Exact { shares, means, variance: exact.variance })
    }

    /// A problem in which two templates are both plausible: the S/N is lowered until the second
    /// has a share between 0.25 and 0.5.
    fn ambiguous(
        &self,
        telescope: &Telescope,
        p: usize,
    ) -> (Vec<std::sync::Arc<pellucid_exposure::Exposure>>, Exact) {
        for attempt in 0..200 {
            let snr = 1.5 * 0.97f64.powi(attempt);
            let seed = 100 + 1000 * p as u64 + attempt as u64;
            let found = self.problem(telescope, 2 * p, snr, seed);
            let second = second_largest(&found.1.shares);
            let first = found.1.shares.iter().copied().fold(0.0, f64::max);
            if second > 0.25 && first + second > 0.9 {
                return found;
            }
        }
        panic!("no ambiguous problem of template {} was found", 2 * p);
    }

    /// The most probable template of every sample, and their shares.
    fn shares(&self, images: &Tensor) -> (Vec<usize>, Vec<f64>) {
        let x = images.unsqueeze(1).to_kind(Kind::Float);
        let sigma = Tensor::full([x.size()[0]], 0.002, (Kind::Float, Device::Cpu));
        let labels = self.prior.log_responsibilities(&x, &sigma).argmax(-1, false);
        let labels = Vec::<i64>::try_from(labels).expect("a vector");
        let mut shares = vec![0.0; TEMPLATES];
        for l in &labels {
            shares[*l as usize] += 1.0 / labels.len() as f64;
        }
        (labels.into_iter().map(|l| l as usize).collect(), shares)
    }
}

/// Template k: an inclined exponential disc with two spiral arms; neighbours (2j, 2j + 1) differ by
/// a small turn, so that poor data cannot tell them apart.
fn template(k: usize) -> Tensor {
    let (pair, twin) = ((k / 2) as f64, (k % 2) as f64);
    let (angle, axis_ratio) = (0.6 * pair + 0.35 * twin, 0.45 + 0.1 * pair);
    let centre = (SIDE as f64 - 1.0) / 2.0;
    let (sin, cos) = f64::sin_cos(angle);
    let values: Vec<f64> = (0..SIDE * SIDE)
        .map(|i| {
            let (y, x) = ((i / SIDE) as f64 - centre, (i % SIDE) as f64 - centre);
            let (u, v) = (x * cos + y * sin, (y * cos - x * sin) / axis_ratio);
            let (r, phi) = ((u * u + v * v).sqrt() + 0.5, v.atan2(u));
            let arms = 1.0 + 0.7 * (2.0 * (phi - 1.5 * r.ln()) + pair).cos();
            3.0 * (-r / SCALE_LENGTH_PX).exp() * arms
        })
        .collect();
    Tensor::from_slice(&values).reshape([SIDE, SIDE])
}
