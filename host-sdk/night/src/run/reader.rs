//! From a manifest's target to exposures in the plugin, on a thread of its own.

use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use pellucid_host::fits;
use pellucid_host::product::NightRecord;
use pellucid_host::target::{Ready, Target, find_prior};

use super::{Shared, Work};
use crate::fault::Fault;
use crate::ledger::What;

/// What became of an attempt at reading.
pub(super) enum Read {
    /// Ready to be submitted.
    Ready(Box<Prepared>),
    /// Its product is there.
    Kept(Work),
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
        if shared.stopping() || done.send(one(shared, work)).is_err() {
            return;
        }
    }
}

fn one(shared: &Shared<'_>, work: Work) -> Read {
    let described = &shared.night.targets[work.index];
    if let Some(inputs) = shared.quarantined.get(&work.index)
        && work.of_run == 1
        && *inputs == shared.makers.state(described)
    {
        return Read::Unchanged(work);
    }
    let begun = Instant::now();
    let target = described.resolve();
    if let Ok(target) = &target
        && is_done(shared, work, target)
    {
        return Read::Kept(work);
    }
    let event = shared.journal.record(&described.name, work.attempt, What::Started);
    (shared.options.observer)(&event, super::Count::default());
    match target.and_then(|target| prepare(shared, work, &target, begun)) {
        Ok(prepared) => Read::Ready(Box::new(prepared)),
        Err(fault) => Read::Failed(work, fault),
    }
}

/// Whether the product is there, whole, and of these inputs, settings and versions.
fn is_done(shared: &Shared<'_>, work: Work, target: &Target) -> bool {
    let path = shared.folder.product(shared.name(work));
    if !path.exists() {
        return false;
    }
    let header = match fits::verify(&path) {
        Ok(header) => header,
        Err(error) => {
            log::warn!("made again: {error}");
            return false;
        }
    };
    // An input that cannot be read is reported by the attempt that follows.
    let needed = shared.makers.record(shared.night, shared.name(work), target, &shared.hashes);
    let there = NightRecord::of(&header).map(|record| record.sha256);
    needed.is_ok_and(|needed| there.as_ref() == Some(&needed.sha256))
}

fn prepare(
    shared: &Shared<'_>,
    work: Work,
    target: &Target,
    begun: Instant,
) -> Result<Prepared, Fault> {
    let name = shared.name(work);
    let make = || {
        let opened = target.open(&shared.hashes)?;
        let cut = opened.cut(target, find_prior(&shared.makers.models, &target.prior)?)?;
        for warning in &cut.warnings {
            log::info!("{name}: {warning}");
        }
        let ready = cut.hand_over(shared.engine)?;
        let record = shared.makers.record(shared.night, name, target, &shared.hashes)?;
        Ok(Prepared { work, ready, record, read_s: begun.elapsed().as_secs_f64() })
    };
    make().map_err(|error| Fault::of_input(&error))
}
