//! Log messages.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::null;
use std::sync::Mutex;
use std::thread::{self, ThreadId};

use pellucid_ffi::*;

use crate::arrays::sized;
use crate::check::{Check, Fault, Verdict, ensure, pass};
use crate::host::{Host, SHORT, context};
use crate::session::Session;

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "logs.callers-thread",
        "messages arrive inside job_wait, log_drain and engine_release only, on the thread that calls them",
        callers_thread,
    ),
    Check::new("logs.drain", "log_drain delivers at most max messages and says how many", drain),
    Check::new(
        "logs.dropped",
        "of more than 1024 waiting messages the oldest are dropped and counted",
        dropped,
    ),
    Check::new("logs.level", "log_level bounds what is delivered", level),
    Check::new(
        "logs.any-thread",
        "with PELLUCID_HOST_LOG_ANY_THREAD messages arrive at once",
        any_thread,
    ),
    Check::new(
        "logs.none-after-release",
        "no message arrives once engine_release has returned",
        none_after_release,
    ),
    Check::new(
        "logs.text",
        "target and message are UTF-8 text, the level one of the header's",
        text_of_messages,
    ),
    Check::new("logs.reentrancy", "inside log, slots that take an engine are E_STATE", reentrancy),
    Check::new("logs.quiet", "the library writes nothing to standard output or error", quiet)
        .fresh(),
];

/// A message as it arrived.
struct Message {
    thread: ThreadId,
    level: i32,
    target: Vec<u8>,
    text: Vec<u8>,
}

/// What arrived.
#[derive(Default)]
struct Book(Mutex<Vec<Message>>);

impl Book {
    fn taken(&self) -> Vec<Message> {
        std::mem::take(&mut *self.0.lock().expect("because no holder panics"))
    }
}

/// NULL becomes what is no UTF-8, the wrong text it is.
unsafe fn bytes(text: *const c_char) -> Vec<u8> {
    // SAFETY: NULL or, by the header, NUL-terminated.
    if text.is_null() { vec![0xff] } else { unsafe { CStr::from_ptr(text) }.to_bytes().to_vec() }
}

unsafe extern "C" fn log(ctx: *mut c_void, level: i32, target: *const c_char, msg: *const c_char) {
    // SAFETY: every check keeps its Book to its end; texts by the header.
    let (book, target, text) = unsafe { (&*ctx.cast::<Book>(), bytes(target), bytes(msg)) };
    let message = Message { thread: thread::current().id(), level, target, text };
    book.0.lock().expect("because no holder panics").push(message);
}

fn logging<'a>(
    session: &'a Session,
    book: &Book,
    level: &str,
    flags: u32,
) -> Result<Host<'a>, Fault> {
    let mut functions: pellucid_host = sized();
    (functions.ctx, functions.flags) = (context(book), flags);
    functions.log = Some(log);
    let config = format!(r#"{{"device": "cpu", "threads": 1, "log_level": "{level}"}}"#);
    Host::with(session, &config, &functions)
}

fn callers_thread(session: &Session) -> Verdict {
    let book = Book::default();
    let host = logging(session, &book, "trace", 0)?;
    let job = host.job(SHORT)?;
    ok!(host.api, engine_memory(host.raw(), &mut sized()))?;
    // Time for a worker to say something.
    while super::jobs::poll(&host, &job)?.state < PELLUCID_JOB_DONE {
        thread::sleep(std::time::Duration::from_millis(1));
    }
    let early = book.taken().len();
    ensure!(early == 0, "{early} messages arrived outside job_wait, log_drain and engine_release");
    let here = thread::current().id();
    let mut count = 0;
    let mut heard = |by: &str| {
        let messages = book.taken();
        let elsewhere = messages.iter().filter(|message| message.thread != here).count();
        ensure!(elsewhere == 0, "{by}: {elsewhere} messages arrived on another thread");
        count += messages.len();
        Ok(messages.len())
    };
    ok!(host.api, job_wait(job.get(), -1))?;
    ensure!(heard("job_wait")? > 0, "job_wait delivers nothing");
    ok!(host.api, engine_memory(host.raw(), &mut sized()))?;
    slot!(host.api, log_drain(host.raw(), usize::MAX))?;
    heard("log_drain")?;
    drop(host);
    heard("engine_release")?;
    Ok(format!("{count} messages").into())
}

fn drain(session: &Session) -> Verdict {
    let book = Book::default();
    let host = logging(session, &book, "trace", 0)?;
    for _ in 0..5 {
        ok!(host.api, engine_memory(host.raw(), &mut sized()))?;
    }
    let drain = |max| -> Result<(usize, usize), Fault> {
        let said = slot!(host.api, log_drain(host.raw(), max))?;
        Ok((said, book.taken().len()))
    };
    ensure!(drain(0)? == (0, 0), "log_drain(0) delivers");
    let (said, came) = drain(2)?;
    ensure!((said, came) == (2, 2), "log_drain(2) says {said} and delivers {came}");
    let (said, came) = drain(usize::MAX)?;
    ensure!(said == came && said >= 1, "log_drain says {said} and delivers {came}");
    ensure!(drain(usize::MAX)? == (0, 0), "a second log_drain delivers");
    pass()
}

fn dropped(session: &Session) -> Verdict {
    let book = Book::default();
    let host = logging(session, &book, "trace", 0)?;
    for _ in 0..1500 {
        ok!(host.api, engine_memory(host.raw(), &mut sized()))?;
    }
    let said = slot!(host.api, log_drain(host.raw(), usize::MAX))?;
    let messages = book.taken();
    ensure!(said == messages.len() && (1024..=1025).contains(&said), "{said} messages arrived");
    let counted = messages.iter().any(|message| {
        let text = String::from_utf8_lossy(&message.text);
        text.split(|c: char| !c.is_ascii_digit()).any(|n| n.parse::<u32>().is_ok_and(|n| n >= 476))
    });
    ensure!(counted, "no message says how many were dropped");
    pass()
}

fn level(session: &Session) -> Verdict {
    let mut counts = Vec::new();
    for level in ["off", "error", "warn", "info", "debug", "trace"] {
        let book = Book::default();
        let host = logging(session, &book, level, 0)?;
        host.result()?;
        drop(host);
        let messages = book.taken();
        let highest = messages.iter().map(|message| message.level).max().unwrap_or(0);
        let bound = counts.len() as i32;
        ensure!(highest <= bound, "at {level} a message of level {highest} arrives");
        counts.push(messages.len());
    }
    ensure!(counts[0] == 0, "at off {} messages arrive", counts[0]);
    ensure!(counts[5] > counts[2], "at trace no more than at warn: {counts:?}");
    Ok(format!("off to trace: {counts:?}").into())
}

fn any_thread(session: &Session) -> Verdict {
    let book = Book::default();
    let host = logging(session, &book, "trace", PELLUCID_HOST_LOG_ANY_THREAD)?;
    ok!(host.api, engine_memory(host.raw(), &mut sized()))?;
    ensure!(!book.taken().is_empty(), "nothing arrives at once");
    let late = slot!(host.api, log_drain(host.raw(), usize::MAX))?;
    ensure!(late == 0, "{late} messages waited for log_drain");
    pass()
}

fn none_after_release(session: &Session) -> Verdict {
    let book = Book::default();
    for flags in [0, PELLUCID_HOST_LOG_ANY_THREAD] {
        let host = logging(session, &book, "trace", flags)?;
        let job = host.job(crate::host::LONG)?;
        super::jobs::until_running(&host, &job)?;
        drop(host);
        book.taken();
        let other = Host::new(session)?;
        ok!(other.api, job_poll(job.get(), &mut sized()))?;
        drop(job);
        drop(other);
        let late = book.taken().len();
        ensure!(late == 0, "flags {flags}: {late} messages after engine_release");
    }
    pass()
}

fn text_of_messages(session: &Session) -> Verdict {
    let book = Book::default();
    let host = logging(session, &book, "trace", 0)?;
    host.result()?;
    drop(host);
    let messages = book.taken();
    for Message { level, target, text, .. } in &messages {
        ensure!((PELLUCID_LOG_ERROR..=PELLUCID_LOG_TRACE).contains(level), "level {level}");
        let utf8 = std::str::from_utf8(target).is_ok() && std::str::from_utf8(text).is_ok();
        ensure!(utf8 && !text.is_empty(), "a message is empty, NULL or not UTF-8");
    }
    Ok(format!("{} messages", messages.len()).into())
}

/// An engine to misuse from inside its own log function.
struct Inside {
    api: pellucid_api,
    engine: Mutex<usize>,
    statuses: Mutex<Vec<pellucid_status>>,
}

unsafe extern "C" fn call_back(ctx: *mut c_void, _: i32, _: *const c_char, _: *const c_char) {
    // SAFETY: the check keeps it to its end.
    let inside = unsafe { &*ctx.cast::<Inside>() };
    let engine = *inside.engine.lock().expect("because no holder panics");
    let engine = std::ptr::without_provenance_mut(engine);
    let memory = slot!(inside.api, engine_memory(engine, &mut sized(), std::ptr::null_mut()));
    let _ = slot!(inside.api, engine_release(engine));
    let drained = slot!(inside.api, log_drain(engine, 1)).map_or(-3, |n| n as i32);
    let mut statuses = inside.statuses.lock().expect("because no holder panics");
    statuses.extend([memory.unwrap_or(-2), if drained == 0 { PELLUCID_E_STATE } else { -3 }]);
}

fn reentrancy(session: &Session) -> Verdict {
    let inside = Inside { api: *session.api()?, engine: Mutex::new(0), statuses: Mutex::default() };
    let mut functions: pellucid_host = sized();
    functions.ctx = context(&inside);
    functions.log = Some(call_back);
    let config = r#"{"device": "cpu", "threads": 1, "log_level": "trace"}"#;
    let host = Host::with(session, config, &functions)?;
    *inside.engine.lock().expect("because no holder panics") = host.engine.number();
    slot!(host.api, log_drain(host.raw(), usize::MAX))?;
    ok!(host.api, engine_memory(host.raw(), &mut sized()))?;
    host.result()?;
    drop(host);
    let statuses = inside.statuses.lock().expect("because no holder panics").clone();
    let wrong = statuses.iter().find(|status| **status != PELLUCID_E_STATE);
    ensure!(wrong.is_none() && !statuses.is_empty(), "statuses {statuses:?}, need E_STATE");
    pass()
}

fn quiet(session: &Session) -> Verdict {
    let file = session.folder.join("streams");
    let into = std::fs::File::create(&file)?;
    use std::os::fd::AsRawFd;
    // SAFETY: descriptors of this process, put back below.
    let kept = unsafe { [libc::dup(1), libc::dup(2)] };
    // SAFETY: as above.
    unsafe {
        libc::dup2(into.as_raw_fd(), 1);
        libc::dup2(into.as_raw_fd(), 2);
    }
    let worked = (|| {
        let host = Host::with(session, "{}", null())?;
        host.result()?;
        let config = c"{\"devise\": 1}";
        let mut engine = std::ptr::null_mut();
        fails!(host.api, PELLUCID_E_CONFIG, engine_create(config.as_ptr(), null(), &mut engine))
    })();
    // SAFETY: as above.
    unsafe {
        libc::dup2(kept[0], 1);
        libc::dup2(kept[1], 2);
        libc::close(kept[0]);
        libc::close(kept[1]);
    }
    worked?;
    let text = std::fs::read_to_string(&file)?;
    ensure!(text.is_empty(), "it writes: {:?}", text.lines().next().unwrap_or_default());
    pass()
}
