//! What sacct says, on clusters that keep accounts: every run of every task.

use std::collections::BTreeMap;

use super::error::{Result, SlurmError};
use super::task::{Exit, Task, TaskState, seconds, word};

/// The options that make sacct write one line per run of a task, fields separated by `|`.
pub(super) const OPTIONS: [&str; 5] = [
    "--allocations",
    "--duplicates",
    "--noheader",
    "--parsable2",
    "--format=JobID,State,ExitCode,NodeList,Start,End",
];
/// More tasks than an array of ours has.
const MAX_INDEX: u32 = 1_000_000;

/// The tasks of one job, by their index in the array; a job that is none is task 0. Of the runs of
/// a task the last counts, and those before it are its restarts.
///
/// # Errors
/// [`SlurmError::Answer`] for a line of another form.
pub(super) fn parse(text: &str) -> Result<BTreeMap<u32, Task>> {
    let mut tasks: BTreeMap<u32, Task> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (indices, run) = run(line)
            .ok_or_else(|| SlurmError::Answer { program: "sacct", line: line.to_owned() })?;
        for index in indices {
            let restarts = tasks.get(&index).map_or(0, |earlier| earlier.restarts + 1);
            tasks.insert(index, Task { restarts, ..run.clone() });
        }
    }
    Ok(tasks)
}

fn run(line: &str) -> Option<(Vec<u32>, Task)> {
    let fields: Vec<_> = line.split('|').collect();
    let [id, state, exit, node, started, ended] = fields[..] else { return None };
    let state = TaskState::parse(state);
    let (code, signal) = exit.split_once(':')?;
    let exit = Exit { code: code.parse().ok()?, signal: signal.parse().ok()? };
    let over = state.is_over();
    let run = Task {
        node: word(node),
        exit: over.then_some(exit),
        started_s: seconds(started),
        ended_s: seconds(ended).filter(|_| over),
        ..Task::new(state)
    };
    Some((indices(id)?, run))
}

/// `9` is task 0, `9_3` task 3, `9_[0-2,7%2]` the queued tasks 0, 1, 2 and 7.
fn indices(id: &str) -> Option<Vec<u32>> {
    let Some((_, task)) = id.split_once('_') else { return Some(vec![0]) };
    let Some(list) = task.strip_prefix('[').and_then(|list| list.strip_suffix(']')) else {
        return Some(vec![task.parse().ok()?]);
    };
    let list = list.split('%').next().unwrap_or_default();
    let mut indices = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last > MAX_INDEX {
            return None;
        }
        indices.extend(first..=last);
    }
    Some(indices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_queued_tasks_are_read() {
        assert_eq!(indices("9"), Some(vec![0]));
        assert_eq!(indices("9_3"), Some(vec![3]));
        assert_eq!(indices("9_[0-2,7%2]"), Some(vec![0, 1, 2, 7]));
        for wrong in ["9_", "9_[", "9_[1-]", "9_[1-4000000000]", "9_x"] {
            assert_eq!(indices(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_array_in_the_middle_of_its_life() {
        let tasks = parse(include_str!("recorded/sacct-middle.txt")).unwrap();
        let states: Vec<_> = tasks.values().map(|task| task.state.clone()).collect();
        use TaskState::{Completed, Failed, Pending, Running};
        assert_eq!(states, [Completed, Pending, Running, Failed]);
        assert_eq!(tasks[&1].restarts, 1, "the run before counts as a restart");
        assert_eq!((tasks[&1].node.as_ref(), tasks[&1].started_s), (None, None));
        assert_eq!(tasks[&2].started_s, Some(1_795_833_178));
        assert_eq!(tasks[&3].exit, Some(Exit { code: 0, signal: 9 }));
    }

    #[test]
    fn an_array_that_ended_in_every_way() {
        let tasks = parse(include_str!("recorded/sacct-ended.txt")).unwrap();
        let said: Vec<_> = tasks.values().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "COMPLETED, on vm",
                "FAILED, exit code 3, on vm, started again 1 time(s)",
                "CANCELLED, on vm",
                "FAILED, killed by signal 9, on vm",
            ]
        );
        let one = |text| parse(text).unwrap()[&0].state.clone();
        assert_eq!(one(include_str!("recorded/sacct-timeout.txt")), TaskState::Timeout);
        assert_eq!(one(include_str!("recorded/sacct-node-fail.txt")), TaskState::NodeFail);
        let cancelled = parse(include_str!("recorded/sacct-cancelled.txt")).unwrap();
        assert_eq!(cancelled.len(), 10, "tasks that never ran share a line");
        assert!(cancelled.values().all(|task| task.state == TaskState::Cancelled));
    }

    #[test]
    fn other_forms_are_refused() {
        for line in ["9_0 COMPLETED", "9_0|COMPLETED|0|vm|1|2", "9_x|COMPLETED|0:0|vm|1|2"] {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains("sacct") && error.contains(line), "{error}");
        }
    }
}
