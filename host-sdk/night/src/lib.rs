//! Batch nights: hundreds of targets unattended, nothing lost.
//!
//! A night is a manifest of targets. Its folder holds one product per target, a ledger of what
//! happened ([`ledger`]) and what is known of each target now ([`state`]).

#![deny(unsafe_code)]

pub mod ledger;
pub mod slurm;
pub mod state;
