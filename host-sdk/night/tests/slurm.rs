//! The batch script through a real Slurm, with a program of a few lines in the place of ours: it
//! is killed, told to stop, requeued and cancelled, and every target is done once.

mod cluster;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cluster::Cluster;
use pellucid_night::slurm::{self, Job, Program, SlurmConfig, SlurmError, Submission, TaskState};

const TARGETS: usize = 20;
/// Set in the process that runs inside the cluster's environment.
const INSIDE: &str = "PELLUCID_TEST_SLURM_FOLDER";

/// Works like `night run` and `night report` on targets that are numbers.
const STAND_IN: &str = r#"#!/bin/bash
folder=$(dirname "$3")
if [ "$2" = report ]; then
    ls "$folder/done" | wc -l >"$folder/report.txt"
    exit
fi
[ "$4" = --shard ] || exit 2
shard=${5%/*} workers=${5#*/}
echo $$ >"$folder/pid-$shard"
trap 'echo "told $shard" >>"$folder/ledger"; exit 1' TERM
for ((target = shard; target < TARGETS; target += workers)); do
    if [ ! -e "$folder/done/$target" ]; then
        sleep 0.2
        echo "done $target" >>"$folder/ledger"
        : >"$folder/done/$target"
    fi
done
# What it says when some targets failed.
[ "$shard" = 0 ] || exit 3
"#;

struct Night {
    folder: PathBuf,
}

impl Night {
    /// In a folder whose name must be quoted.
    fn new(work: &Path) -> Self {
        let folder = work.join("a night's \"out\" $HOME; é #1");
        fs::create_dir_all(folder.join("done")).unwrap();
        let program = folder.join("the program");
        fs::write(&program, STAND_IN.replace("TARGETS", &TARGETS.to_string())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.join("NIGHT.toml"), "").unwrap();
        Self { folder }
    }

    fn slurm(&self) -> PathBuf {
        self.folder.join("slurm")
    }

    fn submit(&self, extra: &[&str], force: bool) -> slurm::Result<Submission> {
        let manifest = self.folder.join("NIGHT.toml");
        let folder = self.slurm();
        let job = Job {
            name: "stand-in",
            manifest: &manifest,
            folder: &folder,
            targets: TARGETS,
            program: Program {
                executable: self.folder.join("the program"),
                arguments: Vec::new(),
                environment: Vec::new(),
            },
        };
        let config = SlurmConfig {
            workers: 2,
            cpus_per_task: 1,
            mem_mb: 100,
            walltime: "10".into(),
            extra: extra.iter().map(|&line| line.to_owned()).collect(),
            ..SlurmConfig::default()
        };
        slurm::submit(&job, &config, None, force)
    }

    fn view(&self) -> slurm::View {
        let view = slurm::view(&self.slurm()).unwrap().unwrap();
        assert_eq!(view.problem, None);
        view
    }

    fn wait_for(&self, what: &str, mut so: impl FnMut(&slurm::View) -> bool) {
        let folder = self.folder.ancestors().nth(2).unwrap();
        cluster::wait(what, folder, || so(&self.view()));
    }

    fn ledger(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("ledger")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How many targets of one shard are done.
    fn done(&self, shard: usize) -> usize {
        (shard..TARGETS).step_by(2).filter(|t| self.is_done(*t)).count()
    }

    fn is_done(&self, target: usize) -> bool {
        self.folder.join("done").join(target.to_string()).exists()
    }

    fn wait_for_done(&self, shard: usize, count: usize) {
        self.wait_for("targets are done", |_| self.done(shard) >= count);
    }

    /// Waits for a requeued task, and spares us the two minutes that Slurm makes it wait. Some
    /// seconds it must: a start in the second of the requeue is refused, its credential revoked.
    fn hurry(&self, job: u64, task: u32) {
        self.wait_for("it is queued again", |view| {
            let task = view.task(job, task).unwrap();
            task.state == TaskState::Pending && task.restarts == 1
        });
        tool("scontrol", &["update", &format!("JobId={job}_{task}"), "StartTime=now+3seconds"]);
    }
}

#[track_caller]
fn tool(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn an_array_survives_what_happens_to_its_tasks() {
    // The library finds the cluster through the environment, as its users do: this test runs
    // itself again, in the cluster's.
    if let Some(work) = std::env::var_os(INSIDE) {
        return inside(Path::new(&work));
    }
    let name = "an_array_survives_what_happens_to_its_tasks";
    let Some(cluster) = Cluster::start(name) else { return };
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, cluster.work())
        .env("SLURM_CONF", cluster.configuration())
        .status();
    assert!(status.unwrap().success());
}

fn inside(work: &Path) {
    let night = Night::new(work);
    let first = night.submit(&[], false).unwrap();
    assert_eq!(Submission::read(&night.slurm()).unwrap(), Some(first.clone()));
    let busy = night.submit(&[], false).expect_err("it is queued");
    assert!(matches!(busy, SlurmError::Busy { job, .. } if job == first.job), "{busy}");
    let job = first.job;

    // Worker 0: its program is killed, and later it is told to stop as before the time limit.
    night.wait_for_done(0, 2);
    let pid = fs::read_to_string(night.folder.join("pid-0")).unwrap();
    tool("kill", &["-9", pid.trim()]);
    night.wait_for_done(0, 4);
    tool("scancel", &["--batch", "--signal=TERM", &format!("{job}_0")]);
    // Worker 1: it is requeued.
    night.wait_for_done(1, 3);
    tool("scontrol", &["requeue", &format!("{job}_1")]);
    night.hurry(job, 0);
    night.hurry(job, 1);
    night.wait_for("all is over", |view| {
        view.unfinished().count() == 0 && view.report.as_ref().is_some_and(|r| r.state.is_over())
    });

    let view = night.view();
    assert_eq!(view.source, slurm::Source::Queue, "this cluster keeps no accounts");
    for (index, program_exit) in [(0, 0), (1, 3)] {
        let task = view.task(job, index).unwrap();
        assert_eq!(task.state, TaskState::Completed, "some failed targets are no failed task");
        assert_eq!((task.restarts, task.program_exit), (1, Some(program_exit)), "{task:?}");
    }
    let report = fs::read_to_string(night.folder.join("report.txt")).unwrap();
    assert_eq!(report.trim(), TARGETS.to_string(), "written when all was done");
    done_once(&night);
    assert!(night.ledger().iter().any(|line| line == "told 0"), "TERM reaches the program");
    let log = fs::read_to_string(night.slurm().join(format!("{job}_0.log"))).unwrap();
    assert!(log.contains("killed by signal 9") && log.contains("queued again"), "{log}");

    // Cancelled in the middle, the rest is done by the next submission.
    for target in 10..TARGETS {
        fs::remove_file(night.folder.join("done").join(target.to_string())).unwrap();
    }
    fs::remove_file(night.folder.join("ledger")).unwrap();
    let held = night.submit(&["--hold"], false).unwrap();
    let second = night.submit(&[], true).unwrap();
    assert_eq!(second.earlier, [held.job], "what was forced aside is remembered");
    tool("scancel", &[&held.job.to_string()]);
    night.wait_for_done(0, 6);
    tool("scancel", &["--signal=KILL", &format!("{}_0", second.job)]);
    night.wait_for("all is over", |view| view.unfinished().count() == 0);
    let view = night.view();
    assert_eq!(view.task(second.job, 0).unwrap().state, TaskState::Cancelled);
    assert_eq!(view.task(held.job, 0).unwrap().state, TaskState::Cancelled);
    assert!(night.done(0) < TARGETS / 2, "cancelled in the middle");
    let third = night.submit(&[], false).unwrap();
    night
        .wait_for("all is over", |view| view.submission == third && view.unfinished().count() == 0);
    let ledger = night.ledger();
    for target in 10..TARGETS {
        let done = ledger.iter().filter(|line| **line == format!("done {target}")).count();
        // Between the ledger and the product the stand-in, unlike the program, can be interrupted.
        assert!(night.is_done(target) && (1..=2).contains(&done), "{target}: {ledger:?}");
    }
}

#[track_caller]
fn done_once(night: &Night) {
    let mut ledger = night.ledger();
    ledger.retain(|line| line.starts_with("done"));
    ledger.sort();
    let mut want: Vec<_> = (0..TARGETS).map(|target| format!("done {target}")).collect();
    want.sort();
    assert_eq!(ledger, want);
}
