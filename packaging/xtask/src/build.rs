//! `build`, `check` and `test`. All in the release profile, so that libtorch's C++ shim is compiled once.

use std::env;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::packages::Purpose;
use crate::process::{cargo, command, release_dir, root, run, timed};
use crate::setup::{self, Libtorch, Options};
use crate::{abi, deps, dist, header, layout, recipe};

/// Set-up and the whole workspace.
pub(crate) fn build() -> Result<Libtorch> {
    let (libtorch, _) = timed("set-up", || setup::run(&Options::default()))?;
    timed("build", || compile(&libtorch))?;
    timed("recipe", recipe::build)?;
    Ok(libtorch)
}

/// Compile the whole workspace.
pub(crate) fn compile(libtorch: &Libtorch) -> Result<()> {
    let mut cargo = cargo("build");
    libtorch.apply(&mut cargo);
    run(cargo.args(["--release", "--workspace"]))
}

/// Compile it into a target folder of its own, so that no path of this machine is in it: the same source
/// then gives the same bytes wherever it lies. Other flags would have everything else compiled anew.
pub(crate) fn compile_for_others(libtorch: &Libtorch, target: &Path) -> Result<()> {
    let mut cargo = cargo("build");
    libtorch.apply(&mut cargo);
    let places =
        [(root().to_owned(), "pellucid"), (cargo_home(), "cargo"), (target.to_owned(), "target")];
    let mut rust: Vec<String> =
        env::var("RUSTFLAGS").unwrap_or_default().split_whitespace().map(Into::into).collect();
    // Where two match, the last one counts: the target folder may lie in the workspace.
    let remap =
        |(from, to): (PathBuf, &str)| format!("--remap-path-prefix={}={to}", from.display());
    rust.extend(places.map(remap));
    cargo.env("CARGO_ENCODED_RUSTFLAGS", rust.join("\u{1f}"));
    run(cargo.args(["--release", "--workspace"]).arg("--target-dir").arg(target))?;
    recipe::build_into(&target.join("release"))
}

/// Where cargo keeps the sources of other crates.
pub(crate) fn cargo_home() -> PathBuf {
    let named = env::var_os("CARGO_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    named.unwrap_or_else(|| env::home_dir().unwrap_or_default().join(".cargo"))
}

/// All that can be said without running the code.
pub(crate) fn check(purpose: Purpose) -> Result<Libtorch> {
    let (libtorch, _) = timed("set-up", || setup::run(&Options::of(purpose)))?;
    timed("rustfmt", || run(cargo("fmt").args(["--all", "--check"])))?;
    timed("deps", || deps::run().and_then(|()| layout::run()))?;
    timed("header", header::run)?;
    timed("clippy", || {
        let mut cargo = cargo("clippy");
        libtorch.apply(&mut cargo);
        run(cargo.args(["--release", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    })?;
    Ok(libtorch)
}

/// Everything: `cargo test` last, so that its closing lines are the last words.
pub(crate) fn test() -> Result<()> {
    let libtorch = check(Purpose::Test)?;
    // The tests load the plugin and run the CLI as a host would: they have to be there first.
    timed("build", || compile(&libtorch))?;
    timed("recipe", recipe::build)?;
    timed("abi", abi::run)?;
    timed("tests on the stub engine", test_stub)?;
    timed("dist", || dist::check(&libtorch, &release_dir()))?;
    timed("tests", || {
        let mut cargo = cargo("test");
        libtorch.apply(&mut cargo);
        cargo.env("PELLUCID_PLUGIN", release_dir().join("libpellucid.so"));
        cargo.env("PELLUCID_MODELS", root().join("packaging/models"));
        run(cargo.args(["--release", "--workspace", "--no-fail-fast"]))
    })?;
    timed("abi-stable", || {
        let mut cargo = cargo("test");
        cargo.env("PELLUCID_LOADER", release_dir().join("libpellucid_loader.so"));
        cargo.args(["--release", "--package", "pellucid-host", "--features", "abi-stable"]);
        run(cargo.args(["--test", "checked"]))
    })?;
    Ok(())
}

/// What a host may do to the boundary, with the stub engine behind it: the sanitizers and Valgrind
/// cannot look past libtorch. In a target folder of its own, lest the stub's libpellucid.so take the
/// place of the real one.
fn test_stub() -> Result<()> {
    let mut cargo = cargo("test");
    cargo.args(["--release", "-p", "pellucid-tests", "-p", "pellucid-plugin"]);
    cargo.args(["--no-default-features", "--no-fail-fast"]);
    run(cargo.arg("--target-dir").arg(release_dir().join("../stub")))
}

/// The boundary and its tests under Miri, which sees every invalid access, race and leak of a pointer's
/// right that Rust forbids. wcslib and C programs it cannot run: those tests are left out.
pub(crate) fn miri() -> Result<()> {
    let miri = |package: &str, targets: &[&str]| {
        let mut cargo = command("cargo");
        // Handles are numbers and come back as pointers; logger and panic hook are never freed.
        cargo.env(
            "MIRIFLAGS",
            "-Zmiri-permissive-provenance -Zmiri-disable-isolation -Zmiri-ignore-leaks",
        );
        cargo.args(["+nightly", "miri", "test", "-p", package, "--no-default-features"]);
        run(cargo.args(targets).arg("--target-dir").arg(release_dir().join("../miri")))
    };
    timed("miri: plugin", || miri("pellucid-plugin", &["--lib"]))?;
    timed("miri: ABI", || miri("pellucid-tests", &["--test", "abi", "--test", "lifecycle"]))?;
    Ok(())
}
