//! The queue: which samples of which jobs go into the next batch.
//!
//! A mutex and a condition variable rather than a channel, since packing looks at the whole queue:
//! a batch is led by the first job in (priority, order of submission) and filled with samples of
//! later jobs that have the same [`BatchKey`].

use super::job::{JobState, Outcome, Ticket};
use super::options::Options;
use crate::error::PosteriorError;
use crate::sampler::SlotOutcome;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Samples of jobs with equal keys can share a batch.
#[derive(Clone, Debug)]
pub(super) struct BatchKey {
    prior: PathBuf,
    options: Options,
    alone: bool,
}

impl BatchKey {
    /// The flux scale belongs to a job's data, not to the network.
    pub fn new(prior: PathBuf, options: &Options) -> Self {
        Self { prior, options: Options { flux_scale: None, ..options.clone() }, alone: false }
    }

    /// The key of a job that shares no batch. One with a noise model takes other steps than others, after or before
    /// theirs: in one batch each would count the other's steps and evaluations, and nothing would be saved.
    #[must_use]
    pub fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    fn packs_with(&self, other: &Self) -> bool {
        let apart = self.alone || other.alone;
        !apart && self.prior == other.prior && self.options == other.options
    }
}

/// A job as the workers see it.
pub(super) struct Entry {
    pub id: u64,
    pub ticket: Arc<Ticket>,
    key: BatchKey,
    pub tally: Mutex<Tally>,
}

/// What the batches of a job have brought so far.
#[derive(Default)]
pub(super) struct Tally {
    /// Outcome of sample k, None until it is done.
    pub slots: Vec<Option<SlotOutcome>>,
    /// Network evaluations of the batches this job took part in.
    pub network_evaluations: usize,
    /// Seconds in the network during those batches.
    pub network_seconds: f64,
    /// Evaluations of noise models, and the seconds in them.
    pub noise_evaluations: usize,
    pub noise_seconds: f64,
    /// Seconds of those batches.
    pub total_seconds: f64,
}

/// Some samples of one job in a batch.
pub(super) struct Share {
    pub entry: Arc<Entry>,
    pub samples: Range<usize>,
}

/// The jobs that have not ended, running ones included, shared by engine and workers.
pub(super) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    capacity: usize,
}

#[derive(Default)]
struct State {
    /// By falling priority, then by id.
    waiting: Vec<Waiting>,
    next_id: u64,
    closed: bool,
    /// What the worker's last words were, if it is dead.
    dead: Option<String>,
}

struct Waiting {
    entry: Arc<Entry>,
    /// Samples [0, handed) are with a worker or done.
    handed: usize,
}

impl Queue {
    /// A queue that holds at most `capacity` jobs which no worker has begun.
    pub fn new(capacity: usize) -> Self {
        Self { state: Mutex::default(), work: Condvar::new(), capacity }
    }

    /// Adds a job.
    ///
    /// # Errors
    /// [`PosteriorError::QueueFull`], [`PosteriorError::Device`] after [`Queue::abandon`].
    pub fn push(&self, ticket: Arc<Ticket>, key: BatchKey) -> Result<(), PosteriorError> {
        let mut state = self.lock();
        if let Some(reason) = &state.dead {
            return Err(worker_died(reason));
        }
        state.forget_ended();
        let queued = |w: &&Waiting| w.entry.ticket.state() == JobState::Queued;
        if state.waiting.iter().filter(queued).count() >= self.capacity {
            return Err(PosteriorError::QueueFull { capacity: self.capacity });
        }
        let priority = ticket.spec.priority;
        let tally =
            Tally { slots: (0..ticket.spec.n_samples).map(|_| None).collect(), ..Tally::default() };
        let entry = Entry { id: state.next_id, ticket, key, tally: Mutex::new(tally) };
        state.next_id += 1;
        let place = state.waiting.partition_point(|w| w.entry.ticket.spec.priority >= priority);
        state.waiting.insert(place, Waiting { entry: Arc::new(entry), handed: 0 });
        self.work.notify_one();
        Ok(())
    }

    /// Waits for work and hands out at most `limit` samples; None once the queue is closed.
    pub fn next_batch(&self, limit: usize) -> Option<Vec<Share>> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            state.forget_ended();
            let batch = state.take(limit);
            if !batch.is_empty() {
                return Some(batch);
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Cancels every job and sends the workers home.
    pub fn close(&self) {
        let waiting = {
            let mut state = self.lock();
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        self.work.notify_all();
        for job in waiting {
            job.entry.ticket.settle(Outcome::Cancelled);
        }
    }

    /// The worker has died: fails every job and refuses those that come.
    pub fn abandon(&self, reason: &str) {
        let waiting = {
            let mut state = self.lock();
            state.dead = Some(reason.to_owned());
            std::mem::take(&mut state.waiting)
        };
        for job in waiting {
            // No effect on a job that has ended.
            job.entry.ticket.settle(Outcome::Failed(Arc::new(worker_died(reason))));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn worker_died(reason: &str) -> PosteriorError {
    PosteriorError::Device {
        device: "cpu".into(),
        reason: format!("its worker thread died ({reason}): create a new engine"),
    }
}

impl State {
    fn forget_ended(&mut self) {
        self.waiting.retain(|w| !w.entry.ticket.state().is_final());
    }

    fn take(&mut self, limit: usize) -> Vec<Share> {
        let mut batch: Vec<Share> = Vec::new();
        let mut room = limit;
        for job in &mut self.waiting {
            let left = job.entry.ticket.spec.n_samples - job.handed;
            let fits = batch.first().is_none_or(|lead| lead.entry.key.packs_with(&job.entry.key));
            if left == 0 || room == 0 || !fits {
                continue;
            }
            let samples = job.handed..job.handed + left.min(room);
            room -= samples.len();
            job.handed = samples.end;
            batch.push(Share { entry: job.entry.clone(), samples });
        }
        batch
    }
}
