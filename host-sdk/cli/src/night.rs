//! `pellucid night`.

mod slurm;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use std::{process, thread};

use clap::{Args, Subcommand};
use pellucid_host::input::HashCache;
use pellucid_host::session::Engine;
use pellucid_night::folder::{Folder, Shard};
use pellucid_night::ledger::{Event, What};
use pellucid_night::plan::{Plan, plan};
use pellucid_night::run::{Count, RunOptions, run};
use pellucid_night::slurm::{merge, view};
use pellucid_night::state::{TargetState, gather};
use pellucid_night::summary::{Summary, Totals};
use pellucid_night::{Night, NightError, journal, report};

use crate::args::EngineArgs;
use crate::failure::{Failure, Outcome, Run};
use crate::terminal::{duration, say, tell};
use crate::{engine, interrupt, outputs};

/// `pellucid night`.
#[derive(Debug, Args)]
pub struct NightArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: NightCommand,
}

/// What to do with a night.
#[derive(Debug, Subcommand)]
pub enum NightCommand {
    /// Work through the targets that are not done; may be killed and started again at any time.
    Run(RunArgs),
    /// How far it is.
    Status(StatusArgs),
    /// What came of it, as one page to look at.
    Report(ReportArgs),
    /// Run it on a Slurm cluster, spread over the tasks of a job array.
    Submit(slurm::SubmitArgs),
}

/// `pellucid night run`.
#[derive(Debug, Default, Args)]
pub struct RunArgs {
    /// The manifest.
    #[arg(value_name = "NIGHT.toml")]
    pub manifest: PathBuf,
    /// Check every input and estimate time and memory; sample nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Only this target; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Only the targets whose position modulo N is K (from 0); other shards may run at the same time.
    #[arg(long, value_name = "K/N", value_parser = shard)]
    pub shard: Option<Shard>,
    /// Try quarantined targets again though nothing has changed.
    #[arg(long)]
    pub retry_quarantined: bool,
    /// Print the plan or the summary as JSON.
    #[arg(long)]
    pub json: bool,
    /// The plugin; else PELLUCID_PLUGIN, else libpellucid.so.1 beside this program or in ../lib.
    #[arg(long, value_name = "FILE")]
    pub plugin: Option<PathBuf>,
    /// auto, cpu or cuda:0, instead of the manifest's.
    #[arg(long, value_parser = crate::args::device)]
    pub device: Option<String>,
    /// CPU threads, instead of the manifest's.
    #[arg(long)]
    pub threads: Option<usize>,
    /// A folder of models, searched first; may be repeated.
    #[arg(long, value_name = "DIR")]
    pub models: Vec<PathBuf>,
}

/// `pellucid night status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The manifest.
    #[arg(value_name = "NIGHT.toml")]
    pub manifest: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `pellucid night report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The manifest.
    #[arg(value_name = "NIGHT.toml")]
    pub manifest: PathBuf,
    /// The page to write, one HTML file that needs no other; else report.html in the night's folder.
    #[arg(short, long, value_name = "FILE.html")]
    pub output: Option<PathBuf>,
}

/// Runs the command.
pub fn run_command(args: &NightArgs) -> Run {
    match &args.command {
        NightCommand::Run(args) if args.dry_run => check(args),
        NightCommand::Run(args) => work(args),
        NightCommand::Status(args) => status(args),
        NightCommand::Report(args) => page(args),
        NightCommand::Submit(args) => slurm::submit(args),
    }
}

fn shard(text: &str) -> Result<Shard, String> {
    text.parse().map_err(|error: NightError| error.to_string())
}

/// The engine that a night asks for, and its device.
fn start(night: &Night, args: &RunArgs) -> Result<(Engine, String), Failure> {
    let device = args.device.clone().unwrap_or_else(|| night.run.device.clone());
    let mut folders = Vec::new();
    for folder in night.targets.iter().flat_map(|target| target.settings.model_folders()) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let asked = EngineArgs {
        plugin: args.plugin.clone(),
        device: device.clone(),
        threads: args.threads.or(Some(night.run.threads).filter(|n| *n > 0)),
        models: args.models.clone(),
    };
    Ok((engine::start(&asked, &folders)?, device))
}

/// How long a signal leaves the night to end by itself. Slurm kills after a minute.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ends the process some time after a signal, whatever it waits for: a file system that does not answer, a
/// huge file that is hashed, a device that hangs. A night may be killed at any moment.
fn leave_when_told() {
    while !interrupt::requested() {
        thread::sleep(Duration::from_millis(200));
    }
    thread::sleep(PATIENCE);
    tell(
        "stopped by a signal, and what was at work does not end: run it again, what is done is kept",
    );
    process::exit(1);
}

fn work(args: &RunArgs) -> Run {
    let night = Night::read(&args.manifest)?;
    let folder = Folder::new(&night.output);
    folder.make()?;
    let lock = folder.lock(args.shard)?;
    folder.claim(&night.name)?;
    thread::spawn(leave_when_told);
    let (engine, device) = start(&night, args)?;
    let observer = |event: &Event, count: Count| tell(&line(event, count));
    let options = RunOptions {
        only: args.only.clone(),
        shard: args.shard,
        retry_quarantined: args.retry_quarantined,
        device,
        stop: &interrupt::requested,
        observer: &observer,
    };
    let outcome = run(&night, &lock, &engine, &options)?;
    match args.json {
        true => say(std::fs::read_to_string(folder.summary()).unwrap_or_default().trim_end()),
        false => say(format_args!(
            "{}: {} done, {} kept, {} failed, {} quarantined ({})",
            night.name,
            outcome.done,
            outcome.kept,
            outcome.failed,
            outcome.quarantined,
            folder.root().display(),
        )),
    }
    Ok(if outcome.is_complete() { Outcome::Done } else { Outcome::Partial })
}

/// One event, for people.
fn line(event: &Event, count: Count) -> String {
    let head = match count.of {
        0 => format!("{}: ", event.target),
        of => format!("[{}/{of}] {}: ", count.settled, event.target),
    };
    head + &match &event.what {
        What::Started if event.attempt > 1 => format!("begun, attempt {}", event.attempt),
        What::Started => "begun".into(),
        What::Done { seconds, failed_samples: 0 } => format!(
            "done in {:.1} s (read {:.1}, sample {:.1}, write {:.1})",
            seconds.read + seconds.sample + seconds.write,
            seconds.read,
            seconds.sample,
            seconds.write
        ),
        What::Done { failed_samples, .. } => format!("done, {failed_samples} sample(s) failed"),
        What::Kept => "done before, kept".into(),
        What::Retry { reason, backoff_s } => {
            format!("failed, tried again in {backoff_s:.1} s: {reason}")
        }
        What::Failed { reason } => format!("failed, left to the next run: {reason}"),
        What::Quarantined { reason, .. } => format!("quarantined: {reason}"),
        What::Abandoned { reason } => format!("abandoned: {reason}"),
    }
}

fn check(args: &RunArgs) -> Run {
    let night = Night::read(&args.manifest)?;
    let plan = plan_of(&night, args)?;
    match args.json {
        true => say(serde_json::to_string_pretty(&plan).expect("plain fields serialise")),
        false => say(table(&plan).trim_end()),
    }
    Ok(if plan.problems() == 0 { Outcome::Done } else { Outcome::Partial })
}

fn plan_of(night: &Night, args: &RunArgs) -> Result<Plan, Failure> {
    let (engine, device) = start(night, args)?;
    Ok(plan(night, &engine, &device, args.shard)?)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

fn table(plan: &Plan) -> String {
    let mut rows = vec![
        ["TARGET", "EXPOSURES", "SAMPLES", "SIZE", "MEMORY", "TIME", "STATE"].map(String::from),
    ];
    for check in &plan.targets {
        rows.push([
            check.name.clone(),
            check.exposures.to_string(),
            check.samples.to_string(),
            check.size.to_string(),
            megabytes(check.memory_bytes.max(check.device_bytes)),
            duration(check.seconds),
            match &check.problem {
                Some(problem) => format!("PROBLEM: {problem}"),
                None if check.done => "done".into(),
                None if check.warnings.is_empty() => "ready".into(),
                None => format!("ready, but {}", check.warnings.join("; ")),
            },
        ]);
    }
    let mut text = columns(&rows);
    text += &format!(
        "{} target(s), {} with problems; about {} ({}), {} at the peak{}\n",
        plan.targets.len(),
        plan.problems(),
        duration(plan.seconds),
        match plan.seconds_from {
            "ledger" => "by this night's pace so far",
            _ => "by rule of thumb",
        },
        megabytes(plan.memory_bytes),
        match plan.device_bytes {
            0 => String::new(),
            bytes => format!(" and {} on the device", megabytes(bytes)),
        }
    );
    text
}

fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |j: usize| rows.iter().map(|row| row[j].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(c, w)| format!("{c:<w$}")).collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

fn status(args: &StatusArgs) -> Run {
    let night = Night::read(&args.manifest)?;
    let mut state = gather(&night, &HashCache::default())?;
    let events = journal::read(&Folder::new(&night.output).ledger())?;
    let slurm = view(&night.output.join("slurm"))?;
    let interrupted = match &slurm {
        Some(view) => merge(&mut state, &events, view),
        None => BTreeMap::new(),
    };
    let summary = Summary::new(state, &events, Vec::new());
    match args.json {
        true => {
            let mut all = serde_json::to_value(&summary).expect("plain fields serialise");
            if slurm.is_some() {
                all["slurm"] = serde_json::to_value(&slurm).expect("plain fields serialise");
                all["interrupted"] = interrupted.keys().cloned().collect();
            }
            say(format_args!("{all:#}"));
        }
        false => {
            say(overview(&summary, &interrupted).trim_end());
            if let Some(view) = slurm {
                say(view.to_string().trim_end());
            }
        }
    }
    Ok(Outcome::Done)
}

fn page(args: &ReportArgs) -> Run {
    let night = Night::read(&args.manifest)?;
    let folder = Folder::new(&night.output);
    if args.output.is_none() {
        // A night that was never run has none.
        folder.make()?;
    }
    let usual = folder.report();
    let path = args.output.as_deref().unwrap_or(&usual);
    outputs::check(&[("-o", path)], [("NIGHT.toml", &*args.manifest)])?;
    let state = gather(&night, &HashCache::default())?;
    report::write(&state, path, &report::Options::default())?;
    say(path.display());
    Ok(Outcome::Done)
}

fn overview(summary: &Summary, interrupted: &BTreeMap<String, String>) -> String {
    let mut rows = vec![
        ["TARGET", "STATUS", "TRIES", "SECONDS", "CHI2/DOF", "FLAGS", "REASON"].map(String::from),
    ];
    rows.extend(summary.state.targets.iter().map(|target| row(target, interrupted)));
    let Totals { targets, pending, running, done, partial, failed, quarantined } = summary.totals;
    let left = match summary.remaining_s {
        Some(seconds) => format!(", about {} left", duration(seconds)),
        None => String::new(),
    };
    columns(&rows)
        + &format!(
            "{}: {targets} target(s): {done} done, {partial} partly, {running} running, {pending} pending, \
             {failed} failed, {quarantined} quarantined{left}\n",
            summary.state.name
        )
}

fn row(target: &TargetState, interrupted: &BTreeMap<String, String>) -> [String; 7] {
    let quality = target.quality.as_ref();
    let chi2 =
        quality.map(|q| q.chi2_reduced.iter().map(|c| format!("{c:.2}")).collect::<Vec<_>>());
    let seconds = target.seconds.map(|s| format!("{:.1}", s.read + s.sample + s.write));
    [
        target.name.clone(),
        match interrupted.contains_key(&target.name) {
            true => "interrupted",
            false => target.status.name(),
        }
        .into(),
        target.attempts.to_string(),
        seconds.unwrap_or("-".into()),
        chi2.map_or("-".into(), |c| c.join(" ")),
        quality.map_or("-".into(), |q| q.flags.clone()),
        target.reason.clone().unwrap_or_default(),
    ]
}

impl From<NightError> for Failure {
    fn from(error: NightError) -> Self {
        match error {
            NightError::Host(error) => error.into(),
            NightError::NoSuchTarget { .. } | NightError::Shard { .. } => {
                Self::Usage(error.to_string())
            }
            error => Self::Night(error),
        }
    }
}
