//! Seeds: sample k is a function of (seed, k, description), bit for bit.

use std::ptr::null;

use pellucid_ffi::*;

use crate::check::{Check, Fault, Verdict, ensure, pass};
use crate::host::{Ask, Host, LONG, SHORT, SIDE, Shot};
use crate::session::Session;

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "determinism.same-seed",
        "the same seed gives the same samples bit for bit, also in another engine",
        same_seed,
    ),
    Check::new(
        "determinism.other-seed",
        "another seed gives other samples, whichever bit of it differs",
        other_seed,
    ),
    Check::new(
        "determinism.samples-differ",
        "the samples of a job differ from each other",
        samples_differ,
    ),
    Check::new(
        "determinism.n-samples",
        "sample k does not depend on the number of samples",
        n_samples,
    ),
    Check::new("determinism.batch", "samples do not depend on max_batch", batch),
    Check::new(
        "determinism.other-jobs",
        "samples do not depend on other jobs or the priority",
        other_jobs,
    ),
    Check::new("determinism.data", "other data gives other samples", data),
];

const D: usize = SIDE * SIDE;

fn draw(host: &Host<'_>, seed: u64, n_samples: i32) -> Result<Vec<f32>, Fault> {
    let exposure = host.exposure(&Shot::plain())?;
    host.draw(&[exposure.get()], &Ask { seed, n_samples, ..Ask::new(SHORT) })
}

fn same_seed(session: &Session) -> Verdict {
    let (host, other) = (Host::new(session)?, Host::new(session)?);
    let first = draw(&host, 7, 4)?;
    ensure!(draw(&host, 7, 4)? == first, "a second job gives other samples");
    ensure!(draw(&other, 7, 4)? == first, "another engine gives other samples");
    pass()
}

fn other_seed(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let first = draw(&host, 7, 2)?;
    for seed in [0, 6, 7 + (1 << 32), 7 | (1 << 63), u64::MAX] {
        ensure!(draw(&host, seed, 2)? != first, "seed {seed} gives the samples of seed 7");
    }
    pass()
}

fn samples_differ(session: &Session) -> Verdict {
    let all = draw(&Host::new(session)?, 7, 12)?;
    for (a, b) in (0..12).flat_map(|a| (0..a).map(move |b| (a, b))) {
        ensure!(all[a * D..][..D] != all[b * D..][..D], "samples {a} and {b} are the same");
    }
    pass()
}

fn n_samples(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let all = draw(&host, 7, 19)?;
    for n in [1, 2, 5, 8, 9] {
        let few = draw(&host, 7, n)?;
        ensure!(few == all[..few.len()], "of {n} samples one is not that of 19");
    }
    pass()
}

fn batch(session: &Session) -> Verdict {
    let all = draw(&Host::new(session)?, 7, 5)?;
    for max_batch in [1, 2, 3] {
        let config = format!(r#"{{"device": "cpu", "threads": 1, "max_batch": {max_batch}}}"#);
        let host = Host::with(session, &config, null())?;
        ensure!(draw(&host, 7, 5)? == all, "max_batch {max_batch} gives other samples");
    }
    pass()
}

fn other_jobs(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let alone = draw(&host, 7, 5)?;
    let exposure = host.exposure(&Shot::plain())?;
    let blocker = host.submit(&[exposure.get()], &Ask::new(LONG))?;
    super::jobs::until_running(&host, &blocker)?;
    // Queued together: they may share a batch.
    let ask = |seed, priority| {
        let spoil = move |desc: &mut pellucid_job_desc| desc.priority = priority;
        let ask = Ask { seed, n_samples: 5, spoil: &spoil, ..Ask::new(SHORT) };
        host.submit(&[exposure.get()], &ask)
    };
    let jobs = [ask(3, 9)?, ask(7, 4)?, ask(11, 4)?];
    slot!(host.api, job_cancel(blocker.get()))?;
    let together = host.samples(&host.finish(&jobs[1])?, 5)?;
    ensure!(together == alone, "with other jobs the samples are others");
    pass()
}

fn data(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let mut shot = Shot::plain();
    shot.sci[40] += 0.5;
    let exposure = host.exposure(&shot)?;
    let other = host.draw(&[exposure.get()], &Ask::new(SHORT))?;
    ensure!(other != draw(&host, 7, 4)?, "a changed pixel changes nothing");
    pass()
}
