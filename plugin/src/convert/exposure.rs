//! Exposures.

use std::sync::Arc;

use ::pellucid_exposure::{Exposure, FluxConvention, NoiseCorrelation, Wcs};
use ndarray::{Array2, ArrayD};
use pellucid_ffi::*;

use super::psf::{self, PsfSource};
use super::{image, within};
use crate::boundary::BoundaryError;
use crate::status::Failure;

/// The arrays and objects of an exposure.
pub(crate) struct Parts<'a> {
    pub(crate) sci: ArrayD<f64>,
    pub(crate) err: ArrayD<f64>,
    pub(crate) dq: Option<ArrayD<u32>>,
    pub(crate) correlation: Option<ArrayD<f64>>,
    pub(crate) wcs: Arc<dyn Wcs>,
    pub(crate) psf: &'a PsfSource,
}

/// A validated exposure.
pub(crate) fn build(
    id: &str,
    desc: &pellucid_exposure_desc,
    parts: Parts<'_>,
) -> Result<Exposure, Failure> {
    if desc.band != 0 {
        let reason = format!("band is {}, only band 0 exists", desc.band);
        return Err(BoundaryError::Unsupported { what: "more than one band", reason }.into());
    }
    let gain = if desc.gain == 0.0 { 1.0 } else { desc.gain };
    within(gain, f64::MIN_POSITIVE, f64::MAX, "gain", "positive and finite, or 0 for 1")?;
    within(desc.zero_point, f64::MIN, f64::MAX, "zero_point", "a finite number")?;
    let convention = match desc.flux_convention {
        PELLUCID_SURFACE_BRIGHTNESS => FluxConvention::SurfaceBrightness,
        PELLUCID_PER_PIXEL => FluxConvention::PerPixel,
        other => {
            let need = "PELLUCID_SURFACE_BRIGHTNESS or PELLUCID_PER_PIXEL";
            let what = "flux_convention";
            return Err(BoundaryError::Range { what, need, got: other.to_string() }.into());
        }
    };
    let sci = image(parts.sci)? * gain;
    let mut variance = variance(image(parts.err)?, desc.err_kind)?;
    let mut good = match parts.dq {
        None => Array2::from_elem(sci.dim(), true),
        Some(dq) => {
            let mask = if desc.dq_bad_mask == 0 { u32::MAX } else { desc.dq_bad_mask };
            image(dq)?.mapv(|bits| bits & mask == 0)
        }
    };
    if desc.err_kind == PELLUCID_ERR_INVERSE_VARIANCE && good.dim() == variance.dim() {
        good.zip_mut_with(&variance, |good, &v| *good &= v != f64::INFINITY);
    }
    variance *= gain * gain;
    let psf = psf::of_exposure(parts.psf, desc.band, sci.dim())?;
    let mut exposure =
        Exposure::new(id, sci, variance, good, parts.wcs, psf)?.with_flux_convention(convention);
    if let Some(correlation) = parts.correlation {
        let correlation = NoiseCorrelation::new(image(correlation)?)?;
        exposure = exposure.with_noise_correlation(Arc::new(correlation));
    }
    Ok(exposure)
}

/// Variance of an uncertainty; signs survive, so that a negative one is found and named.
fn variance(err: Array2<f64>, kind: i32) -> Result<Array2<f64>, BoundaryError> {
    match kind {
        PELLUCID_ERR_SIGMA => Ok(err.mapv_into(|sigma| sigma * sigma.abs())),
        PELLUCID_ERR_VARIANCE => Ok(err),
        // 0, "no information", becomes +infinity, which `build` masks.
        PELLUCID_ERR_INVERSE_VARIANCE => {
            Ok(err.mapv_into(|ivar| if ivar == 0.0 { f64::INFINITY } else { 1.0 / ivar }))
        }
        other => Err(BoundaryError::Range {
            what: "err_kind",
            need: "PELLUCID_ERR_SIGMA, _VARIANCE or _INVERSE_VARIANCE",
            got: other.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn uncertainties_become_variances() {
        let of = |value, kind| variance(array![[value]], kind).unwrap()[[0, 0]];
        assert_eq!(of(3.0, PELLUCID_ERR_SIGMA), 9.0);
        assert_eq!(of(-3.0, PELLUCID_ERR_SIGMA), -9.0);
        assert_eq!(of(3.0, PELLUCID_ERR_VARIANCE), 3.0);
        assert_eq!(of(4.0, PELLUCID_ERR_INVERSE_VARIANCE), 0.25);
        assert_eq!(of(-0.0, PELLUCID_ERR_INVERSE_VARIANCE), f64::INFINITY);
        assert!(variance(array![[1.0]], 0).is_err());
    }
}
