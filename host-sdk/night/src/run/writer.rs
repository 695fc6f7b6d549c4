//! From a finished job to a product on disk, on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use pellucid_host::HostError;
use pellucid_host::fits;
use pellucid_host::product::{NightRecord, Product, write_figure};
use pellucid_host::target::Submitted;

use super::{Count, Shared, Work};
use crate::fault::{Fault, Lasting};
use crate::ledger::{Seconds, What};

/// A job that came to its end.
pub(super) struct Finished {
    pub work: Work,
    pub submitted: Submitted,
    pub record: NightRecord,
    pub read_s: f64,
    pub sample_s: f64,
}

/// What became of it.
pub(super) struct Written {
    pub work: Work,
    /// The event that says so, or what went wrong; nothing if the night was stopped before.
    pub result: Option<Result<What, Fault>>,
}

/// Writes until no more jobs come. A stopped night loses what is not written yet: the next one
/// samples it again.
pub(super) fn write(shared: &Shared<'_>, jobs: &Receiver<Finished>, done: &Sender<Written>) {
    while let Ok(finished) = jobs.recv() {
        let work = finished.work;
        let result = if shared.stopping() {
            None
        } else {
            // A thread that is gone would leave the night waiting for ever.
            catch_unwind(AssertUnwindSafe(|| one(shared, finished)))
                .unwrap_or_else(|_| Some(Err(Fault::of_panic())))
        };
        if done.send(Written { work, result }).is_err() {
            return;
        }
    }
}

fn one(shared: &Shared<'_>, finished: Finished) -> Option<Result<What, Fault>> {
    let begun = Instant::now();
    let Finished { work, submitted, record, read_s, sample_s } = finished;
    let device = &shared.options.device;
    let product = submitted.product(shared.engine, device, &shared.hashes, Some(record));
    // Stamps and the plugin's samples go before the disk is waited for.
    drop(submitted);
    let product = match product {
        Ok(product) => product,
        Err(error) => return Some(Err(Fault::of_input(&error))),
    };
    // What was sampled is not sampled again for want of room: only the writing is tried again, and
    // the night pauses meanwhile, since nothing finished is taken in.
    for attempt in 1.. {
        let fault = match save(shared, work, &product) {
            Ok(()) => {
                let write = begun.elapsed().as_secs_f64();
                let failed_samples = product.diagnostics.failed_samples.len();
                let seconds = Seconds { read: read_s, sample: sample_s, write };
                return Some(Ok(What::Done { seconds, failed_samples }));
            }
            Err(error) => Fault::of_output(&error),
        };
        if attempt >= shared.night.run.attempts.0 || fault.lasting == Lasting::Permanent {
            return Some(Err(fault));
        }
        let backoff_s = shared.backoff_s(attempt);
        let what = What::Retry { reason: fault.reason, backoff_s };
        let event = shared.journal.record(shared.name(work), work.attempt, what);
        (shared.options.observer)(&event, Count::default());
        shared.pause(backoff_s);
        if shared.stopping() {
            return None;
        }
    }
    None
}

/// The figure first: once the product is there, the target is done.
fn save(shared: &Shared<'_>, work: Work, product: &Product) -> Result<(), HostError> {
    let name = shared.name(work);
    if shared.night.run.figures {
        write_figure(product, &shared.folder.figure(name))?;
    }
    let path = shared.folder.product(name);
    product.write(&path)?;
    fits::verify(&path).map(drop)
}
