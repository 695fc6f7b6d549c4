//! Misuse of the interface, a variant per cause.

/// A call that the boundary refuses.
#[derive(Debug, thiserror::Error)]
pub enum BoundaryError {
    /// A required pointer is NULL.
    #[error("{what} is NULL")]
    Null {
        /// The argument.
        what: &'static str,
    },
    /// A pointer to a struct that cannot lie there.
    #[error("{what} is not aligned for its type")]
    Misaligned {
        /// The argument.
        what: &'static str,
    },
    /// Not a handle, or one that was released.
    #[error("{what} is not a live handle: it was released, or never was one")]
    NotLive {
        /// The kind that was expected.
        what: &'static str,
    },
    /// A live handle of another kind, or of another plugin.
    #[error("a {got} handle was given for {need}")]
    WrongKind {
        /// The kind that was expected.
        need: &'static str,
        /// The kind it is.
        got: &'static str,
    },
    /// Text that is not UTF-8.
    #[error("{what} is not UTF-8 from byte {at}")]
    Text {
        /// The argument.
        what: &'static str,
        /// Where it goes wrong.
        at: usize,
    },
    /// A number out of range.
    #[error("{what} is {got}, need {need}")]
    Range {
        /// The argument.
        what: &'static str,
        /// Its range.
        need: &'static str,
        /// The value.
        got: String,
    },
    /// An array of the wrong shape or size.
    #[error("{what} has shape {got:?}, need {need}")]
    Shape {
        /// The argument.
        what: &'static str,
        /// The shape it must have.
        need: String,
        /// The shape it has.
        got: Vec<i64>,
    },
    /// A `struct_size` below the first version's or beyond reason.
    #[error(
        "{what}: struct_size is {got}, need {need} or more; set it to sizeof and zero the rest"
    )]
    StructSize {
        /// The argument.
        what: &'static str,
        /// Size of the first version, bytes.
        need: usize,
        /// The size given.
        got: usize,
    },
    /// A newer struct with a field set that this plugin has never heard of.
    #[error("{what}: byte {at} belongs to a field this plugin is too old for; leave it zero")]
    UnknownField {
        /// The argument.
        what: &'static str,
        /// Offset of the first such byte.
        at: usize,
    },
    /// The object is not in the state the call needs.
    #[error("{what}: {reason}")]
    State {
        /// The object.
        what: &'static str,
        /// Why not now.
        reason: &'static str,
    },
    /// A callback called back.
    #[error("called from inside a callback; set a flag there and call after it returns")]
    InCallback,
    /// JSON that does not parse or does not fit.
    #[error("{what} is not valid")]
    Json {
        /// The argument.
        what: &'static str,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// A value of a known JSON key that cannot be used.
    #[error("{what}: {key} is {got}, need {need}")]
    Key {
        /// The argument.
        what: &'static str,
        /// The key.
        key: &'static str,
        /// Its values.
        need: &'static str,
        /// The value.
        got: String,
    },
    /// An allocation that fails.
    #[error("no memory for {what} ({bytes} bytes)")]
    Memory {
        /// What needs it.
        what: &'static str,
        /// How much.
        bytes: usize,
    },
    /// A host callback that failed.
    #[error("{what}: {reason}")]
    Callback {
        /// The callback.
        what: &'static str,
        /// Its return value, or what is wrong with its output.
        reason: String,
    },
    /// The job was cancelled.
    #[error("the job was cancelled")]
    Cancelled,
    /// A wait that ran out of time.
    #[error("the job is not finished after {waited_ms} ms; it goes on")]
    Timeout {
        /// How long the call waited.
        waited_ms: i64,
    },
    /// Valid, but not in this plugin.
    #[error("{what} is not supported: {reason}")]
    Unsupported {
        /// The feature.
        what: &'static str,
        /// What is.
        reason: String,
    },
    /// Used in a forked child.
    #[error("{}", FORKED.to_string_lossy())]
    Forked,
    /// A statistic of too few samples.
    #[error("{what} needs {need} samples that did not fail, there are {got}")]
    TooFewSamples {
        /// The statistic.
        what: &'static str,
        /// How many it needs.
        need: usize,
        /// How many there are.
        got: usize,
    },
    /// A caught panic.
    #[error("a defect of the plugin: {message}")]
    Panic {
        /// The panic's message and place.
        message: String,
    },
}

/// Message of [`BoundaryError::Forked`], also that of the error a child gets without allocation.
pub(crate) const FORKED: &std::ffi::CStr =
    c"this process was forked after pellucid was first used; load and use it in one process";
