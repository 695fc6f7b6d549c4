//! Point-spread functions.

use std::sync::Arc;

use ::pellucid_exposure::Psf;
use ndarray::{Array2, ArrayD};
use pellucid_ffi::*;

use super::{image, within};
use crate::boundary::BoundaryError;
use crate::boundary::callback::PsfFunction;
use crate::limits::MAX_OVERSAMPLE;
use crate::status::Failure;

/// Where an exposure's PSF comes from.
pub(crate) enum PsfSource {
    /// One for all exposures.
    Fixed(Arc<Psf>),
    /// Evaluated for each exposure.
    Function(PsfFunction),
}

/// A valid oversampling.
pub(crate) fn oversample(value: i32) -> Result<usize, BoundaryError> {
    within(value, 1, MAX_OVERSAMPLE, "oversample", "1 to 32")?;
    Ok(value as usize)
}

/// A PSF of an image.
pub(crate) fn from_array(
    kernel: ArrayD<f64>,
    oversampling: i32,
    flags: u32,
) -> Result<Arc<Psf>, Failure> {
    let integrated = flags & PELLUCID_PSF_PIXEL_INTEGRATED != 0;
    Ok(Arc::new(Psf::new(image(kernel)?, oversample(oversampling)?, integrated)?))
}

/// The PSF of an exposure of `ny` x `nx` pixels.
pub(crate) fn of_exposure(
    source: &PsfSource,
    band: i32,
    (ny, nx): (usize, usize),
) -> Result<Arc<Psf>, Failure> {
    match source {
        PsfSource::Fixed(psf) => Ok(Arc::clone(psf)),
        PsfSource::Function(function) => sample(function, band, (ny, nx)).map(Arc::new),
    }
}

/// Evaluates a host function at the corners, the middles of the sides and the centre.
fn sample(function: &PsfFunction, band: i32, (ny, nx): (usize, usize)) -> Result<Psf, Failure> {
    let description = function.description();
    let shape = (description.ny as usize, description.nx as usize);
    let mut kernels: Vec<Array2<f64>> = Vec::new();
    let mut positions: Vec<[f64; 2]> = Vec::new();
    for y in nodes(ny) {
        for x in nodes(nx) {
            let mut kernel = vec![0.0_f32; shape.0 * shape.1];
            function.eval(band, x, y, &mut kernel).map_err(|code| BoundaryError::Callback {
                what: "eval of the PSF",
                reason: format!("it returned {code} at x = {x}, y = {y}"),
            })?;
            if !kernel.iter().all(|v| v.is_finite()) {
                let reason = format!("values at x = {x}, y = {y} are not finite");
                return Err(BoundaryError::Callback { what: "eval of the PSF", reason }.into());
            }
            let kernel = kernel.into_iter().map(f64::from).collect();
            let kernel = Array2::from_shape_vec(shape, kernel);
            kernels.push(kernel.expect("because eval fills ny times nx values"));
            positions.push([x, y]);
        }
    }
    if kernels.windows(2).all(|pair| pair[0] == pair[1]) {
        kernels.truncate(1);
        positions = vec![[0.0; 2]];
    }
    let integrated = description.flags & PELLUCID_PSF_PIXEL_INTEGRATED != 0;
    Ok(Psf::grid(kernels, &positions, oversample(description.oversample)?, integrated)?)
}

/// First, middle and last pixel of an axis, as far as they differ.
fn nodes(n: usize) -> Vec<f64> {
    let last = n.saturating_sub(1) as f64;
    let mut nodes = vec![0.0, last / 2.0, last];
    nodes.dedup();
    nodes
}
