//! The flux scale beside cosmic rays, against the same exposures without them.

#[path = "../benches/shared/mod.rs"]
mod shared;

use std::sync::Arc;

use pellucid_exposure::Exposure;
use pellucid_posterior::likelihood::{estimate_flux_scale, robust_flux_scale};
use pellucid_posterior::sde::Sde;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shared::exact::{field_model, power};
use shared::problem::Telescope;
use tch::{Device, Kind, Tensor};

const SIDE: i64 = 48;
const SIGMA: f64 = 0.02;

/// A round galaxy of unit flux with exp(-r^2 / 2 width^2) off the middle, [H, W].
fn galaxy(width: f64) -> Tensor {
    let at = |c: f64| Tensor::arange(SIDE, (Kind::Double, Device::Cpu)) - c;
    let r2 = at(24.2).square().unsqueeze(1) + at(22.7).square().unsqueeze(0);
    let image = (r2 / (-2.0 * width * width)).exp();
    &image / image.sum(Kind::Double)
}

/// Adds tracks of 1 to 12 pixels and 10 to 1000 sigma a pixel, a fifth of it shared with the neighbours by charge
/// diffusion, until 0.7 % of the pixels are on a track and four times as many beside one; and a hot pixel.
fn with_rays(exposures: &[Arc<Exposure>], seed: u64) -> Vec<Arc<Exposure>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let hit = |exposure: &Arc<Exposure>| {
        let mut exposure = (**exposure).clone();
        let (ny, nx) = exposure.pixels.dim();
        let mut pixels = 0;
        while pixels < ny * nx / 150 {
            let [mut y, mut x] = [ny, nx].map(|n| rng.random_range(0.0..n as f64));
            let (dy, dx) = rng.random_range(0.0..std::f64::consts::TAU).sin_cos();
            let charge = SIGMA * 10.0 * 100f64.powf(rng.random());
            for _ in 0..rng.random_range(1..=12) {
                let shares =
                    [(0, 0, 0.8), (1, 0, 0.05), (-1, 0, 0.05), (0, 1, 0.05), (0, -1, 0.05)];
                for (oy, ox, share) in shares {
                    let at = [y as isize + oy, x as isize + ox].map(|i| i as usize);
                    if let Some(pixel) = exposure.pixels.get_mut(at) {
                        *pixel += share * charge;
                    }
                }
                pixels += 1;
                (y, x) = (y + dy, x + dx);
            }
        }
        exposure.pixels[[7, 9]] += 300.0 * SIGMA;
        Arc::new(exposure)
    };
    exposures.iter().map(hit).collect()
}

#[test]
fn rays_do_not_set_the_scale() {
    let (mean, flat) = (galaxy(5.0) * 100.0, power(SIDE, 1.0, 1.0));
    let prior = field_model(&mean, &flat, Sde::Ve { sigma_min: 0.005, sigma_max: 50.0 });
    for (count, tolerance) in [(4, 0.10), (1, 0.25)] {
        let telescope = Telescope::new(SIDE as usize, 28, count, 3.0);
        let core = vec![SIGMA; count];
        // Peaks of 19, 110 and 15,000 sigma before the PSF; the last is a star's.
        for (width, flux) in [(5.0, 20.0), (2.5, 30.0), (0.5, 500.0)] {
            for seed in 0..2 {
                let (clean, _) = telescope.observe(&(galaxy(width) * flux), SIGMA, seed);
                let dirty = with_rays(&clean, 100 + seed);
                let (grid, denoiser) = (&telescope.grid, &*prior.denoiser);
                let plain = |e: &[_]| estimate_flux_scale(e, grid, denoiser).unwrap();
                let robust = |e: &[_]| robust_flux_scale(e, grid, denoiser, &core).unwrap();
                let truth = plain(&clean);
                let [fooled, kept, alone] =
                    [plain(&dirty), robust(&dirty), robust(&clean)].map(|s| s / truth);
                let case = format!("{count} exposures, width {width}, flux {flux}, seed {seed}");
                println!(
                    "{case}: of the scale {truth:.3} with rays {fooled:.2}, robust {kept:.3}, \
                     robust without rays {alone:.3}"
                );
                assert!((alone - 1.0).abs() < 0.05, "{case} without rays: {alone}");
                assert!((kept - 1.0).abs() < tolerance, "{case}: {kept}");
                assert!(flux > 100.0 || fooled > 2.0, "{case}: the rays are faint: {fooled}");
            }
        }
    }
}
