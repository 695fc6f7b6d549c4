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
