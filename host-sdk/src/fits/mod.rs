//! FITS files: reading through cfitsio, writing with our own small writer.
//!
//! Reading needs cfitsio for what archives really hold (gzip, tile compression, scaled integers);
//! writing needs none of that, and [`FitsOutput`] gives what cfitsio does not: a file that appears
//! under its name only when it is complete.

mod address;
mod card;
mod checksum;
mod header;
mod input;
mod output;
mod raw;
mod tiles;
mod verify;

pub use address::{Extension, FitsAddress};
pub use card::{Card, Value};
pub use header::Header;
pub(crate) use input::regular;
pub use input::{FitsInput, Hdu, Region};
pub use output::{Column, ColumnValues, FitsOutput};
pub use verify::verify;
