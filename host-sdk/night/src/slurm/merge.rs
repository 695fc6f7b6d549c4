//! Slurm's view beside the night's own.

use std::collections::BTreeMap;

use super::view::View;
use crate::state::{NightState, Status, TargetState};

/// The targets that are shown as running but are not: why, by name.
///
/// Their last line in the ledger is a beginning, and the task that wrote it is no longer alive. The
/// task's next run, or the next submission, takes them up again.
pub fn merge(state: &NightState, view: &View) -> BTreeMap<String, String> {
    if view.problem.is_some() {
        return BTreeMap::new();
    }
    let running = state.targets.iter().filter(|target| target.status == Status::Running);
    running.filter_map(|target| Some((target.name.clone(), why(target, view)?))).collect()
}

fn why(target: &TargetState, view: &View) -> Option<String> {
    let (job, index) = task_of(target.worker.as_deref()?)?;
    match view.task(job, index) {
        Some(task) if task.state.is_alive() => None,
        Some(task) => Some(format!("interrupted: task {job}_{index} is {task}")),
        None => Some(format!("interrupted: job {job} is over")),
    }
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

    fn target(name: &str, status: Status, worker: Option<&str>) -> TargetState {
        TargetState {
            name: name.into(),
            ra_deg: None,
            dec_deg: None,
            status,
            attempts: 1,
            seconds: None,
            reason: None,
            worker: worker.map(str::to_owned),
            product: None,
            figure: None,
            quality: None,
        }
    }

    #[test]
    fn what_runs_in_a_dead_task_is_interrupted() {
        let known = squeue::parse(include_str!("recorded/squeue-middle.txt")).unwrap();
        let tasks = known.into_iter().map(|(index, task)| JobTask { job: 24, index, task });
        let mut view = View {
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
        };
        let state = NightState {
            name: "n".into(),
            targets: vec![
                target("done", Status::Done, Some("a:1 slurm:24_0")),
                target("ended", Status::Running, Some("a:1 slurm:24_0")),
                target("requeued", Status::Running, Some("a:2 slurm:24_1")),
                target("runs", Status::Running, Some("a:3 slurm:24_2")),
                target("killed", Status::Running, Some("a:4 slurm:24_3")),
                target("older", Status::Running, Some("a:5 slurm:7_0")),
                target("elsewhere", Status::Running, Some("a:6")),
                target("waits", Status::Pending, None),
            ],
        };
        let interrupted = merge(&state, &view);
        let names: Vec<_> = interrupted.keys().map(String::as_str).collect();
        assert_eq!(names, ["ended", "killed", "older", "requeued"]);
        assert!(interrupted["requeued"].contains("PENDING (BeginTime)"), "{interrupted:?}");
        assert!(interrupted["killed"].contains("signal 9"), "{interrupted:?}");
        view.problem = Some("no controller".into());
        assert!(merge(&state, &view).is_empty(), "not known is not dead");
    }
}
