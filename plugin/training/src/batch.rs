//! Training batches as a pure function of (seed, step): resuming needs no generator state.

use pellucid_posterior::sde::Sde;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tch::Tensor;

use crate::bank::Bank;

/// Distribution of the training noise levels: ln sigma normal, cut to the SDE's range.
#[derive(Clone, Copy, Debug)]
pub struct NoiseLevels {
    /// Median sigma, network units.
    pub median: f64,
    /// Standard deviation of ln sigma.
    pub spread: f64,
    /// Smallest and largest sigma.
    pub range: [f64; 2],
}

impl NoiseLevels {
    /// The levels of `sde` about `median`.
    pub fn new(sde: &Sde, median: f64, spread: f64) -> Self {
        Self { median, spread, range: sde.noise_range() }
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> f64 {
        loop {
            let z: f64 = StandardNormal.sample(rng);
            let level = self.median * (self.spread * z).exp();
            if (self.range[0]..=self.range[1]).contains(&level) {
                return level;
            }
        }
    }
}

/// Clean images, noise levels and noise of one step.
#[derive(Debug)]
pub struct Batch {
    /// x_0, [B, 1, H, W].
    pub x0: Tensor,
    /// sigma, [B].
    pub sigma: Tensor,
    /// z, [B, 1, H, W].
    pub z: Tensor,
}

impl Batch {
    /// Batch `step` of `seed`: random scenes under random symmetries of the square.
    pub fn draw(bank: &Bank, levels: &NoiseLevels, size: usize, seed: u64, step: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(step);
        let area = bank.size * bank.size;
        let mut x0 = Vec::with_capacity(size * area);
        let mut sigma = Vec::with_capacity(size);
        for _ in 0..size {
            let scene = bank.scene(rng.random_range(0..bank.count));
            push_symmetry(&mut x0, scene, bank.size, rng.random_range(0..8));
            sigma.push(levels.draw(&mut rng) as f32);
        }
        let z: Vec<f32> = (0..size * area).map(|_| StandardNormal.sample(&mut rng)).collect();
        let shape = [size as i64, 1, bank.size as i64, bank.size as i64];
        Self {
            x0: Tensor::from_slice(&x0).reshape(shape),
            sigma: Tensor::from_slice(&sigma),
            z: Tensor::from_slice(&z).reshape(shape),
        }
    }
}

/// Appends `scene` under one of the eight symmetries: bit 0 mirrors x, bit 1 mirrors y, bit 2
/// swaps the axes.
fn push_symmetry(out: &mut Vec<f32>, scene: &[f32], n: usize, symmetry: u32) {
    let mirror = |i: usize, bit: u32| if symmetry & bit == 0 { i } else { n - 1 - i };
    for y in 0..n {
        for x in 0..n {
            let (a, b) = if symmetry & 4 == 0 { (y, x) } else { (x, y) };
            out.push(scene[mirror(a, 2) * n + mirror(b, 1)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_symmetries_are_distinct_and_keep_the_pixels() {
        let scene: Vec<f32> = (0..9).map(|v| v as f32).collect();
        let mut seen = Vec::new();
        for symmetry in 0..8 {
            let mut out = Vec::new();
            push_symmetry(&mut out, &scene, 3, symmetry);
            let mut sorted = out.clone();
            sorted.sort_by(f32::total_cmp);
            assert_eq!(sorted, scene);
            assert!(!seen.contains(&out));
            seen.push(out);
        }
    }

    #[test]
    fn a_step_is_a_pure_function_of_its_number() {
        let bank = Bank {
            pixels: (0..64).map(|v| v as f32).collect(),
            count: 4,
            size: 4,
            description: String::new(),
        };
        let sde = Sde::Ve { sigma_min: 0.01, sigma_max: 10.0 };
        let levels = NoiseLevels::new(&sde, 0.5, 1.5);
        let (a, b) = (Batch::draw(&bank, &levels, 3, 9, 5), Batch::draw(&bank, &levels, 3, 9, 5));
        assert!(a.x0 == b.x0 && a.z == b.z && a.sigma == b.sigma);
        let c = Batch::draw(&bank, &levels, 3, 9, 6);
        assert!(a.z != c.z);
    }
}
