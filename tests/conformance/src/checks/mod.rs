//! The checks, by chapter of the header.

mod arguments;
mod arrays;
mod callbacks;
mod cancel;
mod config;
mod determinism;
mod devices;
mod discovery;
mod errors;
mod exposures;
mod fork;
mod handles;
mod jobs;
mod lifecycle;
mod logs;
mod posterior;
mod prediction;
mod psf;
mod results;
mod structs;
mod wcs;

use crate::check::Check;

/// All of them, in the order in which they run.
pub(crate) const GROUPS: &[&[Check]] = &[
    discovery::CHECKS,
    devices::CHECKS,
    config::CHECKS,
    errors::CHECKS,
    arguments::CHECKS,
    structs::CHECKS,
    handles::CHECKS,
    arrays::CHECKS,
    wcs::CHECKS,
    psf::CHECKS,
    exposures::CHECKS,
    prediction::CHECKS,
    jobs::CHECKS,
    cancel::CHECKS,
    callbacks::CHECKS,
    logs::CHECKS,
    results::CHECKS,
    determinism::CHECKS,
    lifecycle::CHECKS,
    fork::CHECKS,
    posterior::CHECKS,
];
