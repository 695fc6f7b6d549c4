//! What the fuzzers run. Each target is a function of bytes that must neither panic nor hang nor take
//! memory without measure, whatever the bytes are; errors are what it is expected to end in.
//!
//! `cargo xtask fuzz` runs them under libFuzzer (`targets/`); `regressions.rs` runs each over the files of
//! `regressions/TARGET/`, inputs that once failed, in every run of the tests.

pub mod abi;
pub mod fits;
pub mod manifest;
#[cfg(feature = "torch")]
pub mod models;
pub mod mutate;
pub mod scratch;
pub mod seeds;
pub mod text;
pub mod wcs;
