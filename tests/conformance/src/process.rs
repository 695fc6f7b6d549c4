//! This process as the kernel sees it (proc(5)), and children of it.

use std::fs;
use std::time::{Duration, Instant};

use crate::check::{Fault, ensure};

/// Threads of this process.
pub(crate) fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Threads, once ended ones have gone: the kernel takes a moment after a join.
pub(crate) fn settled_threads(expected: usize) -> usize {
    let deadline = Instant::now() + Duration::from_secs(5);
    while threads() != expected && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
    threads()
}

/// Resident memory, bytes.
pub(crate) fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Runs `body` in a forked child, which ends with the number it returns; fails unless that is 0.
///
/// `body` names the contract it finds broken by its number; 20 s later the child is ended.
pub(crate) fn in_fork(body: impl FnOnce() -> i32) -> Result<(), Fault> {
    // SAFETY: the child calls nothing but the library under test, alarm and _exit.
    let child = unsafe { libc::fork() };
    ensure!(child >= 0, "the harness cannot fork");
    if child == 0 {
        // SAFETY: both are safe after a fork; _exit runs no destructors of the parent's.
        unsafe {
            libc::alarm(20);
            libc::_exit(body());
        }
    }
    let mut status = 0;
    // SAFETY: waits for the child above.
    let waited = unsafe { libc::waitpid(child, &mut status, 0) };
    ensure!(waited == child, "the harness lost its child");
    ensure!(libc::WIFEXITED(status), "the child died of signal {}", libc::WTERMSIG(status));
    let code = libc::WEXITSTATUS(status);
    ensure!(code == 0, "in the forked child, step {code} went wrong");
    Ok(())
}
