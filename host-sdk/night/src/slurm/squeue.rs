//! What squeue says: the tasks that are queued or running, and for some minutes those that ended.

use std::collections::BTreeMap;

use super::error::{Result, SlurmError};
use super::task::{Exit, Task, TaskState, seconds, word};

/// The fields asked for, each with a width and the mark that ends it.
pub(super) const FORMAT: &str = "ArrayTaskID:64|,State:64|,Reason:128|,NodeList:256|,\
    exit_code:32|,RestartCnt:32|,StartTime:32|,EndTime:32|";
/// The options that make squeue write one line per task in that form, whatever its state.
pub(super) const OPTIONS: [&str; 3] = ["--noheader", "--array", "--states=all"];

/// The tasks of one job, by their index in the array; a job that is none is task 0.
///
/// # Errors
/// [`SlurmError::Answer`] for a line of another form.
pub(super) fn parse(text: &str) -> Result<BTreeMap<u32, Task>> {
    text.lines().filter(|line| !line.trim().is_empty()).map(task).collect()
}

fn task(line: &str) -> Result<(u32, Task)> {
    let wrong = || SlurmError::Answer { program: "squeue", line: line.to_owned() };
    let fields: Vec<_> = line.split('|').map(str::trim).collect();
    let [index, state, reason, node, exit, restarts, started, ended, ..] = fields[..] else {
        return Err(wrong());
    };
    let index = match index {
        "N/A" => 0,
        index => index.parse().map_err(|_| wrong())?,
    };
    let state = TaskState::parse(state);
    let over = state.is_over();
    let begun = over || state.is_alive();
    // A wait status: the exit code in the upper byte, the signal in the lower seven bits.
    let status: u32 = exit.parse().map_err(|_| wrong())?;
    let exit = Exit { code: (status >> 8) as u8, signal: (status & 0x7f) as u8 };
    let task = Task {
        reason: word(reason),
        node: word(node),
        exit: over.then_some(exit),
        restarts: restarts.parse().map_err(|_| wrong())?,
        // For a queued task these are guesses of the scheduler.
        started_s: seconds(started).filter(|_| begun),
        ended_s: seconds(ended).filter(|_| over),
        ..Task::new(state)
    };
    Ok((index, task))
}
