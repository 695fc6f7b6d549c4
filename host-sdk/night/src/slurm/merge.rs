//! Slurm's view beside the night's own.

use std::collections::{BTreeMap, HashMap};

use pellucid_host::clock;

use super::view::View;
use crate::ledger::{Event, What};
use crate::state::{NightState, Status};

/// Corrects a night's state by what Slurm knows of its tasks; gives the targets that were
/// interrupted, and why.
///
/// Interrupted is a target whose last line in the ledger is a beginning, written by a task that is
/// no longer alive or has been started again since: the task's next run, or the next submission,
/// takes it up. The other way round, a task that is alive is believed even where the locks of its
/// node are not seen here.
pub fn merge(state: &mut NightState, events: &[Event], view: &View) -> BTreeMap<String, String> {
    let mut interrupted = BTreeMap::new();
    if view.problem.is_some() {
        return interrupted;
    }
    let last: HashMap<&str, &Event> = events.iter().map(|e| (e.target.as_str(), e)).collect();
    for target in &mut state.targets {
        let Some(event) = last.get(target.name.as_str()) else { continue };
        let open = matches!(event.what, What::Started | What::Retry { .. });
        let standing = matches!(target.status, Status::Running | Status::Failed);
        if !(open && standing) {
            continue;
        }
        let Some((job, index)) = task_of(&event.worker) else { continue };
        match dead(view, job, index, event) {
            Some(why) => {
                target.status = Status::Failed;
                target.reason = Some(why.clone());
                interrupted.insert(target.name.clone(), why);
            }
            None => {
                target.status = Status::Running;
                target.reason = match &event.what {
                    What::Retry { reason, .. } => Some(reason.clone()),
                    _ => None,
                };
            }
        }
    }
    interrupted
}

/// Why the task that wrote an event is not at it any more; `None` if it is.
fn dead(view: &View, job: u64, index: u32, event: &Event) -> Option<String> {
    let Some(task) = view.task(job, index) else {
        return Some(format!("interrupted: job {job} is over"));
    };
    if !task.state.is_alive() {
        return Some(format!("interrupted: task {job}_{index} is {task}"));
    }
    let written_s = clock::seconds_since_1970(&event.time)?;
    // Slurm's times are whole seconds, rounded down.
    (written_s < task.started_s? as f64)
        .then(|| format!("interrupted: task {job}_{index} was started again since"))
}

/// `slurm:JOB_TASK` at the end of a worker's name.
fn task_of(worker: &str) -> Option<(u64, u32)> {
    let (_, task) = worker.split_once("slurm:")?;
    let (job, index) = task.split_once('_')?;
    Some((job.parse().ok()?, index.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slurm::view::JobTask;
    use crate::slurm::{Source, Submission, squeue};
    use crate::state::TargetState;

    /// Half a minute after the recorded task 2 was started.
    const LATER: &str = "2026-11-28T02:33:28.000Z";

    fn target(name: &str, status: Status) -> TargetState {
        TargetState {
            name: name.into(),
            ra_deg: None,
            dec_deg: None,
            status,
            attempts: 1,
            seconds: None,
            reason: None,
            worker: None,
            product: None,
            figure: None,
            quality: None,
        }
    }

    fn event(name: &str, worker: &str, time: &str) -> Event {
        Event {
            time: time.into(),
            target: name.into(),
            attempt: 1,
            worker: worker.into(),
            what: What::Started,
        }
    }

    fn recorded() -> View {
        let known = squeue::parse(include_str!("recorded/squeue-middle.txt")).unwrap();
        let tasks = known.into_iter().map(|(index, task)| JobTask { job: 24, index, task });
        View {
            submission: Submission {
                job: 24,
                cluster: None,
                report: None,
                submitted: String::new(),
                workers: 4,
                script_sha256: String::new(),
                earlier: Vec::new(),
            },
            source: Source::Queue,
            tasks: tasks.collect(),
            report: None,
            problem: None,
        }
    }

    #[test]
    fn what_runs_in_a_dead_task_is_interrupted() {
        use Status::{Done, Failed, Pending, Running};
        let targets = [
            ("done", Done, "a:1 slurm:24_0", LATER),
            ("ended", Running, "a:1 slurm:24_0", LATER),
            ("requeued", Running, "a:2 slurm:24_1", LATER),
            ("runs", Running, "a:3 slurm:24_2", LATER),
            ("unseen", Failed, "a:3 slurm:24_2", LATER),
            ("restarted", Running, "a:3 slurm:24_2", "2026-11-28T02:20:00.000Z"),
            ("killed", Running, "a:4 slurm:24_3", LATER),
            ("older", Running, "a:5 slurm:7_0", LATER),
            ("elsewhere", Running, "a:6", LATER),
        ];
        let mut state = NightState { name: "n".into(), targets: vec![target("waits", Pending)] };
        let mut events = Vec::new();
        for (name, status, worker, time) in targets {
            state.targets.push(target(name, status));
            events.push(event(name, worker, time));
        }
        let mut view = recorded();
        let before = state.clone();
        let interrupted = merge(&mut state, &events, &view);
        let names: Vec<_> = interrupted.keys().map(String::as_str).collect();
        assert_eq!(names, ["ended", "killed", "older", "requeued", "restarted"]);
        assert!(interrupted["requeued"].contains("PENDING (BeginTime)"), "{interrupted:?}");
        assert!(interrupted["killed"].contains("signal 9"), "{interrupted:?}");
        for target in &state.targets {
            let want = match target.name.as_str() {
                "waits" => Pending,
                "done" => Done,
                "runs" | "unseen" | "elsewhere" => Running,
                _ => Failed,
            };
            assert_eq!(target.status, want, "{}", target.name);
        }
        view.problem = Some("no controller".into());
        let mut unknown = before.clone();
        assert!(merge(&mut unknown, &events, &view).is_empty(), "not known is not dead");
        assert_eq!(unknown, before);
    }
}
