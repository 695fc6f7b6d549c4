//! The side of a worker process: names in, answers out.

use std::io::{self, BufRead, Write};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::check::{self, Fault, Figure};
use crate::report::Verdict;
use crate::session::Session;

/// A line of a worker.
#[derive(Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) result: Verdict,
    pub(crate) detail: String,
    pub(crate) ms: f64,
    pub(crate) figures: Vec<Figure>,
}

/// Answers until standard input ends.
pub(crate) fn serve(library: PathBuf, folder: PathBuf) {
    // A check that panics says so in its answer.
    panic::set_hook(Box::new(|_| {}));
    let session = Session::new(library, folder);
    for name in io::stdin().lock().lines().map_while(Result::ok) {
        let Some(check) = check::named(&name) else { return };
        let start = Instant::now();
        let verdict = catch_unwind(AssertUnwindSafe(|| (check.run)(&session)));
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let (result, detail, figures) = match verdict {
            Ok(Ok(pass)) => (Verdict::Passed, pass.detail, pass.figures),
            Ok(Err(Fault::Broken(why))) => (Verdict::Failed, why, Vec::new()),
            Ok(Err(Fault::Absent(why))) => (Verdict::Skipped, why, Vec::new()),
            Err(_) => (Verdict::Failed, "the check panicked".into(), Vec::new()),
        };
        let answer = Answer { result, detail, ms, figures };
        let line = serde_json::to_string(&answer).expect("because an answer is plain data");
        let mut out = io::stdout().lock();
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}
