//! C programs, the header and the shared library as a linker sees it.

mod evolution;
mod header;
mod layout;
mod library;
mod programs;
