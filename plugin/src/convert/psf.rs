//! Point-spread functions.

use std::sync::Arc;

use ::pellucid_exposure::Psf;
use ndarray::{Array2, ArrayD, Axis};
use pellucid_ffi::*;

use super::{image, side, within};
use crate::boundary::BoundaryError;
use crate::boundary::array::reserve;
use crate::boundary::callback::PsfFunction;
use crate::limits::{MAX_ELEMENTS, MAX_OVERSAMPLE};
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

/// A PSF of an image at each node of a grid: `kernels` `[my, mx, ny, nx]`, `x` and `y` the columns and
/// rows of its nodes, pixels.
pub(crate) fn from_grid(
    kernels: &ArrayD<f64>,
    (x, y): (&[f64], &[f64]),
    oversampling: i32,
    flags: u32,
) -> Result<Arc<Psf>, Failure> {
    for (what, nodes) in [("x of the PSF's nodes", x), ("y of the PSF's nodes", y)] {
        let ascending = nodes.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || !nodes.iter().all(|node| node.is_finite()) {
            let need = "finite and ascending";
            return Err(BoundaryError::Range { what, need, got: format!("{nodes:?}") }.into());
        }
    }
    let (mut images, mut positions) = (Vec::new(), Vec::new());
    for (&y, row) in y.iter().zip(kernels.axis_iter(Axis(0))) {
        for (&x, kernel) in x.iter().zip(row.axis_iter(Axis(0))) {
            images.push(image(kernel.to_owned())?);
            positions.push([x, y]);
        }
    }
    let integrated = flags & PELLUCID_PSF_PIXEL_INTEGRATED != 0;
    Ok(Arc::new(Psf::grid(images, &positions, oversample(oversampling)?, integrated)?))
}

/// Checks the size of a host function's kernel, which is not allocated before an exposure asks.
pub(crate) fn size(ny: i32, nx: i32) -> Result<(), BoundaryError> {
    let (ny, nx) = (side(ny, "ny of the PSF")?, side(nx, "nx of the PSF")?);
    within(ny * nx, 1, MAX_ELEMENTS, "size of the PSF", "at most 2^28 samples")
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

/// Evaluates a host function at the middle of the exposure, where its kernel is taken
/// ([`::pellucid_exposure::Exposure::kernel`]).
fn sample(function: &PsfFunction, band: i32, (ny, nx): (usize, usize)) -> Result<Psf, Failure> {
    const WHAT: &str = "the PSF";
    let description = function.description();
    let shape = (description.ny as usize, description.nx as usize);
    let size = shape.0 * shape.1;
    let [x, y] = [nx, ny].map(|n| (n as f64 - 1.0) / 2.0);
    let mut kernel = reserve(size, WHAT)?;
    kernel.resize(size, 0.0_f32);
    let failed = |reason| BoundaryError::Callback { what: "eval of the PSF", reason };
    function
        .eval(band, x, y, &mut kernel)
        .map_err(|code| failed(format!("it returned {code} at x = {x}, y = {y}")))?;
    if !kernel.iter().all(|v| v.is_finite()) {
        return Err(failed(format!("values at x = {x}, y = {y} are not finite")).into());
    }
    let mut values = reserve(size, WHAT)?;
    values.extend(kernel.into_iter().map(f64::from));
    let kernel = Array2::from_shape_vec(shape, values);
    let kernel = kernel.expect("because eval fills ny times nx values");
    let integrated = description.flags & PELLUCID_PSF_PIXEL_INTEGRATED != 0;
    Ok(Psf::new(kernel, oversample(description.oversample)?, integrated)?)
}
