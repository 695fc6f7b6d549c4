//! Why a night cannot run at all; what goes wrong with one target is a [`Fault`](crate::Fault).

use std::path::PathBuf;

use pellucid_host::HostError;

/// Shorthand for this crate's results.
pub type Result<T, E = NightError> = std::result::Result<T, E>;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum NightError {
    /// The manifest, or a table it names, cannot be used.
    #[error("{}: {reason}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Line or row, key, what is needed and what is there.
        reason: String,
    },
    /// Another run of this night is at work.
    #[error(
        "{} is held by another run of this night{}; wait for it, or stop it first",
        path.display(), if holder.is_empty() { String::new() } else { format!(" ({holder})") }
    )]
    Locked {
        /// The lock's file.
        path: PathBuf,
        /// Who holds it, as far as is known.
        holder: String,
    },
    /// The folder is another night's.
    #[error(
        "{} is the folder of the night {there:?}, this one is {name:?}: give it an output of its own, or its old name",
        path.display()
    )]
    OtherNight {
        /// The folder.
        path: PathBuf,
        /// The night that it belongs to.
        there: String,
        /// The night that asks for it.
        name: String,
    },
    /// A file or folder of the night cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A name after `--only` that no target has.
    #[error("--only {name}: the night has no such target")]
    NoSuchTarget {
        /// The name.
        name: String,
    },
    /// A shard that cannot be.
    #[error("--shard: needed K/N with 0 <= K < N, got {got}")]
    Shard {
        /// What was given.
        got: String,
    },
    /// Nothing can be written any more.
    #[error(
        "the night stops: {reason}; {left} target(s) are left: make room and run it again, what is done is kept"
    )]
    NoSpace {
        /// The error that remained after all attempts.
        reason: String,
        /// Targets that are not done.
        left: usize,
    },
    /// Ctrl-C or SIGTERM.
    #[error("stopped by a signal; {left} target(s) are left: run it again, what is done is kept")]
    Stopped {
        /// Targets that are not done.
        left: usize,
    },
    /// Plugin, models or products.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl NightError {
    pub(crate) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}
