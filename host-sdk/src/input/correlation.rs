//! Noise correlation between pixels, read from an image.

use std::path::PathBuf;

use ndarray::Array2;

use super::hash::sha256_file;
use crate::error::{HostError, Result};
use crate::fits::{FitsAddress, FitsInput};

/// A stationary noise correlation.
#[derive(Debug, Clone)]
pub struct NoiseCorrelation {
    /// Where it came from.
    pub path: PathBuf,
    /// SHA-256 of that file.
    pub sha256: String,
    /// Correlation by offset, [dy, dx], odd x odd, 1 at the centre.
    pub correlation: Array2<f64>,
    /// The noise rms of the images it describes, in their unit, if the file holds a covariance:
    /// square root of its centre. `None` if the centre is 1, a correlation.
    pub sigma: Option<f64>,
}

impl NoiseCorrelation {
    /// Reads an odd x odd correlation or covariance, zero offset in the middle.
    ///
    /// # Errors
    /// [`HostError::Shape`] if a side is even, [`HostError::Value`] if the centre is not the
    /// largest value, positive and finite.
    pub fn read(address: &FitsAddress) -> Result<Self> {
        let mut file = FitsInput::open(&address.path)?;
        let hdu = file.image_hdu(address.extension.as_ref())?;
        let (index, at) = (hdu.index, file.at(hdu));
        let image = file.image_2d(index)?;
        let (ny, nx) = image.dim();
        if ny % 2 == 0 || nx % 2 == 0 {
            return Err(HostError::Shape {
                what: format!("{at}: noise correlation"),
                need: "an odd number of rows and columns, zero offset in the middle".into(),
                got: format!("{nx} x {ny}"),
            });
        }
        let centre = image[[ny / 2, nx / 2]];
        let largest = image.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let sound = image.iter().all(|v| v.is_finite()) && centre > 0.0 && centre >= largest;
        if !sound {
            return Err(HostError::value(
                format!("{at}: noise correlation at zero offset"),
                "positive, and no smaller than any other value",
                format!("{centre:e}, largest {largest:e}"),
            ));
        }
        Ok(Self {
            sha256: sha256_file(&address.path)?,
            path: address.path.clone(),
            correlation: image / centre,
            sigma: ((centre - 1.0).abs() > 1e-6).then(|| centre.sqrt()),
        })
    }
}
