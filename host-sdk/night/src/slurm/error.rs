//! What can go wrong between a night and Slurm.

use std::io;
use std::path::PathBuf;

/// Shorthand for this module's results.
pub type Result<T, E = SlurmError> = std::result::Result<T, E>;

/// An error of this module.
#[derive(Debug, thiserror::Error)]
pub enum SlurmError {
    /// A key of `[slurm]` cannot be used.
    #[error("[slurm] {key}: needed {need}, got {got}")]
    Config {
        /// The key.
        key: &'static str,
        /// What it must be.
        need: &'static str,
        /// What it is.
        got: String,
    },
    /// A path cannot be written into a batch script.
    #[error("{} cannot be used in a batch script: {reason}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// A file of the night's `slurm` folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `job.json` does not hold what this program writes there.
    #[error("{}: {reason}; remove it if no job of this night is queued", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A program of Slurm is not here.
    #[error("cannot start {program}: {source}; submit from a machine with Slurm's client programs")]
    NotInstalled {
        /// Which.
        program: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A program of Slurm failed.
    #[error("{program} failed ({status}): {said}")]
    Failed {
        /// Which.
        program: &'static str,
        /// How it ended.
        status: String,
        /// Its messages.
        said: String,
    },
    /// A program of Slurm answered with text of another form than was asked for.
    #[error("{program} answered with a line that was not understood: {line:?}")]
    Answer {
        /// Which.
        program: &'static str,
        /// The line.
        line: String,
    },
    /// The night is in Slurm's hands already.
    #[error(
        "job {job} of this night is not over ({tasks}); wait for it, cancel it with `scancel {job}`, \
         or submit beside it with --force; a task that has ended is started again with \
         `scontrol requeue {job}_TASK`"
    )]
    Busy {
        /// Its job id.
        job: u64,
        /// Its tasks that are queued or running, and how.
        tasks: String,
    },
    /// The array is submitted, the job that writes the report is not.
    #[error(
        "the night is submitted as job {job}, but not the job that writes its report: {reason}"
    )]
    Report {
        /// The array's job id.
        job: u64,
        /// Why not.
        reason: String,
    },
}

impl SlurmError {
    pub(super) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}
