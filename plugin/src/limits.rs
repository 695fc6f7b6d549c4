//! Every limit of the boundary: what is larger is a mistake of the caller, not a job.

/// Longest side of an image, pixels.
pub const MAX_SIDE: usize = 32_768;
/// Most elements of one inbound array (2 GiB as f64).
pub const MAX_ELEMENTS: usize = 1 << 28;
/// Largest `struct_size` taken for one.
pub const MAX_STRUCT: usize = 4096;
/// Most nodes at which a WCS function is sampled: 4096 by 4096.
pub const MAX_NODES: usize = 1 << 24;
/// Most exposures of one job.
pub const MAX_EXPOSURES: usize = 4096;
/// Most samples of one job.
pub const MAX_SAMPLES: i32 = 1_000_000;
/// Longest FITS header, bytes.
pub const MAX_HEADER: usize = 1 << 24;
/// Most distortion tables of one WCS.
pub const MAX_TABLES: usize = 16;
/// Most percentiles of one call.
pub const MAX_PERCENTILES: usize = 1024;
/// Highest PSF oversampling.
pub const MAX_OVERSAMPLE: i32 = 32;
/// Log messages an engine keeps for its host.
pub const MAX_LOG_QUEUE: usize = 1024;
