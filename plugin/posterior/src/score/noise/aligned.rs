//! A A^T of a telescope that is known by its PSF and pixel scales alone.

use std::sync::Arc;

use ndarray::Array2;
use pellucid_exposure::{Exposure, ModelGrid, Psf};

use super::stationary::Autocovariance;
use crate::error::PosteriorError;

/// Pixels of the exposure beyond the lags asked for.
const MARGIN: usize = 8;

/// A A^T as [`Autocovariance::forward`] has it, for an exposure without distortion whose axes are the model's.
///
/// `scales_arcsec`: pixel scale of the exposure, of the model. Lags to `half` exposure pixels.
///
/// # Errors
/// [`PosteriorError::Config`] for pixel scales that are not positive or differ by orders of magnitude.
pub fn aligned(
    psf: Arc<Psf>,
    scales_arcsec: [f64; 2],
    half: usize,
) -> Result<Autocovariance, PosteriorError> {
    let [data, model] = scales_arcsec;
    let reach = psf.half_size_subpx().into_iter().max().unwrap_or(0) / psf.oversample() + 2;
    let pixels = 2 * half + 1 + MARGIN;
    let grid = |side: usize, scale: f64| ModelGrid::new(side, side, 0.0, 0.0, scale);
    // The model reaches as far as light of any of the central pixels may come from.
    let side = (2 * reach + MARGIN) as f64 * data / model;
    if !(data > 0.0 && model > 0.0 && side < 4096.0) {
        let need = "two positive scales of like size";
        return Err(PosteriorError::config(
            "pixel scales, arcsec",
            need,
            format!("{data} and {model}"),
        ));
    }
    let (sky, frame) = (grid(side.ceil() as usize, model)?, grid(pixels, data)?);
    let shape = (pixels, pixels);
    let exposure = Exposure::new(
        "aligned",
        Array2::zeros(shape),
        Array2::ones(shape),
        Array2::from_elem(shape, true),
        Arc::new(frame),
        psf,
    )?;
    Autocovariance::forward(&Arc::new(exposure), &sky, half)
}
