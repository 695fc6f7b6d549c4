//! What can keep a page from being written.

use std::path::PathBuf;

use pellucid_host::HostError;

/// Why there is no page, or no picture in it.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file cannot be read or written, or is not a product.
    #[error("{0}")]
    Host(#[from] HostError),
    /// A log or a bench's result cannot be opened.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is neither a training log nor a bench's result.
    #[error("{path}, line {line}: {reason}; needed a training log (.log.jsonl) or a bench's JSON")]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The images of a product do not go together.
    #[error("{what}: needed {need}, got {got}")]
    Shape {
        /// Which image.
        what: String,
        /// The shape it must have.
        need: String,
        /// The shape it has.
        got: String,
    },
    /// A picture cannot be decoded or encoded.
    #[error("{what}: {reason}")]
    Picture {
        /// Which picture.
        what: String,
        /// Why.
        reason: String,
    },
}
