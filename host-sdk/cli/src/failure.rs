//! How a command ends.

use pellucid_host::HostError;
use pellucid_night::NightError;

/// A command that ran to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of it.
    Done,
    /// Some samples or checks failed.
    Partial,
}

/// Why a command did not.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Options that do not go together; clap catches the rest.
    #[error("{0}")]
    Usage(String),
    /// Something in the library or the plugin.
    #[error("{0}")]
    Host(HostError),
    /// A night that could not run.
    #[error("{0}")]
    Night(NightError),
    /// `doctor` found something.
    #[error("{0} check(s) failed")]
    Checks(usize),
    /// Ctrl-C.
    #[error("cancelled; nothing was written")]
    Cancelled,
}

impl Failure {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Host(_) | Self::Night(_) | Self::Checks(_) | Self::Cancelled => 1,
        }
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Cancelled => Self::Cancelled,
            HostError::Request { reason } => Self::Usage(reason),
            error => Self::Host(error),
        }
    }
}

/// A command's result.
pub type Run = Result<Outcome, Failure>;
