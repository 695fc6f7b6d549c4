//! Detector noise of one exposure: read and photon noise, cosmic rays, hot pixels.
//!
//! Every function is pure in its arguments: exposure `e` of a seed draws from its own stream, so exposures are
//! independent and may be made in any order. Units: whatever the variance is the square of, e-/s in calibrated exposures.

use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson, StandardNormal};

use crate::config::LogNormal;

/// One stream per effect and exposure.
fn stream(seed: u64, effect: u64, exposure: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(effect << 56 | exposure);
    rng
}

/// A number of events of mean `mean`; a mean of 0 or less has none.
fn count(rng: &mut ChaCha8Rng, mean: f64) -> usize {
    Poisson::new(mean).map_or(0, |p: Poisson<f64>| p.sample(rng) as usize)
}

/// Independent Gaussian noise of the given variance per pixel; 0 where the variance is not positive.
pub fn gaussian(variance: &Array2<f32>, seed: u64, exposure: u64) -> Array2<f32> {
    let mut rng = stream(seed, 1, exposure);
    variance.mapv(|v| {
        let z: f32 = StandardNormal.sample(&mut rng);
        z * v.max(0.0).sqrt()
    })
}

/// Charged particles that cross the detector in straight lines.
#[derive(Clone, Debug, PartialEq)]
pub struct CosmicRays {
    /// Events per pixel and exposure.
    pub rate: f64,
    /// Length of a track, pixels.
    pub length: LogNormal,
    /// Signal per pixel of track, in the unit of the image.
    pub signal: LogNormal,
}

impl CosmicRays {
    /// The light of the cosmic rays of one exposure of `shape` (ny, nx).
    ///
    /// Positions and directions are uniform; a track is deposited in steps of 0.1 pixel, so its signal per
    /// pixel follows the path length in it.
    pub fn draw(&self, shape: (usize, usize), seed: u64, exposure: u64) -> Array2<f32> {
        const STEP: f64 = 0.1;
        let mut rng = stream(seed, 2, exposure);
        let (ny, nx) = shape;
        let mut image = Array2::zeros(shape);
        for _ in 0..count(&mut rng, self.rate * (ny * nx) as f64) {
            let (x, y) = (rng.random_range(0.0..nx as f64), rng.random_range(0.0..ny as f64));
            let (sin, cos) = rng.random_range(0.0..std::f64::consts::TAU).sin_cos();
            let (length, signal) = (self.length.draw(&mut rng), self.signal.draw(&mut rng));
            for i in 0..(length / STEP).ceil() as usize {
                let t = i as f64 * STEP;
                let (px, py) = ((x + t * cos).floor(), (y + t * sin).floor());
                if px >= 0.0 && py >= 0.0 && px < nx as f64 && py < ny as f64 {
                    image[[py as usize, px as usize]] += (signal * STEP) as f32;
                }
            }
        }
        image
    }
}

/// Pixels with too much dark current: the same in every exposure of a seed.
#[derive(Clone, Debug, PartialEq)]
pub struct HotPixels {
    /// Share of pixels that are hot.
    pub fraction: f64,
    /// Their excess, in the unit of the image.
    pub signal: LogNormal,
}

impl HotPixels {
    /// The excess of a detector of `shape` (ny, nx).
    pub fn draw(&self, shape: (usize, usize), seed: u64) -> Array2<f32> {
        let mut rng = stream(seed, 3, 0);
        Array2::from_shape_simple_fn(shape, || {
            if rng.random::<f64>() < self.fraction {
                self.signal.draw(&mut rng) as f32
            } else {
                0.0
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaussian_noise_has_its_variance_and_its_own_stream() {
        let variance = Array2::from_elem((100, 100), 4.0);
        let noise = gaussian(&variance, 1, 0);
        assert_eq!(noise, gaussian(&variance, 1, 0));
        assert_ne!(noise, gaussian(&variance, 1, 1));
        let mean_square = noise.mapv(|v| v * v).mean().unwrap();
        assert!((mean_square / 4.0 - 1.0).abs() < 0.05, "{mean_square}");
    }

    #[test]
    fn tracks_carry_signal_times_length() {
        let fixed = |v| LogNormal { median: v, dex: 0.0, min: v, max: v };
        let rays = CosmicRays { rate: 1e-3, length: fixed(3.0), signal: fixed(2.0) };
        let image = rays.draw((200, 200), 5, 2);
        assert_eq!(image, rays.draw((200, 200), 5, 2));
        let events = f64::from(image.sum()) / 6.0;
        assert!((20.0..60.0).contains(&events), "40 expected, {events} found");
        assert_eq!(CosmicRays { rate: 0.0, ..rays }.draw((9, 9), 5, 2).sum(), 0.0);
    }

    #[test]
    fn hot_pixels_are_as_many_as_asked() {
        let hot = HotPixels {
            fraction: 0.01,
            signal: LogNormal { median: 3.0, dex: 0.3, min: 1.0, max: 9.0 },
        };
        let found = hot.draw((200, 200), 3).iter().filter(|v| **v > 0.0).count();
        assert!((300..500).contains(&found), "{found}");
    }
}
