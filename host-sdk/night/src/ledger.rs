//! The ledger: what happened to which target, one JSON object a line, only ever appended to.
//!
//! Each process writes a file of its own in `ledger/`, so that no two share one; the events of
//! all files together, by time, are the night's history. A line that a power cut left incomplete
//! is skipped.

use serde::{Deserialize, Serialize};

/// One thing that happened to one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// UTC, ISO 8601, with milliseconds.
    pub time: String,
    /// The target's name.
    pub target: String,
    /// Which attempt at it, from 1.
    pub attempt: u32,
    /// `host:pid` of the process, and `slurm:JOB_TASK` behind it where there is one.
    pub worker: String,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened to a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// An attempt began.
    Started,
    /// Its product is there, whole and verified.
    Done {
        /// Where the time went.
        seconds: Seconds,
        /// Samples that failed.
        failed_samples: usize,
    },
    /// Its product was there already: nothing was done.
    Kept,
    /// An attempt failed in a way that may pass; there will be another.
    Retry {
        /// The whole chain of the error.
        reason: String,
        /// Pause before the next attempt, seconds.
        backoff_s: f64,
    },
    /// It failed for good: the input or its description is wrong.
    Quarantined {
        /// The whole chain of the error.
        reason: String,
        /// What its files, settings and versions were: while they are the same, so is the error.
        #[serde(default)]
        inputs: String,
    },
    /// All attempts of this run failed in a way that may pass; the next run tries again.
    Failed {
        /// The whole chain of the last error.
        reason: String,
    },
    /// The night ended (signal, cancelled) before it did.
    Abandoned {
        /// Why.
        reason: String,
    },
}

/// Where a target's time went, seconds of wall clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Reading and cutting exposures.
    pub read: f64,
    /// In the plugin, from submission to result, other targets' samples in between.
    pub sample: f64,
    /// Assembling and writing product and figure.
    pub write: f64,
}
