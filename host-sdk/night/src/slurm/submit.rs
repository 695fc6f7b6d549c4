//! Handing a night to Slurm, and remembering that it was.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use pellucid_host::clock;
use pellucid_host::input::sha256_bytes;
use serde::{Deserialize, Serialize};

use super::client;
use super::config::{Estimate, SlurmConfig};
use super::error::{Result, SlurmError};
use super::script::{Job, report_script, script};
use super::view::view;

/// The file that remembers, in the night's `slurm` folder.
const RECORD: &str = "job.json";
const SCRIPT: &str = "submit.sh";
const REPORT_SCRIPT: &str = "report.sh";

/// The last submission of a night: `job.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Job id of the array.
    pub job: u64,
    /// The cluster, where sbatch names one.
    pub cluster: Option<String>,
    /// Job id of the report after it.
    pub report: Option<u64>,
    /// When, UTC, ISO 8601.
    pub submitted: String,
    /// Tasks of the array.
    pub workers: u32,
    /// SHA-256 of `submit.sh`.
    pub script_sha256: String,
    /// Earlier arrays of this night that were not over then.
    #[serde(default)]
    pub earlier: Vec<u64>,
}

impl Submission {
    /// The last submission recorded in a night's `slurm` folder, if there was one.
    ///
    /// # Errors
    /// [`SlurmError::Io`], [`SlurmError::Record`].
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(RECORD);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(SlurmError::io("read", &path)(error)),
        };
        let read = serde_json::from_str(&text);
        read.map(Some).map_err(|error| SlurmError::Record { path, reason: error.to_string() })
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| SlurmError::Record { path: folder.join(RECORD), reason: e.to_string() })?;
        replace(&folder.join(RECORD), &(text + "\n"))
    }
}

/// Writes the scripts of a night and submits them.
///
/// # Errors
/// [`SlurmError::Busy`] if an earlier array is not over, unless `force`; [`SlurmError::Report`] if
/// only the report could not be submitted; what Slurm says, and what the scripts cannot hold.
pub fn submit(
    job: &Job<'_>,
    config: &SlurmConfig,
    estimate: Option<Estimate>,
    force: bool,
) -> Result<Submission> {
    let text = script(job, config, estimate)?;
    let report = report_script(job, config)?;
    let folder = job.folder;
    fs::create_dir_all(folder).map_err(SlurmError::io("create", folder))?;
    // Two at once would not see each other's job. The lock goes with the file.
    let lock = folder.join("submit.lock");
    let file = File::create(&lock).map_err(SlurmError::io("create", &lock))?;
    file.lock().map_err(SlurmError::io("lock", &lock))?;

    let earlier = unfinished(folder, force)?;
    replace(&folder.join(SCRIPT), &text)?;
    replace(&folder.join(REPORT_SCRIPT), &report)?;
    let accepted = client::sbatch(folder, &[], SCRIPT)?;
    let mut submission = Submission {
        job: accepted.job,
        cluster: accepted.cluster,
        report: None,
        submitted: clock::utc_seconds(),
        workers: config.tasks(job.targets),
        script_sha256: sha256_bytes(text.as_bytes()),
        earlier,
    };
    // At once: what is queued must be known, whatever becomes of the report.
    submission.write(folder)?;
    if config.report {
        let after = format!("--dependency=afterany:{}", submission.job);
        let reporter = client::sbatch(folder, &[after], REPORT_SCRIPT).map_err(|error| {
            SlurmError::Report { job: submission.job, reason: error.to_string() }
        })?;
        submission.report = Some(reporter.job);
        submission.write(folder)?;
    }
    Ok(submission)
}

/// The script that [`submit`] would hand over, and what Slurm says to it where it can be asked.
///
/// # Errors
/// As [`script`].
pub fn dry_run(
    job: &Job<'_>,
    config: &SlurmConfig,
    estimate: Option<Estimate>,
) -> Result<(String, Result<String>)> {
    let text = script(job, config, estimate)?;
    let folder = std::env::temp_dir();
    let path = folder.join(format!("pellucid-submit-{}.sh", std::process::id()));
    replace(&path, &text)?;
    let said = client::test_only(&folder, &path);
    // A stale file among the temporary ones is the worst that can happen.
    let _ = fs::remove_file(&path);
    Ok((text, said))
}

/// Jobs of earlier submissions that are not over.
fn unfinished(folder: &Path, force: bool) -> Result<Vec<u64>> {
    let Some(view) = view(folder)? else { return Ok(Vec::new()) };
    let mut jobs: Vec<u64> = view.unfinished().map(|task| task.job).collect();
    jobs.dedup();
    if force {
        return Ok(jobs);
    }
    // Whether anything is queued cannot be said if Slurm does not answer.
    if let Some(error) = view.problem {
        return Err(SlurmError::Failed {
            program: "squeue",
            status: "no answer".into(),
            said: error,
        });
    }
    let Some(&job) = jobs.first() else { return Ok(jobs) };
    let tasks = view.unfinished().map(|task| format!("{}_{} {}", task.job, task.index, task.task));
    Err(SlurmError::Busy { job, tasks: tasks.collect::<Vec<_>>().join("; ") })
}

/// Writes a file under another name, and gives it its own when it is whole.
fn replace(path: &Path, text: &str) -> Result<()> {
    let part = path.with_extension("part");
    let written = File::create(&part)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&part, path));
    written.map_err(SlurmError::io("write", path))
}
