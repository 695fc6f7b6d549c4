//! From every error to its status code. No match here has a `_` arm: a new error does not compile
//! until it has a code.

use std::error::Error;

use ::pellucid_exposure::ExposureError;
use pellucid_ffi::*;

use crate::boundary::BoundaryError;

/// An error type that knows the status code of each variant.
pub trait Coded: Error {
    /// One of `PELLUCID_E_*`.
    fn code(&self) -> pellucid_status;
}

/// What a slot reports: a code and the whole chain of causes, outermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One of `PELLUCID_E_*`.
    pub code: pellucid_status,
    /// The messages of the error and its sources.
    pub chain: Vec<String>,
}

impl<E: Coded> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut chain = vec![error.to_string()];
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Some error types repeat their source in their own message.
            if chain.last().is_some_and(|last| !last.ends_with(&text)) {
                chain.push(text);
            }
            source = cause.source();
        }
        Self { code: error.code(), chain }
    }
}

impl Failure {
    /// The same failure, told in the context of a larger one.
    #[must_use]
    pub fn within(mut self, context: impl Into<String>) -> Self {
        self.chain.insert(0, context.into());
        self
    }
}

impl Coded for BoundaryError {
    fn code(&self) -> pellucid_status {
        match self {
            Self::Null { .. }
            | Self::Misaligned { .. }
            | Self::NotLive { .. }
            | Self::WrongKind { .. }
            | Self::Text { .. }
            | Self::Range { .. }
            | Self::Shape { .. } => PELLUCID_E_ARG,
            Self::StructSize { .. } | Self::UnknownField { .. } => PELLUCID_E_ABI,
            Self::State { .. } | Self::InCallback => PELLUCID_E_STATE,
            Self::Json { .. } | Self::Key { .. } => PELLUCID_E_CONFIG,
            Self::Memory { .. } => PELLUCID_E_NOMEM,
            Self::Callback { .. } => PELLUCID_E_CALLBACK,
            Self::Cancelled => PELLUCID_E_CANCELLED,
            Self::Timeout { .. } => PELLUCID_E_TIMEOUT,
            Self::Unsupported { .. } => PELLUCID_E_UNSUPPORTED,
            Self::Forked => PELLUCID_E_FORKED,
            Self::TooFewSamples { .. } => PELLUCID_E_NUMERIC,
            Self::Panic { .. } => PELLUCID_E_PANIC,
        }
    }
}

impl Coded for ExposureError {
    fn code(&self) -> pellucid_status {
        match self {
            Self::Shape { .. }
            | Self::NonFinite { .. }
            | Self::NegativeVariance { .. }
            | Self::NoGoodPixels { .. }
            | Self::SingularWcs { .. }
            | Self::Wcs { .. }
            | Self::Psf { .. }
            | Self::NoOverlap { .. }
            | Self::Value { .. } => PELLUCID_E_ARG,
            Self::Callback { .. } => PELLUCID_E_CALLBACK,
        }
    }
}

#[cfg(feature = "torch")]
impl Coded for pellucid_posterior::PosteriorError {
    fn code(&self) -> pellucid_status {
        match self {
            Self::Exposure(error) => error.code(),
            Self::Shared(error) => error.code(),
            Self::Shape { .. } => PELLUCID_E_ARG,
            Self::Config { .. } => PELLUCID_E_CONFIG,
            Self::Weights { .. } | Self::Model { .. } | Self::Io { .. } => PELLUCID_E_MODEL,
            Self::Unsupported { .. } => PELLUCID_E_UNSUPPORTED,
            Self::Device { .. } | Self::Torch(_) => PELLUCID_E_DEVICE,
            Self::Memory { .. } => PELLUCID_E_NOMEM,
            Self::Numeric { .. } => PELLUCID_E_NUMERIC,
            Self::QueueFull { .. } | Self::NotReady { .. } => PELLUCID_E_STATE,
            Self::Timeout { .. } => PELLUCID_E_TIMEOUT,
            Self::Cancelled => PELLUCID_E_CANCELLED,
            Self::Panic { .. } => PELLUCID_E_PANIC,
        }
    }
}

/// The name of a status code, as C text.
#[must_use]
pub fn name(status: pellucid_status) -> &'static std::ffi::CStr {
    match status {
        PELLUCID_OK => c"PELLUCID_OK",
        PELLUCID_E_ARG => c"PELLUCID_E_ARG",
        PELLUCID_E_ABI => c"PELLUCID_E_ABI",
        PELLUCID_E_STATE => c"PELLUCID_E_STATE",
        PELLUCID_E_CONFIG => c"PELLUCID_E_CONFIG",
        PELLUCID_E_MODEL => c"PELLUCID_E_MODEL",
        PELLUCID_E_DEVICE => c"PELLUCID_E_DEVICE",
        PELLUCID_E_NOMEM => c"PELLUCID_E_NOMEM",
        PELLUCID_E_CALLBACK => c"PELLUCID_E_CALLBACK",
        PELLUCID_E_CANCELLED => c"PELLUCID_E_CANCELLED",
        PELLUCID_E_TIMEOUT => c"PELLUCID_E_TIMEOUT",
        PELLUCID_E_UNSUPPORTED => c"PELLUCID_E_UNSUPPORTED",
        PELLUCID_E_FORKED => c"PELLUCID_E_FORKED",
        PELLUCID_E_NUMERIC => c"PELLUCID_E_NUMERIC",
        PELLUCID_E_PANIC => c"PELLUCID_E_PANIC",
        _ => c"PELLUCID_E_?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_the_chain_once() {
        let source = serde_json::from_str::<u8>("x").expect_err("x is no number");
        let failure = Failure::from(BoundaryError::Json { what: "config_json", source });
        assert_eq!(failure.code, PELLUCID_E_CONFIG);
        assert_eq!(failure.chain.len(), 2);
        assert_eq!(failure.within("engine").chain[0], "engine");
    }
}
