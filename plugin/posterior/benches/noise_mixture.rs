//! A learned noise model against the exact score of the noise it learned: 0.95 N(0, 1) + 0.05 N(0, 20^2) in
//! every pixel, perturbed by r K xi.
//!
//! At r = 0 the score is closed. Above, given which pixels are outliers it is that of a Gaussian, and the
//! outliers are drawn from their posterior by Gibbs sampling: q_r = sum_b p(b) N(0, D_b + r^2 K K^T), s = -E[(D_b +
//! r^2 K K^T)^-1 eta | eta].
//!
//! `cargo bench -p pellucid-posterior --bench noise_mixture -- --noise FILE`. The model is not shipped:
//! packaging/models/README.md has the commands that train it.

mod shared;

use pellucid_posterior::rng::SampleRng;
use pellucid_posterior::score::noise::NoiseScore;
use pellucid_posterior::score::noise::file::load_learned;
use pellucid_posterior::score::noise::stationary::filter;
use shared::report::{Report, Target};
use shared::shipped::{argument, prior};
use tch::{Device, Kind, Tensor};

const SHARE: f64 = 0.05;
const VARIANCE: [f64; 2] = [1.0, 400.0];
/// Rows and columns of an image.
const SIDE: i64 = 16;
/// Images a level.
const IMAGES: u64 = 16;
/// Gibbs sweeps, a third of them to forget the start.
const SWEEPS: usize = 150;

/// Uniform and normal numbers.
struct Random(SampleRng);

impl Random {
    fn normal(&mut self, count: usize) -> Vec<f64> {
        let mut values = vec![0f32; count];
        self.0.fill_normal(&mut values);
        values.into_iter().map(f64::from).collect()
    }

    fn uniform(&mut self) -> f64 {
        let [a, b] = self.normal(2)[..] else { unreachable!("because two were asked for") };
        // The angle of two normal numbers is uniform.
        b.atan2(a) / std::f64::consts::TAU + 0.5
    }
}

/// E[-(D_b + C)^-1 eta | eta] for C [n, n], row-major, by collapsed Gibbs sampling over b.
fn exact_score(eta: &[f64], c: &Tensor, random: &mut Random) -> Vec<f64> {
    let n = eta.len();
    let mut outlier: Vec<bool> = eta.iter().map(|v| v.abs() > 4.0).collect();
    let mut sum = vec![0.0; n];
    let mut count = 0.0;
    for sweep in 0..SWEEPS {
        // The inverse afresh each sweep: rank-one updates gather rounding errors.
        let d: Vec<f64> = outlier.iter().map(|o| VARIANCE[usize::from(*o)]).collect();
        let matrix = c + Tensor::from_slice(&d).diag(0);
        let inverse = Tensor::linalg_inv(&matrix).flatten(0, -1);
        let mut p = Vec::<f64>::try_from(inverse).expect("a vector");
        let mut alpha: Vec<f64> =
            (0..n).map(|i| (0..n).map(|j| p[i * n + j] * eta[j]).sum()).collect();
        for i in 0..n {
            let (now, then) = (usize::from(outlier[i]), usize::from(!outlier[i]));
            let delta = VARIANCE[then] - VARIANCE[now];
            let gain = 1.0 + delta * p[i * n + i];
            // ln N(eta; 0, Sigma + delta e e^T) - ln N(eta; 0, Sigma), and the prior odds.
            let prior = [(1.0 - SHARE).ln(), SHARE.ln()];
            let ln_odds = -0.5 * gain.ln() + 0.5 * delta * alpha[i] * alpha[i] / gain + prior[then]
                - prior[now];
            if random.uniform() < 1.0 / (1.0 + (-ln_odds).exp()) {
                outlier[i] = !outlier[i];
                let factor = delta / gain;
                let column: Vec<f64> = (0..n).map(|j| p[j * n + i]).collect();
                let moved = factor * alpha[i];
                for j in 0..n {
                    let scale = factor * column[j];
                    if scale != 0.0 {
                        p[j * n..][..n].iter_mut().zip(&column).for_each(|(p, c)| *p -= scale * c);
                    }
                    alpha[j] -= moved * column[j];
                }
            }
        }
        if sweep >= SWEEPS / 3 {
            sum.iter_mut().zip(&alpha).for_each(|(s, a)| *s -= a);
            count += 1.0;
        }
    }
    sum.into_iter().map(|s| s / count).collect()
}

fn main() {
    let Some(path) = argument("--noise") else {
        println!("skipped: needs --noise FILE, see packaging/models/README.md");
        return;
    };
    let (_, model, _) = load_learned(path.as_ref(), Device::Cpu).unwrap_or_else(|e| panic!("{e}"));
    let mut report = Report::new("noise_mixture");
    let n = (SIDE * SIDE) as usize;
    let k2 = model.forward().spectrum([SIDE, SIDE], Device::Cpu).to_kind(Kind::Double);
    let eye = Tensor::eye(n as i64, (Kind::Double, Device::Cpu)).reshape([-1, SIDE, SIDE]);
    let k = filter(&eye, &k2.sqrt()).reshape([n as i64, -1]);
    for (level, r) in [0.0, 0.3, 1.0, 3.0, 10.0, 50.0].into_iter().enumerate() {
        let (mut etas, mut truth, mut again) = (Vec::new(), Vec::new(), Vec::new());
        let c = k.tr().matmul(&k) * (r * r);
        for image in 0..IMAGES {
            let mut random = Random(SampleRng::new(level as u64, image));
            let clean: Vec<f64> = (0..n)
                .map(|_| {
                    let outlier = random.uniform() < SHARE;
                    random.normal(1)[0] * VARIANCE[usize::from(outlier)].sqrt()
                })
                .collect();
            let xi = Tensor::from_slice(&random.normal(n)).reshape([1, -1]);
            let eta = Tensor::from_slice(&clean) + xi.matmul(&k).reshape([-1]) * r;
            let eta = Vec::<f64>::try_from(eta).expect("a vector");
            truth.extend(exact_score(&eta, &c, &mut random));
            again.extend(exact_score(&eta, &c, &mut random));
            etas.extend(eta);
        }
        let image = |v: &[f64]| Tensor::from_slice(v).reshape([-1, SIDE, SIDE]);
        let (eta, chains) = (image(&etas), [image(&truth), image(&again)]);
        let truth = (&chains[0] + &chains[1]) / 2.0;
        let rs = Tensor::full([IMAGES as i64], r, (Kind::Double, Device::Cpu));
        let mine = tch::no_grad(|| model.score(&eta, &rs));
        let norm = |t: &Tensor| t.square().mean(Kind::Double).double_value(&[]).sqrt();
        // K^T s is what a sampler uses; at r = 0 all of s is learned.
        let seen = |s: &Tensor| s.reshape([-1, n as i64]).matmul(&k.tr());
        let case = format!("r = {r}");
        let error = norm(&seen(&(&mine - &truth))) / norm(&seen(&truth));
        // The last stage of a sampler lives at the smallest levels.
        let target = if r > 1.0 { Target::None } else { Target::AtMost(0.1) };
        report.row(&case, "rms error of K^T s", error, target);
        let floor = norm(&seen(&(&chains[0] - &chains[1]))) / 2.0 / norm(&seen(&truth));
        report.row(&case, "of this, of the Gibbs chains", floor, Target::None);
        let error = norm(&(&mine - &truth)) / norm(&truth);
        report.row(&case, "rms error of s", error, Target::None);
        let scale = (&mine * &truth).sum(Kind::Double) / truth.square().sum(Kind::Double);
        report.row(&case, "slope of s on the truth", scale.double_value(&[]), Target::None);
    }
    let ratio = cost(&model);
    report.row("4 exposures of 32 x 32", "cost / prior evaluation", ratio, Target::AtMost(1.0));
    report.finish();
}

/// Time of the noise scores of four exposures of 32 x 32 pixels over that of a denoised model image of
/// 64 x 64: the least of several, taken in turn.
fn cost(model: &dyn NoiseScore) -> f64 {
    let prior = prior();
    let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
    let [eta, r] = [zeros(&[4, 32, 32]), zeros(&[4])];
    let [x, sigma] = [zeros(&[1, 1, 64, 64]), zeros(&[1]) + 0.1];
    let mut least = [f64::INFINITY; 2];
    tch::no_grad(|| {
        for _ in 0..50 {
            let mut time = |k: usize, f: &dyn Fn() -> Tensor| {
                let start = std::time::Instant::now();
                let _ = f();
                least[k] = least[k].min(start.elapsed().as_secs_f64());
            };
            time(0, &|| model.score(&eta, &r));
            time(1, &|| prior.denoiser.denoise(&x, &sigma));
        }
    });
    least[0] / least[1]
}
