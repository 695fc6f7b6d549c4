//! What can go wrong in the companion tools.

use std::path::PathBuf;

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
