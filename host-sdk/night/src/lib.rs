//! Batch nights: hundreds of targets unattended, nothing lost.
//!
//! A night is a manifest of targets ([`manifest`]). Its folder holds one product per target, a
//! ledger of what happened ([`ledger`]) and what is known of each target now ([`state`]). [`run`]
//! works through it, [`plan`] says beforehand what is wrong and how long it will take.
//!
//! A target is done if and only if its product exists, verifies (DATASUM, CHECKSUM) and carries the
//! hash of its inputs, its settings and the versions that made it ([`inputs`]): a run may be killed at
//! any moment, and the next one finishes the rest and repeats nothing.

#![deny(unsafe_code)]

mod error;
mod fault;
pub mod folder;
pub mod inputs;
pub mod journal;
pub mod ledger;
pub mod manifest;
pub mod plan;
pub mod run;
pub mod state;
pub mod summary;

pub use error::{NightError, Result};
pub use fault::{Fault, Lasting};
pub use manifest::Night;
