//! What can go wrong: each variant says what, where and what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Every failure of an xtask command.
#[derive(Debug)]
pub(crate) enum Error {
    /// The command line makes no sense; exit code 2.
    Usage(String),
    /// A file operation failed.
    Io { what: &'static str, path: PathBuf, source: io::Error },
    /// A program could not be started.
    Spawn { program: String, source: io::Error },
    /// A program ran and failed.
    Failed { command: String, status: String },
    /// A program printed something this one cannot read.
    Output { command: String, need: &'static str },
    /// System packages are missing and this user cannot install them.
    Packages { command: String },
    /// The environment does not allow a set-up step.
    Environment(String),
    /// A downloaded file is not the published one.
    Checksum { path: PathBuf, need: String, got: String },
    /// A wheel does not hold what libtorch needs.
    Wheel { path: PathBuf, what: String },
    /// `LIBTORCH` points at something else than the libtorch that tch was written for.
    Version { path: PathBuf, need: &'static str, got: String },
    /// The cached libtorch has changed since it was unpacked.
    Damaged { path: PathBuf, what: String },
    /// A rule of the repository is broken; one line each.
    Rules { rule: &'static str, broken: Vec<String> },
}

impl Error {
    /// An adapter for `map_err` on file operations.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, path: path.to_owned(), source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) | Self::Environment(what) => f.write_str(what),
            Self::Io { what, path, source } => {
                write!(f, "cannot {what} {}: {source}", path.display())
            }
            Self::Spawn { program, source } => write!(f, "cannot start {program}: {source}"),
            Self::Failed { command, status } => write!(f, "failed ({status}): {command}"),
            Self::Output { command, need } => write!(f, "no {need} in the output of: {command}"),
            Self::Packages { command } => {
                write!(
                    f,
                    "system packages are missing; install them, then run this again:\n  {command}"
                )
            }
            Self::Checksum { path, need, got } => write!(
                f,
                "{} is not the published file: sha256 {got}, need {need}; run set-up again",
                path.display()
            ),
            Self::Version { path, need, got } => write!(
                f,
                "LIBTORCH={}: version {got}, need {need}; point LIBTORCH at that version or unset it",
                path.display()
            ),
            Self::Wheel { path, what } | Self::Damaged { path, what } => {
                write!(f, "{}: {what}", path.display())
            }
            Self::Rules { rule, broken } => {
                write!(f, "{rule}:")?;
                broken.iter().try_for_each(|line| write!(f, "\n  {line}"))
            }
        }
    }
}

impl std::error::Error for Error {}
