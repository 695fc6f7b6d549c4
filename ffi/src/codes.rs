//! The integer constants of the header.

/// Breaking level of the interface.
pub const PELLUCID_ABI: u32 = 1;
/// Additions since the breaking level.
pub const PELLUCID_ABI_MINOR: u32 = 1;
/// File name to open.
pub const PELLUCID_SONAME: &str = "libpellucid.so.1";
/// Name of the entry symbol, NUL terminated.
pub const PELLUCID_GET_API: &[u8] = b"pellucid_get_api\0";
/// Name of the prediction extension.
pub const PELLUCID_EXT_PREDICT: &str = "org.pellucid.predict/1";

/// Result of a call.
pub type pellucid_status = i32;

macro_rules! constants {
    ($kind:ty; $($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        $($(#[$doc])* pub const $name: $kind = $value;)*
    };
}

constants! { pellucid_status;
    /// Success.
    PELLUCID_OK = 0;
    /// Bad argument or handle.
    PELLUCID_E_ARG = 1;
    /// Unknown `struct_size` or field.
    PELLUCID_E_ABI = 2;
    /// Not in this state.
    PELLUCID_E_STATE = 3;
    /// Bad configuration or options.
    PELLUCID_E_CONFIG = 4;
    /// Missing, damaged or unsuitable model.
    PELLUCID_E_MODEL = 5;
    /// Device absent or failing.
    PELLUCID_E_DEVICE = 6;
    /// Out of memory.
    PELLUCID_E_NOMEM = 7;
    /// A host callback failed.
    PELLUCID_E_CALLBACK = 8;
    /// The job was cancelled.
    PELLUCID_E_CANCELLED = 9;
    /// The wait ran out of time.
    PELLUCID_E_TIMEOUT = 10;
    /// Valid but not possible with this plugin.
    PELLUCID_E_UNSUPPORTED = 11;
    /// Used in a forked child.
    PELLUCID_E_FORKED = 12;
    /// NaN, infinity or no convergence.
    PELLUCID_E_NUMERIC = 13;
    /// A caught defect.
    PELLUCID_E_PANIC = 99;
}

constants! { i32;
    /// Element type: f32.
    PELLUCID_F32 = 1;
    /// Element type: f64.
    PELLUCID_F64 = 2;
    /// Element type: u8.
    PELLUCID_U8 = 3;
    /// Element type: i32.
    PELLUCID_I32 = 4;
    /// Element type: u32.
    PELLUCID_U32 = 5;
    /// Job state: waiting.
    PELLUCID_JOB_QUEUED = 0;
    /// Job state: at work.
    PELLUCID_JOB_RUNNING = 1;
    /// Job state: finished.
    PELLUCID_JOB_DONE = 2;
    /// Job state: failed.
    PELLUCID_JOB_FAILED = 3;
    /// Job state: cancelled.
    PELLUCID_JOB_CANCELLED = 4;
    /// `err` is a standard deviation.
    PELLUCID_ERR_SIGMA = 1;
    /// `err` is a variance.
    PELLUCID_ERR_VARIANCE = 2;
    /// `err` is an inverse variance.
    PELLUCID_ERR_INVERSE_VARIANCE = 3;
    /// A constant sky is a constant image.
    PELLUCID_SURFACE_BRIGHTNESS = 0;
    /// Multiplied by the pixel area map.
    PELLUCID_PER_PIXEL = 1;
    /// Table added beside SIP.
    PELLUCID_NPOL = 1;
    /// Table added to the raw pixel position.
    PELLUCID_D2IM = 2;
    /// Log level: error.
    PELLUCID_LOG_ERROR = 1;
    /// Log level: warning.
    PELLUCID_LOG_WARN = 2;
    /// Log level: information.
    PELLUCID_LOG_INFO = 3;
    /// Log level: debugging.
    PELLUCID_LOG_DEBUG = 4;
    /// Log level: trace.
    PELLUCID_LOG_TRACE = 5;
    /// Device kind: CPU.
    PELLUCID_DEVICE_CPU = 1;
    /// Device kind: CUDA.
    PELLUCID_DEVICE_CUDA = 2;
}

constants! { u32;
    /// The receiver must not write through `data`.
    PELLUCID_ARRAY_READ_ONLY = 1;
    /// `log` may be called at once, on any thread.
    PELLUCID_HOST_LOG_ANY_THREAD = 1;
    /// The WCS functions may be called by any thread at any time.
    PELLUCID_WCS_REENTRANT = 1;
    /// The kernel includes the detector pixel.
    PELLUCID_PSF_PIXEL_INTEGRATED = 1;
}
