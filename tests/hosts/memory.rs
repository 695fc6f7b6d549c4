//! The hosts under AddressSanitizer with UndefinedBehaviorSanitizer, and under Valgrind, on the stub
//! engine (libtorch leaves memory to the end of the process that neither can tell from a leak).

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pellucid_tests::c;

use crate::cpp::{HOST, run_host};

/// A host: name of its test, standard, sources, whether it takes a prior and so on.
type Program = (&'static str, &'static str, &'static [&'static str], bool);

const PROGRAMS: [Program; 5] = [
    ("host", "c99", &["host.c"], true),
    ("quiet", "c99", &["quiet.c"], false),
    ("fork", "c99", &["fork.c"], false),
    ("wrappers", "c++17", &HOST, true),
    ("end-to-end", "c++17", &["../cpp/end_to_end.cpp"], true),
];

fn run(command: &mut Command, takes_prior: bool, folder: &Path) -> Output {
    if takes_prior {
        return run_host(command, folder);
    }
    let output = command.arg(c::plugin()).output().expect("the program runs");
    assert!(output.status.success(), "{command:?}: {}", c::printed(&output));
    output
}

fn installed(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok_and(|o| o.status.success());
    if !found {
        eprintln!("SKIPPED: {tool} is not installed");
    }
    found
}

#[test]
fn the_hosts_are_clean_under_sanitizers() {
    let folder = c::scratch("sanitized");
    let build = |standard: &str, sources: &[&str]| -> PathBuf {
        let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"];
        let build = c::Build::new(standard);
        flags.iter().fold(build, |build, flag| build.flag(*flag)).program(sources, &folder)
    };
    // What they find is found: a read of a released array, by a host that was built like the others.
    let caught = Command::new(build("c99", &["released.c"])).arg(c::plugin()).output().unwrap();
    let report = c::printed(&caught);
    assert!(!caught.status.success() && report.contains("heap-use-after-free"), "{report}");
    for (_, standard, sources, takes_prior) in PROGRAMS {
        let mut command = Command::new(build(standard, sources));
        // fork.c: a child ends by _exit and leaves its memory.
        command.env("ASAN_OPTIONS", "detect_leaks=1:strict_string_checks=1");
        run(&mut command, takes_prior, &folder);
    }
}

#[test]
fn the_hosts_are_clean_under_valgrind() {
    if !installed("valgrind") {
        return;
    }
    let folder = c::scratch("valgrind");
    let valgrind = |program: PathBuf| {
        let mut command = Command::new("valgrind");
        command.args(["--error-exitcode=9", "--leak-check=full", "--quiet"]);
        // Possible leaks are Rust's records of threads that still run, such as the first.
        for what in ["--show-leak-kinds", "--errors-for-leak-kinds"] {
            command.arg(format!("{what}=definite,indirect"));
        }
        let suppressions = c::root().join("tests/c/valgrind.supp");
        command.arg(format!("--suppressions={}", suppressions.display())).arg(program);
        command
    };
    let caught = valgrind(c::compile("released.c", "c99", &folder)).arg(c::plugin()).output();
    let report = c::printed(&caught.unwrap());
    assert!(report.contains("Invalid read") && report.contains("free'd"), "{report}");
    for (name, standard, sources, takes_prior) in PROGRAMS {
        // The child of fork lacks the threads that the fork did not copy and ends without cleaning up.
        // The stub convolves slowly, under Valgrind forty times as slowly: small images do.
        if !["fork", "end-to-end"].contains(&name) {
            let build = c::Build::new(standard);
            let small = ["-DSIDE=8", "-DPSF_SIDE=5", "-DOVERSAMPLE=2"];
            let build = small.iter().fold(build, |build, flag| build.flag(*flag));
            run(&mut valgrind(build.program(sources, &folder)), takes_prior, &folder);
        }
    }
}
