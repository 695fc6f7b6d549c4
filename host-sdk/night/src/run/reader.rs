//! From a manifest's target to exposures in the plugin, on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use pellucid_host::fits;
use pellucid_host::product::NightRecord;
use pellucid_host::target::{Ready, Target, find_prior};

use super::{Begun, Shared, Work};
use crate::fault::Fault;
use crate::ledger::What;

/// What became of an attempt at reading.
pub(super) enum Read {
    /// Ready to be submitted.
    Ready(Box<Prepared>),
    /// Its product is there; whether some of its samples failed.
    Kept(Work, bool),
    /// It was quarantined before, and nothing has changed since.
    Unchanged(Work),
    /// It failed.
    Failed(Work, Fault),
}

/// A target that the plugin has.
pub(super) struct Prepared {
    pub work: Work,
    pub ready: Ready,
    pub record: NightRecord,
    pub read_s: f64,
}

/// Reads until there is no more work or nobody takes what is read.
pub(super) fn read(shared: &Shared<'_>, work: &Mutex<Receiver<Work>>, done: &SyncSender<Read>) {
    loop {
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        if shared.stopping() {
            return;
        }
        // A thread that is gone would leave the night waiting for ever.
        let read = catch_unwind(AssertUnwindSafe(|| one(shared, work)));
        let read = read.unwrap_or_else(|_| Read::Failed(work, Fault::of_panic()));
        if done.send(read).is_err() {
            return;
        }
    }
}

fn one(shared: &Shared<'_>, work: Work) -> Read {
    let described = &shared.night.targets[work.index];
    let state = shared.makers.state(described);
    if work.of_run == 1 && shared.quarantined.get(&work.index) == Some(&state) {
        return Read::Unchanged(work);
    }
    let begun = Instant::now();
    let target = described.resolve();
    if let Ok(target) = &target
        && let Some(partial) = is_done(shared, work, target)
    {
        return Read::Kept(work, partial);
    }
    shared.begun().insert(work.index, Begun { attempt: work.attempt, state });
    let event = shared.journal.record(&described.name, work.attempt, What::Started);
    (shared.options.observer)(&event, super::Count::default());
    match target.and_then(|target| prepare(shared, work, &target, begun)) {
        Ok(prepared) => Read::Ready(Box::new(prepared)),
        Err(fault) => Read::Failed(work, fault),
    }
}

/// Whether the product is there, whole, and of these inputs, settings and versions; and if so, whether
/// some of its samples failed.
fn is_done(shared: &Shared<'_>, work: Work, target: &Target) -> Option<bool> {
    let path = shared.folder.product(shared.name(work));
    if !path.exists() {
        return None;
    }
    let header = match fits::verify(&path) {
        Ok(header) => header,
        Err(error) => {
            log::warn!("made again: {error}");
            put_aside(shared, work);
            return None;
        }
    };
    // An input that cannot be read is reported by the attempt that follows; it may come back as it was.
    let needed =
        shared.makers.record(shared.night, shared.name(work), target, &shared.hashes).ok()?;
    if NightRecord::of(&header).map(|record| record.sha256) != Some(needed.sha256) {
        put_aside(shared, work);
        return None;
    }
    Some(header.integer("NFAILED").is_some_and(|failed| failed > 0))
}

/// Where it cannot be, the new product will replace it.
fn put_aside(shared: &Shared<'_>, work: Work) {
    if let Err(error) = shared.folder.put_aside(shared.name(work)) {
        log::warn!("{error}");
    }
}

fn prepare(
    shared: &Shared<'_>,
    work: Work,
    target: &Target,
    begun: Instant,
) -> Result<Prepared, Fault> {
    let name = shared.name(work);
    let record = || shared.makers.record(shared.night, name, target, &shared.hashes);
    let make = || {
        let before = record()?.sha256;
        let opened = target.open(&shared.hashes)?;
        let cut = opened.cut(target, find_prior(&shared.makers.models, &target.prior)?)?;
        for warning in &cut.warnings {
            log::info!("{name}: {warning}");
        }
        let ready = cut.hand_over(shared.engine)?;
        let read_s = begun.elapsed().as_secs_f64();
        Ok((before, Prepared { work, ready, record: record()?, read_s }))
    };
    let (before, prepared) = make().map_err(|error| Fault::of_input(&error))?;
    // A product with the pixels of one file and the hash of another would be kept for ever.
    match before == prepared.record.sha256 {
        true => Ok(prepared),
        false => Err(Fault::passing("an input was changed while it was read")),
    }
}
