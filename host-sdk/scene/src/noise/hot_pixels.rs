//! Pixels whose dark current radiation has raised.

use ndarray::Array2;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{Effect, on_chip};

/// Hot and warm pixels: where they are, and their excess, are the same in every exposure of a seed.
///
/// P(excess > d) = share (1 + d / scale)^-index: Lomax's distribution, whose tail is a power law.
#[derive(Clone, Debug, PartialEq)]
pub struct HotPixels {
    /// Share of pixels with an excess.
    pub share: f64,
    /// Scale of the excess, e-/s.
    pub scale_e_per_s: f64,
    /// Index of the tail.
    pub index: f64,
    /// Share of them that the dark reference knows: it takes away their mean, not its photon noise, and flags
    /// them. The others (newly hot, or unstable) stay in the image, unflagged.
    pub known: f64,
    /// Excess above which a known pixel is flagged as hot, e-/s.
    pub hot_e_per_s: f64,
    /// Excess above which a known pixel is flagged as warm, e-/s.
    pub warm_e_per_s: Option<f64>,
}

/// Hot pixels of a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct HotMap {
    /// Excess dark current, e-/s.
    pub excess: Array2<f32>,
    /// Whether the dark reference knows it.
    pub known: Array2<bool>,
}

impl HotPixels {
    /// ACS/WFC some years after launch: 1 % of the pixels above 0.08 e-/s. That nine in ten are known is an
    /// assumption.
    pub fn acs_wfc() -> Self {
        Self {
            share: 0.03,
            scale_e_per_s: 0.1,
            index: 1.8,
            known: 0.9,
            hot_e_per_s: 0.14,
            warm_e_per_s: Some(0.06),
        }
    }

    /// WFC3/IR. That nine in ten are known is an assumption.
    pub fn wfc3_ir() -> Self {
        Self {
            share: 0.012,
            scale_e_per_s: 0.2,
            index: 1.8,
            known: 0.9,
            hot_e_per_s: 0.4,
            warm_e_per_s: None,
        }
    }

    /// Share of all pixels with an excess above `level` e-/s.
    pub fn share_above(&self, level: f64) -> f64 {
        self.share * (1.0 + level / self.scale_e_per_s).powf(-self.index)
    }

    /// Those of a frame of `shape` (ny, nx) whose first pixel is `corner` (y, x) of a chip of `chip` (ny, nx);
    /// pixels off the chip have none.
    pub fn draw(
        &self,
        shape: (usize, usize),
        corner: [isize; 2],
        chip: (usize, usize),
        seed: u64,
    ) -> HotMap {
        let mut map =
            HotMap { excess: Array2::zeros(shape), known: Array2::from_elem(shape, false) };
        on_chip(Effect::HotPixels, shape, corner, chip, seed, |at, rng| {
            (map.excess[at], map.known[at]) = self.pixel(rng);
        });
        map
    }

    fn pixel(&self, rng: &mut ChaCha8Rng) -> (f32, bool) {
        let (u, v): (f64, f64) = (rng.random(), rng.random());
        if u >= self.share {
            return (0.0, false);
        }
        // 2^-53 is the smallest step of u.
        let tail = (u / self.share).max(f64::EPSILON);
        let excess = self.scale_e_per_s * (tail.powf(-1.0 / self.index) - 1.0);
        (excess as f32, v < self.known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHIP: (usize, usize) = (1024, 1100);

    #[test]
    fn the_dark_current_has_its_distribution() {
        let hot = HotPixels::acs_wfc();
        let map = hot.draw(CHIP, [0, 0], CHIP, 3);
        let n = map.excess.len() as f64;
        for level in [0.0, 0.02, 0.08, 0.14, 1.0] {
            let found = map.excess.iter().filter(|e| f64::from(**e) > level).count() as f64;
            let expected = n * hot.share_above(level);
            assert!(
                (found - expected).abs() < 5.0 * expected.sqrt(),
                "{level}: {found} {expected}"
            );
        }
        let known = map.known.iter().filter(|k| **k).count() as f64;
        assert!((known / (n * hot.share) - hot.known).abs() < 0.01, "{known}");
        // New pixels a day of the handbook's table 4.3, relative to its first level.
        let table = [(0.04, 616.0), (0.06, 480.0), (0.08, 390.0), (0.1, 328.0), (1.0, 16.0)];
        for (level, rate) in table {
            let ratio = hot.share_above(level) / hot.share_above(0.02);
            assert!((ratio * 815.0 / rate - 1.0).abs() < 0.06, "{level}: {}", ratio * 815.0);
        }
    }

    #[test]
    fn the_mean_dark_of_wfc3_ir_exceeds_its_mode_as_in_the_handbook() {
        let hot = HotPixels::wfc3_ir();
        let mean = hot.share * hot.scale_e_per_s / (hot.index - 1.0);
        assert!((mean - 0.003).abs() < 1e-4, "{mean}");
    }

    #[test]
    fn pixels_stay_where_they_are_on_the_chip() {
        let hot = HotPixels { share: 0.2, ..HotPixels::acs_wfc() };
        let all = hot.draw((40, 50), [0, 0], (40, 50), 7);
        let part = hot.draw((20, 30), [-3, 25], (40, 50), 7);
        for ((i, j), excess) in part.excess.indexed_iter() {
            let same = i.checked_sub(3).and_then(|y| all.excess.get([y, j + 25]));
            assert_eq!(*excess, same.copied().unwrap_or(0.0), "{i} {j}");
        }
        assert_ne!(all, hot.draw((40, 50), [0, 0], (40, 50), 8));
    }
}
