//! From FITS files to what a session takes: exposures, PSFs, noise correlations.

mod correlation;
mod edge_light;
mod exposure;
mod hash;
mod instrument;
mod psf;
mod psf_grid;
mod quality;
mod stamp;
mod tables;
mod units;

pub use correlation::NoiseCorrelation;
pub use edge_light::EdgeLight;
pub use exposure::{Chip, ExposureFile, ExposureOptions, Planes, SkyLevel};
pub use hash::{FileState, HashCache, file_state, sha256_bytes, sha256_file};
pub use instrument::InstrumentNames;
pub use psf::{PsfCentre, PsfImage, PsfOptions};
pub use psf_grid::{PsfFile, PsfGrid};
pub use quality::{default_bad_bits, no_value_bits};
pub use stamp::Stamp;
pub use units::to_electrons_per_second;
