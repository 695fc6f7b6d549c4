//! Everything that can go wrong in a host, as values that say what, where and what to do.

use std::path::PathBuf;

use pellucid_ffi as ffi;

/// Shorthand for this crate's results.
pub type Result<T, E = HostError> = std::result::Result<T, E>;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// No plugin file was found.
    #[error(
        "no Pellucid plugin found; looked for {}; name one with --plugin or PELLUCID_PLUGIN",
        list(tried)
    )]
    PluginNotFound {
        /// Every path that was looked at, in order.
        tried: Vec<PathBuf>,
    },
    /// The dynamic loader refused the plugin.
    #[error("cannot load the plugin {}: {reason}", path.display())]
    PluginLoad {
        /// The plugin file.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// The plugin and this host have no ABI level in common.
    #[error(
        "the plugin {} speaks ABI {} to {}, this host needs {need}; install a matching pair",
        path.display(), got[0], got[1]
    )]
    Abi {
        /// The plugin file.
        path: PathBuf,
        /// The level this host was built for.
        need: u32,
        /// The levels the plugin offers.
        got: [u32; 2],
    },
    /// The plugin lays out a struct otherwise than this host.
    #[error(
        "the plugin {} and this host disagree on a struct: needed {conflict}; install a matching pair",
        path.display()
    )]
    Layout {
        /// The plugin file.
        path: PathBuf,
        /// The field, where it was needed and where it is.
        conflict: String,
    },
    /// The plugin is older than a function this call needs.
    #[error("the plugin lacks `{slot}`, which this call needs; install a newer plugin")]
    MissingSlot {
        /// Slot or extension name.
        slot: &'static str,
    },
    /// The plugin reported an error.
    #[error("{message} ({name} in {call})")]
    Plugin {
        /// Status code of the ABI.
        code: i32,
        /// Its name, for instance `E_CONFIG`.
        name: String,
        /// The plugin's message, causes included.
        message: String,
        /// The ABI function that failed.
        call: &'static str,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A FITS file could not be read.
    #[error("{at}: {reason}")]
    Fits {
        /// File and HDU.
        at: String,
        /// What is wrong.
        reason: String,
    },
    /// A header keyword is missing or unusable.
    #[error("{at}: header keyword {key}: needed {need}, got {got}")]
    Keyword {
        /// File and HDU.
        at: String,
        /// The keyword.
        key: String,
        /// What it must be.
        need: String,
        /// What it is.
        got: String,
    },
    /// An array has the wrong shape.
    #[error("{what}: needed {need}, got {got}")]
    Shape {
        /// Which array.
        what: String,
        /// The shape it must have.
        need: String,
        /// The shape it has.
        got: String,
    },
    /// A number or option is out of range.
    #[error("{what}: needed {need}, got {got}")]
    Value {
        /// Which value.
        what: String,
        /// What it must be.
        need: String,
        /// What it is.
        got: String,
    },
    /// Options that do not go together, or do not say enough.
    #[error("{reason}")]
    Request {
        /// Which, and what to give.
        reason: String,
    },
    /// A product or another file does not hold what its checksums say.
    #[error("{at}: {reason}")]
    Checksum {
        /// File and HDU.
        at: String,
        /// Which sum is off.
        reason: String,
    },
    /// The target is not on any chip of an exposure.
    #[error(
        "{at}: ra {ra_deg:.6}, dec {dec_deg:.6} falls on none of its {chips} chip(s); \
         check --ra/--dec or leave this exposure out"
    )]
    OffChip {
        /// The exposure file.
        at: String,
        /// Target, ICRS degrees.
        ra_deg: f64,
        /// Target, ICRS degrees.
        dec_deg: f64,
        /// How many chips were asked.
        chips: usize,
    },
    /// The plugin answered with text that is not what the ABI promises.
    #[error("the plugin's {what} is not as documented: {reason}")]
    Answer {
        /// Which answer.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Not one sample of a job came out.
    #[error("all {count} samples failed; the first: {first}")]
    SamplesFailed {
        /// How many were asked for.
        count: usize,
        /// Why the first failed.
        first: String,
    },
    /// A job or a wait was cancelled by this host.
    #[error("cancelled")]
    Cancelled,
}

/// The plugin's status codes; new ones may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Bad argument or handle.
    Argument,
    /// A struct is too new for the plugin.
    Abi,
    /// Not in this state.
    State,
    /// Bad configuration or options.
    Config,
    /// Missing, damaged or unsuitable model.
    Model,
    /// Device absent or failing.
    Device,
    /// Out of memory, or more would be needed than there is.
    Memory,
    /// A callback of this host failed.
    Callback,
    /// The wait ran out of time.
    Timeout,
    /// Valid, but not possible with this plugin.
    Unsupported,
    /// Used in a forked child.
    Forked,
    /// NaN, infinity or no convergence.
    Numeric,
    /// A defect of the plugin, caught.
    Panic,
    /// A code that this host does not know.
    Other(i32),
}

impl From<i32> for Status {
    fn from(code: i32) -> Self {
        match code {
            ffi::PELLUCID_E_ARG => Self::Argument,
            ffi::PELLUCID_E_ABI => Self::Abi,
            ffi::PELLUCID_E_STATE => Self::State,
            ffi::PELLUCID_E_CONFIG => Self::Config,
            ffi::PELLUCID_E_MODEL => Self::Model,
            ffi::PELLUCID_E_DEVICE => Self::Device,
            ffi::PELLUCID_E_NOMEM => Self::Memory,
            ffi::PELLUCID_E_CALLBACK => Self::Callback,
            ffi::PELLUCID_E_TIMEOUT => Self::Timeout,
            ffi::PELLUCID_E_UNSUPPORTED => Self::Unsupported,
            ffi::PELLUCID_E_FORKED => Self::Forked,
            ffi::PELLUCID_E_NUMERIC => Self::Numeric,
            ffi::PELLUCID_E_PANIC => Self::Panic,
            code => Self::Other(code),
        }
    }
}

impl HostError {
    /// The code of an error that came from the plugin.
    pub fn plugin_code(&self) -> Option<i32> {
        match self {
            Self::Plugin { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// What kind of error the plugin reported, if it did.
    pub fn status(&self) -> Option<Status> {
        self.plugin_code().map(Status::from)
    }

    pub(crate) fn fits(at: impl ToString, reason: impl ToString) -> Self {
        Self::Fits { at: at.to_string(), reason: reason.to_string() }
    }

    pub(crate) fn value(what: impl ToString, need: impl ToString, got: impl ToString) -> Self {
        Self::Value { what: what.to_string(), need: need.to_string(), got: got.to_string() }
    }

    pub(crate) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}

fn list(paths: &[PathBuf]) -> String {
    let shown: Vec<_> = paths.iter().map(|p| p.display().to_string()).collect();
    shown.join(", ")
}
