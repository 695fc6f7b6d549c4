//! Training batches as a pure function of (seed, step): resuming needs no generator state.

use pellucid_posterior::sde::Sde;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tch::{Kind, Tensor};

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

    /// `count` levels, one from each of as many equally likely intervals, [count] f32: a batch that
    /// covers the levels evenly has a less noisy gradient (Kingma et al. 2021, arXiv 2107.00630,
    /// appendix I.1).
    fn draw(&self, rng: &mut ChaCha8Rng, count: usize) -> Tensor {
        let shift: f64 = rng.random();
        let u: Vec<f64> = (0..count).map(|k| (k as f64 + shift) / count as f64).collect();
        let edges = self.range.map(|level| (level / self.median).ln() / self.spread);
        let [low, high] = Vec::<f64>::try_from(Tensor::from_slice(&edges).special_ndtr())
            .expect("because it holds two f64")[..]
        else {
            unreachable!("because two edges went in")
        };
        let quantile = Tensor::from_slice(&u) * (high - low) + low;
        let level = (quantile.special_ndtri() * self.spread).exp() * self.median;
        level.clamp(self.range[0], self.range[1]).to_kind(Kind::Float)
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
        for _ in 0..size {
            let scene = bank.scene(rng.random_range(0..bank.count));
            push_symmetry(&mut x0, scene, bank.size, rng.random_range(0..8));
        }
        let z: Vec<f32> = (0..size * area).map(|_| StandardNormal.sample(&mut rng)).collect();
        let shape = [size as i64, 1, bank.size as i64, bank.size as i64];
        Self {
            x0: Tensor::from_slice(&x0).reshape(shape),
            sigma: levels.draw(&mut rng, size),
            z: Tensor::from_slice(&z).reshape(shape),
        }
    }
}

/// Appends `scene` under one of the eight symmetries: bit 0 mirrors x, bit 1 mirrors y, bit 2
/// swaps the axes.
pub fn push_symmetry(out: &mut Vec<f32>, scene: &[f32], n: usize, symmetry: u32) {
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
    fn levels_follow_the_cut_normal_distribution() {
        let sde = Sde::Ve { sigma_min: 0.1, sigma_max: 10.0 };
        let levels = NoiseLevels::new(&sde, 0.5, 1.5);
        let drawn = levels.draw(&mut ChaCha8Rng::seed_from_u64(1), 4000);
        let drawn = Vec::<f32>::try_from(drawn).unwrap();
        assert!(drawn.iter().all(|s| (0.1..=10.0).contains(s)));
        // scipy.stats.truncnorm.cdf(log(x / 0.5) / 1.5, log(0.2) / 1.5, log(20) / 1.5) at x = 0.25, 0.5, 2.
        for (x, expected) in [(0.25, 0.21588), (0.5, 0.42894), (2.0, 0.81473)] {
            let below = drawn.iter().filter(|&&s| s <= x).count() as f64 / 4000.0;
            assert!((below - expected).abs() < 1e-3, "{x}: {below}, expected {expected}");
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
