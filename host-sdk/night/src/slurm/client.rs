//! Slurm's client programs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use super::error::{Result, SlurmError};
use super::task::Task;
use super::{sacct, squeue};

/// A job that sbatch has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) job: u64,
    pub(super) cluster: Option<String>,
}

/// Submits a script of `folder`, which becomes the job's working directory.
pub(super) fn sbatch(folder: &Path, options: &[String], script: &str) -> Result<Accepted> {
    let mut sbatch = Command::new("sbatch");
    sbatch.current_dir(folder).arg("--parsable").args(options).arg(script);
    let text = stdout("sbatch", sbatch)?;
    accepted(&text).ok_or(SlurmError::Answer { program: "sbatch", line: text })
}

/// `14`, or `14;cluster`.
fn accepted(text: &str) -> Option<Accepted> {
    let line = text.lines().last()?.trim();
    let (job, cluster) = match line.split_once(';') {
        Some((job, cluster)) => (job, Some(cluster.to_owned())),
        None => (line, None),
    };
    Some(Accepted { job: job.parse().ok()?, cluster })
}

/// What Slurm would say to a script, without submitting it.
pub(super) fn test_only(folder: &Path, script: &Path) -> Result<String> {
    let mut sbatch = Command::new("sbatch");
    sbatch.current_dir(folder).arg("--test-only").arg(script);
    let output = run("sbatch", sbatch)?;
    Ok(said(&output))
}

/// The tasks of a job that squeue still knows.
pub(super) fn squeue(job: u64, cluster: Option<&str>) -> Result<BTreeMap<u32, Task>> {
    let mut command = asking("squeue", job, cluster);
    command.args(squeue::OPTIONS).arg(format!("--Format={}", squeue::FORMAT));
    match stdout("squeue", command) {
        Ok(text) => squeue::parse(&text),
        // A job that ended some minutes ago is not an error of ours.
        Err(SlurmError::Failed { said, .. }) if said.contains("Invalid job id") => {
            Ok(BTreeMap::new())
        }
        Err(error) => Err(error),
    }
}

/// The tasks of a job in the accounts; `None` where no accounts are kept.
pub(super) fn sacct(job: u64, cluster: Option<&str>) -> Result<Option<BTreeMap<u32, Task>>> {
    let mut command = asking("sacct", job, cluster);
    command.args(sacct::OPTIONS);
    match stdout("sacct", command) {
        Ok(text) => sacct::parse(&text).map(Some),
        Err(SlurmError::Failed { said, .. }) if said.contains("storage is disabled") => Ok(None),
        Err(error) => Err(error),
    }
}

fn asking(program: &'static str, job: u64, cluster: Option<&str>) -> Command {
    let mut command = Command::new(program);
    command.arg(format!("--jobs={job}"));
    if let Some(cluster) = cluster {
        command.arg(format!("--clusters={cluster}"));
    }
    // Options that users keep in their environment would change the form of the answer.
    for name in ["SQUEUE_FORMAT", "SQUEUE_FORMAT2", "SQUEUE_STATES", "SACCT_FORMAT"] {
        command.env_remove(name);
    }
    command.env("SLURM_TIME_FORMAT", "%s");
    command
}

fn stdout(program: &'static str, command: Command) -> Result<String> {
    let output = run(program, command)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn run(program: &'static str, mut command: Command) -> Result<Output> {
    let output = command.output();
    let output = output.map_err(|source| SlurmError::NotInstalled { program, source })?;
    match output.status.success() {
        true => Ok(output),
        false => Err(SlurmError::Failed {
            program,
            status: output.status.to_string(),
            said: said(&output),
        }),
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sbatchs_answer_is_read() {
        assert_eq!(accepted("14\n"), Some(Accepted { job: 14, cluster: None }));
        assert_eq!(accepted("14;big\n"), Some(Accepted { job: 14, cluster: Some("big".into()) }));
        assert_eq!(accepted("Submitted batch job 14\n"), None);
        assert_eq!(accepted(""), None);
    }
}
