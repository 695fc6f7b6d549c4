//! The harness's side of the worker processes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::check::Check;
use crate::report::{Report, Row, Verdict};
use crate::scratch::Scratch;
use crate::worker::Answer;

/// Runs the checks one after another and reports each to `seen`.
///
/// # Errors
/// When no worker can be started.
pub(crate) fn run(
    library: &Path,
    checks: &[&'static Check],
    limit: Duration,
    mut seen: impl FnMut(&Row),
) -> io::Result<Report> {
    let start = Instant::now();
    let scratch = Scratch::new()?;
    let mut worker: Option<Worker> = None;
    let mut report = Report::new(library);
    for check in checks {
        if check.fresh {
            worker = None;
        }
        let mut at_work = match worker.take() {
            Some(worker) => worker,
            None => Worker::start(library, scratch.path())?,
        };
        let begun = Instant::now();
        let answer = at_work.ask(check.name, limit);
        let mut row = Row {
            name: check.name.into(),
            contract: check.contract.into(),
            result: Verdict::Failed,
            detail: String::new(),
            ms: begun.elapsed().as_secs_f64() * 1e3,
            figures: Vec::new(),
        };
        match answer {
            Ok(answer) => {
                (row.result, row.detail, row.ms) = (answer.result, answer.detail, answer.ms);
                row.figures = answer.figures;
                worker = (!check.fresh).then_some(at_work);
            }
            Err(death) => row.detail = death,
        }
        seen(&row);
        report.push(row);
    }
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// A process that runs checks.
struct Worker {
    process: Child,
    names: ChildStdin,
    answers: Receiver<String>,
    complaints: Receiver<String>,
}

impl Worker {
    fn start(library: &Path, scratch: &Path) -> io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(library)
            .arg("--worker")
            .arg(scratch)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let names = process.stdin.take().expect("because it is piped");
        let answers = lines(process.stdout.take().expect("because it is piped"));
        let complaints = lines(process.stderr.take().expect("because it is piped"));
        Ok(Self { process, names, answers, complaints })
    }

    /// The answer to a check, or how the process died over it.
    fn ask(&mut self, name: &str, limit: Duration) -> Result<Answer, String> {
        let deadline = Instant::now() + limit;
        // A dead worker shows below.
        let _ = writeln!(self.names, "{name}").and_then(|()| self.names.flush());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.answers.recv_timeout(left) {
                // What a library prints there is not an answer.
                Ok(line) => {
                    if let Ok(answer) = serde_json::from_str::<Answer>(&line) {
                        return Ok(answer);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("hangs: no answer within {} s", limit.as_secs()));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.obituary()),
            }
        }
    }

    fn obituary(&mut self) -> String {
        let how = self.process.wait().map_or_else(|error| error.to_string(), cause);
        let last = self.complaints.iter().last().map(|line| format!(": {line}"));
        format!("crash: the process {how}{}", last.unwrap_or_default())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It has nothing left to say; one that hangs would not end by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn cause(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.signal(), status.code()) {
        (Some(libc::SIGSEGV), _) => "died of a segmentation fault".into(),
        (Some(libc::SIGABRT), _) => "aborted".into(),
        (Some(signal), _) => format!("died of signal {signal}"),
        (None, code) => format!("ended with code {}", code.unwrap_or(-1)),
    }
}

/// The lines of a stream, as they come.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let lines = BufReader::new(stream).split(b'\n').map_while(Result::ok);
        for line in lines {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    receiver
}
