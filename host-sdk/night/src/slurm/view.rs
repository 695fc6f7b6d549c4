//! What Slurm says of a night's jobs.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::client;
use super::error::Result;
use super::submit::Submission;
use super::task::{Task, TaskState};

/// A night's jobs, as Slurm knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// What was submitted.
    pub submission: Submission,
    /// Who was asked.
    pub source: Source,
    /// Every task, by job and index.
    pub tasks: Vec<JobTask>,
    /// The job that writes the report.
    pub report: Option<Task>,
    /// Why Slurm could not be asked, if so: the states are then not known.
    pub problem: Option<String>,
}

/// Who knew the tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// squeue alone: no accounts are kept.
    Queue,
    /// squeue, and sacct for what has left the queue.
    Accounting,
}

/// One task and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTask {
    /// Job id of the array.
    pub job: u64,
    /// Index in it: the worker.
    pub index: u32,
    /// How it is.
    #[serde(flatten)]
    pub task: Task,
}

/// Asks Slurm for the jobs recorded in a night's `slurm` folder; `None` if none were submitted.
///
/// # Errors
/// Of reading the record only: a Slurm that does not answer is told in [`View::problem`].
pub fn view(folder: &Path) -> Result<Option<View>> {
    let Some(submission) = Submission::read(folder)? else { return Ok(None) };
    let cluster = submission.cluster.clone();
    let mut asked = Asked { cluster, accounts: true, problem: None };
    let mut tasks = Vec::new();
    for &job in submission.earlier.iter().chain([&submission.job]) {
        let mut known = asked.job(job);
        if job == submission.job {
            let forgotten = || Task::new(TaskState::Forgotten);
            for index in 0..submission.workers {
                known.entry(index).or_insert_with(forgotten);
            }
        }
        tasks.extend(known.into_iter().map(|(index, mut task)| {
            task.program_exit = program_exit(folder, job, index);
            JobTask { job, index, task }
        }));
    }
    let report = submission.report.map(|job| {
        let known = asked.job(job).remove(&0);
        known.unwrap_or_else(|| Task::new(TaskState::Forgotten))
    });
    let source = if asked.accounts { Source::Accounting } else { Source::Queue };
    Ok(Some(View { submission, source, tasks, report, problem: asked.problem }))
}

/// Slurm, and what has been learnt of it.
struct Asked {
    cluster: Option<String>,
    accounts: bool,
    problem: Option<String>,
}

impl Asked {
    fn job(&mut self, job: u64) -> BTreeMap<u32, Task> {
        let cluster = self.cluster.as_deref();
        let queue = client::squeue(job, cluster).unwrap_or_else(|error| {
            self.problem = Some(error.to_string());
            BTreeMap::new()
        });
        if !self.accounts {
            return queue;
        }
        match client::sacct(job, cluster) {
            Ok(Some(accounts)) => join(queue, accounts),
            Ok(None) => {
                self.accounts = false;
                queue
            }
            // Without the accounts there is still the queue.
            Err(error) => {
                log::warn!("Slurm's accounts cannot be read: {error}");
                self.accounts = false;
                queue
            }
        }
    }
}

/// The queue knows best what it still knows; the accounts know the rest.
fn join(queue: BTreeMap<u32, Task>, mut accounts: BTreeMap<u32, Task>) -> BTreeMap<u32, Task> {
    for (index, mut task) in queue {
        if let Some(account) = accounts.get(&index) {
            task.restarts = task.restarts.max(account.restarts);
        }
        accounts.insert(index, task);
    }
    accounts
}

/// What the script has left.
fn program_exit(folder: &Path, job: u64, index: u32) -> Option<u8> {
    let text = fs::read_to_string(folder.join(format!("ended-{job}_{index}"))).ok()?;
    text.trim().parse().ok()
}

impl View {
    /// The tasks that are queued or running.
    pub fn unfinished(&self) -> impl Iterator<Item = &JobTask> {
        self.tasks.iter().filter(|task| !task.task.state.is_over())
    }

    /// One task.
    pub fn task(&self, job: u64, index: u32) -> Option<&Task> {
        self.tasks.iter().find(|t| (t.job, t.index) == (job, index)).map(|t| &t.task)
    }
}

impl fmt::Display for View {
    /// A line for the job and one for each task.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Submission { job, submitted, workers, .. } = &self.submission;
        writeln!(f, "Slurm job {job}, {workers} task(s), submitted {submitted}")?;
        if let Some(problem) = &self.problem {
            return writeln!(f, "  Slurm cannot be asked: {problem}");
        }
        for JobTask { job, index, task } in &self.tasks {
            writeln!(f, "  {job}_{index}  {task}")?;
        }
        match (self.submission.report, &self.report) {
            (Some(job), Some(task)) => writeln!(f, "  {job}  report: {task}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slurm::{sacct, squeue};

    #[test]
    fn the_queue_is_believed_before_the_accounts() {
        let queue = squeue::parse(include_str!("recorded/squeue-node-fail.txt")).unwrap();
        let accounts = sacct::parse(include_str!("recorded/sacct-node-fail.txt")).unwrap();
        let joined = join(queue, accounts.clone());
        assert_eq!(joined[&0].state, TaskState::Pending, "queued again, says the queue");
        let late = join(BTreeMap::new(), accounts);
        assert_eq!(late[&0].state, TaskState::NodeFail, "when the queue has forgotten");
        let queue = squeue::parse(include_str!("recorded/squeue-ended.txt")).unwrap();
        let accounts = sacct::parse(include_str!("recorded/sacct-ended.txt")).unwrap();
        assert_eq!(join(queue, accounts)[&1].restarts, 1);
    }
}
