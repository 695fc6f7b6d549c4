//! The night at work.
//!
//! ```text
//! work -> readers (threads) -> at most in_flight jobs in the plugin -> writer (thread)
//!   ^         |  fault                | fault                             | fault
//!   +---- pause, doubling <-----------+-----------------------------------+
//! ```
//!
//! Readers open, check, cut and hand over; a channel of one keeps them from running ahead, so that the
//! targets in memory are at most `readers + in_flight + 3` however many the night has. What a target
//! dies of never stops the night, with two exceptions: a disk that stays full through all attempts,
//! and a signal.

mod conductor;
mod reader;
mod writer;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pellucid_host::HostError;
use pellucid_host::input::HashCache;
use pellucid_host::session::Engine;

use crate::error::{NightError, Result};
use crate::folder::{Folder, Lock, Shard};
use crate::inputs::Makers;
use crate::journal::{self, Journal};
use crate::ledger::{Event, What};
use crate::manifest::Night;
use crate::report;
use crate::state::gather;
use crate::summary::{MemorySample, Summary};

/// How a run is asked for.
pub struct RunOptions<'a> {
    /// Only these targets; empty for all.
    pub only: Vec<String>,
    /// Only this part of the night.
    pub shard: Option<Shard>,
    /// Try quarantined targets again whatever has changed.
    pub retry_quarantined: bool,
    /// The device that the engine was asked for.
    pub device: String,
    /// Whether the user wants to stop.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Told every event as it is recorded, and how many targets are settled of how many.
    pub observer: &'a (dyn Fn(&Event, Count) + Sync),
}

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Settled: done, kept, failed or quarantined.
    pub settled: usize,
    /// Of how many.
    pub of: usize,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunOutcome {
    /// Products made.
    pub done: usize,
    /// Of those and of the kept ones, with failed samples.
    pub partial: usize,
    /// Products that were there.
    pub kept: usize,
    /// Targets whose last attempt failed; the next run tries again.
    pub failed: usize,
    /// Targets that will not pass.
    pub quarantined: usize,
}

impl RunOutcome {
    /// Whether every target has a whole product.
    pub fn is_complete(&self) -> bool {
        self.partial + self.failed + self.quarantined == 0
    }
}

/// One attempt at a target.
#[derive(Debug, Clone, Copy)]
struct Work {
    /// Position in the manifest.
    index: usize,
    /// From 1, all runs together.
    attempt: u32,
    /// From 1, this run.
    of_run: usize,
}

/// An attempt that began and has not ended.
struct Begun {
    /// From 1, all runs together.
    attempt: u32,
    /// The inputs' state before any of them was read: an error is theirs, not that of what came after.
    state: String,
}

/// What all threads of a run share.
struct Shared<'a> {
    night: &'a Night,
    folder: Folder,
    engine: &'a Engine,
    makers: Makers,
    hashes: HashCache,
    journal: Journal,
    options: &'a RunOptions<'a>,
    stopping: AtomicBool,
    /// Attempts begun and not ended, by position: those that a signal abandons.
    begun: Mutex<HashMap<usize, Begun>>,
    /// The inputs' state of targets that were quarantined last.
    quarantined: HashMap<usize, String>,
}

impl Shared<'_> {
    fn name(&self, work: Work) -> &str {
        &self.night.targets[work.index].name
    }

    fn begun(&self) -> MutexGuard<'_, HashMap<usize, Begun>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed) || (self.options.stop)()
    }

    /// Waits, unless the night is stopped meanwhile.
    fn pause(&self, seconds: f64) {
        const SLICE: Duration = Duration::from_millis(50);
        let mut left = Duration::from_secs_f64(seconds.clamp(0.0, 1e6));
        while !left.is_zero() && !self.stopping() {
            let slice = left.min(SLICE);
            std::thread::sleep(slice);
            left -= slice;
        }
    }

    /// The pause after a failed attempt, s.
    fn backoff_s(&self, of_run: usize) -> f64 {
        let doublings = i32::try_from(of_run - 1).unwrap_or(i32::MAX).min(16);
        self.night.run.backoff_s.0 * 2f64.powi(doublings)
    }
}

/// Works through a night. The caller holds its lock.
///
/// # Errors
/// [`NightError::NoSuchTarget`], [`NightError::Stopped`] after a signal, [`NightError::NoSpace`] if the
/// disk stays full, [`NightError::Io`] if the night's folder or ledger cannot be written.
pub fn run(
    night: &Night,
    _lock: &Lock,
    engine: &Engine,
    options: &RunOptions<'_>,
) -> Result<RunOutcome> {
    let folder = Folder::new(&night.output);
    folder.make()?;
    let chosen = chosen(night, options)?;
    let swept = folder.sweep(chosen.iter().map(|index| night.targets[*index].name.as_str()))?;
    if swept > 0 {
        log::info!("{swept} temporary file(s) of killed runs removed");
    }
    let events = journal::read(&folder.ledger())?;
    let mut attempts: HashMap<&str, u32> = HashMap::new();
    let mut last: HashMap<&str, &What> = HashMap::new();
    for event in &events {
        if event.what == What::Started {
            *attempts.entry(&event.target).or_default() += 1;
        }
        last.insert(&event.target, &event.what);
    }
    let mut quarantined = HashMap::new();
    for index in chosen.iter().filter(|_| !options.retry_quarantined) {
        let last = last.get(night.targets[*index].name.as_str());
        if let Some(What::Quarantined { inputs, .. }) = last {
            quarantined.insert(*index, inputs.clone());
        }
    }
    let name = |index: usize| night.targets[index].name.as_str();
    let work = chosen.iter().map(|index| {
        let before = attempts.get(name(*index)).copied().unwrap_or(0);
        Work { index: *index, attempt: before + 1, of_run: 1 }
    });
    let mut work: Vec<Work> = work.collect();
    // What the last process died over may kill this one too: after all others.
    work.sort_by_key(|work| matches!(last.get(name(work.index)), Some(What::Started)));
    let shared = Shared {
        night,
        engine,
        makers: makers(engine)?,
        hashes: HashCache::default(),
        journal: Journal::create(&folder.ledger())?,
        folder,
        options,
        stopping: AtomicBool::new(false),
        begun: Mutex::default(),
        quarantined,
    };
    let (outcome, memory) = conductor::conduct(&shared, work);
    let recorded = shared.journal.flush();
    let summed = sum_up(&shared, memory);
    let outcome = outcome?;
    recorded?;
    summed?;
    Ok(outcome)
}

/// What makes this engine's products differ from another's.
///
/// # Errors
/// [`HostError::Plugin`].
pub fn makers(engine: &Engine) -> Result<Makers, HostError> {
    let host = env!("CARGO_PKG_VERSION");
    let versions = format!("pellucid {host}, {}", engine.plugin().version());
    Ok(Makers { models: engine.models()?, versions })
}

fn chosen(night: &Night, options: &RunOptions<'_>) -> Result<Vec<usize>> {
    let unknown = |name: &&String| night.targets.iter().all(|target| target.name != **name);
    if let Some(name) = options.only.iter().find(unknown) {
        return Err(NightError::NoSuchTarget { name: name.clone() });
    }
    let wanted = |index: &usize| {
        let name = &night.targets[*index].name;
        let in_shard = options.shard.is_none_or(|s| index % s.count == s.index);
        in_shard && (options.only.is_empty() || options.only.contains(name))
    };
    Ok((0..night.targets.len()).filter(wanted).collect())
}

fn sum_up(shared: &Shared<'_>, memory: Vec<MemorySample>) -> Result<()> {
    let events = journal::read(&shared.folder.ledger())?;
    let state = gather(shared.night, &shared.hashes)?;
    let summary = Summary::new(state, &events, memory);
    summary.write(&shared.folder.summary())?;
    // A shard sees its own part, and a signal does not wait: the page is made when all are through.
    if shared.options.shard.is_none() && !(shared.options.stop)() {
        let page = shared.folder.report();
        if let Err(error) = report::write(&summary.state, &page, &report::Options::default()) {
            // The products are there: the night has not failed for want of a page.
            log::warn!("no report: {error}");
        }
    }
    Ok(())
}
