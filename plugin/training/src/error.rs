//! What can go wrong in the companion tools.

use std::path::PathBuf;

use pellucid_host::HostError;
use pellucid_posterior::PosteriorError;

/// A failure of a companion tool.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The shared engine refused something: a model file, a configuration, libtorch.
    #[error(transparent)]
    Posterior(#[from] PosteriorError),
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// An exposure cannot be read.
    #[error(transparent)]
    Host(#[from] HostError),
    /// An option, or an exposure as the options have it, is out of range.
    #[error("{what}: needed {need}, got {got}")]
    Value {
        /// The option or the exposure.
        what: String,
        /// What it must be.
        need: String,
        /// What it is.
        got: String,
    },
    /// Not one cutout could be kept.
    #[error(
        "no cutout kept: of {tried} positions tried, {count} {size}x{size} cutouts {reason}; {advice}"
    )]
    NothingKept {
        /// Rows and columns of a cutout.
        size: usize,
        /// Positions tried.
        tried: usize,
        /// Those that the commonest reason was against.
        count: usize,
        /// That reason.
        reason: &'static str,
        /// What to change.
        advice: &'static str,
    },
    /// A file is not a sound set of cutouts.
    #[error("cutouts {path}: {reason}", path = path.display())]
    CutoutSet {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A checkpoint belongs to another run.
    #[error("checkpoint {path}: {what} is {got}, this run has {need}; choose another --run folder", path = path.display())]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// The setting that differs.
        what: String,
        /// This run's value.
        need: String,
        /// The checkpoint's value.
        got: String,
    },
    /// The loss is no longer a number.
    #[error(
        "the loss is {loss} at step {step}: lower --learning-rate, or resume from the last checkpoint"
    )]
    Diverged {
        /// Step of the optimiser.
        step: u64,
        /// The loss.
        loss: f64,
    },
    /// A PNG cannot be encoded.
    #[error("{path}: {source}", path = path.display())]
    Png {
        /// The file.
        path: PathBuf,
        /// The encoder's reason.
        source: png::EncodingError,
    },
}

impl TrainingError {
    /// Attaches the path to an I/O error.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
