//! What the statistical benches share: problems with dithered exposures, exact Gaussian posteriors,
//! and a table of results.

#![allow(dead_code, reason = "each bench uses a part")]

pub mod exact;
pub mod gibbs;
pub mod morphology;
pub mod problem;
pub mod report;
pub mod shipped;
