//! What the harness says of a plugin without a fault, and of one with each planted fault.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The real plugin, if it has been built.
///
/// # Panics
/// If `PELLUCID_PLUGIN` names one that is not there: who names a plugin wants it tested.
fn plugin() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("PELLUCID_PLUGIN") {
        let path = PathBuf::from(path);
        assert!(path.exists(), "PELLUCID_PLUGIN: {} does not exist", path.display());
        return Some(path);
    }
    let test = std::env::current_exe().expect("a test has a path");
    let built = test.parent()?.parent()?.join("libpellucid.so");
    built.exists().then_some(built)
}

/// The faulty plugin, built with this test.
fn faulty() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let library = test.with_file_name("libpellucid_faulty.so");
    assert!(library.exists(), "{} was not built", library.display());
    // The test uses what it loads, so that cargo builds it.
    assert!(pellucid_faulty::FAULTS.iter().any(|fault| fault.name == "none"));
    library
}

fn harness(library: &Path, arguments: &[&str], fault: &str, target: &Path) -> Output {
    let mut harness = Command::new(env!("CARGO_BIN_EXE_pellucid-conformance"));
    harness.arg(library).args(arguments).arg("--json");
    harness.env("PELLUCID_FAULTY_FAULT", fault).env("PELLUCID_FAULTY_TARGET", target);
    harness.output().expect("the harness runs")
}

/// Names of the failed checks, and the number of all.
fn failed(output: &Output) -> (Vec<String>, usize) {
    let text = String::from_utf8_lossy(&output.stdout);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    });
    let checks = report["checks"].as_array().expect("a report has checks");
    let failed = checks.iter().filter(|check| check["result"] == "failed");
    let name = |check: &serde_json::Value| {
        println!("    {}: {}", check["name"], check["detail"]);
        check["name"].as_str().expect("a check has a name").to_owned()
    };
    (failed.map(name).collect(), checks.len())
}

#[test]
fn the_real_plugin_keeps_every_promise() {
    let Some(plugin) = plugin() else {
        println!("SKIPPED: libpellucid.so has not been built and PELLUCID_PLUGIN is not set");
        return;
    };
    // Through the wrapper, which shows that it adds no fault of its own.
    let output = harness(&faulty(), &[], "none", &plugin);
    let (names, count) = failed(&output);
    assert!(names.is_empty(), "{names:?}");
    assert!(count > 150, "{count} checks");
    assert_eq!(output.status.code(), Some(0));
    let direct = harness(&plugin, &["--only", "discovery.*"], "none", &plugin);
    assert_eq!(failed(&direct).0, [""; 0]);
}

/// A fault, the checks to run, and those that must fail.
type Case = (&'static str, &'static [&'static str], &'static [&'static str]);

const CASES: &[Case] = &[
    ("any-level", &["discovery.*"], &["discovery.level-too-high", "discovery.level-too-low"]),
    ("early-thread", &["discovery.*"], &["discovery.starts-nothing"]),
    (
        "null-slot",
        &["discovery.*", "results.*"],
        &["discovery.slots", "results.statistics", "results.bad"],
    ),
    ("small-table", &["discovery.*"], &["discovery.table-size", "discovery.slots"]),
    (
        "wrong-status",
        &["arguments.*", "errors.*"],
        &["arguments.null-engine", "arguments.outputs-untouched"],
    ),
    (
        "empty-message",
        &["errors.*", "structs.reserved"],
        &["errors.object", "errors.json", "errors.owned", "structs.reserved"],
    ),
    ("stale-error", &["errors.*", "devices.*"], &["errors.null-on-success"]),
    ("stale-output", &["arguments.*", "arrays.*"], &["arguments.outputs-null"]),
    (
        "accepts-unknown-key",
        &["config.*"],
        &["config.unknown-key", "config.bad-json", "config.bad-values"],
    ),
    ("aborts-on-null", &["arguments.*"], &["arguments.null-job"]),
    ("trusts-handles", &["handles.*"], &["handles.invented"]),
    ("fork-unaware", &["fork.*"], &["fork.every-slot"]),
    ("writes-too-far", &["structs.*"], &["structs.output-size"]),
    ("leaks-release", &["arrays.*"], &["arrays.release-once", "arrays.release-copy"]),
    ("releases-twice", &["arrays.*"], &["arrays.release-once"]),
    ("releases-on-failure", &["arrays.*"], &["arrays.release-not-on-failure"]),
    ("leaks-memory", &["lifecycle.*"], &["lifecycle.no-leak"]),
    ("leaks-thread", &["lifecycle.*"], &["lifecycle.create"]),
    (
        "logs-elsewhere",
        &["logs.*"],
        &["logs.callers-thread", "logs.drain", "logs.dropped", "logs.level", "logs.reentrancy"],
    ),
    ("prints", &["logs.*"], &["logs.quiet"]),
    ("hangs-in-cancel", &["cancel.idempotent"], &["cancel.idempotent"]),
    ("early-timeout", &["jobs.*"], &["jobs.timeout"]),
    (
        "tells-states-twice",
        &["callbacks.*"],
        &[
            "callbacks.states",
            "callbacks.cancel-states",
            "callbacks.none-after-release",
            "callbacks.release-inside",
        ],
    ),
    ("ignores-priority", &["jobs.*"], &["jobs.priority"]),
    ("ignores-seed", &["determinism.*"], &["determinism.other-seed"]),
    ("halves-seed", &["determinism.*"], &["determinism.other-seed"]),
    ("seeds-by-count", &["determinism.*"], &["determinism.n-samples"]),
    (
        "half-pixel",
        &["wcs.*", "prediction.*"],
        &[
            "wcs.grid",
            "prediction.constant-sky",
            "prediction.point-position",
            "prediction.half-pixel",
            "prediction.definition",
        ],
    ),
    (
        "flipped-psf",
        &["psf.*", "prediction.*"],
        &[
            "psf.true-convolution",
            "psf.oversample",
            "psf.pixel-integrated",
            "psf.callback",
            "prediction.definition",
        ],
    ),
    (
        "flux-one-percent",
        &["psf.*", "prediction.*"],
        &[
            "psf.true-convolution",
            "psf.oversample",
            "psf.pixel-integrated",
            "prediction.constant-sky",
            "prediction.point-flux",
            "prediction.half-pixel",
            "prediction.definition",
            "prediction.per-pixel",
        ],
    ),
    (
        "ignores-mask",
        &["exposures.*", "arrays.*", "posterior.masked"],
        &[
            "arrays.dtypes",
            "exposures.shapes",
            "exposures.all-masked",
            "exposures.mask",
            "posterior.masked",
        ],
    ),
    (
        "overconfident",
        &["posterior.*"],
        &[
            "posterior.exact",
            "posterior.masked",
            "posterior.correlated-noise",
            "posterior.prior-limit",
        ],
    ),
    (
        "biased",
        &["posterior.*"],
        &[
            "posterior.exact",
            "posterior.masked",
            "posterior.correlated-noise",
            "posterior.prior-limit",
            "posterior.independent",
        ],
    ),
];

#[test]
fn each_planted_fault_fails_the_checks_that_it_breaks() {
    let Some(plugin) = plugin() else {
        println!("SKIPPED: libpellucid.so has not been built and PELLUCID_PLUGIN is not set");
        return;
    };
    let library = faulty();
    let mut wrong = Vec::new();
    for fault in pellucid_faulty::FAULTS.iter().filter(|fault| fault.name != "none") {
        let Some((name, only, need)) = CASES.iter().find(|(name, ..)| *name == fault.name) else {
            wrong.push(format!("{}: no case", fault.name));
            continue;
        };
        println!("{name}");
        let mut arguments: Vec<&str> = only.iter().flat_map(|glob| ["--only", glob]).collect();
        if *name == "hangs-in-cancel" {
            arguments.extend(["--timeout", "5"]);
        }
        let output = harness(&library, &arguments, name, &plugin);
        let (got, _) = failed(&output);
        if got != *need || output.status.code() != Some(1) {
            wrong.push(format!("{name}: failed are {got:?}, need {need:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn usage() {
    let harness = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_pellucid-conformance")).args(arguments).output();
        let output = output.expect("the harness runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(harness(&[]).0, Some(2));
    assert_eq!(harness(&["/nowhere/libpellucid.so"]).0, Some(2));
    assert_eq!(harness(&["/dev/null", "--only", "no.such"]).0, Some(2));
    let (code, list) = harness(&["--list", "--only", "fork.*"]);
    assert_eq!((code, list.lines().count()), (Some(0), 4));
    // No library at all: every check fails, none ends the harness.
    let (code, table) = harness(&["/dev/null", "--only", "discovery.*"]);
    assert_eq!(code, Some(1));
    assert!(table.contains("0 passed, 13 failed"), "{table}");
}
