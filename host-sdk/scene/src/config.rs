//! What the training distribution is made of, and where its numbers come from.
//!
//! Fitted to the 100 COSMOS galaxies with F814W < 22.5 of the GalSim example catalogue
//! (`real_galaxy_catalog_23.5_example_fits`, columns `sersicfit`, `bulgefit`, `fit_dvc_btt`,
//! `mag_auto`), by the mean and standard deviation of the named quantity; r is the half-light
//! radius in 0.03 arcsec pixels, circularised: `hlr sqrt(q)`.
//!
//! | quantity | catalogue | here |
//! |---|---|---|
//! | log10 r | 1.18 +- 0.25 (median 14 px) | median 7 px (9 along the major axis, 0.15 dex), so that the galaxy fits a frame of 64 |
//! | log10 SB (mean e-/s/px within r) | -0.489 - 0.713 log10 r, scatter 0.35 dex | -0.42, same slope, 0.25 dex |
//! | log10 n where n < 2 (64 % of galaxies) | 0.00 +- 0.18 | discs: the same, within 0.6..1.6 |
//! | n where n > 3 (27 %) | 3..6 | ellipticals: 2.5..6 |
//! | q where n > 3 | 0.68 +- 0.17 | ellipticals: the same, within 0.4..1 |
//! | bulge fraction | median 0.12; 0.50 +- 0.24 where two components are warranted (36 %) | spirals: median 0.12; lenticulars: 0.50 +- 0.2 |
//! | log10 (r_bulge / r_disc) | -0.42 +- 0.34 | lenticulars: the same; spirals: -0.6 |
//!
//! Measured on 500 scenes of the default configuration (`examples/statistics.rs`, seed 1), against the catalogue:
//!
//! | 16, 50, 84 % | scenes | catalogue |
//! |---|---|---|
//! | log10 flux, e-/s | 1.12, 1.46, 1.77 | 1.43, 1.68, 2.26 (cut at magnitude 22.5) |
//! | half-light radius, pixels | 3.8, 5.6, 7.6 | 9.2, 13.9, 24.7 |
//! | axis ratio | 0.39, 0.62, 0.84 (moments) | 0.35, 0.56, 0.84 (Sersic fits) |
//! | concentration 5 log10 (r80 / r20) | 2.7, 3.2, 3.7 | not in it |
//! | rms over the frame / 0.05 | 0.35, 0.65, 1.2 | |
//! | peak / 0.05 | 5.6, 12, 25 (95 %: 38) | |
//! | flux in the outermost ring of pixels over all | below 1e-10 in every scene | |

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// A log-normal distribution, truncated by clamping.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogNormal {
    /// Median, in the unit of the quantity.
    pub median: f64,
    /// Standard deviation of log10.
    pub dex: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

impl LogNormal {
    pub(crate) const fn new(median: f64, dex: f64, min: f64, max: f64) -> Self {
        Self { median, dex, min, max }
    }

    /// One value.
    pub fn draw(&self, rng: &mut impl Rng) -> f64 {
        let z: f64 = StandardNormal.sample(rng);
        (self.median * 10f64.powf(self.dex * z)).clamp(self.min, self.max)
    }
}

/// The grid of a scene and the population it is drawn from.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneConfig {
    /// Side of the square frame, pixels. Profiles end within it.
    pub size: usize,
    /// Sub-samples per pixel and axis.
    pub oversample: usize,
    /// The population.
    pub ranges: Ranges,
}

/// The population of galaxies: shares and distributions. See the module for the fits.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges {
    /// Relative numbers of spirals, lenticulars, ellipticals, irregulars and edge-on discs.
    pub mix: [f64; 5],
    /// Half-light radius along the major axis, pixels.
    pub half_light_radius: LogNormal,
    /// log10 of the mean surface brightness within a circularised half-light radius of 1 pixel, e-/s per pixel.
    pub brightness: f64,
    /// d log10 (surface brightness) / d log10 (radius).
    pub brightness_slope: f64,
    /// Scatter of log10 (surface brightness) at a radius.
    pub brightness_dex: f64,
    /// Standard deviation of the centre from that of the frame, pixels per axis.
    pub centre_scatter: f64,
    /// Radius over which a cusp is flattened, pixels: the resolution of an HST image.
    pub core: f64,
    /// Share of spirals with a bar.
    pub barred: f64,
    /// Share of galaxies with companions.
    pub companions: f64,
    /// Share of galaxies with an unresolved nucleus.
    pub nucleus: f64,
    /// Share of frames with an unresolved source elsewhere.
    pub star: f64,
}

impl Default for SceneConfig {
    fn default() -> Self {
        Self { size: 64, oversample: 4, ranges: Ranges::default() }
    }
}

impl Default for Ranges {
    fn default() -> Self {
        Self {
            mix: [0.45, 0.15, 0.15, 0.15, 0.10],
            half_light_radius: LogNormal::new(9.0, 0.15, 3.0, 14.0),
            brightness: -0.42,
            brightness_slope: -0.713,
            brightness_dex: 0.25,
            centre_scatter: 0.8,
            core: 1.0,
            barred: 0.5,
            companions: 0.2,
            nucleus: 0.2,
            star: 0.08,
        }
    }
}
