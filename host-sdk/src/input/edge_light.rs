//! Light just beyond a model grid, which a posterior on that grid cannot hold.

use std::ops::AddAssign;

use super::exposure::ExposureFile;
use crate::error::Result;
use crate::sky::{ModelGrid, TanSip};

/// How far beyond the grid is looked, in its sides.
const REACH: f64 = 0.125;
/// Less than this share is what the PSF's wings of a galaxy within the grid may bring there.
const LEAST_SHARE: f64 = 0.03;
/// Standard deviations that make light significant. Correlated noise is taken for white.
const SIGNIFICANCE: f64 = 5.0;

/// Flux in e-/s of the good pixels of exposures, within a model grid and just beyond its edge.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct EdgeLight {
    within: f64,
    beyond: f64,
    /// Of `beyond`.
    variance: f64,
}

impl EdgeLight {
    /// Light beyond the edge over that within, if it is above 3 % and five standard deviations: then
    /// the grid cuts the galaxy off, or there is a neighbour, or the sky is still in the exposures.
    pub fn share(&self) -> Option<f64> {
        let share = self.beyond / self.within;
        let significant = self.beyond > SIGNIFICANCE * self.variance.sqrt();
        (significant && share > LEAST_SHARE).then_some(share)
    }
}

impl AddAssign for EdgeLight {
    fn add_assign(&mut self, other: Self) {
        self.within += other.within;
        self.beyond += other.beyond;
        self.variance += other.variance;
    }
}

impl ExposureFile {
    /// Sums the pixels of a chip within a grid, and those up to an eighth of its side beyond it.
    ///
    /// # Errors
    /// Those of [`ExposureFile::stamp`].
    pub fn edge_light(&mut self, chip: usize, grid: &ModelGrid) -> Result<EdgeLight> {
        let size = [grid.nx, grid.ny].map(|n| n as f64);
        let reach = REACH * size[0].max(size[1]);
        let more = 2 * reach.ceil() as usize;
        let around = ModelGrid { nx: grid.nx + more, ny: grid.ny + more, ..*grid };
        let Some(region) = self.chips()[chip].footprint(&around) else {
            return Ok(EdgeLight::default());
        };
        let stamp = self.stamp(chip, region)?;
        let wcs = &self.chips()[chip].wcs;
        let to_grid = TanSip::from_header(&grid.header(), "model grid")?;
        let good = stamp.good();
        let mut light = EdgeLight::default();
        for ((y, x), value) in stamp.pixels.indexed_iter() {
            let sigma = stamp.sigma[[y, x]];
            if !good[[y, x]] || !value.is_finite() || !sigma.is_finite() {
                continue;
            }
            let sky = wcs.pixel_to_sky([(region.x0 + x) as f64, (region.y0 + y) as f64]);
            let Some(at) = to_grid.sky_to_pixel(sky) else {
                continue;
            };
            // How far outside, in pixels of the grid; negative inside.
            let off = |i: usize| (at[i] - (size[i] - 1.0) / 2.0).abs() - size[i] / 2.0;
            let off = off(0).max(off(1));
            if off <= 0.0 {
                light.within += value;
            } else if off <= reach {
                light.beyond += value;
                light.variance += sigma * sigma;
            }
        }
        Ok(light)
    }
}
