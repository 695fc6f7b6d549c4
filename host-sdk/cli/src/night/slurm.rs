//! `pellucid night submit`, and Slurm's part of `pellucid night status`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use pellucid_night::Night;
use pellucid_night::slurm::{self, Estimate, Job, Program, SlurmError};

use super::{RunArgs, plan_of};
use crate::failure::{Failure, Outcome, Run};
use crate::terminal::{say, tell};

/// What the program may need of the environment, on whatever node it runs.
const ENVIRONMENT: [&str; 5] =
    ["PELLUCID_PLUGIN", "PELLUCID_MODELS", "LD_LIBRARY_PATH", "LIBTORCH", "XDG_CACHE_HOME"];

/// `pellucid night submit`.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// The manifest; its [slurm] table says how many workers and what they get.
    #[arg(value_name = "NIGHT.toml")]
    pub manifest: PathBuf,
    /// Print the script, and what Slurm says to it; submit nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Submit though an earlier job of this night is still queued or running.
    #[arg(long)]
    pub force: bool,
    /// Print the job as JSON.
    #[arg(long)]
    pub json: bool,
    /// The plugin, as for `run`; every node must see it under this path.
    #[arg(long, value_name = "FILE")]
    pub plugin: Option<PathBuf>,
    /// A folder of models, searched first; may be repeated.
    #[arg(long, value_name = "DIR")]
    pub models: Vec<PathBuf>,
}

/// Runs the command.
pub fn submit(args: &SubmitArgs) -> Run {
    let night = Night::read(&args.manifest)?;
    let folder = night.output.join("slurm");
    let job = Job {
        name: &night.name,
        manifest: &night.manifest,
        folder: &folder,
        targets: night.targets.len(),
        program: program(&night, args)?,
    };
    let config = &night.slurm;
    let wanted = config.walltime.is_empty() || config.mem_mb == 0;
    let estimate = if wanted { estimate(&night, args) } else { None };
    if args.dry_run {
        let (script, said) = slurm::dry_run(&job, config, estimate)?;
        say(script.trim_end());
        match said {
            Ok(said) => tell(&said),
            Err(error) => tell(&format!("Slurm was not asked: {error}")),
        }
        return Ok(Outcome::Done);
    }
    let submission = slurm::submit(&job, config, estimate, args.force)?;
    match args.json {
        true => say(serde_json::to_string_pretty(&submission).expect("plain fields serialise")),
        false => say(format_args!(
            "{}: job {}, {} task(s); logs in {}",
            night.name,
            submission.job,
            submission.workers,
            folder.display()
        )),
    }
    Ok(Outcome::Done)
}

/// The program as the nodes start it.
fn program(night: &Night, args: &SubmitArgs) -> Result<Program, Failure> {
    let executable = std::env::current_exe();
    let executable = executable.map_err(|e| Failure::Usage(format!("this program's path: {e}")))?;
    let mut arguments: Vec<OsString> = Vec::new();
    if let Some(plugin) = &args.plugin {
        arguments.extend(["--plugin".into(), absolute(plugin)?.into()]);
    }
    for folder in &args.models {
        arguments.extend(["--models".into(), absolute(folder)?.into()]);
    }
    // Not every cluster binds a task to its CPUs, and the plugin takes all that it sees.
    if night.run.threads == 0 {
        arguments.extend(["--threads".into(), night.slurm.cpus_per_task.to_string().into()]);
    }
    let mut environment = Vec::new();
    for name in ENVIRONMENT {
        let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let paths: Result<Vec<_>, _> = std::env::split_paths(&value)
            .filter(|path| !path.as_os_str().is_empty())
            .map(|path| absolute(&path))
            .collect();
        let value = std::env::join_paths(paths?)
            .map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
        environment.push((name.to_owned(), value));
    }
    Ok(Program { executable, arguments, environment })
}

/// What the night's plan says; where there can be none, Slurm gets the defaults.
fn estimate(night: &Night, args: &SubmitArgs) -> Option<Estimate> {
    let args =
        RunArgs { plugin: args.plugin.clone(), models: args.models.clone(), ..RunArgs::default() };
    match plan_of(night, &args) {
        Ok(plan) => {
            if plan.problems() > 0 {
                tell(&format!(
                    "{} target(s) have problems: `pellucid night run --dry-run` tells them",
                    plan.problems()
                ));
            }
            Some(Estimate { seconds: plan.seconds, memory_bytes: plan.memory_bytes })
        }
        Err(error) => {
            tell(&format!("no estimate of time and memory, Slurm gets the defaults: {error}"));
            None
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|e| Failure::Usage(format!("{}: {e}", path.display())))
}

impl From<SlurmError> for Failure {
    fn from(error: SlurmError) -> Self {
        Self::Slurm(error)
    }
}
