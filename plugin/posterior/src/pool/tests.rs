//! The pool with a stand-in for the sampler: packing, order, isolation, cancelling, the end.

use super::job::Outcome;
use super::queue::Tally;
use super::worker::Draw;
use super::*;
use crate::diagnostics::{Cost, Diagnostics};
use crate::sampler::{BatchOutcome, Observer, SlotOutcome};
use pellucid_exposure::ModelGrid;
use posterior::Held;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

const LIMIT: usize = 4;
const STEPS: usize = 5;
const LONG: Option<Duration> = Some(Duration::from_secs(20));

/// Seeds and sample numbers of every batch that was begun.
type Batches = Arc<Mutex<Vec<Vec<(u64, usize)>>>>;

/// Sample k is a function of (seed, k); `JobSpec::likelihood` says what shall go wrong. Every step
/// takes a token from `gate`, or waits for one, until the gate is opened by dropping its sender.
struct Fake {
    gate: Receiver<()>,
    batches: Batches,
}

/// A job made ready; one that is told to takes its worker along when it goes.
struct Remains {
    deadly: bool,
}

impl Drop for Remains {
    fn drop(&mut self) {
        assert!(!self.deadly || std::thread::panicking(), "no grave");
    }
}

impl Runner for Fake {
    type Prepared = Remains;

    fn prepare(&mut self, job: &Ticket) -> Result<Remains, PosteriorError> {
        match job.spec.likelihood.as_str() {
            "prepare: for ever" => loop {
                job.check_wanted()?;
                std::thread::yield_now();
            },
            "prepare: error" => Err(PosteriorError::config("fake", "none", "one")),
            "prepare: panic" => panic!("no plan"),
            other => Ok(Remains { deadly: other == "drop: panic" }),
        }
    }

    fn sample(
        &mut self,
        draws: &[Draw<'_, Remains>],
        observer: &mut dyn Observer,
    ) -> Result<BatchOutcome, PosteriorError> {
        let batch = draws.iter().map(|d| (d.spec.seed, d.sample)).collect();
        self.batches.lock().expect("no panic holds it").push(batch);
        for step in 1..=STEPS {
            let _ = self.gate.recv();
            if observer.step(step, STEPS).is_break() {
                return Err(PosteriorError::Cancelled);
            }
        }
        let slots = draws.iter().map(|draw| {
            let image = match draw.spec.likelihood.as_str() {
                "sample: panic" => panic!("{}", draw.spec.likelihood),
                "sample: NaN" if draw.sample == 1 => Ok(vec![f32::NAN; 4]),
                "sample: all fail" => Err("diverged".into()),
                _ => Ok(vec![value(draw.spec.seed, draw.sample); 4]),
            };
            SlotOutcome {
                image,
                cg_iterations: 0,
                cg_breakdowns: 0,
                sweeps: 0,
                proposals: 0,
                accepted: 0,
                step_size: f64::NAN,
            }
        });
        Ok(BatchOutcome {
            slots: slots.collect(),
            network_evaluations: STEPS,
            network_seconds: 0.0,
            noise_evaluations: 0,
            noise_seconds: 0.0,
            total_seconds: 0.0,
        })
    }

    fn finish(
        &mut self,
        job: &Ticket,
        _: &Remains,
        tally: Tally,
    ) -> Result<Posterior, PosteriorError> {
        let spec = &job.spec;
        if spec.likelihood == "finish: panic" {
            panic!("no end");
        }
        let (samples, sample_errors) = runner::images(tally.slots, 2.0, (2, 2))?;
        Ok(Posterior {
            diagnostics: Diagnostics::new(Vec::new(), samples.view(), Cost::default()),
            samples,
            sample_errors,
            exposures: Vec::new(),
            grid: spec.grid.clone(),
            provenance: serde_json::Value::Null,
            models: Vec::new(),
            used: Vec::new(),
            _held: Held::new(&Arc::default(), 0),
        })
    }
}

fn value(seed: u64, sample: usize) -> f32 {
    (seed * 1000 + sample as u64) as f32
}

/// The gate is dropped, and so opened, before the pool waits for its worker.
struct Bench {
    gate: Option<Sender<()>>,
    pool: Pool,
    batches: Batches,
}

impl Bench {
    fn new(capacity: usize) -> Self {
        let (sender, gate) = channel();
        let batches = Batches::default();
        let fake = Fake { gate, batches: batches.clone() };
        let pool = Pool::start(capacity, LIMIT, move || fake).expect("a thread");
        Self { gate: Some(sender), pool, batches }
    }

    fn open() -> Self {
        Self { gate: None, ..Self::new(1000) }
    }

    fn try_submit(
        &self,
        seed: u64,
        n_samples: usize,
        spec: JobSpec,
    ) -> Result<Job, PosteriorError> {
        let key = BatchKey::new(spec.prior.clone().into(), &spec.options);
        self.pool.submit(JobSpec { seed, n_samples, ..spec }, key)
    }

    fn submit(&self, seed: u64, n_samples: usize) -> Job {
        self.try_submit(seed, n_samples, spec()).expect("there is room")
    }

    fn submit_faulty(&self, seed: u64, n_samples: usize, fault: &str) -> Job {
        let spec = JobSpec { likelihood: fault.into(), ..spec() };
        self.try_submit(seed, n_samples, spec).expect("there is room")
    }

    fn batches(&self) -> Vec<Vec<(u64, usize)>> {
        self.batches.lock().expect("no panic holds it").clone()
    }

    /// Occupies the worker with a job of seed 0, so that later jobs queue up.
    fn blocked(capacity: usize) -> (Self, Job) {
        let bench = Self::new(capacity);
        let job = bench.submit(0, 1);
        wait_until(|| !bench.batches().is_empty());
        (bench, job)
    }
}

fn spec() -> JobSpec {
    JobSpec {
        exposures: Vec::new(),
        grid: ModelGrid { ny: 2, nx: 2, ra_deg: 0.0, dec_deg: 0.0, pixel_scale_arcsec: 1.0 },
        prior: "prior".into(),
        likelihood: "gaussian".into(),
        options: Options::default(),
        n_samples: 1,
        seed: 0,
        priority: 0,
        on_state: None,
    }
}

pub(super) fn wait_until(condition: impl Fn() -> bool) {
    for _ in 0..20_000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("the condition never came true");
}

fn samples(job: &Job) -> Vec<f32> {
    assert_eq!(job.wait(LONG).expect("in time"), JobState::Done);
    let posterior = job.result().expect("the job is done");
    posterior.samples.outer_iter().map(|image| image[[0, 0, 0]]).collect()
}

fn expected(seed: u64, n: usize) -> Vec<f32> {
    (0..n).map(|k| 2.0 * value(seed, k)).collect()
}

fn failure(job: &Job) -> PosteriorError {
    assert_eq!(job.wait(LONG).expect("in time"), JobState::Failed);
    job.result().err().expect("the job failed")
}

#[test]
fn two_jobs_share_a_batch() {
    let (mut bench, _block) = Bench::blocked(10);
    let (a, b) = (bench.submit(1, 6), bench.submit(2, 3));
    bench.gate = None;
    assert_eq!((samples(&a), samples(&b)), (expected(1, 6), expected(2, 3)));
    let batches = bench.batches();
    assert_eq!(batches[1], [(1, 0), (1, 1), (1, 2), (1, 3)]);
    assert_eq!(batches[2], [(1, 4), (1, 5), (2, 0), (2, 1)]);
    assert_eq!(batches[3], [(2, 2)]);
}

#[test]
fn jobs_with_other_options_do_not() {
    let (mut bench, _block) = Bench::blocked(10);
    let options = |steps, flux_scale| Options { steps, flux_scale, ..Options::default() };
    let submit = |seed, options| {
        bench.try_submit(seed, 1, JobSpec { options, ..spec() }).expect("there is room")
    };
    let jobs = [
        submit(1, options(None, None)),
        submit(2, options(Some(9), None)),
        submit(3, options(None, Some(0.1))),
    ];
    bench.gate = None;
    jobs.iter().zip(1..).for_each(|(job, seed)| assert_eq!(samples(job), expected(seed, 1)));
    assert_eq!(bench.batches()[1..], [vec![(1, 0), (3, 0)], vec![(2, 0)]]);
}

/// Else each counted the steps and evaluations of the other.
#[test]
fn a_job_with_a_noise_model_shares_no_batch() {
    let (mut bench, blocker) = Bench::blocked(10);
    let key = |spec: &JobSpec| BatchKey::new(spec.prior.clone().into(), &spec.options);
    let learned = |seed| {
        let spec = JobSpec { seed, n_samples: 1, ..spec() };
        let key = key(&spec).alone();
        bench.pool.submit(spec, key).expect("there is room")
    };
    let jobs = [bench.submit(1, 1), learned(2), learned(3), bench.submit(4, 1)];
    bench.gate = None;
    for job in [&blocker].into_iter().chain(&jobs) {
        assert_eq!(job.wait(LONG).expect("in time"), JobState::Done);
    }
    let batches = bench.batches();
    assert_eq!(batches[batches.len() - 3..], [vec![(1, 0), (4, 0)], vec![(2, 0)], vec![(3, 0)]]);
}

#[test]
fn priority_goes_first_then_order() {
    let (mut bench, _block) = Bench::blocked(10);
    let submit = |seed, priority| {
        bench.try_submit(seed, LIMIT, JobSpec { priority, ..spec() }).expect("there is room")
    };
    let jobs = [submit(1, 0), submit(2, 5), submit(3, 5), submit(4, -1)];
    bench.gate = None;
    jobs.iter().for_each(|job| drop(samples(job)));
    let order: Vec<u64> = bench.batches()[1..].iter().map(|batch| batch[0].0).collect();
    assert_eq!(order, [2, 3, 1, 4]);
}

#[test]
fn results_do_not_depend_on_the_company() {
    let alone = samples(&Bench::open().submit(7, 11));
    let bench = Bench::open();
    let jobs: Vec<Job> = (0..9).map(|seed| bench.submit(seed, 11)).collect();
    assert_eq!(samples(&jobs[7]), alone);
}

#[test]
fn many_small_jobs() {
    let bench = Bench::open();
    let jobs: Vec<Job> = (0..500).map(|seed| bench.submit(seed, 1 + seed as usize % 3)).collect();
    for (job, seed) in jobs.iter().zip(0..) {
        assert_eq!(samples(job), expected(seed, 1 + seed as usize % 3));
    }
}

#[test]
fn a_full_queue_refuses() {
    let (mut bench, block) = Bench::blocked(2);
    let jobs = [bench.submit(1, 1), bench.submit(2, 1)];
    let error = bench.try_submit(3, 1, spec()).err();
    assert!(matches!(error, Some(PosteriorError::QueueFull { capacity: 2 })));
    jobs[0].cancel();
    let late = bench.submit(4, 1);
    bench.gate = None;
    assert_eq!((samples(&block), samples(&late)), (expected(0, 1), expected(4, 1)));
}

#[test]
fn cancelling_stops_within_one_step() {
    let (bench, running) = Bench::blocked(10);
    let queued = bench.submit(1, 1);
    queued.cancel();
    running.cancel();
    for job in [&queued, &running] {
        assert_eq!(job.wait(LONG).expect("in time"), JobState::Cancelled);
        assert!(matches!(job.result(), Err(PosteriorError::Cancelled)));
    }
    // One token is one step: enough for the worker to leave the batch and begin the next.
    let next = bench.submit(2, 1);
    bench.gate.as_ref().expect("the gate is shut").send(()).expect("the worker listens");
    wait_until(|| bench.batches().len() == 2);
    assert_eq!(bench.batches()[1], [(2, 0)]);
    next.cancel();
    next.cancel();
}

#[test]
fn cancelling_one_job_of_a_batch_leaves_the_other() {
    let (mut bench, _block) = Bench::blocked(10);
    let (a, b) = (bench.submit(1, 2), bench.submit(2, 2));
    let gate = bench.gate.clone().expect("the gate is shut");
    (0..STEPS + 1).for_each(|_| gate.send(()).expect("the worker listens"));
    wait_until(|| a.progress().step == 1);
    a.cancel();
    (bench.gate, _) = (None, drop(gate));
    assert_eq!(samples(&b), expected(2, 2));
    assert_eq!(a.progress().state, JobState::Cancelled);
}

#[test]
fn cancelling_stops_a_preparation() {
    let bench = Bench::open();
    let preparing = || {
        let job = bench.submit_faulty(1, 1, "prepare: for ever");
        wait_until(|| job.progress().state == JobState::Running);
        job
    };
    preparing().cancel();
    assert_eq!(samples(&bench.submit(2, 1)), expected(2, 1));
    assert_eq!(bench.batches(), [[(2, 0)]], "a job that has ended is not sampled");
    let last = preparing();
    drop(bench);
    assert_eq!(last.progress().state, JobState::Cancelled);
}

#[test]
fn faults_stay_with_their_job() {
    for (fault, words) in [
        ("prepare: error", "fake"),
        ("prepare: panic", "no plan"),
        ("sample: panic", "sample: panic"),
        ("sample: all fail", "diverged"),
        ("finish: panic", "no end"),
    ] {
        let (mut bench, _block) = Bench::blocked(10);
        let (good, bad) = (bench.submit(1, 2), bench.submit_faulty(2, 1, fault));
        let later = bench.submit(3, 6);
        bench.gate = None;
        let error = failure(&bad).to_string();
        assert!(error.contains(words), "{fault}: {error}");
        assert_eq!((samples(&good), samples(&later)), (expected(1, 2), expected(3, 6)), "{fault}");
    }
}

#[test]
fn a_dead_worker_fails_its_jobs_and_those_to_come() {
    let (mut bench, _block) = Bench::blocked(10);
    // Its remains are dropped outside of every job's guard, with a job begun and one waiting.
    let deadly = bench.submit_faulty(1, 1, "drop: panic");
    let (begun, waiting) = (bench.submit(2, LIMIT), bench.submit(3, LIMIT));
    bench.gate = None;
    assert_eq!(samples(&deadly), expected(1, 1));
    for job in [&begun, &waiting] {
        let error = failure(job);
        assert!(error.to_string().contains("worker thread died (no grave)"), "{error}");
    }
    let late = bench.try_submit(4, 1, spec()).err();
    assert!(matches!(late, Some(PosteriorError::Device { .. })), "{late:?}");
}

#[test]
fn a_worker_that_cannot_begin_fails_all_jobs() {
    let (ready, begin) = channel::<()>();
    let make = move || -> Fake {
        let _ = begin.recv();
        panic!("no libtorch")
    };
    let pool = Pool::start(10, LIMIT, make).expect("a thread");
    let submit = || pool.submit(spec(), BatchKey::new("prior".into(), &Options::default()));
    let job = submit().expect("nobody knows yet");
    drop(ready);
    let error = failure(&job);
    assert!(error.to_string().contains("worker thread died (no libtorch)"), "{error}");
    assert!(matches!(submit(), Err(PosteriorError::Device { .. })));
}

#[test]
fn a_sample_of_nan_is_delivered_as_failed() {
    let bench = Bench::open();
    let job = bench.submit_faulty(5, 3, "sample: NaN");
    let values = samples(&job);
    let posterior = job.result().expect("the job is done");
    assert!(values[1].is_nan() && posterior.sample_errors[1].is_some());
    assert_eq!([values[0], values[2]], [expected(5, 3)[0], expected(5, 3)[2]]);
    assert_eq!(posterior.diagnostics.failed_samples, [1]);
    assert_eq!(posterior.mean()[[1, 1]], (values[0] + values[2]) / 2.0);
}

#[test]
fn dropping_the_pool_cancels() {
    let (bench, running) = Bench::blocked(10);
    let done = {
        let other = Bench::open();
        let job = other.submit(3, 2);
        assert_eq!(samples(&job), expected(3, 2));
        job
    };
    let queued = bench.submit(1, 1);
    let Bench { pool, gate, .. } = bench;
    let ender = std::thread::spawn(move || drop(pool));
    assert_eq!(running.wait(LONG).expect("in time"), JobState::Cancelled);
    assert_eq!(queued.wait(LONG).expect("in time"), JobState::Cancelled);
    gate.expect("the gate is shut").send(()).expect("the worker listens");
    ender.join().expect("the worker has gone home after one step");
    assert_eq!(samples(&done), expected(3, 2), "a result outlives its engine");
}

#[test]
fn progress_and_states() {
    let bench = Bench::new(10);
    let states = Arc::new(Mutex::new(Vec::new()));
    let calls = Arc::new(AtomicUsize::new(0));
    let on_state: OnState = {
        let (states, calls) = (states.clone(), calls.clone());
        Box::new(move |state| {
            states.lock().expect("no panic holds it").push(state);
            calls.fetch_add(1, Ordering::SeqCst);
            panic!("a careless callback");
        })
    };
    let job = bench
        .try_submit(1, 2 * LIMIT, JobSpec { on_state: Some(on_state), ..spec() })
        .expect("there is room");
    assert!(matches!(job.result(), Err(PosteriorError::NotReady { .. })));
    let timeout = job.wait(Some(Duration::from_millis(1)));
    assert!(matches!(timeout, Err(PosteriorError::Timeout { .. })));
    let gate = bench.gate.clone().expect("the gate is shut");
    (0..STEPS + 1).for_each(|_| gate.send(()).expect("the worker listens"));
    wait_until(|| job.progress().samples_done == LIMIT && job.progress().step == 1);
    let now = job.progress();
    assert_eq!((now.state, now.n_steps, now.device), (JobState::Running, STEPS, -1));
    assert!((now.fraction - (0.5 + 0.5 / STEPS as f64)).abs() < 1e-12 && now.eta_s >= 0.0);
    drop((gate, bench.gate));
    assert_eq!(samples(&job), expected(1, 2 * LIMIT));
    assert_eq!((job.progress().fraction, job.progress().eta_s), (1.0, 0.0));
    wait_until(|| calls.load(Ordering::SeqCst) == 2);
    assert_eq!(*states.lock().expect("clean"), [JobState::Running, JobState::Done]);
}

/// A job whose callback records the states and whether two calls ever overlapped.
fn watched(on_call: impl Fn(JobState) + Send + Sync + 'static) -> (Arc<Ticket>, Arc<Calls>) {
    let calls = Arc::new(Calls::default());
    let on_state: OnState = {
        let calls = calls.clone();
        Box::new(move |state| {
            calls.overlap.fetch_or(calls.inside.swap(true, Ordering::SeqCst), Ordering::SeqCst);
            on_call(state);
            calls.states.lock().expect("no panic holds it").push(state);
            calls.inside.store(false, Ordering::SeqCst);
        })
    };
    (Arc::new(Ticket::new(JobSpec { on_state: Some(on_state), ..spec() })), calls)
}

#[derive(Default)]
struct Calls {
    states: Mutex<Vec<JobState>>,
    inside: AtomicBool,
    overlap: AtomicBool,
}

impl Calls {
    fn states(&self) -> Vec<JobState> {
        assert!(!self.overlap.load(Ordering::SeqCst), "two calls at a time");
        self.states.lock().expect("no panic holds it").clone()
    }
}

#[test]
fn a_change_of_state_during_a_call_is_told_after_it() {
    let (entered, inside) = channel();
    let (leave, left) = channel();
    let gates = Mutex::new((entered, left));
    let (ticket, calls) = watched(move |state| {
        if state == JobState::Running {
            let gates = gates.lock().expect("one call at a time");
            gates.0.send(()).expect("the test listens");
            gates.1.recv().expect("the test speaks");
        }
    });
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| ticket.start(-1));
        inside.recv().expect("the call begins");
        ticket.settle(Outcome::Cancelled);
        let (state, overlap) = (ticket.state(), calls.overlap.load(Ordering::SeqCst));
        leave.send(()).expect("the call waits");
        worker.join().expect("no panic");
        assert_eq!((state, overlap), (JobState::Cancelled, false));
    });
    assert_eq!(calls.states(), [JobState::Running, JobState::Cancelled]);
}

#[test]
fn states_are_told_in_order_whoever_changes_them() {
    for _ in 0..2000 {
        let (ticket, calls) = watched(|_| ());
        std::thread::scope(|scope| {
            scope.spawn(|| ticket.start(-1));
            scope.spawn(|| ticket.settle(Outcome::Cancelled));
        });
        let states = calls.states();
        let whole = [JobState::Running, JobState::Cancelled];
        assert!(states == whole || states == whole[1..], "{states:?}");
    }
}

#[test]
fn a_callback_may_cancel_its_own_job() {
    let own = Arc::new(Mutex::new(None::<Job>));
    let (ticket, calls) = watched({
        let own = own.clone();
        move |_| {
            let job = own.lock().expect("no panic holds it").clone();
            job.iter().for_each(Job::cancel);
        }
    });
    *own.lock().expect("nobody calls yet") = Some(Job(ticket.clone()));
    ticket.start(-1);
    assert_eq!(calls.states(), [JobState::Running, JobState::Cancelled]);
    own.lock().expect("no call is left").take();
}
