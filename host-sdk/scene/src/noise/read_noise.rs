//! Noise of the readout.

use ndarray::Array2;
use rand_distr::{Distribution, StandardNormal};

use super::{Effect, stream};

/// White noise of four amplifiers, one a quadrant of the chip.
///
/// A chip that two amplifiers read, left and right, has the same values above as below.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadNoise {
    /// Electrons rms by (upper, right): `[[lower left, lower right], [upper left, upper right]]`.
    pub rms_e: [[f64; 2]; 2],
}

impl ReadNoise {
    /// The same noise everywhere.
    pub fn uniform(rms_e: f64) -> Self {
        Self { rms_e: [[rms_e; 2]; 2] }
    }

    /// Root mean square over the amplifiers, electrons.
    pub fn mean_rms_e(&self) -> f64 {
        (self.rms_e.iter().flatten().map(|r| r * r).sum::<f64>() / 4.0).sqrt()
    }

    /// Electrons rms in every pixel of a frame whose first pixel is `corner` (y, x) of a chip of `chip` (ny, nx).
    pub fn map(
        &self,
        shape: (usize, usize),
        corner: (usize, usize),
        chip: (usize, usize),
    ) -> Array2<f32> {
        Array2::from_shape_fn(shape, |(i, j)| {
            let upper = corner.0 + i >= chip.0 / 2;
            let right = corner.1 + j >= chip.1 / 2;
            self.rms_e[usize::from(upper)][usize::from(right)] as f32
        })
    }

    /// The noise of an exposure where it is `rms` electrons.
    pub(super) fn draw(rms: &Array2<f32>, seed: u64, exposure: u64) -> Array2<f32> {
        let mut rng = stream(seed, Effect::Read, 0, exposure);
        rms.mapv(|r| {
            let z: f32 = StandardNormal.sample(&mut rng);
            r * z
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;

    #[test]
    fn every_amplifier_has_its_noise() {
        let noise = ReadNoise { rms_e: [[1.0, 2.0], [3.0, 4.0]] };
        let map = noise.map((120, 100), (40, 150), (200, 400));
        let drawn = ReadNoise::draw(&map, 4, 0);
        let quadrants = [
            (s![..60, ..50], 1.0),
            (s![..60, 50..], 2.0),
            (s![60.., ..50], 3.0),
            (s![60.., 50..], 4.0),
        ];
        for (part, rms) in quadrants {
            assert!(map.slice(part).iter().all(|r| *r == rms));
            let found = drawn.slice(part).mapv(|v| v * v).mean().unwrap().sqrt();
            assert!((found / rms - 1.0).abs() < 0.05, "{found}, not {rms}");
        }
        assert!((noise.mean_rms_e() - 7.5f64.sqrt()).abs() < 1e-12);
    }
}
