//! `cargo xtask bench night`: a simulated night of 200 targets, 5 % of them broken, through the real
//! program and plugin.
//!
//! 1. undisturbed: every good target done, every broken one reported with its reason, exit code 3;
//!    memory over the night;
//! 2. throughput: the night, the night with one target in the plugin at a time, and `pellucid sample` once
//!    per target;
//! 3. disturbed: killed (SIGKILL) at ten seeded moments, the disk full once (a small tmpfs, which
//!    takes root), one input gone and restored; at the end the same products bit for bit, times in
//!    their headers aside, and nothing done twice.
//!
//! `PELLUCID_PLUGIN` names the plugin, else it is looked for beside the program.

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pellucid_night::journal;
use pellucid_night::ledger::What;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use support::sky::{self, BROKEN, difference};
use support::{Folder, pellucid, skipped};

const GOOD: usize = 190;
const BAD: usize = 10;
const SAMPLES: usize = 16;
/// Targets sampled one at a time.
const SINGLES: usize = 10;
const KILLS: usize = 10;

fn main() {
    if !pellucid(["doctor"]).stdout.windows(9).any(|w| w == b"ok    ABI") {
        eprintln!("error: no plugin; build it (cargo xtask build) or name it with PELLUCID_PLUGIN");
        std::process::exit(1);
    }
    let folder = Folder::new("bench-night");
    let mut report = Report { rows: Vec::new() };
    sky::write_inputs(&folder.0);
    std::fs::write(folder.path("all.csv"), sky::rows(GOOD, BAD)).unwrap();
    std::fs::write(folder.path("few.csv"), sky::rows(4 * SINGLES, 0)).unwrap();

    let whole_s = undisturbed(&folder, &mut report);
    throughput(&folder, whole_s, &mut report);
    disturbed(&folder, whole_s, &mut report);
    report.end();
}

fn product(out: &Path, k: usize) -> PathBuf {
    out.join(format!("products/good-{k:03}.fits"))
}

/// Exit code and wall-clock seconds of a run.
fn run(manifest: &Path) -> (i32, f64, String) {
    let begun = Instant::now();
    let output = pellucid(["night", "run", manifest.to_str().unwrap()]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), begun.elapsed().as_secs_f64(), stderr)
}

fn status(manifest: &Path) -> Value {
    let output = pellucid(["night", "status", "--json", manifest.to_str().unwrap()]);
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn undisturbed(folder: &Folder, report: &mut Report) -> f64 {
    let night = sky::manifest(&folder.0, "whole", "all.csv", SAMPLES, "");
    let (code, seconds, stderr) = run(&night);
    let state = status(&night);
    let count = |key: &str| state["totals"][key].as_u64().unwrap_or(0) as f64;
    report.row("undisturbed", "exit_code", f64::from(code), Some(3.0), "within");
    report.row("undisturbed", "done", count("done"), Some(GOOD as f64), "within");
    report.row("undisturbed", "quarantined", count("quarantined"), Some(BAD as f64), "within");
    let targets = state["targets"].as_array().cloned().unwrap_or_default();
    let explained = targets.iter().skip(GOOD).enumerate().filter(|(k, target)| {
        let reason = target["reason"].as_str().unwrap_or_default();
        reason.contains(BROKEN[k % BROKEN.len()].1)
    });
    report.row(
        "undisturbed",
        "right_reasons",
        explained.count() as f64,
        Some(BAD as f64),
        "within",
    );
    if code != 3 {
        eprintln!("{stderr}");
    }
    let summary = std::fs::read(folder.path("whole.out/summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    let memory: Vec<(f64, f64)> = summary["memory"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|s| (s["done"].as_f64().unwrap(), s["resident_bytes"].as_f64().unwrap() / 1e6))
        .collect();
    for (done, resident) in memory.iter().step_by((memory.len() / 12).max(1)) {
        println!("memory: {done:>4} done, {resident:>7.1} MB");
    }
    let largest = |from: f64, to: f64| {
        let within = |(done, _): &&(f64, f64)| (from..=to).contains(done);
        memory.iter().filter(within).map(|(_, mb)| *mb).fold(0.0, f64::max)
    };
    let n = GOOD as f64;
    report.row("undisturbed", "resident_mb_peak", largest(0.0, n), None, "lower");
    // The first third warms up: models, pools of the allocator.
    let growth = largest(2.0 * n / 3.0, n) / largest(n / 3.0, 2.0 * n / 3.0);
    report.row("undisturbed", "resident_last_third_over_second", growth, Some(1.05), "lower");
    seconds
}

fn throughput(folder: &Folder, whole_s: f64, report: &mut Report) {
    let night = (GOOD + BAD) as f64 / whole_s;
    report.row("night, 4 in flight", "targets_per_s", night, None, "higher");
    for (case, name, setting) in [
        ("night of 40, 4 in flight", "few", ""),
        ("night of 40, 1 in flight", "one", "in_flight = 1"),
    ] {
        let (_, seconds, _) = run(&sky::manifest(&folder.0, name, "few.csv", SAMPLES, setting));
        report.row(case, "targets_per_s", 4.0 * SINGLES as f64 / seconds, None, "higher");
    }
    let begun = Instant::now();
    let text = |name: &str| folder.path(name).display().to_string();
    let mut same = 0;
    for k in 1..=SINGLES {
        let at = sky::position(k);
        let (ra, dec) = (format!("{:.9}", at.ra_deg), format!("{:.9}", at.dec_deg));
        let (output, figure) = (text(&format!("single-{k}.fits")), text("single.png"));
        let run = pellucid([
            "sample",
            &text("frame_1.fits"),
            &text("frame_2.fits"),
            "--psf",
            &text("psf.fits"),
            "--prior",
            &text("prior.safetensors"),
            "--flux-scale",
            "1",
            "--samples",
            &SAMPLES.to_string(),
            "--seed",
            "3",
            "--threads",
            "1",
            "--ra",
            &ra,
            "--dec",
            &dec,
            "--figure",
            &figure,
            "-o",
            &output,
        ]);
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let samples = |path: &Path| {
            let product = pellucid_host::product::Product::read(path).unwrap();
            product.samples
        };
        let night = product(&folder.path("whole.out"), k);
        same += usize::from(samples(Path::new(&output)) == samples(&night));
    }
    let single = SINGLES as f64 / begun.elapsed().as_secs_f64();
    report.row("pellucid sample, one by one", "targets_per_s", single, None, "higher");
    report.row("night over one by one", "speed_ratio", night / single, Some(1.0), "higher");
    report.row("one by one", "same_samples", same as f64, Some(SINGLES as f64), "within");
}

fn disturbed(folder: &Folder, whole_s: f64, report: &mut Report) {
    let night = sky::manifest(&folder.0, "hard", "all.csv", SAMPLES, "attempts = 2");
    let out = folder.path("hard.out");
    let hidden = folder.path("hidden.fits");
    std::fs::rename(folder.path("own.fits"), &hidden).unwrap();

    let mut dice = ChaCha8Rng::seed_from_u64(20_261_128);
    let mut kills = 0;
    for _ in 0..KILLS {
        let mut program = Command::new(env!("CARGO_BIN_EXE_pellucid"));
        program.args(["night", "run"]).arg(&night).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = program.spawn().unwrap();
        // The start and the check of what is done come on top of every piece.
        sleep(Duration::from_secs_f64(0.3 + dice.random_range(0.02..0.12) * whole_s));
        kills += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    report.row("disturbed", "kills_at_work", kills as f64, Some(KILLS as f64), "within");

    full_disk(folder, report);
    let (code, ..) = run(&night);
    let state = status(&night);
    report.row("disturbed", "exit_code_without_input", f64::from(code), Some(3.0), "within");
    let missing = state["targets"][0]["status"] == "quarantined";
    report.row(
        "disturbed",
        "missing_input_reported",
        f64::from(u8::from(missing)),
        Some(1.0),
        "within",
    );
    std::fs::rename(&hidden, folder.path("own.fits")).unwrap();
    let (code, ..) = run(&night);
    report.row("disturbed", "exit_code_at_the_end", f64::from(code), Some(3.0), "within");
    compare(folder, &out, "disturbed", report);
}

/// Products like those of the undisturbed night, each made once.
fn compare(folder: &Folder, out: &Path, case: &str, report: &mut Report) {
    let differences: Vec<String> = (0..GOOD)
        .filter_map(|k| difference(&product(out, k), &product(&folder.path("whole.out"), k)))
        .collect();
    for difference in differences.iter().take(5) {
        eprintln!("{difference}");
    }
    report.row(case, "products_different", differences.len() as f64, Some(0.0), "lower");
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for event in journal::read(&out.join("ledger")).unwrap() {
        if matches!(event.what, What::Done { .. }) {
            *times.entry(event.target).or_default() += 1;
        }
    }
    let twice = times.values().filter(|n| **n > 1).count();
    report.row(case, "done_twice", twice as f64, Some(0.0), "lower");
}

/// A night on a disk that fills in the middle, and is given room.
fn full_disk(folder: &Folder, report: &mut Report) {
    let out = folder.path("full.out");
    std::fs::create_dir_all(&out).unwrap();
    let size = size_of_tree(&folder.path("whole.out"));
    let mount = |options: &str| {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&out).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success())
    };
    if !mount(&format!("size={}", size / 2)) {
        skipped("full disk: no tmpfs can be mounted here (root?)");
        return;
    }
    let night = sky::manifest(&folder.0, "full", "all.csv", SAMPLES, "attempts = 2");
    // The hidden input stays hidden for the rest of this night.
    let (code, _, stderr) = run(&night);
    report.row("full disk", "exit_code_when_full", f64::from(code), Some(1.0), "within");
    let said = stderr.contains("No space left") && stderr.contains("make room");
    report.row("full disk", "says_so", f64::from(u8::from(said)), Some(1.0), "within");
    let half = mount_again(&out, size * 2);
    report.row("full disk", "given_room", f64::from(u8::from(half)), Some(1.0), "within");
    let before = folder.path("hidden.fits");
    std::fs::copy(&before, folder.path("own.fits")).unwrap();
    let (code, ..) = run(&night);
    report.row("full disk", "exit_code_with_room", f64::from(code), Some(3.0), "within");
    compare(folder, &out, "full disk", report);
    std::fs::remove_file(folder.path("own.fits")).unwrap();
    let unmounted = Command::new("umount").arg(&out).status();
    assert!(unmounted.is_ok_and(|status| status.success()), "umount {}", out.display());
}

fn mount_again(out: &Path, size: u64) -> bool {
    let mut mount = Command::new("mount");
    mount.args(["-o", &format!("remount,size={size}")]).arg(out);
    mount.status().is_ok_and(|status| status.success())
}

/// Bytes of all files below a folder, in whole pages.
fn size_of_tree(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.file_type().unwrap().is_dir() {
            true => size_of_tree(&entry.path()),
            false => entry.metadata().unwrap().len().next_multiple_of(4096),
        })
        .sum()
}

/// The bench's rows, as a table and as JSON.
struct Report {
    rows: Vec<Value>,
}

impl Report {
    fn row(&mut self, case: &str, metric: &str, value: f64, target: Option<f64>, better: &str) {
        let pass = target.map(|target| match better {
            "lower" => value <= target,
            "higher" => value >= target,
            _ => value == target,
        });
        let shown = target.map_or(String::new(), |t| format!("  (target {t})"));
        let verdict = pass.map_or("", |pass| if pass { "  ok" } else { "  FAIL" });
        println!("{case:<28} {metric:<34} {value:>10.3}{shown}{verdict}");
        self.rows.push(json!({
            "case": case, "metric": metric, "value": value, "target": target,
            "better": better, "pass": pass,
        }));
    }

    /// Writes JSON if asked; a failed row fails the bench.
    fn end(self) {
        let mut args = std::env::args().skip_while(|arg| arg != "--json");
        let failed = self.rows.iter().any(|row| row["pass"] == false);
        if let Some(path) = args.nth(1) {
            let said = |program: &str, args: &[&str]| {
                let output = Command::new(program).args(args).output();
                output
                    .map_or(String::new(), |o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
            };
            let all = json!({
                "bench": "night",
                "commit": said("git", &["rev-parse", "HEAD"]),
                "machine": format!("{}, {} cores", said("uname", &["-srm"]), said("nproc", &[])),
                "rows": self.rows,
            });
            std::fs::write(path, format!("{all:#}\n")).unwrap();
        }
        if failed {
            std::process::exit(1);
        }
    }
}
