//! Snowballs: bursts of charge over tens of pixels, by alpha decay within the detector.

use std::f64::consts::PI;

use ndarray::Array2;
use rand::Rng;

use super::hit::Hit;
use super::{Effect, count, stream};

/// Round bursts. The charge falls off as a Gaussian and has fallen to a thousandth of the peak where
/// the affected pixels end; no pixel holds more than the full well.
#[derive(Clone, Debug, PartialEq)]
pub struct Snowballs {
    /// Events per hour on the whole chip.
    pub per_hour: f64,
    /// Least and largest charge, electrons.
    pub charge_e: [f64; 2],
    /// Least and largest number of affected pixels.
    pub pixels: [f64; 2],
    /// Full well, electrons.
    pub full_well_e: f64,
}

impl Snowballs {
    /// WFC3/IR.
    pub fn wfc3_ir() -> Self {
        Self { per_hour: 0.6, charge_e: [2e5, 9e5], pixels: [11.0, 34.0], full_well_e: 78e3 }
    }

    /// Those of an exposure in a frame of `shape` (ny, nx) of a chip of `chip` (ny, nx).
    pub fn hits(
        &self,
        shape: (usize, usize),
        chip: (usize, usize),
        exposure_time_s: f64,
        seed: u64,
        exposure: u64,
    ) -> Vec<Hit> {
        let mut rng = stream(seed, Effect::Snowballs, 0, exposure);
        let share = (shape.0 * shape.1) as f64 / (chip.0 * chip.1) as f64;
        let events = count(&mut rng, self.per_hour * exposure_time_s / 3600.0 * share);
        (0..events as usize).map(|_| self.hit(shape, &mut rng)).collect()
    }

    fn hit(&self, shape: (usize, usize), rng: &mut impl Rng) -> Hit {
        let centre = [shape.0, shape.1].map(|n| rng.random_range(0.0..n as f64));
        let [charge, pixels] =
            [self.charge_e, self.pixels].map(|[low, high]| rng.random_range(low..=high));
        let radius = (pixels / PI).sqrt();
        let sigma = radius / (2.0 * 1000f64.ln()).sqrt();
        let corner = centre.map(|c| (c - radius).floor() as isize - 1);
        let side = (2.0 * radius).ceil() as usize + 3;
        let peak = charge / (2.0 * PI * sigma * sigma);
        let charge_e = Array2::from_shape_fn((side, side), |(i, j)| {
            let offset =
                |axis: usize, k: usize| corner[axis] as f64 + k as f64 + 0.5 - centre[axis];
            let r2 = offset(0, i).powi(2) + offset(1, j).powi(2);
            (peak * (-r2 / (2.0 * sigma * sigma)).exp()).min(self.full_well_e) as f32
        });
        Hit { corner, charge_e, arrival: rng.random() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_large_and_as_bright_as_published() {
        let snow = Snowballs::wfc3_ir();
        let chip = (1014, 1014);
        let hits: Vec<Hit> = (0..300).flat_map(|k| snow.hits(chip, chip, 3600.0, 1, k)).collect();
        assert!((130..230).contains(&hits.len()), "180 expected, {} found", hits.len());
        for hit in &hits {
            let pixels = hit.charge_e.iter().filter(|q| **q > 83.0).count();
            assert!((8..50).contains(&pixels), "{pixels}");
            let charge = hit.charge_e.sum();
            // The full well cuts the brightest.
            assert!((8e4..9.5e5).contains(&charge), "{charge}");
        }
        // A sixteenth of the chip sees a sixteenth of them.
        let part = (254, 254);
        let few = (0..300).flat_map(|k| snow.hits(part, chip, 3600.0, 1, k)).count();
        assert!((2..25).contains(&few), "11 expected, {few} found");
    }
}
