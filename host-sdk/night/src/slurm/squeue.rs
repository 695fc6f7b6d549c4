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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_in_the_middle_of_its_life() {
        let tasks = parse(include_str!("recorded/squeue-middle.txt")).unwrap();
        let states: Vec<_> = tasks.values().map(|task| task.state.clone()).collect();
        use TaskState::{Completed, Failed, Pending, Running};
        assert_eq!(states, [Completed, Pending, Running, Failed]);
        assert_eq!(tasks[&0].exit, Some(Exit { code: 0, signal: 0 }));
        assert_eq!(tasks[&0].ended_s, Some(1_795_833_178));
        assert_eq!(tasks[&1].reason.as_deref(), Some("BeginTime"));
        assert_eq!((tasks[&1].restarts, tasks[&1].started_s), (1, None), "a guess is no start");
        assert_eq!(tasks[&2].node.as_deref(), Some("vm"));
        assert_eq!(tasks[&2].started_s, Some(1_795_833_178));
        assert_eq!((tasks[&2].exit, tasks[&2].ended_s), (None, None), "it runs");
        assert_eq!(tasks[&3].exit, Some(Exit { code: 0, signal: 9 }));
    }

    #[test]
    fn an_array_that_ended_in_every_way() {
        let tasks = parse(include_str!("recorded/squeue-ended.txt")).unwrap();
        assert!(tasks.values().all(|task| task.state.is_over()));
        let said: Vec<_> = tasks.values().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "COMPLETED, on vm",
                "FAILED (NonZeroExitCode), exit code 3, on vm, started again 1 time(s)",
                "CANCELLED, killed by signal 15, on vm",
                "FAILED (JobLaunchFailure), killed by signal 9, on vm",
            ]
        );
        let late = parse(include_str!("recorded/squeue-timeout.txt")).unwrap();
        assert_eq!(late[&0].to_string(), "TIMEOUT (TimeLimit), killed by signal 15, on vm");
        let lost = parse(include_str!("recorded/squeue-node-fail.txt")).unwrap();
        assert_eq!(lost[&1].to_string(), "PENDING (BeginTime), started again 1 time(s)");
    }

    #[test]
    fn tasks_that_wait() {
        let held = parse(include_str!("recorded/squeue-queued.txt")).unwrap();
        assert_eq!(held.len(), 2);
        assert_eq!(held[&1].to_string(), "PENDING (JobHeldUser)");
        let report = parse(include_str!("recorded/squeue-report.txt")).unwrap();
        assert_eq!(report[&0].to_string(), "PENDING (Dependency)", "no array, so task 0");
    }

    #[test]
    fn other_forms_are_refused() {
        assert!(parse("").unwrap().is_empty());
        for line in ["14_0 p wrap root R 0:19 1 vm", "0|RUNNING|None|vm|x|0|1|1|"] {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains("squeue") && error.contains(line), "{error}");
        }
    }
}
