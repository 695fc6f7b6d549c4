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

/// Side of a cell of [`EdgeLight::share_under_rays`], in pixels of the grid, unless the ring beyond it is broader: some
/// 20 pixels of the exposures that made the grid's prior, in each of them.
const CELL: f64 = 8.0;
/// More than the cells along a side.
const CELLS: u64 = 1 << 20;
/// Variance of a median over that of a mean, for many Gaussian pixels (Kendall & Stuart 1977, The advanced theory of
/// statistics 1, section 10.10).
const MEDIAN_VARIANCE: f64 = std::f64::consts::FRAC_PI_2;

/// Flux in e-/s of the good pixels of exposures, within a model grid and just beyond its edge.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EdgeLight {
    within: f64,
    beyond: f64,
    /// Of `beyond`.
    variance: f64,
    pixels: Vec<CellPixel>,
}

/// A good pixel in a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
struct CellPixel {
    /// Even within the grid, odd beyond it.
    cell: u64,
    value: f64,
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

    /// [`EdgeLight::share`] for exposures whose cosmic rays and hot pixels are not masked, since a noise model knows
    /// of them: in place of the sum over a cell of the sky, the median of all its pixels in all exposures times their
    /// number. Rays and hot pixels that hit less than half of them do not count. Nor does the core of a
    /// star, unless it fills half a cell: it shows by its wings alone.
    pub fn share_under_rays(&self) -> Option<f64> {
        let mut pixels = self.pixels.clone();
        pixels.sort_by(|a, b| {
            let by_value = a.value.total_cmp(&b.value).then(a.variance.total_cmp(&b.variance));
            a.cell.cmp(&b.cell).then(by_value)
        });
        let mut light = Self::default();
        for cell in pixels.chunk_by(|a, b| a.cell == b.cell) {
            let n = cell.len();
            let sum = n as f64 * (0.5 * (cell[(n - 1) / 2].value + cell[n / 2].value));
            if cell[0].cell % 2 == 0 {
                light.within += sum;
            } else {
                light.beyond += sum;
                for pixel in cell {
                    light.variance += MEDIAN_VARIANCE * pixel.variance;
                }
            }
        }
        light.share()
    }
}

impl AddAssign for EdgeLight {
    fn add_assign(&mut self, other: Self) {
        self.within += other.within;
        self.beyond += other.beyond;
        self.variance += other.variance;
        self.pixels.extend(other.pixels);
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
            if off > reach {
                continue;
            }
            let variance = sigma * sigma;
            if off <= 0.0 {
                light.within += value;
            } else {
                light.beyond += value;
                light.variance += variance;
            }
            // From the corner of the ring.
            let place =
                |i: usize| ((at[i] + 0.5 + reach) / CELL.max(reach)).max(0.0).floor() as u64;
            let cell = 2 * (place(1) * CELLS + place(0)) + u64::from(off > 0.0);
            light.pixels.push(CellPixel { cell, value: *value, variance });
        }
        Ok(light)
    }
}
