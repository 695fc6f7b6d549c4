//! Where the sub-pixels of an exposure fall on the model grid.

use crate::model_grid::Projector;
use crate::wcs::pixel_area_sr;
use crate::{Exposure, ExposureError, FluxConvention, ModelGrid, Result, Wcs};

/// The sampling half of the forward model: for each sub-pixel of an exposure, the model pixels it
/// reads and with which weights.
///
/// y = mask . pool . (psf *) . area . bilinear . x. The sub-grid is `[sub_ny, sub_nx]`, row-major;
/// sub-pixel g of an axis lies at the detector position [`Geometry::position_px`], and data pixel i
/// owns the sub-pixels `pad + i s .. pad + (i + 1) s`, weighted by [`Geometry::pool`] along each
/// axis:
/// - PSF without the pixel: s sub-pixels at i + (k + 1/2)/s - 1/2, weight 1/s each;
/// - pixel-integrated PSF: sub-pixel (s-1)/2 (rounded down) lies at i exactly and has weight 1.
///
/// The value at a sub-pixel with b = `base`, (u, v) = `frac` is `area` times
/// (1-v)\[(1-u) x\[b\] + u x\[b + step_x\]\] + v\[(1-u) x\[b + step_y\] + u x\[b + step_x + step_y\]\],
/// i.e. bilinear interpolation of the model extended by zeros: next to the edge, `area` also holds
/// the fall to zero over one model pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct Geometry {
    /// Rows of the exposure.
    pub ny: usize,
    /// Columns of the exposure.
    pub nx: usize,
    /// Rows of the model.
    pub grid_ny: usize,
    /// Columns of the model.
    pub grid_nx: usize,
    /// Sub-pixels per data pixel along an axis, s.
    pub oversample: usize,
    /// Sub-pixels beyond the exposure on each side: half the larger side of the PSF.
    pub pad: usize,
    /// Weights of a data pixel's s sub-pixels along an axis; their sum is 1.
    pub pool: Vec<f64>,
    /// Flat index of the lower-left model pixel, per sub-pixel.
    pub base: Vec<i32>,
    /// Fractions [u, v] towards the next column and row, per sub-pixel.
    pub frac: Vec<[f32; 2]>,
    /// Factor of the sub-pixel's value: 0 outside the model; relative pixel area for
    /// [`FluxConvention::PerPixel`].
    pub area: Vec<f32>,
    /// From a model pixel to its right neighbour: 1 (0 if the model has one column).
    pub step_x: usize,
    /// From a model pixel to its upper neighbour: `grid_nx` (0 if the model has one row).
    pub step_y: usize,
    /// Flat indices of the data pixels that are good and have their centre on the model.
    pub used: Vec<usize>,
}

impl Geometry {
    /// The geometry of an exposure on a model grid.
    ///
    /// The WCS is evaluated exactly at every sub-pixel. The pixel area is the WCS's Jacobian by
    /// central differences over two sub-pixels, relative to that at [`Wcs::reference_px`].
    ///
    /// Accuracy: positions 1e-7 model pixel (f32 fractions), areas 1e-6
    /// (`forward::dense_is_the_definition`).
    ///
    /// # Errors
    /// [`ExposureError::NoOverlap`] when no good pixel lies on the model; the WCS's own, also for
    /// sub-pixels that only the PSF reaches; an invalid grid.
    pub fn new(exposure: &Exposure, grid: &ModelGrid) -> Result<Self> {
        grid.check()?;
        let (ny, nx) = exposure.pixels.dim();
        let s = exposure.psf.oversample();
        let [half_x, half_y] = exposure.psf.half_size_subpx();
        let pool = if exposure.psf.pixel_integrated() {
            (0..s).map(|k| if k == (s - 1) / 2 { 1.0 } else { 0.0 }).collect()
        } else {
            vec![1.0 / s as f64; s]
        };
        let mut geometry = Self {
            ny,
            nx,
            grid_ny: grid.ny,
            grid_nx: grid.nx,
            oversample: s,
            pad: half_x.max(half_y),
            pool,
            base: Vec::new(),
            frac: Vec::new(),
            area: Vec::new(),
            step_x: usize::from(grid.nx > 1),
            step_y: if grid.ny > 1 { grid.nx } else { 0 },
            used: used(exposure, grid)?,
        };
        geometry.locate(exposure, grid)?;
        Ok(geometry)
    }

    /// Rows of the sub-grid.
    pub fn sub_ny(&self) -> usize {
        self.ny * self.oversample + 2 * self.pad
    }

    /// Columns of the sub-grid.
    pub fn sub_nx(&self) -> usize {
        self.nx * self.oversample + 2 * self.pad
    }

    /// Detector position (0-based data pixel) of sub-pixel `g` along an axis; `g` may be outside.
    pub fn position_px(&self, g: isize) -> f64 {
        let s = self.oversample as f64;
        // Where the weighted mean of a data pixel's sub-pixels is: its centre.
        let middle: f64 = self.pool.iter().enumerate().map(|(k, w)| w * k as f64).sum();
        (g as f64 - self.pad as f64 - middle) / s
    }

    fn locate(&mut self, exposure: &Exposure, grid: &ModelGrid) -> Result<()> {
        let (sub_ny, sub_nx) = (self.sub_ny(), self.sub_nx());
        let projector = grid.projector();
        let jacobian_scale = match exposure.flux_convention {
            FluxConvention::SurfaceBrightness => None,
            FluxConvention::PerPixel => {
                let reference = exposure.wcs.reference_px().unwrap_or_else(|| exposure.centre_px());
                let what = format!("exposure {} at its reference pixel", exposure.id);
                let nominal = pixel_area_sr(&*exposure.wcs, reference, &what)?;
                // Differences below span two sub-pixels along each axis.
                let per_pixel = (self.oversample as f64 / 2.0).powi(2);
                Some(projector.scale_rad.powi(2) * per_pixel / nominal)
            }
        };
        let mut places = Vec::with_capacity(sub_ny * sub_nx);
        let [shift_x, shift_y] =
            exposure.psf.shift_subpx().map(|shift| shift / self.oversample as f64);
        // One ring more than the sub-grid, for the differences; three rows at a time.
        let columns: Vec<f64> =
            (-1..=sub_nx as isize).map(|g| self.position_px(g) + shift_x).collect();
        let row = |g: isize| {
            let y = self.position_px(g) + shift_y;
            model_row(&*exposure.wcs, &projector, &columns, y)
        };
        let mut rows = [row(-1)?, row(0)?, Vec::new()];
        for g in 1..=sub_ny as isize {
            rows[2] = row(g)?;
            for x in 1..=sub_nx {
                let at = rows[1][x];
                let area = jacobian_scale.map_or(1.0, |scale| {
                    let (left, right) = (rows[1][x - 1], rows[1][x + 1]);
                    let (below, above) = (rows[0][x], rows[2][x]);
                    let determinant = (right[0] - left[0]) * (above[1] - below[1])
                        - (right[1] - left[1]) * (above[0] - below[0]);
                    determinant.abs() * scale * projector.relative_area(at)
                });
                places.push((at, area));
            }
            rows.rotate_left(1);
        }
        for ([x, y], area) in places {
            let (base_x, u, edge_x) = hat(x, self.grid_nx);
            let (base_y, v, edge_y) = hat(y, self.grid_ny);
            let area = area * edge_x * edge_y;
            self.base.push((base_y * self.grid_nx + base_x) as i32);
            self.frac.push([u as f32, v as f32]);
            self.area.push(if area.is_finite() { area as f32 } else { 0.0 });
        }
        Ok(())
    }
}

/// Model positions of one row of sub-pixels; NaN for the far hemisphere.
fn model_row(wcs: &dyn Wcs, projector: &Projector, xs: &[f64], y: f64) -> Result<Vec<[f64; 2]>> {
    let xy: Vec<[f64; 2]> = xs.iter().map(|&x| [x, y]).collect();
    let radec = wcs.pixel_to_sky(&xy)?;
    Ok(radec.into_iter().map(|p| projector.pixel(p).unwrap_or([f64::NAN; 2])).collect())
}

/// Linear interpolation at `at` among n samples extended by zeros: first sample, weight of the
/// second, factor. Beyond (-1, n) and for NaN the factor is 0.
fn hat(at: f64, n: usize) -> (usize, f64, f64) {
    let last = (n - 1) as f64;
    // NaN.max(0) is 0, hence the explicit comparison.
    if !(at > -1.0 && at < n as f64) {
        return (0, 0.0, 0.0);
    }
    let inside = at.clamp(0.0, last);
    let first = (inside as usize).min(n.saturating_sub(2));
    (first, inside - first as f64, 1.0 - (at - inside).abs())
}

fn used(exposure: &Exposure, grid: &ModelGrid) -> Result<Vec<usize>> {
    let projector = grid.projector();
    let (_, nx) = exposure.pixels.dim();
    let good: Vec<((usize, usize), &bool)> =
        exposure.good.indexed_iter().filter(|(_, good)| **good).collect();
    let xy: Vec<[f64; 2]> = good.iter().map(|((y, x), _)| [*x as f64, *y as f64]).collect();
    let radec = exposure.wcs.pixel_to_sky(&xy)?;
    let on_model = |p: [f64; 2]| {
        projector.pixel(p).is_some_and(|[x, y]| {
            let inside = |v: f64, n: usize| v >= -0.5 && v <= n as f64 - 0.5;
            inside(x, grid.nx) && inside(y, grid.ny)
        })
    };
    let used: Vec<usize> = good
        .iter()
        .zip(radec)
        .filter(|(_, radec)| on_model(*radec))
        .map(|(((y, x), _), _)| y * nx + x)
        .collect();
    if used.is_empty() {
        return Err(ExposureError::NoOverlap { exposure: exposure.id.clone() });
    }
    Ok(used)
}
