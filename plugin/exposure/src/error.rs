//! The one error type of this crate: a variant per cause, so that callers can match.

/// Why an exposure, a WCS, a PSF or a geometry was refused.
///
/// `index` is the array index `(y, x)`, 0-based; messages spell it out as x and y.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ExposureError {
    /// An array has the wrong shape.
    #[error("{what} has shape {got}, need {need}")]
    Shape {
        /// Which array.
        what: String,
        /// The shape it must have.
        need: String,
        /// The shape it has.
        got: String,
    },
    /// NaN or infinity where a number is needed.
    #[error("{what} is {value} at the unmasked pixel x = {}, y = {} (0-based); mask it or repair it", index.1, index.0)]
    NonFinite {
        /// Which array of which exposure.
        what: String,
        /// Array index (y, x).
        index: (usize, usize),
        /// The value found.
        value: f64,
    },
    /// A variance that is not positive at an unmasked pixel.
    #[error("variance of exposure {exposure} is {value} at the unmasked pixel x = {}, y = {} (0-based), need > 0; mask it or repair it", index.1, index.0)]
    NegativeVariance {
        /// Id of the exposure.
        exposure: String,
        /// Array index (y, x).
        index: (usize, usize),
        /// The value found.
        value: f64,
    },
    /// Every pixel is masked.
    #[error("exposure {exposure} has no unmasked pixel")]
    NoGoodPixels {
        /// Id of the exposure.
        exposure: String,
    },
    /// The WCS maps a pixel to a line or a point.
    #[error("the WCS of {what} is singular: determinant {determinant:e}; check CD, PC and CDELT")]
    SingularWcs {
        /// Which WCS.
        what: String,
        /// Determinant of the Jacobian (deg^2 per pixel^2 on the plane of projection).
        determinant: f64,
    },
    /// Any other fault of a WCS or its distortion tables.
    #[error("the WCS of {what} cannot be used: {reason}")]
    Wcs {
        /// Which WCS.
        what: String,
        /// What is wrong and, where known, what to do.
        reason: String,
    },
    /// A PSF that cannot be used.
    #[error("{what} cannot be used: {reason}")]
    Psf {
        /// Which PSF.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// A function supplied by the host failed.
    #[error("{what} returned code {code}")]
    Callback {
        /// Which function.
        what: String,
        /// The code it returned.
        code: i32,
    },
    /// No unmasked pixel of the exposure lies on the model grid.
    #[error(
        "no unmasked pixel of exposure {exposure} lies on the model grid; check its WCS and the grid's centre"
    )]
    NoOverlap {
        /// Id of the exposure.
        exposure: String,
    },
    /// A scalar out of its range.
    #[error("{what} is {got}, need {need}")]
    Value {
        /// Which parameter.
        what: String,
        /// Its range.
        need: String,
        /// The value found.
        got: String,
    },
}

impl ExposureError {
    pub(crate) fn shape(
        what: impl Into<String>,
        need: impl std::fmt::Debug,
        got: impl std::fmt::Debug,
    ) -> Self {
        Self::Shape { what: what.into(), need: format!("{need:?}"), got: format!("{got:?}") }
    }

    pub(crate) fn value(
        what: impl Into<String>,
        need: impl Into<String>,
        got: impl std::fmt::Display,
    ) -> Self {
        Self::Value { what: what.into(), need: need.into(), got: got.to_string() }
    }

    pub(crate) fn wcs(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Wcs { what: what.into(), reason: reason.into() }
    }
}
