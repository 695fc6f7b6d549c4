//! Charged particles that cross the detector in straight lines.

use std::f64::consts::TAU;

use ndarray::Array2;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::hit::Hit;
use super::kernel::Kernel3x3;
use super::{Effect, count, stream};

/// Pixels beyond the frame from which tracks may enter it: fewer than 1 in 4000 are longer.
const MARGIN: f64 = 64.0;
/// No track is longer, pixels (3 in 10^6 would be).
const LONGEST: f64 = 512.0;
/// Steps in which a track is deposited, pixels.
const STEP: f64 = 0.1;

/// An isotropic flux of ionising particles through a flat absorber.
///
/// Per unit area of the detector, an isotropic flux arrives at angle theta from its normal with density
/// 2 cos(theta) sin(theta), so that cos^2(theta) is uniform. A track's length on the detector is
/// l = depth tan(theta), hence P(> l) = 1 / (1 + (l / depth)^2), of mean pi/2 depth; its path,
/// depth / cos(theta), is at least the depth. Charge is proportional to the path times an energy loss
/// that follows Landau's distribution in Moyal's approximation (Moyal 1955), -ln(z^2) of a normal z.
#[derive(Clone, Debug, PartialEq)]
pub struct CosmicRays {
    /// Events per cm^2 and second.
    pub flux_per_cm2_s: f64,
    /// Side of a pixel, micrometres.
    pub pixel_um: f64,
    /// Depth of the absorber, micrometres.
    pub depth_um: f64,
    /// Most probable charge of a perpendicular track, electrons.
    pub charge_e: f64,
    /// Scale of Moyal's distribution for such a track, electrons.
    pub width_e: f64,
    /// Diffusion of the charge on its way to the gates.
    pub diffusion: Option<Kernel3x3>,
}

/// What one particle leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Track {
    length: f64,
    charge_e: f64,
}

impl CosmicRays {
    /// ACS/WFC: thinned silicon.
    ///
    /// 605 and 75 e- put the median charge at 1000 e- and 0.3 % of the events below 500 e-.
    pub fn acs_wfc() -> Self {
        Self {
            flux_per_cm2_s: 1.25,
            pixel_um: 15.0,
            depth_um: 15.0,
            charge_e: 605.0,
            width_e: 75.0,
            diffusion: Some(Kernel3x3 { edge: 0.074_408, corner: 0.016_871 }),
        }
    }

    /// WFC3/IR: HgCdTe. 11 events a second on 1024 x 1024 pixels of 18 um.
    ///
    /// About 0.8 keV per um for the protons of some 500 MeV that dominate (Miles et al. 2021), over 5 um, at
    /// 2.5 eV a pair.
    pub fn wfc3_ir() -> Self {
        Self {
            flux_per_cm2_s: 11.0 / (1024.0 * 18e-4f64).powi(2),
            pixel_um: 18.0,
            depth_um: 5.0,
            charge_e: 1500.0,
            width_e: 160.0,
            diffusion: None,
        }
    }

    /// Events expected per pixel and second.
    pub fn rate_per_pixel_s(&self) -> f64 {
        self.flux_per_cm2_s * (self.pixel_um * 1e-4).powi(2)
    }

    fn track(&self, rng: &mut impl Rng) -> Track {
        let depth = self.depth_um / self.pixel_um;
        let shortest = 1.0 / (1.0 + (LONGEST / depth).powi(2));
        let cos2 = (1.0 - rng.random::<f64>()).max(shortest);
        let z: f64 = StandardNormal.sample(rng);
        // z = 0 would be infinite; 1e-9 is beyond any detector's full well.
        let loss = (self.charge_e - self.width_e * (z * z).max(1e-9).ln()).max(0.0);
        Track { length: depth * (1.0 / cos2 - 1.0).sqrt(), charge_e: loss / cos2.sqrt() }
    }

    /// The events that touch a frame of `shape` (ny, nx) within an exposure, after diffusion.
    ///
    /// Positions, directions and times are uniform.
    pub fn hits(
        &self,
        shape: (usize, usize),
        exposure_time_s: f64,
        seed: u64,
        exposure: u64,
    ) -> Vec<Hit> {
        let mut rng = stream(seed, Effect::CosmicRays, 0, exposure);
        let (ny, nx) = (shape.0 as f64 + 2.0 * MARGIN, shape.1 as f64 + 2.0 * MARGIN);
        let events = count(&mut rng, self.rate_per_pixel_s() * exposure_time_s * ny * nx) as usize;
        let mut hits = Vec::new();
        for _ in 0..events {
            let start = [ny, nx].map(|n| rng.random_range(0.0..n) - MARGIN);
            let (sin, cos) = rng.random_range(0.0..TAU).sin_cos();
            let track = self.track(&mut rng);
            let arrival = rng.random();
            let (charge_e, corner) = deposit(start, [sin, cos], track);
            let mut hit = Hit { corner, charge_e, arrival };
            if let Some(kernel) = &self.diffusion {
                hit = hit.spread(kernel);
            }
            if hit.pixels(shape).next().is_some() {
                hits.push(hit);
            }
        }
        hits
    }
}

/// The charge of a track from `start` (y, x) along `direction`, and the first pixel of its window; pixel i
/// reaches from i to i + 1.
fn deposit(start: [f64; 2], direction: [f64; 2], track: Track) -> (Array2<f32>, [isize; 2]) {
    let at = |axis: usize, l: f64| (start[axis] + l * direction[axis]).floor() as isize;
    let ends = [0, 1].map(|axis| (at(axis, 0.0), at(axis, track.length)));
    let corner = ends.map(|(a, b)| a.min(b));
    let [h, w] = ends.map(|(a, b)| a.abs_diff(b) + 1);
    let mut charge = Array2::zeros((h, w));
    let steps = (track.length / STEP).ceil().max(1.0);
    for i in 0..steps as usize {
        let l = (i as f64 + 0.5) / steps * track.length;
        let [y, x] = [0, 1].map(|axis| at(axis, l).abs_diff(corner[axis]));
        charge[[y, x]] += (track.charge_e / steps) as f32;
    }
    (charge, corner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: (usize, usize) = (1024, 1024);

    fn sorted(mut values: Vec<f64>) -> Vec<f64> {
        values.sort_by(f64::total_cmp);
        values
    }

    fn quantile(sorted: &[f64], q: f64) -> f64 {
        sorted[(q * sorted.len() as f64) as usize]
    }

    fn tracks(rays: &CosmicRays) -> Vec<Track> {
        let mut rng = stream(3, Effect::CosmicRays, 0, 0);
        (0..100_000).map(|_| rays.track(&mut rng)).collect()
    }

    #[test]
    fn lengths_are_those_of_an_isotropic_flux() {
        for rays in [CosmicRays::acs_wfc(), CosmicRays::wfc3_ir()] {
            let depth = rays.depth_um / rays.pixel_um;
            let lengths = sorted(tracks(&rays).iter().map(|t| t.length).collect());
            let mean = lengths.iter().sum::<f64>() / lengths.len() as f64;
            assert!((mean / (TAU / 4.0 * depth) - 1.0).abs() < 0.03, "{mean}");
            for q in [0.1f64, 0.5, 0.9, 0.99] {
                let expected = depth * (q / (1.0 - q)).sqrt();
                assert!((quantile(&lengths, q) / expected - 1.0).abs() < 0.05, "{q}");
            }
            assert!(lengths.iter().all(|l| *l <= LONGEST + 1e-9));
        }
    }

    #[test]
    fn charges_are_as_riess_found_on_acs() {
        let charges = sorted(tracks(&CosmicRays::acs_wfc()).iter().map(|t| t.charge_e).collect());
        let median = quantile(&charges, 0.5);
        assert!((median / 1000.0 - 1.0).abs() < 0.02, "median {median}");
        assert!(quantile(&charges, 0.01) > 500.0, "below the cut-off: {}", charges[1000]);
        // The tail of inclined tracks, P(> q) ~ q^-2.
        let (high, higher) = (quantile(&charges, 0.99), quantile(&charges, 0.999));
        assert!((higher / high / 10f64.sqrt() - 1.0).abs() < 0.15, "{high} {higher}");
    }

    #[test]
    fn as_many_pixels_are_hit_as_on_acs() {
        let rays = CosmicRays::acs_wfc();
        let hits = rays.hits(SHAPE, 1000.0, 5, 2);
        assert_eq!(hits, rays.hits(SHAPE, 1000.0, 5, 2));
        assert_ne!(hits, rays.hits(SHAPE, 1000.0, 5, 3));
        let mut image = Array2::<f32>::zeros(SHAPE);
        for (at, charge) in hits.iter().flat_map(|h| h.pixels(SHAPE)) {
            image[at] += charge;
        }
        // Charge, counted by events: 1.25 /cm2/s x (15 um)^2 x 1000 s x the mean charge of a track.
        let all = tracks(&rays);
        let mean = all.iter().map(|t| t.charge_e).sum::<f64>() / all.len() as f64;
        let events = f64::from(image.sum()) / mean;
        let expected = 1.25 * 2.25e-6 * 1000.0 * (SHAPE.0 * SHAPE.1) as f64;
        assert!((events / expected - 1.0).abs() < 0.1, "{events} events, {expected} expected");
        // 15 e-: three times the noise of a short exposure.
        let share = image.iter().filter(|q| **q > 15.0).count() as f64 / image.len() as f64;
        assert!((0.015..0.03).contains(&share), "{share}");
    }

    #[test]
    fn the_detector_of_wfc3_ir_is_hit_eleven_times_a_second() {
        let rate = CosmicRays::wfc3_ir().rate_per_pixel_s() * 1024.0 * 1024.0;
        assert!((rate - 11.0).abs() < 1e-9);
        assert!(
            CosmicRays { flux_per_cm2_s: 0.0, ..CosmicRays::wfc3_ir() }
                .hits(SHAPE, 1e3, 1, 0)
                .is_empty()
        );
    }

    #[test]
    fn a_track_spreads_its_charge_by_length() {
        let track = Track { length: 3.0, charge_e: 30.0 };
        let (charge, corner) = deposit([0.5, 2.5], [0.0, -1.0], track);
        assert_eq!((charge.dim(), corner), ((1, 4), [0, -1]));
        let expected = [5.0, 10.0, 10.0, 5.0];
        assert!(charge.iter().zip(expected).all(|(q, e)| (q - e).abs() < 1e-3), "{charge}");
    }
}
