//! What went wrong with a target, and whether it may pass.
//!
//! | may pass: tried again after a pause | will not pass: quarantined at once |
//! |---|---|
//! | I/O errors other than those opposite (EIO, ESTALE, EINTR, ...) | a file that is missing or may not be read |
//! | out of memory, a device that is lost or full | FITS files cut short or damaged, missing header keywords |
//! | a full or read-only disk where products go | target on no chip, no overlap, a WCS that cannot be |
//! | a caught defect of the plugin | NaN, no good pixel, no noise estimate, unusable model |
//!
//! A quarantined target is left alone by later runs until the files it names (or whether they are there),
//! its settings or the versions change, or `--retry-quarantined` asks for it.

use std::io::ErrorKind;

use pellucid_host::{HostError, Status};

/// How long a fault lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// It may pass by itself.
    Passing,
    /// There is no room for products.
    NoSpace,
    /// It stays until somebody changes the input or its description.
    Permanent,
}

/// Why an attempt at a target failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The whole chain of the error.
    pub reason: String,
    /// Whether it may pass.
    pub lasting: Lasting,
}

impl Fault {
    /// Something wrong with the target itself.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), lasting: Lasting::Permanent }
    }

    /// Something that the next attempt may not meet.
    pub fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), lasting: Lasting::Passing }
    }

    /// A thread that panicked over a target: the night goes on without it.
    pub fn of_panic() -> Self {
        Self::passing("a defect of this program: it panicked, what it said is on standard error")
    }

    /// An error while reading inputs or sampling.
    pub fn of_input(error: &HostError) -> Self {
        let lasting = match error {
            HostError::Io { source, .. } => of_io(source.kind()),
            HostError::Plugin { .. } => match error.status() {
                Some(
                    Status::Memory
                    | Status::Device
                    | Status::Panic
                    | Status::State
                    | Status::Timeout
                    | Status::Other(_),
                ) => Lasting::Passing,
                _ => Lasting::Permanent,
            },
            HostError::Cancelled => Lasting::Passing,
            _ => Lasting::Permanent,
        };
        Self { reason: error.to_string(), lasting }
    }

    /// An error while writing a product: whatever it is, the target is not to blame.
    pub fn of_output(error: &HostError) -> Self {
        let full = matches!(error, HostError::Io { source, .. }
            if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded));
        let io = matches!(error, HostError::Io { .. } | HostError::Checksum { .. });
        match (full, io) {
            (true, _) => Self { reason: error.to_string(), lasting: Lasting::NoSpace },
            (_, true) => Self { reason: error.to_string(), lasting: Lasting::Passing },
            _ => Self::of_input(error),
        }
    }
}

fn of_io(kind: ErrorKind) -> Lasting {
    match kind {
        ErrorKind::NotFound
        | ErrorKind::PermissionDenied
        | ErrorKind::IsADirectory
        | ErrorKind::NotADirectory
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidFilename
        | ErrorKind::InvalidData
        | ErrorKind::UnexpectedEof => Lasting::Permanent,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Lasting::NoSpace,
        _ => Lasting::Passing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io(code: i32) -> HostError {
        HostError::Io {
            action: "write",
            path: "a.fits".into(),
            source: std::io::Error::from_raw_os_error(code),
        }
    }

    #[test]
    fn errors_are_told_apart() {
        let [missing, broken, forbidden, full] = [2, 5, 13, 28];
        let input = |code| Fault::of_input(&io(code)).lasting;
        assert_eq!(input(missing), Lasting::Permanent);
        assert_eq!(input(forbidden), Lasting::Permanent);
        assert_eq!(input(broken), Lasting::Passing);
        let output = |code| Fault::of_output(&io(code)).lasting;
        assert_eq!(output(full), Lasting::NoSpace);
        assert_eq!(output(forbidden), Lasting::Passing);
        let fits = HostError::Fits { at: "a.fits".into(), reason: "cut short".into() };
        assert_eq!(Fault::of_input(&fits).lasting, Lasting::Permanent);
    }
}
