//! The super slow forward model, straight from the definition: what everything else is tested with.

use ndarray::Array2;

use crate::{Exposure, ExposureError, FluxConvention, ModelGrid, Result, Wcs, wcs::pixel_area_sr};

/// y = A x on every data pixel, masked or not: no FFT, no matrix, no shared sampling code.
///
/// y(i) = mean over the pixel (or value at its centre, for a pixel-integrated PSF) of
/// sum_k K\[k\] (area x)(p - (k - centre) / s), p in detector pixels, x bilinear and 0 outside.
///
/// Shapes: `image` `[grid.ny, grid.nx]`; returns the exposure's shape. Units: x and y in flux per
/// data pixel.
///
/// # Errors
/// [`ExposureError::Shape`] for another image shape; the WCS's own.
pub fn apply_slow(
    exposure: &Exposure,
    grid: &ModelGrid,
    image: &Array2<f64>,
) -> Result<Array2<f64>> {
    grid.check()?;
    if image.dim() != (grid.ny, grid.nx) {
        return Err(ExposureError::shape("model image", (grid.ny, grid.nx), image.dim()));
    }
    let (ny, nx) = exposure.pixels.dim();
    let s = exposure.psf.oversample() as isize;
    let kernel = exposure.kernel();
    let (half_y, half_x) = (kernel.nrows() as isize / 2, kernel.ncols() as isize / 2);
    // Sub-pixels of data pixel i, as offsets from its centre in sub-pixels.
    let offsets: Vec<f64> = if exposure.psf.pixel_integrated() {
        vec![0.0]
    } else {
        (0..s).map(|k| k as f64 + 0.5 - 0.5 * s as f64).collect()
    };
    let [shift_x, shift_y] = exposure.psf.shift_subpx();
    let weight = 1.0 / (offsets.len() * offsets.len()) as f64;
    let mut predicted = Array2::zeros((ny, nx));
    for (offset_y, offset_x) in offsets.iter().flat_map(|&y| offsets.iter().map(move |&x| (y, x))) {
        // The lattice of points reached by this sub-pixel of every data pixel through the kernel.
        let xs = lattice(nx, s, half_x, offset_x + shift_x);
        let ys = lattice(ny, s, half_y, offset_y + shift_y);
        let seen = sky_seen(exposure, grid, image, &xs, &ys)?;
        for ((i, j), value) in predicted.indexed_iter_mut() {
            for ((ky, kx), k) in kernel.indexed_iter() {
                let y = i as isize * s + 2 * half_y - ky as isize;
                let x = j as isize * s + 2 * half_x - kx as isize;
                *value += weight * k * seen[[y as usize, x as usize]];
            }
        }
    }
    Ok(predicted)
}

/// Detector positions from `half` sub-pixels below the first data pixel to `half` above the last.
fn lattice(n: usize, s: isize, half: isize, offset_subpx: f64) -> Vec<f64> {
    let last = (n as isize - 1) * s + half;
    (-half..=last).map(|g| (g as f64 + offset_subpx) / s as f64).collect()
}

/// area x at the detector positions `ys` x `xs`.
fn sky_seen(
    exposure: &Exposure,
    grid: &ModelGrid,
    image: &Array2<f64>,
    xs: &[f64],
    ys: &[f64],
) -> Result<Array2<f64>> {
    let wcs = &*exposure.wcs;
    let reference = wcs.reference_px().unwrap_or_else(|| exposure.centre_px());
    let mut seen = Array2::zeros((ys.len(), xs.len()));
    for ((i, j), seen) in seen.indexed_iter_mut() {
        let at = [xs[j], ys[i]];
        let [x, y] = grid.sky_to_pixel(&wcs.pixel_to_sky(&[at])?)?[0];
        let (x0, y0) = (x.floor(), y.floor());
        for (row, wy) in [(y0, 1.0 - (y - y0)), (y0 + 1.0, y - y0)] {
            for (column, wx) in [(x0, 1.0 - (x - x0)), (x0 + 1.0, x - x0)] {
                let inside = row >= 0.0 && column >= 0.0;
                let sample = inside.then(|| image.get((row as usize, column as usize))).flatten();
                *seen += wy * wx * sample.copied().unwrap_or(0.0);
            }
        }
        if exposure.flux_convention == FluxConvention::PerPixel {
            let area = |at| pixel_area_sr(wcs, at, &exposure.id);
            *seen *= area(at)? / area(reference)?;
        }
    }
    Ok(seen)
}
