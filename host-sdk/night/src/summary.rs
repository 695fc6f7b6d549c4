//! summary.json: the state of a night and what it came to.

use std::path::Path;

use pellucid_host::clock::{seconds_since_1970, utc_seconds};
use serde::{Deserialize, Serialize};

use crate::error::{NightError, Result};
use crate::ledger::{Event, What};
use crate::state::{NightState, Status};

/// A night in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// UTC, ISO 8601.
    pub time: String,
    /// Version of this program.
    pub version: String,
    /// Targets by status.
    pub totals: Totals,
    /// Wall-clock seconds until everything is done, if a pace is known and something is left.
    pub remaining_s: Option<f64>,
    /// Memory of the process that wrote this, over its run; empty from `status`.
    #[serde(default)]
    pub memory: Vec<MemorySample>,
    /// Every target.
    #[serde(flatten)]
    pub state: NightState,
}

/// Targets by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// All of them.
    pub targets: usize,
    /// Not begun, or to be begun again.
    pub pending: usize,
    /// At work.
    pub running: usize,
    /// Done, every sample.
    pub done: usize,
    /// Done, some samples failed.
    pub partial: usize,
    /// To be tried again by the next run.
    pub failed: usize,
    /// Left alone until something changes.
    pub quarantined: usize,
}

/// Resident memory at one time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MemorySample {
    /// Seconds since the run began.
    pub seconds: f64,
    /// Resident set, bytes.
    pub resident_bytes: u64,
    /// Targets that were done by then.
    pub done: usize,
}

impl Totals {
    /// Counts.
    pub fn of(state: &NightState) -> Self {
        let count = |status| state.targets.iter().filter(|t| t.status == status).count();
        Self {
            targets: state.targets.len(),
            pending: count(Status::Pending),
            running: count(Status::Running),
            done: count(Status::Done),
            partial: count(Status::Partial),
            failed: count(Status::Failed),
            quarantined: count(Status::Quarantined),
        }
    }

    /// Targets that a run would still work on.
    pub fn left(&self) -> usize {
        self.pending + self.running + self.failed
    }
}

impl Summary {
    /// Sums up a state; the pace is taken from the events.
    pub fn new(state: NightState, events: &[Event], memory: Vec<MemorySample>) -> Self {
        let totals = Totals::of(&state);
        let left = totals.left();
        let pace = pace_s(events).filter(|_| left > 0);
        Self {
            time: utc_seconds(),
            version: env!("CARGO_PKG_VERSION").into(),
            totals,
            remaining_s: pace.map(|pace| pace * left as f64),
            memory,
            state,
        }
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// [`NightError::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).expect("plain fields serialise") + "\n";
        let temporary = path.with_file_name(format!(".summary.json.{}.part", std::process::id()));
        std::fs::write(&temporary, text)
            .and_then(|()| std::fs::rename(&temporary, path))
            .inspect_err(|_| drop(std::fs::remove_file(&temporary)))
            .map_err(NightError::io("write", path))
    }
}

/// Wall-clock seconds a target takes: from the first attempt to the last product of the process that
/// made the newest one, over its products.
pub fn pace_s(events: &[Event]) -> Option<f64> {
    let is_done = |event: &&Event| matches!(event.what, What::Done { .. });
    let newest = events.iter().rev().find(is_done)?;
    let own = || events.iter().filter(|event| event.worker == newest.worker);
    let first = own().find(|event| event.what == What::Started)?;
    let products = own().filter(is_done).count();
    let wall = seconds_since_1970(&newest.time)? - seconds_since_1970(&first.time)?;
    (wall >= 0.0).then_some(wall / products as f64)
}

/// The resident set of this process, bytes; 0 where the system does not tell.
pub(crate) fn resident_bytes() -> u64 {
    const PAGE: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE
}
