//! Known answers: with a Gaussian-field prior and Gaussian noise the posterior is a Gaussian whose
//! mean and covariance the harness computes for itself, densely.
//!
//! A sample x is whitened: z = L^-1 (x - m), L L' the exact covariance; z is then a vector of D
//! independent standard normal numbers. Tests are at a significance of 1e-4 each (one-sided
//! 3.72 sigma, two-sided 3.89) about what an approximate sampler is allowed: a bias of
//! [`BIAS`] posterior standard deviations in each direction, variances within [`SPREAD`].

use pellucid_ffi::*;

use crate::arrays::array;
use crate::check::{Check, Fault, Pass, Verdict, ensure};
use crate::field::{D, Exact, dot};
use crate::host::{Ask, GRID, Host, SIDE, Shot};
use crate::session::Session;
use crate::telescope::{Kernel, Tan, operator};

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "posterior.exact",
        "mean, variance and total flux of the samples are the posterior's (tilted dithers, PSF, uneven noise)",
        exact,
    ),
    Check::new("posterior.masked", "masked pixels have no influence, whatever they hold", masked),
    Check::new(
        "posterior.correlated-noise",
        "a noise correlation is part of the posterior",
        correlated,
    ),
    Check::new(
        "posterior.prior-limit",
        "where the data say nothing the samples are the prior's",
        prior_limit,
    ),
    Check::new(
        "posterior.independent",
        "the samples of a job are independent of each other",
        independent,
    ),
];

/// Samples of a job.
const N: usize = 256;
/// Allowed bias in each direction, posterior standard deviations.
const BIAS: f64 = 0.05;
/// Allowed relative error of a variance.
const SPREAD: f64 = 0.06;
/// Normal quantiles of a significance of 1e-4, one- and two-sided.
const ONE_SIDED: f64 = 3.72;
const TWO_SIDED: f64 = 3.89;
/// The prior as it stands; the sampler's own steps.
const OPTIONS: &str = r#"{"flux_scale": 1.0}"#;
/// From a noise level as high as the data's the sampler's own 24 steps leave 14 % too much variance in
/// the finest modes (100: 2 %).
const LONG_FINISH: &str = r#"{"flux_scale": 1.0, "finish_steps": 100}"#;

/// Pixels of an exposure here.
const SHAPE: [usize; 2] = [8, 8];

/// Uniform numbers in [0, 1) (SplitMix64: Steele, Lea & Flood 2014, OOPSLA, fig. 17).
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Three tilted, dithered exposures of a scene, and A stacked.
fn scene(session: &Session, noise: f64) -> Result<(Vec<Shot>, Vec<Vec<f64>>), Fault> {
    let field = session.field()?;
    let truth: Vec<f64> = (0..D)
        .map(|k| field.mean[k] + (0.7 * (k / SIDE) as f64).sin() * (0.5 * (k % SIDE) as f64).cos())
        .collect();
    let (mut random, mut a) = (17, Vec::new());
    let mut shots = Vec::new();
    for (turn, shift) in [(0.3, [0.2, 0.1]), (0.1, [-0.3, 0.4]), (-0.2, [0.1, -0.35])] {
        let wcs = Tan::centred([GRID.ra, GRID.dec], SHAPE[0], 0.07, turn).shifted(shift);
        let psf = Kernel::gaussian(5, 1.2, 2);
        let rows = operator(&GRID.of(SIDE), &wcs, SHAPE, &psf);
        let sigma: Vec<f64> =
            rows.iter().map(|_| noise * (0.7 + 0.6 * uniform(&mut random))).collect();
        let deviate = |random: &mut u64| (0..12).map(|_| uniform(random)).sum::<f64>() - 6.0;
        let sci = rows
            .iter()
            .zip(&sigma)
            .map(|(row, s)| dot(row, &truth) + s * deviate(&mut random))
            .collect();
        shots.push(Shot { wcs, shape: SHAPE, sci, sigma, psf });
        a.extend(rows);
    }
    Ok((shots, a))
}

/// The exact posterior of stacked data, of which those of `good` count.
fn posterior(
    session: &Session,
    shots: &[Shot],
    a: &[Vec<f64>],
    good: &dyn Fn(usize) -> bool,
    noise: &dyn Fn(usize, usize) -> f64,
) -> Result<Exact, Fault> {
    let y: Vec<f64> = shots.iter().flat_map(|shot| shot.sci.clone()).collect();
    let sigma: Vec<f64> = shots.iter().flat_map(|shot| shot.sigma.clone()).collect();
    let used: Vec<usize> = (0..a.len()).filter(|k| good(*k)).collect();
    let rows: Vec<Vec<f64>> = used.iter().map(|k| a[*k].clone()).collect();
    let data: Vec<f64> = used.iter().map(|k| y[*k]).collect();
    let covariance = |i: usize, j: usize| {
        let (i, j) = (used[i], used[j]);
        sigma[i] * sigma[j] * noise(i, j)
    };
    let exact = session.field()?.posterior(&rows, &data, &covariance);
    exact.ok_or_else(|| "the harness failed: a covariance is not positive definite".into())
}

fn white(i: usize, j: usize) -> f64 {
    f64::from(u8::from(i == j))
}

fn draw(
    session: &Session,
    shots: &[Shot],
    options: &str,
    change: &dyn Fn(usize, &mut pellucid_exposure_desc),
) -> Result<Vec<Vec<f64>>, Fault> {
    let host = Host::new(session)?;
    let exposures = shots
        .iter()
        .enumerate()
        .map(|(k, shot)| host.exposure_with(shot, |desc| change(k, desc)))
        .collect::<Result<Vec<_>, Fault>>()?;
    let handles: Vec<_> = exposures.iter().map(|exposure| exposure.get()).collect();
    let ask = Ask { n_samples: N as i32, seed: 20_240, ..Ask::new(options) };
    let all = host.draw(&handles, &ask)?;
    ensure!(all.iter().all(|v| v.is_finite()), "a sample is not finite");
    Ok(all.chunks(D).map(|x| x.iter().map(|v| f64::from(*v)).collect()).collect())
}

/// A statistic, what it should be and how far it may be off.
struct Statistic {
    name: &'static str,
    value: f64,
    need: f64,
    room: f64,
}

/// Tests samples against the exact posterior.
fn judge(samples: &[Vec<f64>], exact: &Exact) -> Verdict {
    let (n, d) = (samples.len() as f64, D as f64);
    let z: Vec<Vec<f64>> = samples.iter().map(|x| exact.whiten(x)).collect();
    let mean: Vec<f64> = (0..D).map(|k| z.iter().map(|z| z[k]).sum::<f64>() / n).collect();

    // n |mean z|^2 is chi^2 of D degrees of freedom with noncentrality n |bias|^2; as a bias:
    let chi2 = n * dot(&mean, &mean);
    let allowed = n * d * BIAS * BIAS;
    let limit = d + allowed + ONE_SIDED * (2.0 * (d + 2.0 * allowed)).sqrt();
    let as_bias = |chi2: f64| ((chi2 - d).max(0.0) / (n * d)).sqrt();

    // The sum of squares about the mean is chi^2 of (n - 1) D degrees of freedom.
    let squares = z.iter().map(|z| dot(z, z)).sum::<f64>() - n * dot(&mean, &mean);
    let freedom = (n - 1.0) * d;

    // Pixel by pixel the small errors of fine modes count less. Pixels are correlated: as if those
    // of a 4 x 4 patch were one.
    let ratio = |k: usize| {
        let values: Vec<f64> = samples.iter().map(|x| x[k]).collect();
        spread(&values).1 / exact.covariance[k * D + k]
    };
    let pixels = (0..D).map(ratio).sum::<f64>() / d;

    // The total flux, one number a sample.
    let totals: Vec<f64> = samples.iter().map(|x| x.iter().sum()).collect();
    let (total, total_variance) = spread(&totals);
    let variance: f64 = exact.covariance.iter().sum();
    let off = (total - exact.mean.iter().sum::<f64>()) / variance.sqrt();

    let within = |freedom: f64| SPREAD + TWO_SIDED * (2.0 / freedom).sqrt();
    let one = |name, value, need, room| Statistic { name, value, need, room };
    let statistics = [
        one("bias of the mean, sigma", as_bias(chi2), 0.0, as_bias(limit)),
        one("variance over exact", squares / freedom, 1.0, within(freedom)),
        one("pixel variance over exact", pixels, 1.0, within(freedom / 16.0)),
        one("total flux off, sigma", off, 0.0, BIAS + TWO_SIDED / n.sqrt()),
        one("total flux variance over exact", total_variance / variance, 1.0, within(n - 1.0)),
    ];
    let told =
        |s: &Statistic| format!("{} {:.3} (need {} +- {:.3})", s.name, s.value, s.need, s.room);
    let wrong = |s: &&Statistic| s.value.is_nan() || (s.value - s.need).abs() > s.room;
    let failed: Vec<_> = statistics.iter().filter(wrong).map(told).collect();
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    let detail =
        format!("bias {:.3} sigma, variance ratio {:.3}", statistics[0].value, statistics[1].value);
    let pass = Pass::from(detail);
    Ok(statistics.iter().fold(pass, |pass, s| pass.with(s.name, s.value, "")))
}

/// Mean and variance (n - 1).
fn spread(x: &[f64]) -> (f64, f64) {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    (mean, x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (x.len() - 1) as f64)
}

fn exact(session: &Session) -> Verdict {
    let (shots, a) = scene(session, 0.2)?;
    let exact = posterior(session, &shots, &a, &|_| true, &white)?;
    judge(&draw(session, &shots, OPTIONS, &|_, _| {})?, &exact)
}

fn masked(session: &Session) -> Verdict {
    let (mut shots, a) = scene(session, 0.2)?;
    let pixels = SHAPE[0] * SHAPE[1];
    let bad = |k: usize| (k % pixels).is_multiple_of(5) || (k / pixels == 1 && k % pixels < 20);
    let exact = posterior(session, &shots, &a, &|k| !bad(k), &white)?;
    let masks: Vec<Vec<u8>> = (0..shots.len())
        .map(|shot| (0..pixels).map(|k| u8::from(bad(shot * pixels + k))).collect())
        .collect();
    for (shot, mask) in shots.iter_mut().zip(&masks) {
        for k in (0..pixels).filter(|k| mask[*k] != 0) {
            shot.sci[k] = if k % 2 == 0 { f64::NAN } else { 1e6 };
        }
    }
    let masks: Vec<_> = masks.iter().map(|mask| array(mask, &SHAPE)).collect();
    judge(&draw(session, &shots, OPTIONS, &|k, desc| desc.dq = &masks[k])?, &exact)
}

fn correlated(session: &Session) -> Verdict {
    let (shots, a) = scene(session, 0.3)?;
    let values = [0.02, 0.15, 0.02, 0.15, 1.0, 0.15, 0.02, 0.15, 0.02];
    let pixels = SHAPE[0] * SHAPE[1];
    let noise = |i: usize, j: usize| {
        let apart = |i: usize, j: usize| j as isize - i as isize;
        let (p, q) = (i % pixels, j % pixels);
        let (dy, dx) = (apart(p / SHAPE[1], q / SHAPE[1]), apart(p % SHAPE[1], q % SHAPE[1]));
        let inside = i / pixels == j / pixels && dy.abs() <= 1 && dx.abs() <= 1;
        if inside { values[((dy + 1) * 3 + dx + 1) as usize] } else { 0.0 }
    };
    let exact = posterior(session, &shots, &a, &|_| true, &noise)?;
    let correlation = array(&values, &[3, 3]);
    judge(
        &draw(session, &shots, OPTIONS, &|_, desc| desc.noise_correlation = &correlation)?,
        &exact,
    )
}

fn prior_limit(session: &Session) -> Verdict {
    let (shots, a) = scene(session, 30.0)?;
    let exact = posterior(session, &shots, &a, &|_| true, &white)?;
    judge(&draw(session, &shots, LONG_FINISH, &|_, _| {})?, &exact)
}

fn independent(session: &Session) -> Verdict {
    let (shots, a) = scene(session, 0.2)?;
    let exact = posterior(session, &shots, &a, &|_| true, &white)?;
    let samples = draw(session, &shots, OPTIONS, &|_, _| {})?;
    let z: Vec<Vec<f64>> = samples.iter().map(|x| exact.whiten(x)).collect();
    // Products of independent standard normal numbers: mean 0, variance 1.
    for lag in [1, 2, 8, 16, N / 2] {
        let pairs = (N - lag) as f64 * D as f64;
        let correlation = (0..N - lag).map(|k| dot(&z[k], &z[k + lag])).sum::<f64>() / pairs;
        let room = BIAS * BIAS + TWO_SIDED / pairs.sqrt();
        ensure!(
            correlation.abs() < room,
            "samples {lag} apart have a correlation of {correlation:.3}"
        );
    }
    Ok("lags 1, 2, 8, 16 and 128".into())
}
