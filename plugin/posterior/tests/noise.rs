//! Noise scores against dense matrices and closed forms; noise models on disk.

use std::path::PathBuf;
use std::sync::Arc;

use ndarray::Array2;
use pellucid_exposure::{Exposure, Geometry, HeaderWcs, ModelGrid, Psf};
use pellucid_posterior::score::model_file::{FORMAT, Precision, PriorModel, read_tensors, write};
use pellucid_posterior::score::noise::NoiseScore;
use pellucid_posterior::score::noise::aligned::aligned;
use pellucid_posterior::score::noise::file::{
    KERNEL_TOLERANCE, NoiseArchitecture, NoiseDoubts, NoiseMetadata, NoiseModel, NoiseUse,
    write_noise,
};
use pellucid_posterior::score::noise::learned::{Estimate, LearnedNoise, Limits};
use pellucid_posterior::score::noise::net::NoiseNetConfig;
use pellucid_posterior::score::noise::rows::ForwardRows;
use pellucid_posterior::score::noise::stationary::{Autocovariance, filter, filter_transposed};
use pellucid_posterior::score::parameters::Parameters;
use pellucid_posterior::sde::Sde;
use tch::{Device, Kind, Tensor};

const F64: (Kind, Device) = (Kind::Double, Device::Cpu);

fn random(shape: &[i64], seed: i64) -> Tensor {
    // Not the global generator: a fixed, irregular sequence of unit variance.
    let k = Tensor::arange(shape.iter().product::<i64>(), F64) + seed * 7919;
    ((k * 12.9898).sin() * 43758.5453).frac().reshape(shape) * 3f64.sqrt()
}

/// Gaussian lags of standard deviation `width`, unit variance times `variance`.
fn gaussian(variance: f64, width: f64, skew: f64) -> Autocovariance {
    let d = Tensor::arange(13, F64) - 6;
    let (y, x) = (d.unsqueeze(1), d.unsqueeze(0));
    let exponent = (y.square() + x.square() + y * x * skew) / (-2.0 * width * width);
    Autocovariance::new("test", &(exponent.exp() * variance)).unwrap()
}

fn white(variance: f64) -> Autocovariance {
    let lags = Tensor::zeros([3, 3], F64);
    let _ = lags.get(1).get(1).fill_(variance);
    Autocovariance::new("test", &lags).unwrap()
}

/// The matrix [n, n] of an image operator on [ny, nx].
fn dense([ny, nx]: [i64; 2], operator: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let n = ny * nx;
    operator(&Tensor::eye(n, F64).reshape([n, ny, nx])).reshape([n, n]).tr()
}

fn relative(a: &Tensor, b: &Tensor) -> f64 {
    let norm = |t: &Tensor| t.to_kind(Kind::Double).square().sum(Kind::Double).double_value(&[]);
    (norm(&(a - b)) / norm(b)).sqrt()
}

#[test]
fn the_transposed_filter_is_the_transpose() {
    let shape = [7, 10];
    let spectrum = gaussian(1.0, 1.5, 0.8).spectrum(shape, Device::Cpu);
    let w = dense(shape, |x| filter(x, &spectrum));
    let wt = dense(shape, |x| filter_transposed(x, &spectrum));
    assert!(relative(&wt, &w.tr()) < 1e-12);
    // Skew lags: the reflected matrix itself is not symmetric. Otherwise it is.
    assert!(relative(&w.tr(), &w) > 1e-3);
    let spectrum = gaussian(1.0, 1.5, 0.0).spectrum(shape, Device::Cpu);
    let w = dense(shape, |x| filter(x, &spectrum));
    assert!(relative(&w.tr(), &w) < 1e-12);
}

/// Far from edges the filter is the convolution by its lags.
#[test]
fn the_middle_of_the_matrix_is_the_covariance() {
    let (shape, c) = ([20, 18], gaussian(2.0, 1.2, 0.5));
    let spectrum = c.spectrum(shape, Device::Cpu).to_kind(Kind::Double);
    let row = dense(shape, |x| filter(x, &spectrum)).get(9 * 18 + 8).reshape([20, 18]);
    let middle = row.narrow(0, 3, 13).narrow(1, 2, 13);
    let error = (middle - c.lags()).abs().max().double_value(&[]);
    // The spectrum passed through f32.
    assert!(error < 1e-5, "{error}");
}

/// The paper's eq. 17 with its constant: -F^-1 [(|F k|^2 + lambda)^-1 F k F z] / sigma, here with the constant in
/// full, against solving (K K^T + lambda) s = -K z / r as a matrix.
#[test]
fn the_target_of_the_paper_is_the_dense_solve() {
    let (shape, r, lambda) = ([12, 11], 0.7, 1e-3);
    let k2 = gaussian(1.0, 1.0, 0.0).spectrum(shape, Device::Cpu).to_kind(Kind::Double);
    let k = k2.sqrt();
    let z = random(&[1, 12, 11], 3);
    let by_fft = filter(&z, &(&k / (&k2 + lambda) / -r));
    let matrix = dense(shape, |x| filter(x, &k));
    let gram = matrix.matmul(&matrix.tr()) + Tensor::eye(132, F64) * lambda;
    let right = matrix.matmul(&z.reshape([132, 1])) / -r;
    let by_solve = Tensor::linalg_solve(&gram, &right, true).reshape([1, 12, 11]);
    let error = relative(&by_fft, &by_solve);
    assert!(error < 1e-9, "{error}");
}

#[test]
fn the_score_of_gaussian_noise_is_the_dense_solve() {
    let (shape, n) = ([16, 21], 16 * 21);
    let (core, forward) = (gaussian(0.04, 0.5, 0.0), gaussian(0.3, 1.0, 0.0));
    let model = LearnedNoise::new(
        Estimate::Gaussian,
        gaussian(0.04, 0.5, 0.0),
        gaussian(0.3, 1.0, 0.0),
        Limits { r: 10.0, white: 10.0 },
        Device::Cpu,
    );
    assert!((model.core_sigma() - 0.2).abs() < 1e-12);
    let matrix = |c: &Autocovariance| {
        let spectrum = c.spectrum(shape, Device::Cpu).to_kind(Kind::Double);
        dense(shape, |x| filter(x, &spectrum))
    };
    let (core, forward) = (matrix(&core), matrix(&forward));
    for r in [0.0, 0.05, 0.6, 8.0] {
        let eta = random(&[1, 16, 21], 1);
        let s = model.score(&eta, &Tensor::from_slice(&[r]));
        assert_eq!(s.kind(), Kind::Double);
        let sigma = &core + &forward * (r * r);
        let solved = Tensor::linalg_solve(&sigma, &-eta.reshape([n, 1]), true);
        let error = relative(&s, &solved.reshape([1, 16, 21]));
        assert!(error < 2e-4, "r = {r}: {error}");
    }
}

/// The base of an untrained net: the Gaussian score where the noise is Gaussian, nothing at an outlier.
#[test]
fn the_base_lets_go_of_outliers() {
    let config = NoiseNetConfig::default();
    let weights = Parameters::initialise(&config.layout(), 1);
    let net = Estimate::Net(config, weights);
    let model = LearnedNoise::new(
        net,
        white(1.0),
        gaussian(0.1, 1.0, 0.0),
        Limits { r: 50.0, white: 10.0 },
        Device::Cpu,
    );
    let eta = random(&[1, 17, 30], 2);
    let zero = Tensor::from_slice(&[0.0]);
    assert!(relative(&model.score(&eta, &zero), &-&eta) < 1e-4);
    let _ = eta.get(0).get(5).get(6).fill_(1e6);
    let s = model.score(&eta, &zero);
    assert!(s.double_value(&[0, 5, 6]).abs() < 1e-6);
    assert!(relative(&s.narrow(1, 8, 9), &-eta.narrow(1, 8, 9)) < 1e-3);
}

/// What the net says of a pixel does not depend on what lies 40 pixels away, and a translation by its
/// coarsest pixel translates the answer.
#[test]
fn the_net_is_local_and_takes_any_size() {
    let config = NoiseNetConfig::default();
    let mut weights = Parameters::initialise(&config.layout(), 3);
    weights.insert("out.weight", random(&[1, 16, 3, 3], 5).to_kind(Kind::Float));
    let model = LearnedNoise::new(
        Estimate::Net(config, weights),
        white(1.0),
        gaussian(0.1, 1.0, 0.0),
        Limits { r: 50.0, white: 10.0 },
        Device::Cpu,
    );
    let level = Tensor::from_slice(&[0.0]);
    for shape in [[16, 16], [17, 33], [64, 19]] {
        let s = model.score(&random(&[1, shape[0], shape[1]], 1), &level);
        assert!(s.isfinite().all().int64_value(&[]) == 1, "{shape:?}");
    }
    let eta = random(&[1, 40, 120], 1);
    let near = model.score(&eta, &level);
    let changed = eta.copy();
    let _ = changed.narrow(2, 90, 30).fill_(30.0);
    let far = model.score(&changed, &level);
    assert!(relative(&far.narrow(2, 0, 48), &near.narrow(2, 0, 48)) < 2e-5);
    assert!(relative(&far.narrow(2, 80, 40), &near.narrow(2, 80, 40)) > 0.1);
    let moved = model.score(&eta.narrow(2, 4, 116), &level);
    let inner = near.narrow(2, 44, 40);
    assert!(relative(&moved.narrow(2, 40, 40), &inner) < 1e-5);
}

fn psf() -> Arc<Psf> {
    let kernel = Array2::from_shape_fn((23, 23), |(y, x)| {
        let (y, x) = (y as f64 - 11.0, x as f64 - 11.0);
        (-0.5 * ((x / 2.5).powi(2) + (y / 2.0).powi(2))).exp()
            + 0.2 * (-0.5 * (((x - 2.5) / 2.5).powi(2) + ((y - 1.2) / 2.5).powi(2))).exp()
    });
    Arc::new(Psf::new(kernel, 4, false).unwrap())
}

fn rotated(degrees: f64, scale_arcsec: f64) -> Arc<Exposure> {
    let s = scale_arcsec / 3600.0;
    let (sin, cos) = degrees.to_radians().sin_cos();
    let cards = format!(
        "CTYPE1  = 'RA---TAN'\nCTYPE2  = 'DEC--TAN'\nCRPIX1  = 17.3\nCRPIX2  = 16.6\nCRVAL1  = 150.0\n\
         CRVAL2  = 2.0\nCD1_1   = {:E}\nCD1_2   = {:E}\nCD2_1   = {:E}\nCD2_2   = {:E}",
        -s * cos,
        s * sin,
        s * sin,
        s * cos
    );
    let (zero, one) = (Array2::zeros((32, 32)), Array2::ones((32, 32)));
    let wcs = Arc::new(HeaderWcs::new(&cards, Vec::new()).unwrap());
    let good = Array2::from_elem((32, 32), true);
    Arc::new(Exposure::new("rotated", zero, one, good, wcs, psf()).unwrap())
}

/// A A^T by products with A and A^T, against the rows of the dense matrix.
#[test]
fn the_forward_covariance_is_that_of_the_dense_matrix() {
    let grid = ModelGrid::new(64, 64, 150.0, 2.0, 0.03).unwrap();
    let exposure = rotated(20.0, 0.06);
    let geometry = Geometry::new(&exposure, &grid).unwrap();
    let a = geometry.dense(&exposure.psf);
    let index = |y: usize, x: usize| geometry.used.iter().position(|u| *u == y * 32 + x).unwrap();
    let forward = Autocovariance::forward(&exposure, &grid, 3).unwrap();
    // CRPIX: the model's centre is nearest to pixel (16, 16); the mean runs over 14..18.
    for (dy, dx) in [(0, 0), (0, 1), (2, -1), (-3, 3)] {
        let mut sum = 0.0;
        for (y, x) in (14i64..18).flat_map(|y| (14i64..18).map(move |x| (y, x))) {
            for sign in [1, -1] {
                let there = ((y + sign * dy) as usize, (x + sign * dx) as usize);
                let (p, q) = (a.row(index(y as usize, x as usize)), a.row(index(there.0, there.1)));
                sum +=
                    p.iter().zip(q).map(|(p, q)| f64::from(*p) * f64::from(*q)).sum::<f64>() / 32.0;
            }
        }
        let got = forward.lags().double_value(&[3 + dy, 3 + dx]);
        assert!((got - sum).abs() < 1e-6 * forward.variance(), "{dy} {dx}: {got}, dense {sum}");
    }
}

/// One kernel serves every orientation; another PSF or pixel scale is told from it.
#[test]
fn rotations_pass_and_other_telescopes_do_not() {
    let grid = ModelGrid::new(64, 64, 150.0, 2.0, 0.03).unwrap();
    let of = |psf, scales| aligned(psf, scales, 12).unwrap();
    let mine = of(psf(), [0.06, 0.03]);
    for degrees in [0.0, 10.0, 24.0, 45.0] {
        let other = Autocovariance::forward(&rotated(degrees, 0.06), &grid, 12).unwrap();
        let difference = mine.relative_difference(&other);
        println!("{degrees} degrees: {difference:.4}");
        assert!(difference < KERNEL_TOLERANCE / 2.0, "{degrees}: {difference}");
    }
    for (what, other) in [
        ("model scale", of(psf(), [0.06, 0.025])),
        ("data scale", of(psf(), [0.05, 0.03])),
        ("PSF", of(Arc::new(Psf::new(Array2::ones((5, 5)), 4, false).unwrap()), [0.06, 0.03])),
    ] {
        let difference = mine.relative_difference(&other);
        println!("{what}: {difference:.4}");
        assert!(difference > 1.5 * KERNEL_TOLERANCE, "{what}: {difference}");
    }
}

/// An exposure of [ny, nx] pixels, 0.06", not turned, with the model's middle at pixel `middle` = [x, y].
fn stamp([ny, nx]: [usize; 2], middle: [f64; 2], psf: Arc<Psf>) -> Arc<Exposure> {
    let s = 0.06 / 3600.0;
    let cards = format!(
        "CTYPE1  = 'RA---TAN'\nCTYPE2  = 'DEC--TAN'\nCRPIX1  = {}\nCRPIX2  = {}\nCRVAL1  = 150.0\n\
         CRVAL2  = 2.0\nCD1_1   = {:E}\nCD2_2   = {s:E}",
        middle[0] + 1.0,
        middle[1] + 1.0,
        -s
    );
    let (zero, one) = (Array2::zeros((ny, nx)), Array2::ones((ny, nx)));
    let wcs = Arc::new(HeaderWcs::new(&cards, Vec::new()).unwrap());
    let good = Array2::from_elem((ny, nx), true);
    Arc::new(Exposure::new("stamp", zero, one, good, wcs, psf).unwrap())
}

/// A target at the detector's edge, on a stamp smaller than the kernel, off the detector: the telescope is the same.
/// Another PSF is told from it all the same, but where the model is smaller than the PSF.
#[test]
fn the_edge_of_the_detector_is_no_other_telescope() {
    let grid = ModelGrid::new(64, 64, 150.0, 2.0, 0.03).unwrap();
    let mine = aligned(psf(), [0.06, 0.03], 12).unwrap();
    let sharp = Arc::new(Psf::new(Array2::ones((5, 5)), 4, false).unwrap());
    for (shape, middle) in [
        ([40, 40], [20.3, 19.8]),
        ([40, 40], [0.4, 20.0]),
        ([40, 40], [38.6, 1.2]),
        ([40, 40], [-3.0, 20.0]),
        ([16, 16], [7.7, 8.2]),
        ([16, 40], [30.0, 1.0]),
        ([9, 11], [4.0, 5.0]),
        ([200, 300], [299.0, 100.0]),
    ] {
        let rows = |psf| ForwardRows::new(&stamp(shape, middle, psf), &grid, 12).unwrap();
        let same = rows(psf()).difference(&mine).unwrap();
        let other = rows(sharp.clone()).difference(&mine).unwrap();
        println!("{shape:?} {middle:?}: {same:.4}, another PSF {other:.4}");
        assert!(same < KERNEL_TOLERANCE / 2.0, "{shape:?} {middle:?}: {same}");
        assert!(other > 1.5 * KERNEL_TOLERANCE, "{shape:?} {middle:?}: {other}");
    }
    // The pixel in the corner of the detector sees the corner of the model, and as much light from beyond it.
    let corner = ForwardRows::new(&stamp([40, 40], [-15.6, -15.6], psf()), &grid, 12).unwrap();
    assert_eq!(corner.difference(&mine), None);
    assert!(
        corner.complete().unwrap_err().to_string().contains("25 x 25 lags"),
        "says what it needs"
    );
    let small = ModelGrid { ny: 3, nx: 3, ..grid };
    let small = ForwardRows::new(&stamp([40, 40], [20.0, 20.0], psf()), &small, 12).unwrap();
    assert_eq!(small.difference(&mine), None);
}

fn metadata() -> NoiseMetadata {
    NoiseMetadata {
        format: FORMAT,
        kind: "noise".into(),
        architecture: NoiseArchitecture::WhitenedUnet { net: NoiseNetConfig::default() },
        instrument: Some("ACS".into()),
        detector: Some("WFC".into()),
        filter: Some("F814W".into()),
        exposure_time_s: Some([500.0, 510.0]),
        pixel_scale_data_arcsec: 0.06,
        pixel_scale_model_arcsec: 0.03,
        flux_convention: "surface_brightness".into(),
        unit: "e-/s".into(),
        core_sigma_e_per_s: 0.2,
        largest_level_e_per_s: 2.5,
        largest_white_e_per_s: 10.0,
        psf: "none".into(),
        licence: "MIT".into(),
        trained_on: "nothing".into(),
        training_steps: 3,
        training_images: 4,
        residual_reference: None,
    }
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn forward() -> Autocovariance {
    aligned(psf(), [0.06, 0.03], 12).unwrap()
}

/// A model file with a net that is not just its base.
fn saved(name: &str, change: impl Fn(&mut Parameters)) -> PathBuf {
    let mut weights = Parameters::initialise(&NoiseNetConfig::default().layout(), 3);
    weights.insert("out.weight", random(&[1, 16, 3, 3], 5).to_kind(Kind::Float));
    change(&mut weights);
    write_noise(&path(name), &metadata(), &weights, &gaussian(0.04, 0.5, 0.0), &forward()).unwrap();
    path(name)
}

#[test]
fn a_model_comes_back_as_it_was() {
    let path = saved("round-trip.safetensors", |_| ());
    let model = NoiseModel::load(&path, Device::Cpu).unwrap();
    assert_eq!(model.metadata, metadata());
    assert_eq!(model.sha256.len(), 64);
    assert!(model.forward.relative_difference(&forward()) < 1e-15);
    let mut weights = Parameters::initialise(&NoiseNetConfig::default().layout(), 3);
    weights.insert("out.weight", random(&[1, 16, 3, 3], 5).to_kind(Kind::Float));
    let estimate = Estimate::Net(NoiseNetConfig::default(), weights);
    let written = LearnedNoise::new(
        estimate,
        gaussian(0.04, 0.5, 0.0),
        forward(),
        Limits { r: 2.5, white: 10.0 },
        Device::Cpu,
    );
    let (eta, r) = (random(&[2, 20, 24], 1), Tensor::from_slice(&[0.0, 0.3]));
    assert!(model.net.score(&eta, &r) == written.score(&eta, &r));
}

#[test]
fn damaged_models_are_refused_with_the_reason() {
    let refused = |path: PathBuf, reason: &str| {
        let error = NoiseModel::load(&path, Device::Cpu).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains(path.to_str().unwrap()), "{error}");
    };
    refused(path("absent.safetensors"), "absent");
    refused(
        saved("nan.safetensors", |w| {
            w.insert("stem.bias", Tensor::full([16], f64::NAN, (Kind::Float, Device::Cpu)))
        }),
        "stem.bias: need values finite",
    );
    refused(
        saved("shape.safetensors", |w| {
            w.insert("stem.bias", Tensor::zeros([15], (Kind::Float, Device::Cpu)))
        }),
        "stem.bias: need shape [16], got shape [15]",
    );
    let good = read_tensors(&saved("good.safetensors", |_| ())).unwrap().1;
    let without = |name: &str| {
        let kept = good.iter().filter(|(n, _)| n != name);
        kept.map(|(n, t)| (n.clone(), t.shallow_clone())).collect::<Vec<_>>()
    };
    write(&path("missing.safetensors"), &metadata(), &without("forward")).unwrap();
    refused(path("missing.safetensors"), "tensor forward: need shape [-1, -1], got no such tensor");
    write(&path("missing.safetensors"), &metadata(), &without("net.out.bias")).unwrap();
    refused(path("missing.safetensors"), "out.bias");
    for (change, reason) in [
        (NoiseMetadata { kind: "prior".into(), ..metadata() }, "kind: need noise, got prior"),
        (NoiseMetadata { format: 9, ..metadata() }, "format 9"),
        (NoiseMetadata { unit: "counts".into(), ..metadata() }, "unit: need e-/s, got counts"),
        (NoiseMetadata { core_sigma_e_per_s: 0.3, ..metadata() }, "core_sigma_e_per_s"),
        (NoiseMetadata { largest_level_e_per_s: -1.0, ..metadata() }, "largest_level_e_per_s"),
    ] {
        write(&path("changed.safetensors"), &change, &without("")).unwrap();
        refused(path("changed.safetensors"), reason);
    }
    // A later version may describe itself in other words altogether: its number is what counts.
    let newer =
        serde_json::json!({ "format": FORMAT + 1, "kind": "noise", "score": {"is": "new"} });
    write(&path("newer.safetensors"), &newer, &without("")).unwrap();
    refused(path("newer.safetensors"), "format 2; this version reads format 1");
    let noise = saved("no-prior.safetensors", |_| ());
    let error = PriorModel::load(&noise, Device::Cpu, Precision::F32).unwrap_err().to_string();
    assert!(error.contains("kind: need prior, got noise"), "{error}");
}

#[test]
fn misuse_is_refused_by_name() {
    let model = NoiseModel::load(&saved("misuse.safetensors", |_| ()), Device::Cpu).unwrap();
    let forward = ForwardRows::from(&forward());
    let sde = Sde::Vp { beta_min: 0.1, beta_max: 20.0, epsilon: 2e-4 };
    let good = NoiseUse {
        instrument: Some("ACS"),
        detector: Some("wfc"),
        filter: Some("f814w"),
        pixel_scale_arcsec: 0.0602,
        unit: "e-/s",
        flux_convention: "surface_brightness",
        exposure_time_s: Some(505.0),
        faint_error_e_per_s: Some(0.21),
        forward: &forward,
        largest_level_e_per_s: 0.015 * sde.noise_range()[1],
    };
    assert_eq!(model.check(&good).unwrap(), NoiseDoubts::default());
    model.check(&NoiseUse { instrument: None, detector: None, filter: None, ..good }).unwrap();
    for (time, doubted) in [
        (None, false),
        (Some(460.0), false),
        (Some(560.0), false),
        (Some(440.0), true),
        (Some(600.0), true),
    ] {
        let doubts = model.check(&NoiseUse { exposure_time_s: time, ..good }).unwrap();
        assert_eq!(doubts.exposure_time, doubted, "{time:?} s");
    }
    for (error, doubted) in [
        (None, false),
        (Some(0.14), false),
        (Some(0.29), false),
        (Some(0.13), true),
        (Some(0.31), true),
        (Some(f64::NAN), true),
    ] {
        let doubts = model.check(&NoiseUse { faint_error_e_per_s: error, ..good }).unwrap();
        assert_eq!(doubts.error_level, doubted, "{error:?} e-/s");
    }
    let other = ForwardRows::from(&aligned(psf(), [0.06, 0.02], 12).unwrap());
    for (wanted, what) in [
        (NoiseUse { instrument: Some("WFC3"), ..good }, "instrument: need ACS, got WFC3"),
        (NoiseUse { detector: Some("HRC"), ..good }, "detector: need WFC, got HRC"),
        (NoiseUse { filter: Some("F606W"), ..good }, "filter: need F814W, got F606W"),
        (NoiseUse { pixel_scale_arcsec: 0.05, ..good }, "arcsec: need 0.06, got 0.05"),
        (NoiseUse { unit: "counts", ..good }, "unit: need e-/s, got counts"),
        (
            NoiseUse { flux_convention: "per_pixel", ..good },
            "flux convention: need surface_brightness, got per_pixel",
        ),
        (NoiseUse { forward: &other, ..good }, "PSF and model pixel scale"),
        (NoiseUse { largest_level_e_per_s: 3.0, ..good }, "e-/s: need 0 to 2.5, got 3"),
        (NoiseUse { largest_level_e_per_s: f64::NAN, ..good }, "largest noise level"),
    ] {
        let error = model.check(&wanted).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}
