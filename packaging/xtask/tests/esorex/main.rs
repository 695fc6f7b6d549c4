//! The EsoRex recipe as EsoRex and python3-cpl run it, against `pellucid sample` on the same files.

mod files;
mod hosts;
mod recipe;
mod support;
