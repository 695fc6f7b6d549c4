//! World coordinate systems: where a detector pixel lies on the sky.

mod callback;
mod cards;
mod grid;
mod header;
mod invert;
mod lookup;

use std::fmt::Debug;

pub use callback::CallbackWcs;
pub use grid::GridWcs;
pub use header::HeaderWcs;
pub use lookup::{LookupTable, TableKind};

use crate::{ExposureError, Result, sky};

/// A map between 0-based pixels `[x, y]` (integers at pixel centres) and ICRS degrees `[ra, dec]`.
pub trait Wcs: Send + Sync + Debug {
    /// Pixels to sky.
    ///
    /// # Errors
    /// A pixel without a sky position, or a failing callback.
    fn pixel_to_sky(&self, xy: &[[f64; 2]]) -> Result<Vec<[f64; 2]>>;

    /// Sky to pixels.
    ///
    /// # Errors
    /// A position that does not project, or an inversion that does not converge.
    fn sky_to_pixel(&self, radec_deg: &[[f64; 2]]) -> Result<Vec<[f64; 2]>>;

    /// The pixel whose area is nominal, relative to which a pixel area map is given (CRPIX of a
    /// header); `None`: the middle of the exposure.
    fn reference_px(&self) -> Option<[f64; 2]> {
        None
    }
}

/// Solid angle of the pixel at `xy`, steradian, from central differences over the pixel.
///
/// # Errors
/// [`ExposureError::SingularWcs`] when the pixel has no area.
pub(crate) fn pixel_area_sr(wcs: &dyn Wcs, [x, y]: [f64; 2], what: &str) -> Result<f64> {
    let around = [[x, y], [x - 0.5, y], [x + 0.5, y], [x, y - 0.5], [x, y + 0.5]];
    let radec = wcs.pixel_to_sky(&around)?;
    let plane = sky::TangentPlane::new(radec[0]);
    let mut p = [[f64::NAN; 2]; 4];
    for (p, &radec) in p.iter_mut().zip(&radec[1..]) {
        *p = plane.project(radec).unwrap_or([f64::NAN; 2]);
    }
    let [dx, dy] = [[p[1][0] - p[0][0], p[1][1] - p[0][1]], [p[3][0] - p[2][0], p[3][1] - p[2][1]]];
    let determinant = dx[0] * dy[1] - dx[1] * dy[0];
    let extent = dx[0].hypot(dx[1]) * dy[0].hypot(dy[1]);
    // Also true for NaN. A pixel thinner than 1e-6 of its length is a line.
    if !(determinant.abs() > 1e-6 * extent && determinant.abs() > f64::MIN_POSITIVE) {
        let determinant = determinant.to_degrees().to_degrees();
        return Err(ExposureError::SingularWcs { what: what.to_owned(), determinant });
    }
    Ok(determinant.abs())
}
