//! Noise drawn from a model, and how it compares with held-out noise.

use pellucid_posterior::rng::{SampleRng, normal};
use pellucid_posterior::score::noise::learned::{LearnedNoise, PROBE, Perturbation};
use pellucid_posterior::score::noise::stationary::filter;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor, no_grad};

use super::AMPLE;

/// Pixels drawn beyond each edge and cut off.
const MARGIN: i64 = 8;
/// Radial bins of the power spectrum.
const BINS: i64 = 8;

/// Draws noise, core sigma, [count, side, side]: the reverse of d eta = dw from N(0, S + w^2) at the largest white
/// level, in `steps` steps whose variance is that of the Gaussian bridge (Ho et al. 2020, arXiv 2006.11239, eq. 7,
/// for a variance-exploding SDE),
///
/// eta <- D + (w' / w)^2 (eta - D) + w' sqrt(1 - w'^2 / w^2) xi,   D = eta + w^2 s(eta, w).
///
/// D, the noise to expect, is kept within the brightest pixel of training, as for bounded images (their code's
/// `clip_denoised`): out there the net was never asked, and its base pulls no outlier back. Of 0.8 million
/// pixels drawn of a nearly Gaussian field one had run away to 45 sigma.
///
/// [`MARGIN`] more pixels on each side are drawn and cut off: filters that reflect at the edge leave
/// the variance c(0) + c(1) there.
pub fn draw(score: &LearnedNoise, side: i64, steps: usize, rngs: &mut [SampleRng]) -> Tensor {
    no_grad(|| {
        let (shape, count) = ([side + 2 * MARGIN; 2], rngs.len() as i64);
        let largest = score.largest_white();
        let brightest = largest / AMPLE;
        let [s, _] = score.spectra(shape);
        let mut white = || normal(rngs, &shape, Device::Cpu);
        let mut x = filter(&white(), &(&s + largest * largest).sqrt());
        let mut w = largest;
        for step in 1..=steps {
            let next = match step == steps {
                true => 0.0,
                false => largest * (PROBE / largest).powf(step as f64 / (steps - 1) as f64),
            };
            let level = Tensor::full([count], w, (Kind::Float, Device::Cpu));
            let expected = &x + score.unit_score(&x, &Perturbation::white(&level)) * (w * w);
            let expected = expected.clamp(-brightest, brightest);
            let (q2, spread) = ((next / w).powi(2), next * (1.0 - (next / w).powi(2)).sqrt());
            x = &expected + (&x - &expected) * q2 + white() * spread;
            w = next;
        }
        middle(&x, side)
    })
}

/// Stationary Gaussian noise with the core's covariance, core sigma.
pub fn gaussian(score: &LearnedNoise, side: i64, rngs: &mut [SampleRng]) -> Tensor {
    let shape = [side + 2 * MARGIN; 2];
    let [s, _] = score.spectra(shape);
    middle(&filter(&normal(rngs, &shape, Device::Cpu), &s.sqrt()), side)
}

fn middle(x: &Tensor, side: i64) -> Tensor {
    x.narrow(1, MARGIN, side).narrow(2, MARGIN, side)
}

/// Rows of the comparison with held-out noise, all in core sigma, [n, side, side]: radial power in [`BINS`] bins
/// (largest deviation of the ratio from 1) and pixel kurtosis (relative), as they are and with values cut at
/// +-`cut`, where a handful of pixels does not decide.
pub fn compare(drawn: &Tensor, held_out: &Tensor, case: &str, cut: f64) -> Vec<Value> {
    let mut rows = Vec::new();
    for (suffix, limit) in [("", f64::INFINITY), ("_cut", cut)] {
        let [a, b] = [drawn, held_out].map(|t| t.clamp(-limit, limit));
        let ratio = radial_power(&a) / radial_power(&b);
        let power = (&ratio - 1.0).abs().max().double_value(&[]);
        let bands = ratio.iter::<f64>().expect("because the ratio is f64").collect::<Vec<_>>();
        let (ka, kb) = (kurtosis(&a), kurtosis(&b));
        for (metric, value, target, detail) in [
            ("power_spectrum", power, 0.05, json!({ "ratio": bands })),
            ("kurtosis", (ka / kb - 1.0).abs(), 0.1, json!({ "drawn": ka, "held_out": kb })),
        ] {
            rows.push(json!({
                "case": case, "metric": format!("{metric}{suffix}_deviation"), "value": value,
                "target": target, "better": "lower", "pass": value <= target, "detail": detail,
            }));
        }
    }
    rows
}

fn kurtosis(t: &Tensor) -> f64 {
    let t = t.to_kind(Kind::Double);
    let centred = &t - t.mean(Kind::Double);
    let moment = |k: f64| centred.pow_tensor_scalar(k).mean(Kind::Double).double_value(&[]);
    moment(4.0) / moment(2.0).powi(2)
}

/// Mean power in equal bins of |k| up to the Nyquist frequency, [`BINS`], the mean of each image taken out.
fn radial_power(t: &Tensor) -> Tensor {
    let n = t.size()[1];
    let centred = t - t.mean_dim([1i64, 2].as_slice(), true, Kind::Float);
    let power = centred.fft_fft2(None::<&[i64]>, [-2, -1], "ortho").abs().square();
    let power = power.mean_dim([0i64].as_slice(), false, Kind::Double);
    let k = Tensor::arange(n, (Kind::Double, Device::Cpu));
    let k = k.minimum(&(&k * -1.0 + n as f64)).square();
    let radius = (k.unsqueeze(1) + k.unsqueeze(0)).sqrt();
    let bin = (&radius * (2.0 * BINS as f64 / n as f64)).floor();
    let means: Vec<Tensor> = (0..BINS)
        .map(|b| power.masked_select(&bin.eq(b).logical_and(&radius.gt(0.5))).mean(Kind::Double))
        .collect();
    Tensor::stack(&means, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pellucid_posterior::score::noise::learned::{Estimate, Limits};
    use pellucid_posterior::score::noise::stationary::Autocovariance;

    /// From the exact score of correlated Gaussian noise comes that noise.
    #[test]
    fn gaussian_noise_is_drawn_as_it_is() {
        let lags = |width: f64, variance: f64| {
            let d = Tensor::arange(9, (Kind::Double, Device::Cpu)) - 4i64;
            let r2 = d.unsqueeze(1).square() + d.unsqueeze(0).square();
            Autocovariance::new("test", &((r2 / (-2.0 * width * width)).exp() * variance)).unwrap()
        };
        let (core, forward) = (lags(0.6, 4.0), lags(1.0, 0.1));
        let limits = Limits { r: 60.0, white: 60.0 };
        let score = LearnedNoise::new(Estimate::Gaussian, core, forward, limits, Device::Cpu);
        let rngs = |seed| -> Vec<_> { (0..256).map(|k| SampleRng::new(seed, k)).collect() };
        let drawn = draw(&score, 32, 60, &mut rngs(1));
        let direct = gaussian(&score, 32, &mut rngs(2));
        for row in compare(&drawn, &direct, "test", 3.0) {
            println!("{row}");
            // The lowest bin has eight modes: 5 % of standard error.
            assert!(row["value"].as_f64().unwrap() < 0.15, "{row}");
        }
    }

    #[test]
    fn kurtosis_and_power_of_known_noise() {
        let mut rngs: Vec<_> = (0..200).map(|k| SampleRng::new(3, k)).collect();
        let white = normal(&mut rngs, &[32, 32], Device::Cpu);
        assert!((kurtosis(&white) - 3.0).abs() < 0.05);
        let power = radial_power(&(&white * 2.0));
        assert!((power / 4.0 - 1.0).abs().max().double_value(&[]) < 0.12);
        // Two values, equally likely: 1.
        assert!((kurtosis(&white.sign()) - 1.0).abs() < 1e-3);
        let rows = compare(&(&white * 1.1), &white, "test", 1e9);
        assert!(
            (rows[0]["value"].as_f64().unwrap() - 0.21).abs() < 1e-3 && rows[0]["pass"] == false
        );
    }
}
