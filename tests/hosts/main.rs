//! C and C++ programs, the headers and the shared library as a linker sees it.

mod cpp;
mod evolution;
mod header;
mod layout;
mod library;
#[cfg(not(feature = "torch"))]
mod memory;
mod programs;
mod python;
mod sdk;
