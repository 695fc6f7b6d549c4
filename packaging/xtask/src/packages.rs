//! System packages: what is missing, and how to get it.

use std::io;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::process::{command, display, output, run, succeeds};

/// What the packages are wanted for; each includes those before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Building and running.
    #[default]
    Build,
    /// Most tests.
    Test,
    /// The other tests; they are counted as skipped without their packages.
    AllTests,
}

/// For building, the demo and the benches.
const BUILD: &[&str] = &["wcslib-dev", "libcfitsio-dev", "pkg-config", "gcc", "g++"];
/// For most tests besides.
const TEST: &[&str] = &["binutils", "fitsverify", "chrpath", "dpkg-dev", "help2man", "xz-utils"];
/// For some tests.
const OPTIONAL: &[&str] = &[
    "cmake",
    "clang",
    "abigail-tools",
    "valgrind",
    "python3-astropy",
    "esorex",
    "libcpl-dev",
    "python3-cpl",
    "lintian",
    "python3-numpy",
    "slurm-wlm",
    "chromium",
    "munge",
];

/// Interpreters that may bring pip, in the order tried.
const PYTHONS: &[&str] = &["python3", "/usr/bin/python3"];

/// An interpreter with pip, if there is one.
pub(crate) fn python_with_pip() -> Option<&'static str> {
    PYTHONS
        .iter()
        .copied()
        .find(|python| succeeds(command(python).args(["-m", "pip", "--version"])))
}

/// Install what is missing for a purpose and, with `fetch`, for fetching libtorch.
pub(crate) fn install(purpose: Purpose, fetch: bool) -> Result<()> {
    let required = required(purpose);
    if !succeeds(command("dpkg-query").arg("--version")) {
        eprintln!("set-up: no dpkg here; make sure of: {}", required.join(" "));
        return Ok(());
    }
    let mut required = missing(&required)?;
    if fetch && python_with_pip().is_none() {
        required.push("python3-pip");
    }
    if fetch && !succeeds(command("curl").arg("--version")) {
        required.extend(["curl", "ca-certificates"]);
    }
    let all = purpose == Purpose::AllTests;
    let optional = if all { missing(OPTIONAL)? } else { Vec::new() };
    if required.is_empty() && optional.is_empty() {
        return Ok(());
    }
    if !is_root()? {
        return without_root(&required, &optional);
    }
    run(apt().arg("update"))?;
    if !required.is_empty() {
        apt_install(&required)?;
    }
    // One by one when the batch fails, so that one broken package costs only its own tests.
    if !optional.is_empty() && apt_install(&optional).is_err() {
        let failed: Vec<_> =
            optional.iter().filter(|name| apt_install(&[*name]).is_err()).collect();
        for name in failed {
            eprintln!(
                "set-up: {name} could not be installed; the tests that need it will be skipped"
            );
        }
    }
    Ok(())
}

fn required(purpose: Purpose) -> Vec<&'static str> {
    let test = if purpose >= Purpose::Test { TEST } else { &[] };
    [BUILD, test].concat()
}

fn without_root(required: &[&str], optional: &[&str]) -> Result<()> {
    let wanted = [required, optional].concat();
    let command = format!(
        "sudo apt-get update && sudo apt-get install --no-install-recommends {}",
        wanted.join(" ")
    );
    if required.is_empty() {
        eprintln!("set-up: some tests will be skipped; to have them:\n  {command}");
        return Ok(());
    }
    Err(Error::Packages { command })
}

fn missing(wanted: &[&'static str]) -> Result<Vec<&'static str>> {
    let mut query = command("dpkg-query");
    query.args(["--show", "--showformat=${Package} ${db:Status-Status}\n"]);
    // It exits 1 when it does not know a package: that is an answer.
    let answer = query.args(wanted).stderr(Stdio::null()).output();
    let answer = answer.map_err(|source| Error::Spawn { program: display(&query), source })?;
    let answer = String::from_utf8_lossy(&answer.stdout);
    let installed =
        |name: &str| answer.lines().any(|line| line.split_once(' ') == Some((name, "installed")));
    Ok(wanted.iter().copied().filter(|name| !installed(name)).collect())
}

fn is_root() -> Result<bool> {
    Ok(output(command("id").arg("-u"))?.trim() == "0")
}

fn apt() -> Command {
    let mut apt = command("apt-get");
    // Another apt may be at work: wait for it.
    apt.stdout(io::stderr()).env("DEBIAN_FRONTEND", "noninteractive").args([
        "-o",
        "DPkg::Lock::Timeout=300",
        "-qq",
    ]);
    apt
}

fn apt_install(names: &[&str]) -> Result<()> {
    run(apt().args(["install", "--yes", "--no-install-recommends"]).args(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tests_need_the_tools_of_tests() {
        for tool in TEST {
            assert!(!required(Purpose::default()).contains(tool), "{tool}");
            assert!(required(Purpose::Test).contains(tool), "{tool}");
        }
        assert_eq!(required(Purpose::AllTests), required(Purpose::Test));
    }
}
