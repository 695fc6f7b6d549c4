//! Scores against finite differences and brute force.

use pellucid_posterior::rng::{SampleRng, normal};
use pellucid_posterior::score::Denoiser;
use pellucid_posterior::score::analytic::{GaussianField, GaussianMixture};
use pellucid_posterior::score::edm::UnetDenoiser;
use pellucid_posterior::score::parameters::Parameters;
use pellucid_posterior::score::unet::UnetConfig;
use tch::{Device, Kind, Tensor};

const SIDE: i64 = 16;
const F32: (Kind, Device) = (Kind::Float, Device::Cpu);

fn noise(count: u64, seed: u64) -> Tensor {
    let mut rngs: Vec<_> = (0..count).map(|k| SampleRng::new(seed, k)).collect();
    normal(&mut rngs, &[1, SIDE, SIDE], Device::Cpu)
}

fn power(scale: f64) -> Tensor {
    let k = Tensor::arange(SIDE, F32);
    let k = k.minimum(&(SIDE - &k));
    let k2 = k.square().unsqueeze(1) + k.square().unsqueeze(0);
    (k2 / 4.0 + 1.0).pow_tensor_scalar(-1.5) * scale
}

fn field() -> GaussianField {
    let mean = noise(1, 50).reshape([SIDE, SIDE]);
    GaussianField::new(&mean, &power(4.0), Device::Cpu).unwrap()
}

fn mixture() -> GaussianMixture {
    let means = noise(3, 60).squeeze_dim(1) * 0.3;
    let powers = Tensor::stack(&[power(1.0), power(2.0), power(0.5)], 0);
    GaussianMixture::new(&Tensor::from_slice(&[0.5, 0.2, 0.3]), &means, &powers, Device::Cpu)
        .unwrap()
}

fn unet() -> UnetDenoiser {
    let config = UnetConfig { widths: vec![8, 16], attention_head: 8, ..UnetConfig::default() };
    let mut parameters = Parameters::initialise(&config.layout(), 3);
    // The zero start would hide most of the net: give the last layers weight.
    for name in ["head.out.weight", "up0.0.conv1.weight", "attention.out.weight"] {
        let louder = parameters.get(name) * 300.0;
        parameters.insert(name, louder);
    }
    config.validate([SIDE as usize; 2]).unwrap();
    parameters.check(&config.layout()).unwrap();
    let zero = Tensor::zeros([SIDE, SIDE], F32);
    UnetDenoiser { config, parameters, sigma_d: 0.9, mean: zero, power: power(1.0) }
}

/// u^T J v by the vjp and by central differences, row by row.
fn check_vjp(net: &dyn Denoiser, tolerance: f64) {
    let sigma = Tensor::from_slice(&[0.05f32, 0.4, 3.0]);
    let (x, u, v) = (noise(3, 1), noise(3, 2), noise(3, 3));
    let at = net.linearize(&x, &sigma);
    assert!(at.value.allclose(&net.denoise(&x, &sigma), 1e-5, 1e-6, false));
    let h = 1e-2;
    let (plus, minus) = (net.denoise(&(&x + &v * h), &sigma), net.denoise(&(&x - &v * h), &sigma));
    let dot = |a: &Tensor, b: &Tensor| {
        (a * b).sum_dim_intlist([1i64, 2, 3].as_slice(), false, Kind::Double)
    };
    let numeric = Vec::<f64>::try_from(dot(&u, &((plus - minus) / (2.0 * h)))).unwrap();
    let exact = Vec::<f64>::try_from(dot(&at.vjp(&u), &v)).unwrap();
    for (n, e) in numeric.iter().zip(&exact) {
        assert!((n - e).abs() < tolerance * (1.0 + e.abs()), "finite differences {n}, vjp {e}");
    }
    assert!(at.vjp(&u).allclose(&at.vjp(&u), 0.0, 0.0, false), "a vjp can be repeated");
}

#[test]
fn vjps_agree_with_finite_differences() {
    check_vjp(&field(), 2e-3);
    check_vjp(&mixture(), 2e-2);
    check_vjp(&unet(), 5e-3);
}

#[test]
fn the_field_denoiser_is_the_dense_conditional_mean() {
    let net = field();
    let n = SIDE * SIDE;
    let eye = Tensor::eye(n, (Kind::Double, Device::Cpu)).reshape([n, SIDE, SIDE]);
    let c = (eye.fft_fft2(None::<&[i64]>, [-2, -1], "ortho") * power(4.0))
        .fft_ifft2(None::<&[i64]>, [-2, -1], "ortho")
        .real()
        .reshape([n, n]);
    let sigma = 0.7f64;
    let x = noise(1, 9);
    let mean = net.mean().reshape([n, 1]).to_kind(Kind::Double);
    let r = x.reshape([n, 1]).to_kind(Kind::Double) - &mean;
    let gram = &c + Tensor::eye(n, (Kind::Double, Device::Cpu)) * (sigma * sigma);
    let expected = mean + c.matmul(&Tensor::linalg_solve(&gram, &r, true));
    let got = net.denoise(&x, &Tensor::from_slice(&[sigma as f32])).reshape([n, 1]);
    let worst = (got.to_kind(Kind::Double) - expected).abs().max().double_value(&[]);
    assert!(worst < 2e-6, "{worst}");
}

/// Tweedie: D = x + sigma^2 grad ln p(x), with ln p summed by brute force in f64.
#[test]
fn the_mixture_denoiser_is_the_gradient_of_its_log_density() {
    let net = mixture();
    let sigma = 0.6f64;
    let (means, powers) = (noise(3, 60).squeeze_dim(1) * 0.3, [1.0, 2.0, 0.5].map(power));
    let log_density = |x: &Tensor| -> f64 {
        let terms: Vec<f64> = [0.5f64, 0.2, 0.3]
            .iter()
            .enumerate()
            .map(|(k, w)| {
                let variance = powers[k].to_kind(Kind::Double) + sigma * sigma;
                let r = (x.squeeze() - means.get(k as i64)).to_kind(Kind::Double);
                let spectrum = r.fft_fft2(None::<&[i64]>, [-2, -1], "ortho").abs().square();
                w.ln()
                    - 0.5
                        * (spectrum / &variance + variance.log())
                            .sum(Kind::Double)
                            .double_value(&[])
            })
            .collect();
        let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        top + terms.iter().map(|t| (t - top).exp()).sum::<f64>().ln()
    };
    let (x, v) = (noise(1, 4) * 0.8, noise(1, 5).to_kind(Kind::Double));
    let h = 1e-4;
    let x64 = x.to_kind(Kind::Double);
    let slope = (log_density(&(&x64 + &v * h)) - log_density(&(&x64 - &v * h))) / (2.0 * h);
    let d = net.denoise(&x, &Tensor::from_slice(&[sigma as f32])).to_kind(Kind::Double);
    let score = (d - x64) / (sigma * sigma);
    let got = (score * v).sum(Kind::Double).double_value(&[]);
    assert!((got - slope).abs() < 1e-4 * slope.abs().max(1.0), "{got} {slope}");
}

#[test]
fn an_asymmetric_power_spectrum_is_no_covariance() {
    let bad = power(1.0);
    let _ = bad.get(1).get(2).fill_(9.0);
    let mean = Tensor::zeros([SIDE, SIDE], F32);
    let error = GaussianField::new(&mean, &bad, Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("power") && error.contains("P(k) = P(-k)"), "{error}");
}
