//! What a noise model sees of an exposure: as little as it needs, and as much.

#[path = "../benches/shared/mod.rs"]
mod shared;

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use ndarray::Array2;
use pellucid_exposure::{Exposure, ModelGrid, Psf};
use pellucid_posterior::likelihood::SlicLikelihood;
use pellucid_posterior::rng::SampleRng;
use pellucid_posterior::sampler::{SamplerKind, SamplerOptions};
use pellucid_posterior::score::model_file::PriorModel;
use pellucid_posterior::score::noise::file::load_learned;
use pellucid_posterior::score::noise::{MixtureNoise, NoiseScore};
use pellucid_posterior::sde::Sde;
use shared::exact::field_model;
use shared::problem::draw;
use tch::{Device, Kind, Tensor};

const VE: Sde = Sde::Ve { sigma_min: 0.002, sigma_max: 50.0 };

fn white(shape: &[i64], seed: u64) -> Tensor {
    let mut values = vec![0f32; shape.iter().product::<i64>() as usize];
    SampleRng::new(seed, 0).fill_normal(&mut values);
    Tensor::from_slice(&values).reshape(shape)
}

/// The score of 38 x 38 pixels in the middle of a frame, and that of the window around them: the difference, rms over
/// rms, at levels from none to 100 core sigma, with rays on 2 % of the pixels.
#[test]
fn a_window_scores_like_the_frame() {
    for name in ["noise-acs-f814w", "noise-wfc3ir-f160w"] {
        let file =
            format!("{}/../../packaging/models/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
        let (_, model, _) = load_learned(Path::new(&file), Device::Cpu).unwrap();
        let (core, reach) = (model.core_sigma(), model.reach_px() as i64);
        let (first, side, n) = (112, 38, 256);
        let rays = white(&[1, n, n], 2).gt(2.05).to_kind(Kind::Float) * 40.0;
        let frame = (white(&[1, n, n], 1) + rays) * core;
        let middle = |t: &Tensor, at: i64| t.narrow(1, at, side).narrow(2, at, side);
        for level in [0.0, 0.3, 3.0, 100.0] {
            let r = Tensor::from_slice(&[(level * core) as f32]);
            let blur = white(&[1, n, n], 3) * (level * core * model.forward().variance().sqrt());
            let frame = &frame + blur;
            let whole = middle(&model.score(&frame, &r), first);
            let difference = |margin: i64| {
                let start = (first - margin) / 16 * 16;
                let size = first + side + margin - start;
                let window = frame.narrow(1, start, size).narrow(2, start, size).contiguous();
                let part = middle(&model.score(&window, &r), first - start);
                let norm = |t: Tensor| t.square().sum(Kind::Double).double_value(&[]).sqrt();
                norm(&part - &whole) / norm(whole.shallow_clone())
            };
            let [near, own] = [reach / 2, reach].map(difference);
            println!(
                "{name}, {level} core sigma: {own:.1e} with {reach} pixels, {near:.1e} with half"
            );
            let tolerance =
                if level < 10.0 { WHITENING_TOLERANCE } else { 10.0 * WHITENING_TOLERANCE };
            assert!(own < tolerance, "{name} {level}: {own}");
        }
    }
}

/// Relative rms difference of the scores up to a few core sigma: `calibrated` asks for none at all. Levels that drown the
/// core, which `convolved` passes through, are whitened by a filter that ends in no number of pixels: ten times that.
const WHITENING_TOLERANCE: f64 = 1e-3;

/// Unit noise around a model of 8 x 8 pixels at 0.05", in the middle of [ny, nx] such pixels.
fn exposure([ny, nx]: [usize; 2]) -> (Vec<Arc<Exposure>>, ModelGrid) {
    let frame = ModelGrid::new(ny, nx, 10.0, -20.0, 0.05).unwrap();
    let psf = Arc::new(Psf::new(Array2::ones((1, 1)), 1, false).unwrap());
    let pixels = Array2::from_shape_fn((ny, nx), |(y, x)| ((5 * y + 3 * x) % 7) as f64 * 0.1);
    let (variance, good) = (Array2::ones((ny, nx)), Array2::from_elem((ny, nx), true));
    let wcs = Arc::new(frame.clone());
    let exposure = Exposure::new("e", pixels, variance, good, wcs, psf).unwrap();
    (vec![Arc::new(exposure)], ModelGrid { ny: 8, nx: 8, ..frame })
}

fn prior() -> PriorModel {
    let full = |v: f64| Tensor::full([8, 8], v, (Kind::Double, Device::Cpu));
    field_model(&full(0.0), &full(1.0), VE)
}

fn shipped() -> Rc<dyn NoiseScore> {
    let file =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/models/noise-acs-f814w.safetensors");
    Rc::new(load_learned(Path::new(file), Device::Cpu).unwrap().1)
}

#[test]
fn a_large_frame_costs_no_more_than_a_stamp() {
    let (exposures, grid) = exposure([1000, 801]);
    let noise = shipped();
    let reach = noise.reach_px() as i64;
    let model = prior();
    let l = SlicLikelihood::new(&exposures, &grid, &*model.denoiser, &[noise], 1.0, Device::Cpu);
    let hidden = l.unwrap().hidden_pixels();
    let most = (8 + 2 * reach + 16).pow(2) - 64;
    assert!(hidden <= most && hidden > 4 * reach * reach, "{hidden} of at most {most}");
}

/// Smaller than the smallest image of a network: the border counts as masked, and the samples are as good.
#[test]
fn exposures_of_a_few_pixels() {
    let options = SamplerOptions::new(SamplerKind::Calibrated);
    for shape in [[8, 8], [4, 10], [2, 2]] {
        let (exposures, grid) = exposure(shape);
        let model = prior();
        let used = (shape[0].min(8) * shape[1].min(8)) as i64;
        let noise: Vec<Rc<dyn NoiseScore>> =
            vec![Rc::new(MixtureNoise::new(&[(1.0, 0.5)], 1.0).unwrap())];
        let built =
            SlicLikelihood::new(&exposures, &grid, &*model.denoiser, &noise, 1.0, Device::Cpu);
        let l = Rc::new(built.unwrap());
        assert_eq!(l.hidden_pixels(), 256 - used, "{shape:?}");
        let drawn = draw(&model, &l, &options, 48, 1).images;
        // Each seen pixel is a target of its own, prior 1 and noise 0.5: variance 0.2, else 1.
        let variance = drawn.reshape([48, -1]).var_dim([0i64].as_slice(), true, false);
        let sum = variance.sum(Kind::Double).double_value(&[]);
        let exact = 0.2 * used as f64 + (64 - used) as f64;
        println!("{shape:?}: variance {sum:.2}, exact {exact:.2}");
        assert!((sum / exact - 1.0).abs() < 0.15, "{shape:?}: {sum} and {exact}");

        let l = SlicLikelihood::new(
            &exposures,
            &grid,
            &*model.denoiser,
            &[shipped()],
            1.0,
            Device::Cpu,
        );
        let l = l.unwrap();
        let (zero, fill) =
            (Tensor::zeros([2], (Kind::Float, Device::Cpu)), white(&[2, l.hidden_pixels()], 1));
        let s = l.score(&(white(&[2, used], 2) * 0.02), &zero, &fill);
        assert_eq!(s.isfinite().all().int64_value(&[]), 1, "{shape:?}");
    }
}
