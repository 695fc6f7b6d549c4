//! Everything that can go wrong in this crate, one variant per cause.

use pellucid_exposure::ExposureError;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A failure of the posterior sampler. The Display text says what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum PosteriorError {
    /// An exposure, its WCS or its PSF is unusable.
    #[error(transparent)]
    Exposure(#[from] ExposureError),
    /// An array has another shape than the operation needs.
    #[error("{what}: need shape {need}, got {got}")]
    Shape {
        /// The array.
        what: String,
        /// The shape needed.
        need: String,
        /// The shape given.
        got: String,
    },
    /// A configuration or option value is unknown or out of range.
    #[error("{what}: need {need}, got {got}")]
    Config {
        /// The option.
        what: String,
        /// What is allowed.
        need: String,
        /// The value given.
        got: String,
    },
    /// A tensor of a model is missing, has the wrong shape or holds no numbers.
    #[error("tensor {name}: need {need}, got {got}")]
    Weights {
        /// Name in the model file.
        name: String,
        /// What is needed.
        need: String,
        /// What was found.
        got: String,
    },
    /// A request that this version knows of and cannot serve.
    #[error("{what} is not supported by this version")]
    Unsupported {
        /// The request.
        what: String,
    },
    /// A model file is missing, damaged or unfit for the job.
    #[error("model {path}: {reason}", path = path.display())]
    Model {
        /// The file, or the name that was looked up.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A device cannot be used.
    #[error("device {device}: {reason}")]
    Device {
        /// The device as configured.
        device: String,
        /// What is wrong.
        reason: String,
    },
    /// A computation left the finite numbers or a matrix is not positive definite.
    #[error("{what}: {reason}")]
    Numeric {
        /// The computation.
        what: String,
        /// What happened.
        reason: String,
    },
    /// The machine has less memory than a job or a prediction would need.
    #[error("this needs about {need} bytes of memory, the machine has {have}")]
    Memory {
        /// Estimated need, bytes.
        need: u64,
        /// Main memory, bytes.
        have: u64,
    },
    /// The queue holds as many waiting jobs as it may.
    #[error("the queue is full: {capacity} jobs are waiting")]
    QueueFull {
        /// `EngineConfig::queue_capacity`.
        capacity: usize,
    },
    /// The job has no result yet.
    #[error("the job is {state}: it has no result yet")]
    NotReady {
        /// The state of the job.
        state: &'static str,
    },
    /// A wait ended before the job did.
    #[error("the job did not end within {waited:?}")]
    Timeout {
        /// How long was waited.
        waited: Duration,
    },
    /// The job was cancelled.
    #[error("the job was cancelled")]
    Cancelled,
    /// A worker panicked over this job; the worker goes on with others.
    #[error("internal error in {what}: {message}")]
    Panic {
        /// What the worker was doing.
        what: &'static str,
        /// The panic's message.
        message: String,
    },
    /// The error of a job, shared by everyone who asks for its result.
    #[error(transparent)]
    Shared(Arc<PosteriorError>),
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl PosteriorError {
    /// A [`PosteriorError::Config`] in the words "need ..., got ...".
    pub fn config(
        what: impl Into<String>,
        need: impl std::fmt::Display,
        got: impl std::fmt::Display,
    ) -> Self {
        Self::Config { what: what.into(), need: need.to_string(), got: got.to_string() }
    }
}
