//! `setup` and `env`: everything the build needs, found or fetched.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::libtorch::Source;
use crate::packages::{self, Purpose};
use crate::process::{self, command, succeeds};
use crate::wheel::LICENCES;

/// How far to set up.
#[derive(Debug, Default)]
pub(crate) struct Options {
    purpose: Purpose,
    verify: bool,
}

impl Options {
    /// For a command of this purpose.
    pub(crate) fn of(purpose: Purpose) -> Self {
        Self { purpose, verify: false }
    }

    /// The flags of `setup`.
    pub(crate) fn parse(flags: &[&str]) -> Result<Self> {
        let mut options = Self::of(Purpose::Test);
        for flag in flags {
            match *flag {
                "--all" => options.purpose = Purpose::AllTests,
                "--verify" => options.verify = true,
                _ => return Err(Error::Usage(format!("setup: unknown option {flag}"))),
            }
        }
        Ok(options)
    }
}

/// Where libtorch is; what a child needs to find it.
#[derive(Debug)]
pub(crate) struct Libtorch(PathBuf);

impl Libtorch {
    /// Let `command` compile, link and run against libtorch, and wait without spinning.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.env("LIBTORCH", &self.0).env("LD_LIBRARY_PATH", self.library_path());
        // Threads that spin while they wait take the cores of whatever else runs: beside one busy process
        // on two cores a test of 20 s took 5 minutes.
        if env::var_os("OMP_WAIT_POLICY").is_none() {
            command.env("OMP_WAIT_POLICY", "passive");
        }
    }

    /// The folder of its libraries.
    pub(crate) fn libraries(&self) -> PathBuf {
        self.0.join("lib")
    }

    /// The folder of its licences; a user's own libtorch need not have it.
    pub(crate) fn licences(&self) -> PathBuf {
        self.0.join(LICENCES)
    }

    fn library_path(&self) -> OsString {
        let mut path = self.libraries().into_os_string();
        if let Some(before) = env::var_os("LD_LIBRARY_PATH").filter(|before| !before.is_empty()) {
            path.push(":");
            path.push(before);
        }
        path
    }
}

/// Install and fetch what is missing. Silent and quick when nothing is.
pub(crate) fn run(options: &Options) -> Result<Libtorch> {
    let source = Source::find(options.verify)?;
    packages::install(options.purpose, source.needs_fetching())?;
    rust_components();
    let folder = source.provide()?;
    eprintln!("set-up: LIBTORCH={}", folder.display());
    Ok(Libtorch(folder))
}

/// Print the lines with which plain cargo finds libtorch.
pub(crate) fn print_env() -> Result<()> {
    let Libtorch(folder) = run(&Options::default())?;
    println!("export LIBTORCH={}", quoted(&folder));
    println!(
        "export LD_LIBRARY_PATH={}\"${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\"",
        quoted(&folder.join("lib"))
    );
    Ok(())
}

/// rustup's minimal profile comes without them. Not fatal: building needs neither.
fn rust_components() {
    for component in ["clippy", "rustfmt"] {
        let tool = if component == "clippy" { "clippy" } else { "fmt" };
        if !succeeds(command("cargo").args([tool, "--version"]))
            && process::run(command("rustup").args(["component", "add", component])).is_err()
        {
            eprintln!("set-up: {component} is missing; `cargo xtask check` will fail without it");
        }
    }
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
