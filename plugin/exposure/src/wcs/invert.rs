//! Inversion of a WCS that only maps forward.

use crate::sky::TangentPlane;
use crate::{ExposureError, Result};

const TOLERANCE_PX: f64 = 1e-9;
const ITERATIONS: usize = 50;

/// Newton's method on the plane that touches the sky at the target.
///
/// # Errors
/// The forward map's own; no convergence from `start` (0-based pixel) in 50 steps.
pub(super) fn newton(
    forward: impl Fn(&[[f64; 2]]) -> Result<Vec<[f64; 2]>>,
    radec_deg: [f64; 2],
    start: [f64; 2],
    what: &str,
) -> Result<[f64; 2]> {
    let plane = TangentPlane::new(radec_deg);
    let [mut x, mut y] = start;
    for _ in 0..ITERATIONS {
        let around = [[x, y], [x - 0.5, y], [x + 0.5, y], [x, y - 0.5], [x, y + 0.5]];
        let sky = forward(&around)?;
        let Some(at) = sky.into_iter().map(|p| plane.project(p)).collect::<Option<Vec<_>>>() else {
            break;
        };
        let [r, left, right, below, above] = [at[0], at[1], at[2], at[3], at[4]];
        let (xx, xy) = (right[0] - left[0], above[0] - below[0]);
        let (yx, yy) = (right[1] - left[1], above[1] - below[1]);
        let determinant = xx * yy - xy * yx;
        let (dx, dy) =
            ((r[0] * yy - r[1] * xy) / determinant, (r[1] * xx - r[0] * yx) / determinant);
        (x, y) = (x - dx, y - dy);
        if !(x.is_finite() && y.is_finite()) {
            break;
        }
        if dx.hypot(dy) < TOLERANCE_PX * (1.0 + 1e-3 * x.abs().max(y.abs())) {
            return Ok([x, y]);
        }
    }
    let [ra, dec] = radec_deg;
    Err(ExposureError::wcs(
        what,
        format!("found no pixel for ra {ra}, dec {dec}; is it near the detector?"),
    ))
}
