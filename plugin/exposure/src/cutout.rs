//! Stamps out of full frames.

use std::sync::Arc;

use ndarray::{ArrayView2, s};

use crate::{Exposure, ExposureError, OffsetWcs, Psf, Result, Wcs};

/// A full frame, borrowed. Only the stamp is validated, so the rest may hold anything.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    /// Names the exposure.
    pub id: &'a str,
    /// `[y, x]`, e-/s.
    pub pixels: ArrayView2<'a, f64>,
    /// `[y, x]`, variance of `pixels`.
    pub variance: ArrayView2<'a, f64>,
    /// `[y, x]`, false where masked.
    pub good: ArrayView2<'a, bool>,
    /// WCS of the full frame.
    pub wcs: Arc<dyn Wcs>,
    /// PSF in the pixel frame of the full frame.
    pub psf: Arc<Psf>,
}

/// The stamp of at most 2 `half_size_px` + 1 pixels a side whose middle pixel holds the sky
/// position; it is cut at the edge of the frame. Its WCS and PSF keep their detector positions.
///
/// # Errors
/// [`ExposureError::NoOverlap`] when the stamp misses the frame; else as [`Exposure::new`], with
/// indices in the stamp.
pub fn cutout(
    frame: &Frame<'_>,
    ra_deg: f64,
    dec_deg: f64,
    half_size_px: usize,
) -> Result<Exposure> {
    let shape = frame.pixels.dim();
    for (what, got) in [("variance", frame.variance.dim()), ("mask", frame.good.dim())] {
        if got != shape {
            return Err(ExposureError::shape(
                format!("{what} of exposure {}", frame.id),
                shape,
                got,
            ));
        }
    }
    let centre = frame.wcs.sky_to_pixel(&[[ra_deg, dec_deg]])?[0];
    let window = |at: f64, n: usize| {
        let (low, high) = (at.round() - half_size_px as f64, at.round() + half_size_px as f64);
        let inside = low <= (n as f64 - 1.0) && high >= 0.0;
        inside.then(|| low.max(0.0) as usize..(high as usize).saturating_add(1).min(n))
    };
    let (Some(xs), Some(ys)) = (window(centre[0], shape.1), window(centre[1], shape.0)) else {
        return Err(ExposureError::NoOverlap { exposure: frame.id.to_owned() });
    };
    let (x0, y0) = (xs.start as f64, ys.start as f64);
    let stamp = s![ys, xs];
    let psf = if frame.psf.varies() {
        Arc::new(frame.psf.in_stamp(x0, y0))
    } else {
        Arc::clone(&frame.psf)
    };
    Exposure::new(
        frame.id,
        frame.pixels.slice(&stamp).to_owned(),
        frame.variance.slice(&stamp).to_owned(),
        frame.good.slice(&stamp).to_owned(),
        Arc::new(OffsetWcs::new(Arc::clone(&frame.wcs), x0, y0)),
        psf,
    )
}
