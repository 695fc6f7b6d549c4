//! Who reads, samples and writes when: the main thread of a run.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use pellucid_host::HostError;
use pellucid_host::product::NightRecord;
use pellucid_host::session::JobState;
use pellucid_host::target::Submitted;

use super::reader::{self, Prepared, Read};
use super::writer::{self, Finished, Written};
use super::{Begun, Count, RunOutcome, Shared, Work};
use crate::error::{NightError, Result};
use crate::fault::{Fault, Lasting};
use crate::ledger::What;
use crate::summary::{MemorySample, resident_bytes};

/// How often everything is looked at while nothing happens.
const TICK: Duration = Duration::from_millis(20);
/// Finished targets that may wait for the writer.
const WRITING: usize = 2;
/// Between two looks at the memory; doubled when there are too many.
const MEMORY_EVERY: Duration = Duration::from_secs(1);
const MEMORY_SAMPLES: usize = 1000;

/// A job in the plugin.
struct InFlight {
    work: Work,
    submitted: Submitted,
    record: NightRecord,
    read_s: f64,
    since: Instant,
}

struct Conductor<'a, 's> {
    shared: &'a Shared<'s>,
    /// Targets that are not settled.
    open: HashSet<usize>,
    total: usize,
    in_flight: Vec<InFlight>,
    writing: usize,
    /// Attempts to come, and when.
    later: Vec<(Instant, Work)>,
    outcome: RunOutcome,
    no_space: Option<String>,
    memory: Memory,
}

/// Runs all work to its end, or to that of the night.
pub(super) fn conduct(
    shared: &Shared<'_>,
    work: Vec<Work>,
) -> (Result<RunOutcome>, Vec<MemorySample>) {
    let (to_readers, for_readers) = channel::<Work>();
    let for_readers = Mutex::new(for_readers);
    let (from_readers, read) = sync_channel::<Read>(1);
    let (to_writer, for_writer) = channel::<Finished>();
    let (from_writer, written) = channel::<Written>();
    let mut conductor = Conductor {
        shared,
        open: work.iter().map(|work| work.index).collect(),
        total: work.len(),
        in_flight: Vec::new(),
        writing: 0,
        later: Vec::new(),
        outcome: RunOutcome::default(),
        no_space: None,
        memory: Memory::new(),
    };
    for work in work {
        // The receiver lives as long as this function.
        let _ = to_readers.send(work);
    }
    let done = thread::scope(|scope| {
        for _ in 0..shared.night.run.readers.0 {
            let (work, done) = (&for_readers, from_readers.clone());
            scope.spawn(move || reader::read(shared, work, &done));
        }
        scope.spawn(move || writer::write(shared, &for_writer, &from_writer));
        drop(from_readers);
        let done = conductor.work(&to_readers, &read, &to_writer, &written);
        shared.stopping.store(true, Ordering::Relaxed);
        // Threads end when nobody gives or takes any more.
        drop((to_readers, read, to_writer));
        conductor.abandon(&written);
        done
    });
    (done, conductor.memory.samples)
}

impl Conductor<'_, '_> {
    fn work(
        &mut self,
        to_readers: &Sender<Work>,
        read: &Receiver<Read>,
        to_writer: &Sender<Finished>,
        written: &Receiver<Written>,
    ) -> Result<RunOutcome> {
        while !self.open.is_empty() {
            if self.shared.stopping() {
                return Err(NightError::Stopped { left: self.open.len() });
            }
            if let Some(reason) = self.no_space.take() {
                return Err(NightError::NoSpace { reason, left: self.open.len() });
            }
            self.memory.look(self.outcome.done);
            let now = Instant::now();
            let due = |(when, _): &mut (Instant, Work)| *when <= now;
            for (_, work) in self.later.extract_if(.., due) {
                let _ = to_readers.send(work);
            }
            while let Ok(written) = written.try_recv() {
                self.writing -= 1;
                self.written(written);
            }
            let limit = self.shared.night.run.in_flight.0;
            let mut idle = true;
            while self.in_flight.len() < limit && self.writing < WRITING {
                match read.try_recv() {
                    Ok(read) => {
                        idle = false;
                        self.read(read);
                    }
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            self.collect(to_writer);
            match self.in_flight.first() {
                // Also delivers the plugin's log. What it says of the job, collect() asks again.
                Some(first) => drop(first.submitted.job().wait(TICK)),
                None if idle => {
                    self.shared.engine.drain_log();
                    thread::sleep(TICK);
                }
                None => {}
            }
        }
        Ok(self.outcome)
    }

    fn read(&mut self, read: Read) {
        match read {
            Read::Ready(prepared) => self.submit(*prepared),
            Read::Kept(work, partial) => {
                self.outcome.kept += 1;
                self.outcome.partial += usize::from(partial);
                // It was begun before this run, if ever: the last attempt is the one that made it.
                let work = Work { attempt: (work.attempt - 1).max(1), ..work };
                self.settle(work, What::Kept);
            }
            Read::Unchanged(work) => {
                self.outcome.quarantined += 1;
                self.open.remove(&work.index);
                let name = self.shared.name(work);
                log::warn!("{name}: left in quarantine, nothing has changed (--retry-quarantined)");
            }
            Read::Failed(work, fault) => self.failed(work, fault),
        }
    }

    fn submit(&mut self, prepared: Prepared) {
        let Prepared { work, ready, record, read_s } = prepared;
        match ready.submit(self.shared.engine) {
            Ok(submitted) => {
                let since = Instant::now();
                self.in_flight.push(InFlight { work, submitted, record, read_s, since });
            }
            Err(error) => self.failed(work, Fault::of_input(&error)),
        }
    }

    /// Takes what has ended out of the plugin.
    fn collect(&mut self, to_writer: &Sender<Finished>) {
        let mut k = 0;
        while k < self.in_flight.len() {
            let job = self.in_flight[k].submitted.job();
            let ended = match job.progress() {
                Ok(progress) => !matches!(progress.state, JobState::Queued | JobState::Running),
                Err(_) => true,
            };
            if !ended {
                k += 1;
                continue;
            }
            let InFlight { work, submitted, record, read_s, since } = self.in_flight.remove(k);
            let sample_s = since.elapsed().as_secs_f64();
            match submitted.job().wait(Duration::ZERO) {
                Ok(true) => {
                    self.writing += 1;
                    // The writer lives until this end is dropped.
                    let _ = to_writer.send(Finished { work, submitted, record, read_s, sample_s });
                }
                Ok(false) => self.failed(work, Fault::of_input(&HostError::Cancelled)),
                Err(error) => self.failed(work, Fault::of_input(&error)),
            }
        }
    }

    fn written(&mut self, written: Written) {
        match written.result {
            None => {}
            Some(Ok(what)) => {
                self.outcome.done += 1;
                let partial =
                    matches!(what, What::Done { failed_samples, .. } if failed_samples > 0);
                self.outcome.partial += usize::from(partial);
                self.settle(written.work, what);
            }
            Some(Err(fault)) if fault.lasting == Lasting::NoSpace => {
                self.no_space = Some(fault.reason);
            }
            Some(Err(fault)) => self.failed(written.work, fault),
        }
    }

    fn failed(&mut self, work: Work, fault: Fault) {
        let reason = fault.reason;
        if fault.lasting == Lasting::Permanent {
            self.outcome.quarantined += 1;
            let begun = self.shared.begun().remove(&work.index);
            let inputs = begun.map_or_else(String::new, |begun| begun.state);
            self.settle(work, What::Quarantined { reason, inputs });
        } else if work.of_run >= self.shared.night.run.attempts.0 {
            self.outcome.failed += 1;
            self.settle(work, What::Failed { reason });
        } else {
            let backoff_s = self.shared.backoff_s(work.of_run);
            let event = What::Retry { reason, backoff_s };
            self.record(work, event);
            self.shared.begun().remove(&work.index);
            let when = Instant::now() + Duration::from_secs_f64(backoff_s.clamp(0.0, 1e6));
            let next = Work { attempt: work.attempt + 1, of_run: work.of_run + 1, ..work };
            self.later.push((when, next));
        }
    }

    fn settle(&mut self, work: Work, what: What) {
        self.open.remove(&work.index);
        self.shared.begun().remove(&work.index);
        self.record(work, what);
    }

    fn record(&self, work: Work, what: What) {
        let event = self.shared.journal.record(self.shared.name(work), work.attempt, what);
        let count = Count { settled: self.total - self.open.len(), of: self.total };
        (self.shared.options.observer)(&event, count);
    }

    /// Ends what is at work: jobs are cancelled, what the writer has in hand is still written.
    fn abandon(&mut self, written: &Receiver<Written>) {
        for job in &self.in_flight {
            job.submitted.job().cancel();
        }
        self.in_flight.clear();
        // The writer hangs up after what it has in hand.
        while let Ok(written) = written.recv() {
            self.written(written);
        }
        let begun = std::mem::take(&mut *self.shared.begun());
        for (index, Begun { attempt, .. }) in begun {
            let work = Work { index, attempt, of_run: 1 };
            self.record(work, What::Abandoned { reason: "the night was stopped".into() });
        }
        self.memory.take(self.outcome.done);
    }
}

/// Looks at the resident set now and then.
struct Memory {
    begun: Instant,
    next: Instant,
    every: Duration,
    samples: Vec<MemorySample>,
}

impl Memory {
    fn new() -> Self {
        let now = Instant::now();
        Self { begun: now, next: now, every: MEMORY_EVERY, samples: Vec::new() }
    }

    fn look(&mut self, done: usize) {
        if Instant::now() >= self.next {
            self.take(done);
        }
    }

    fn take(&mut self, done: usize) {
        if self.samples.len() >= MEMORY_SAMPLES {
            self.every *= 2;
            let mut k = 0;
            self.samples.retain(|_| {
                k += 1;
                k % 2 == 1
            });
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        self.samples.push(MemorySample { seconds, resident_bytes: resident_bytes(), done });
        self.next = Instant::now() + self.every;
    }
}
