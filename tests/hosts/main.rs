//! C programs, the header and the shared library as a linker sees it.

mod header;
mod layout;
mod library;
mod programs;
mod python;
