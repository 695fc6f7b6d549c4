//! HST's residual-distortion tables: D2IMARR (detector columns) and WCSDVARR (NPOL).

use ndarray::Array2;

use crate::{ExposureError, Result};

/// What a table corrects, and which pixel axis: 0 = x, 1 = y.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// Detector to image (D2IMARR), applied first.
    D2im {
        /// 0 = x, 1 = y.
        axis: usize,
    },
    /// Non-polynomial residual (WCSDVARR, CPDISj = 'Lookup'), added to the SIP correction.
    Npol {
        /// 0 = x, 1 = y.
        axis: usize,
    },
}

/// A distortion table as its FITS extension has it.
///
/// The correction at a 1-based pixel p is the bilinear value at the 1-based table position
/// `crpix + (p - crval) / cdelt`, held constant beyond the table's edge. This is what astropy does.
#[derive(Debug, Clone, PartialEq)]
pub struct LookupTable {
    /// What is corrected.
    pub kind: TableKind,
    /// Corrections in pixels, `[y, x]`: the extension's image. Where the header says DPj.AXIS.1 = 2
    /// (or D2IMj.AXIS.1 = 2), transposed.
    pub values: Array2<f64>,
    /// CRPIX1, CRPIX2 of the extension (1-based table pixel).
    pub crpix: [f64; 2],
    /// CRVAL1, CRVAL2: the image pixel (1-based) at `crpix`.
    pub crval: [f64; 2],
    /// CDELT1, CDELT2: image pixels per table pixel.
    pub cdelt: [f64; 2],
}

impl LookupTable {
    /// Check the table; `what` names the WCS in errors.
    pub(crate) fn check(&self, what: &str) -> Result<()> {
        let (TableKind::D2im { axis } | TableKind::Npol { axis }) = self.kind;
        if axis > 1 {
            return Err(ExposureError::value(format!("axis of a table of {what}"), "0 or 1", axis));
        }
        if self.values.is_empty() {
            return Err(ExposureError::wcs(what, format!("{:?} table is empty", self.kind)));
        }
        if let Some((index, &value)) = self.values.indexed_iter().find(|(_, v)| !v.is_finite()) {
            let what = format!("{:?} table of {what}", self.kind);
            return Err(ExposureError::NonFinite { what, index, value });
        }
        let scales = self.crpix.iter().chain(&self.crval).chain(&self.cdelt);
        if !scales.copied().all(f64::is_finite) || self.cdelt.contains(&0.0) {
            let reason =
                format!("{:?} table: CRPIX, CRVAL, CDELT must be finite, CDELT not 0", self.kind);
            return Err(ExposureError::wcs(what, reason));
        }
        Ok(())
    }

    /// Correction in pixels at a 1-based pixel `[x, y]`.
    pub(crate) fn at(&self, pixel: [f64; 2]) -> f64 {
        let (ny, nx) = self.values.dim();
        let locate = |axis: usize, n: usize| {
            let at = self.crpix[axis] + (pixel[axis] - self.crval[axis]) / self.cdelt[axis] - 1.0;
            let at = at.clamp(0.0, (n - 1) as f64);
            let low = (at as usize).min(n.saturating_sub(2));
            (low, (low + 1).min(n - 1), at - low as f64)
        };
        let ((x0, x1, fx), (y0, y1, fy)) = (locate(0, nx), locate(1, ny));
        let v = &self.values;
        (v[[y0, x0]] * (1.0 - fx) + v[[y0, x1]] * fx) * (1.0 - fy)
            + (v[[y1, x0]] * (1.0 - fx) + v[[y1, x1]] * fx) * fy
    }
}
