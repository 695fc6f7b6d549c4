//! `fuzz`: the targets of tests/fuzz under libFuzzer, which `libfuzzer-sys` compiles from source.
//!
//! Instrumentation is rustc's own: coverage is a stable pass, AddressSanitizer an unstable flag that
//! `RUSTC_BOOTSTRAP` unlocks on the stable compiler. `models` runs without the sanitizer: libtorch
//! is not built for it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::process::{command, release_dir, root, run as run_command};
use crate::setup::{self, Options};

/// Targets, the longest input, bytes, and whether they need libtorch.
const TARGETS: &[(&str, usize, bool)] = &[
    ("fits", 131_072, false),
    ("wcs", 4096, false),
    ("abi", 2048, false),
    ("manifest", 8192, false),
    ("text", 1024, false),
    ("models", 8192, true),
];
const SECONDS: u64 = 600;
/// A run that takes longer hangs; one that takes more memory does so without measure.
const TIMEOUT_S: u64 = 10;
const MEMORY_MB: u64 = 2048;
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Run one target, or each in turn, for a time each.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let (mut chosen, mut seconds) = (None, SECONDS);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--seconds" => {
                let number = words.next().and_then(|n| n.parse().ok());
                seconds = number.ok_or_else(|| Error::Usage("fuzz: --seconds N".into()))?;
            }
            name => {
                let found = TARGETS.iter().find(|(target, ..)| *target == name);
                chosen = Some(found.ok_or_else(|| {
                    let names: Vec<_> = TARGETS.iter().map(|(target, ..)| *target).collect();
                    Error::Usage(format!("fuzz: no target {name}; there are: {}", names.join(" ")))
                })?);
            }
        }
    }
    match chosen {
        Some(target) => fuzz(target, seconds),
        None => TARGETS.iter().try_for_each(|target| fuzz(target, seconds)),
    }
}

fn fuzz(&(target, longest, torch): &(&str, usize, bool), seconds: u64) -> Result<()> {
    let libtorch = setup::run(&Options::default())?;
    let folder = release_dir().join("../fuzz");
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let build = folder.join(if torch { "coverage" } else { "address" });
    let mut flags = COVERAGE.to_vec();
    if !torch {
        flags.push("-Zsanitizer=address");
    }
    let mut cargo = command("cargo");
    libtorch.apply(&mut cargo);
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", flags.join(" "));
    cargo.args(["build", "--release", "--manifest-path", "tests/fuzz/targets/Cargo.toml"]);
    cargo
        .args(["--bin", "seeds", "--bin", target, "--target", &triple, "--target-dir"])
        .arg(&build);
    if torch {
        cargo.args(["--features", "torch"]);
    }
    run_command(&mut cargo)?;

    let corpus = folder.join("corpus").join(target);
    let found = folder.join("found").join(target);
    for folder in [&corpus, &found] {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    let programs = build.join(triple).join("release");
    let mut seeds = command(programs.join("seeds"));
    libtorch.apply(&mut seeds);
    run_command(seeds.arg(target).arg(&corpus))?;

    let mut fuzzer = command(programs.join(target));
    libtorch.apply(&mut fuzzer);
    fuzzer.args([&corpus, &regressions(target)]);
    let dictionary = root().join("tests/fuzz/dictionaries").join(format!("{target}.dict"));
    if dictionary.is_file() {
        fuzzer.arg(option("dict", &dictionary));
    }
    fuzzer.arg(option("artifact_prefix", &found.join("")));
    fuzzer.args([
        format!("-max_total_time={seconds}"),
        format!("-max_len={longest}"),
        format!("-timeout={TIMEOUT_S}"),
        format!("-rss_limit_mb={MEMORY_MB}"),
        "-print_final_stats=1".into(),
        // cfitsio and wcslib keep what they no longer need; memory is bounded by the limit above.
        "-detect_leaks=0".into(),
    ]);
    fuzzer.env("ASAN_OPTIONS", "allocator_may_return_null=1:detect_leaks=0");
    run_command(&mut fuzzer)
}

fn regressions(target: &str) -> PathBuf {
    root().join("tests/fuzz/regressions").join(target)
}

fn option(name: &str, path: &Path) -> String {
    format!("-{name}={}", path.display())
}
