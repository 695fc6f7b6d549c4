//! SDE-DPM-Solver++(2M) in the scaled variable, and the prior-only reverse SDE built on it.

use tch::{Device, Tensor};

use crate::rng::{SampleRng, normal};
use crate::score::Denoiser;
use crate::sde::Sde;

/// Noise levels of every slot at one step, f64 on the host: slots of different jobs walk different grids.
pub type Levels = Vec<f64>;

/// A geometric grid of `steps` + 1 noise levels from `from` down to `to`.
pub fn geometric(from: f64, to: f64, steps: usize) -> Vec<f64> {
    let ratio = (to / from).ln();
    (0..=steps).map(|i| from * (ratio * i as f64 / steps as f64).exp()).collect()
}

/// The grid of Karras et al. 2022 (eq. 5) with exponent 7: `steps` + 1 levels from `from` to `to`,
/// less crowded towards `to` than a geometric grid.
///
/// The prior-only stages use it. Close to their start the unknown x_0 varies most, and plug-in
/// steps lose (1 - q^2)^2 of that variance each. At high signal-to-noise three sweeps of 10 steps on
/// a geometric grid over two decades gave 0.89 of the exact variance (`tests/sampler.rs`).
pub fn karras(from: f64, to: f64, steps: usize) -> Vec<f64> {
    const EXPONENT: f64 = 7.0;
    let (a, b) = (from.powf(1.0 / EXPONENT), to.powf(1.0 / EXPONENT));
    (0..=steps).map(|i| (a + (b - a) * i as f64 / steps as f64).powf(EXPONENT)).collect()
}

/// The f32 tensor [B] of `levels`.
pub fn level_tensor(levels: &[f64], device: Device) -> Tensor {
    let values: Vec<f32> = levels.iter().map(|&l| l as f32).collect();
    Tensor::from_slice(&values).to_device(device)
}

fn column(values: impl Iterator<Item = f64>, device: Device) -> Tensor {
    level_tensor(&values.collect::<Vec<_>>(), device).reshape([-1, 1, 1, 1])
}

/// State of the multistep solver: the denoised image and log-step before this one.
#[derive(Debug, Default)]
pub struct Multistep {
    previous: Option<(Tensor, Vec<f64>)>,
}

impl Multistep {
    /// One step of SDE-DPM-Solver++(2M), the data-prediction form for mu = 1
    /// (Lu et al. 2022, arXiv 2211.01095, algorithm 3 and eq. 18), with q = sigma_to / sigma_from,
    /// h = -ln q and r = h_previous / h:
    ///
    /// x <- q^2 x + (1 - q^2) [D + (D - D_previous) / (2 r)] + sigma_to sqrt(1 - q^2) z
    ///
    /// # Shapes
    /// x, d, z [B, 1, H, W]; from and to hold B levels.
    pub fn step(&mut self, x: &Tensor, d: Tensor, from: &[f64], to: &[f64], z: &Tensor) -> Tensor {
        let device = x.device();
        let pairs = || from.iter().zip(to);
        let h: Vec<f64> = pairs().map(|(f, t)| (f / t).ln()).collect();
        let q2 = column(pairs().map(|(f, t)| (t / f).powi(2)), device);
        let noise = column(pairs().map(|(f, t)| t * (1.0 - (t / f).powi(2)).sqrt()), device);
        let target = match &self.previous {
            Some((before, h_before)) => {
                let half = column(h.iter().zip(h_before).map(|(h, hb)| 0.5 * h / hb), device);
                &d + half * (&d - before)
            }
            None => d.shallow_clone(),
        };
        self.previous = Some((d, h));
        &q2 * x + (1.0 - &q2) * target + noise * z
    }
}

/// Draws x_0 given x by the prior's reverse SDE: solver steps down the grids, then the denoised
/// image. `observe` is asked after every step whether to go on.
///
/// # Shapes
/// x [B, 1, H, W]; B grids of equal length, the first levels those of x.
pub fn reverse_prior(
    net: &dyn Denoiser,
    x: &Tensor,
    grids: &[Vec<f64>],
    rngs: &mut [SampleRng],
    mut observe: impl FnMut() -> bool,
) -> Option<Tensor> {
    let device = x.device();
    let steps = grids.first().map_or(0, |g| g.len() - 1);
    let at = |i: usize| -> Levels { grids.iter().map(|g| g[i]).collect() };
    let shape = &x.size()[1..];
    let mut x = x.shallow_clone();
    let mut solver = Multistep::default();
    for i in 0..steps {
        let (from, to) = (at(i), at(i + 1));
        let d = net.denoise(&x, &level_tensor(&from, device));
        let z = normal(rngs, shape, device);
        x = solver.step(&x, d, &from, &to, &z);
        if !observe() {
            return None;
        }
    }
    Some(net.denoise(&x, &level_tensor(&at(steps), device)))
}

/// Levels (network units) that [`draw_prior`] returns to.
const RESTARTS: [f64; 6] = [3.0, 1.0, 0.3, 0.3, 0.1, 0.1];
/// Solver steps of one restart.
const RESTART_STEPS: usize = 24;

/// Draws from the prior, [B, 1, H, W], one stream a row: `steps` steps of the reverse SDE from its
/// largest level to its smallest, then restarts (Xu et al. 2023, arXiv 2306.14878): noise of an
/// intermediate level is added and taken away again.
///
/// A network's errors add up on the long way down, and what it made of them it later takes for
/// signal: ripples of a thousandth of a galaxy in the sky. Going back over the last stretch forgets
/// them. What restarts leave unchanged is what the samplers' sweeps take for the prior: truths
/// drawn without them lay outside of the 68 % interval of x_0 given x_0 + 0.2 z at 52 % of the
/// pixels, with them at 33 %.
pub fn draw_prior(
    net: &dyn Denoiser,
    sde: &Sde,
    [height, width]: [usize; 2],
    rngs: &mut [SampleRng],
    steps: usize,
) -> Tensor {
    let shape = [1, height as i64, width as i64];
    let [low, high] = sde.noise_range();
    let down = |x: Tensor, grid: Vec<f64>, rngs: &mut [SampleRng]| {
        let grids = vec![grid; rngs.len()];
        reverse_prior(net, &x, &grids, rngs, || true).expect("because the observer never stops it")
    };
    // At the largest level x is still a galaxy's light away from pure noise: it starts with the prior's
    // mean and power.
    let spectrum = normal(rngs, &shape, Device::Cpu).fft_fft2(None::<&[i64]>, [-2, -1], "ortho");
    let deviation = (net.power() + high * high).sqrt();
    let start = (spectrum * deviation).fft_ifft2(None::<&[i64]>, [-2, -1], "ortho").real();
    let mut x = down(start + net.mean(), geometric(high, low, steps), rngs);
    for level in RESTARTS.into_iter().filter(|level| (low..high).contains(level)) {
        let noisy = x + normal(rngs, &shape, Device::Cpu) * level;
        x = down(noisy, karras(level, low, RESTART_STEPS), rngs);
    }
    x
}
