//! A WCS sampled on a grid of pixels.

use ndarray::Array3;

use super::{Wcs, invert};
use crate::sky::TangentPlane;
use crate::{ExposureError, Result};

const WHAT: &str = "the grid of sky positions";

/// Sky positions at the pixels x0 + i step, y0 + j step, interpolated by cubic (four-point)
/// Lagrange polynomials on a tangent plane; linear or quadratic where an axis has fewer nodes.
///
/// Beyond the grid the edge polynomial is continued, for as far as the grid is long; farther out
/// is an error. So cover the stamp and the reach of its PSF.
///
/// Accuracy: exact for cubic distortions; with the fourth-order SIP of WFC3/IR and a step of 16
/// pixels within 2e-7 pixel inside the grid (`wcs_kinds::grid_follows_sip`).
#[derive(Debug, Clone)]
pub struct GridWcs {
    /// `[ny, nx, 2]`, radians on `plane`.
    nodes: Array3<f64>,
    plane: TangentPlane,
    x0: f64,
    y0: f64,
    step_px: f64,
}

impl GridWcs {
    /// Shapes: `radec_deg` is `[ny, nx, 2]`, both axes at least 2 long. Units: ICRS degrees; `x0`,
    /// `y0` 0-based pixels of the first node; `step_px` pixels between nodes.
    ///
    /// # Errors
    /// Wrong shape, non-finite positions, declinations beyond the poles, a step that is not
    /// positive, nodes more than 90 degrees from the middle one.
    pub fn new(radec_deg: Array3<f64>, x0: f64, y0: f64, step_px: f64) -> Result<Self> {
        let (ny, nx, two) = radec_deg.dim();
        if ny < 2 || nx < 2 || two != 2 {
            return Err(ExposureError::shape(WHAT, ">= [2, 2, 2]", radec_deg.shape()));
        }
        if !(step_px > 0.0 && step_px.is_finite() && x0.is_finite() && y0.is_finite()) {
            let got = format!("x0 {x0}, y0 {y0}, step {step_px}");
            return Err(ExposureError::value(WHAT, "finite origin, positive step", got));
        }
        if let Some(((y, x, _), &value)) = radec_deg.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(ExposureError::NonFinite { what: WHAT.into(), index: (y, x), value });
        }
        let at = |y: usize, x: usize| [radec_deg[[y, x, 0]], radec_deg[[y, x, 1]]];
        let plane = TangentPlane::new(at(ny / 2, nx / 2));
        let mut nodes = Array3::zeros((ny, nx, 2));
        for y in 0..ny {
            for x in 0..nx {
                let [ra, dec] = at(y, x);
                let projected = plane.project([ra, dec]).filter(|_| dec.abs() <= 90.0);
                let Some([xi, eta]) = projected else {
                    let reason = format!(
                        "node x = {x}, y = {y} has ra {ra}, dec {dec}: not near the middle node"
                    );
                    return Err(ExposureError::wcs(WHAT, reason));
                };
                (nodes[[y, x, 0]], nodes[[y, x, 1]]) = (xi, eta);
            }
        }
        Ok(Self { nodes, plane, x0, y0, step_px })
    }

    fn interpolate(&self, [x, y]: [f64; 2]) -> Result<[f64; 2]> {
        let (ny, nx, _) = self.nodes.dim();
        let outside = || {
            let reason = format!("pixel x = {x}, y = {y} lies too far off the grid; extend it");
            ExposureError::wcs(WHAT, reason)
        };
        let (first_x, wx) = stencil((x - self.x0) / self.step_px, nx).ok_or_else(outside)?;
        let (first_y, wy) = stencil((y - self.y0) / self.step_px, ny).ok_or_else(outside)?;
        let mut sum = [0.0; 2];
        for (j, wy) in wy.iter().enumerate().take(ny) {
            for (i, wx) in wx.iter().enumerate().take(nx) {
                for (axis, sum) in sum.iter_mut().enumerate() {
                    *sum += wy * wx * self.nodes[[first_y + j, first_x + i, axis]];
                }
            }
        }
        Ok(sum)
    }
}

/// First node and Lagrange weights for a position in units of the step; `None` when it is more
/// than the grid's length away from it.
fn stencil(at: f64, n: usize) -> Option<(usize, [f64; 4])> {
    let length = (n - 1) as f64;
    if !(-length..=2.0 * length).contains(&at) {
        return None;
    }
    let points = n.min(4);
    let first =
        (at.floor() as isize - (points as isize - 1) / 2).clamp(0, (n - points) as isize) as usize;
    let t = at - first as f64;
    let mut weights = [0.0; 4];
    for (i, weight) in weights.iter_mut().enumerate().take(points) {
        let others = (0..points).filter(|&k| k != i);
        *weight = others.map(|k| (t - k as f64) / (i as f64 - k as f64)).product();
    }
    Some((first, weights))
}

impl Wcs for GridWcs {
    fn pixel_to_sky(&self, xy: &[[f64; 2]]) -> Result<Vec<[f64; 2]>> {
        xy.iter().map(|&xy| Ok(self.plane.deproject(self.interpolate(xy)?))).collect()
    }

    fn sky_to_pixel(&self, radec_deg: &[[f64; 2]]) -> Result<Vec<[f64; 2]>> {
        let (ny, nx, _) = self.nodes.dim();
        let middle = |start: f64, n: usize| start + 0.5 * (n - 1) as f64 * self.step_px;
        let start = [middle(self.x0, nx), middle(self.y0, ny)];
        let invert =
            |&radec: &[f64; 2]| invert::newton(|xy| self.pixel_to_sky(xy), radec, start, WHAT);
        radec_deg.iter().map(invert).collect()
    }
}
