//! One worker thread: takes batches from the queue, samples, delivers.

use super::job::{JobSpec, Outcome, Ticket};
use super::posterior::Posterior;
use super::queue::{Entry, Queue, Share, Tally};
use crate::error::PosteriorError;
use crate::sampler::{BatchOutcome, Observer};
use std::any::Any;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;
use std::sync::{Arc, PoisonError};

/// What a worker does to a job. It lives on the worker's thread, since tensors stay on theirs;
/// tests put a deterministic stand-in here.
pub(super) trait Runner {
    /// A job made ready to sample: model, compressed likelihood.
    type Prepared;

    /// Loads the model, builds the likelihood. Asks [`Ticket::check_wanted`] where it can stop.
    fn prepare(&mut self, job: &Ticket) -> Result<Self::Prepared, PosteriorError>;

    /// Draws one sample per slot. All slots have equal batch keys.
    fn sample(
        &mut self,
        slots: &[Draw<'_, Self::Prepared>],
        observer: &mut dyn Observer,
    ) -> Result<BatchOutcome, PosteriorError>;

    /// Makes the result out of the samples. Asks [`Ticket::check_wanted`] where it can stop.
    fn finish(
        &mut self,
        job: &Ticket,
        prepared: &Self::Prepared,
        tally: Tally,
    ) -> Result<Posterior, PosteriorError>;
}

/// One sample to draw.
pub(super) struct Draw<'a, P> {
    pub prepared: &'a P,
    pub spec: &'a JobSpec,
    pub sample: usize,
}

/// A worker: `limit` samples a batch, `device` as in `Progress::device`.
pub(super) struct Worker<R: Runner> {
    queue: Arc<Queue>,
    runner: R,
    limit: usize,
    device: i32,
    prepared: HashMap<u64, (Arc<Entry>, R::Prepared)>,
}

impl<R: Runner> Worker<R> {
    pub fn new(queue: Arc<Queue>, runner: R, limit: usize, device: i32) -> Self {
        Self { queue, runner, limit: limit.max(1), device, prepared: HashMap::new() }
    }

    /// Works until the queue is closed.
    pub fn run(mut self) {
        while let Some(mut batch) = self.queue.next_batch(self.limit) {
            batch.retain(|share| self.is_ready(&share.entry));
            if !batch.is_empty() {
                self.sample(&batch);
            }
            self.prepared.retain(|_, (entry, _)| !entry.ticket.state().is_final());
        }
    }

    /// Prepares the job unless it is; fails it when that cannot be done. False for a job that has
    /// ended.
    fn is_ready(&mut self, entry: &Arc<Entry>) -> bool {
        let job = &entry.ticket;
        if !self.prepared.contains_key(&entry.id) {
            job.start(self.device);
            let work = || job.check_wanted().and_then(|()| self.runner.prepare(job));
            match guarded("preparing a job", work) {
                Ok(prepared) => drop(self.prepared.insert(entry.id, (entry.clone(), prepared))),
                // No effect on a job that was cancelled meanwhile.
                Err(error) => job.settle(Outcome::Failed(Arc::new(error))),
            }
        }
        !job.state().is_final()
    }

    /// Samples a batch. When a batch of several jobs fails, each of them is tried alone, so that
    /// only the guilty one fails: a sample does not depend on its batch.
    fn sample(&mut self, batch: &[Share]) {
        match self.draw(batch) {
            Ok(outcome) => self.deliver(batch, outcome),
            // The observer stops a batch only when all its jobs have ended.
            Err(PosteriorError::Cancelled) => {}
            Err(error) => match batch {
                [share] => share.entry.ticket.settle(Outcome::Failed(Arc::new(error))),
                _ => batch.iter().for_each(|share| self.sample(slice::from_ref(share))),
            },
        }
    }

    fn draw(&mut self, batch: &[Share]) -> Result<BatchOutcome, PosteriorError> {
        let mut draws = Vec::with_capacity(self.limit);
        for Share { entry, samples } in batch {
            let (_, prepared) = &self.prepared[&entry.id];
            let spec = &entry.ticket.spec;
            draws.extend(samples.clone().map(|sample| Draw { prepared, spec, sample }));
        }
        let mut observer = Watch { batch };
        let outcome = guarded("sampling", || self.runner.sample(&draws, &mut observer))?;
        if outcome.slots.len() == draws.len() {
            return Ok(outcome);
        }
        Err(PosteriorError::Shape {
            what: "outcomes of a batch".into(),
            need: draws.len().to_string(),
            got: outcome.slots.len().to_string(),
        })
    }

    fn deliver(&mut self, batch: &[Share], outcome: BatchOutcome) {
        let mut slots = outcome.slots.into_iter();
        for Share { entry, samples } in batch {
            let complete = {
                let mut tally = entry.tally.lock().unwrap_or_else(PoisonError::into_inner);
                for (k, slot) in samples.clone().zip(slots.by_ref()) {
                    tally.slots[k] = Some(slot);
                }
                tally.network_evaluations += outcome.network_evaluations;
                tally.network_seconds += outcome.network_seconds;
                tally.noise_evaluations += outcome.noise_evaluations;
                tally.noise_seconds += outcome.noise_seconds;
                tally.total_seconds += outcome.total_seconds;
                let complete = tally.slots.iter().all(Option::is_some);
                complete.then(|| std::mem::take(&mut *tally))
            };
            entry.ticket.advance(samples.len());
            if let Some(tally) = complete
                && !entry.ticket.state().is_final()
            {
                self.finish(entry, tally);
            }
        }
    }

    fn finish(&mut self, entry: &Entry, tally: Tally) {
        let (_, prepared) = &self.prepared[&entry.id];
        let work = || self.runner.finish(&entry.ticket, prepared, tally);
        let result = guarded("diagnosing a job", work);
        entry.ticket.settle(match result {
            Ok(posterior) => Outcome::Done(Arc::new(posterior)),
            Err(error) => Outcome::Failed(Arc::new(error)),
        });
    }
}

/// Reports steps to the jobs of a batch and stops it when none of them wants it any more.
struct Watch<'a> {
    batch: &'a [Share],
}

impl Observer for Watch<'_> {
    fn step(&mut self, done: usize, total: usize) -> ControlFlow<()> {
        let mut wanted = false;
        for Share { entry, samples } in self.batch {
            entry.ticket.step(samples.len(), done, total);
            wanted |= !entry.ticket.state().is_final();
        }
        if wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// Turns a panic (tch's plain operators panic) into an error.
fn guarded<T>(
    what: &'static str,
    work: impl FnOnce() -> Result<T, PosteriorError>,
) -> Result<T, PosteriorError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        Err(PosteriorError::Panic { what, message: panic_message(&*payload).to_owned() })
    })
}

/// What a panic said.
pub(super) fn panic_message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("panic without a message")
}
