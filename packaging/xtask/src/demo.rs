//! `demo`: from nothing to posterior samples of a simulated galaxy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::build::compile;
use crate::error::{Error, Result};
use crate::process::{self, command, release_dir, root, timed};
use crate::setup::{self, Libtorch, Options};

const FOLDER: &str = "demo";
const INSTRUMENT: &str = "acs-f814w";
const PRIOR: &str = "galaxies64-ve";
const SAMPLES: &str = "16";

/// Set up, build, simulate four dithered exposures, sample.
pub(crate) fn run() -> Result<()> {
    let (libtorch, set_up) = timed("set-up", || setup::run(&Options::default()))?;
    let ((), built) = timed("build", || compile(&libtorch))?;
    remove_previous()?;
    let ((), simulated) = timed("simulate", || {
        let mut simulate = pellucid(&libtorch, "simulate");
        simulate.args(["--scene", "random", "--exposures", "4", "--instrument", INSTRUMENT]);
        process::run(simulate.args(["--seed", "7", "-o", FOLDER]))
    })?;
    let ((), sampled) = timed("sample", || {
        let mut sample = pellucid(&libtorch, "sample");
        sample.args(exposures()?).args(["--psf", "demo/psf.fits", "--prior", PRIOR]);
        sample.args(["--noise", "gaussian", "--samples", SAMPLES, "--seed", "1"]);
        process::run(sample.args(["--figure", "demo/posterior.png", "-o", "demo/posterior.fits"]))
    })?;
    report(&[("set-up", set_up), ("build", built), ("simulate", simulated), ("sample", sampled)]);
    Ok(())
}

fn pellucid(libtorch: &Libtorch, subcommand: &str) -> Command {
    let mut pellucid = command(release_dir().join("pellucid"));
    libtorch.apply(&mut pellucid);
    pellucid.env("PELLUCID_MODELS", root().join("packaging/models"));
    pellucid.arg(subcommand);
    pellucid
}

/// What the simulation wrote, in order, named as a user would name them.
fn exposures() -> Result<Vec<PathBuf>> {
    let mut found = listing()?;
    found.retain(|path| is_exposure(path));
    found.sort();
    Ok(found)
}

/// An old exposure would be stacked with the new ones, an old posterior taken for the new one.
fn remove_previous() -> Result<()> {
    if !root().join(FOLDER).exists() {
        return Ok(());
    }
    for path in listing()? {
        let name = path.file_name().unwrap_or_default();
        if is_exposure(&path) || name == "posterior.fits" || name == "posterior.png" {
            let path = root().join(path);
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

fn listing() -> Result<Vec<PathBuf>> {
    let folder = root().join(FOLDER);
    let entries = fs::read_dir(&folder).map_err(Error::io("list", &folder))?;
    let name =
        |entry: std::io::Result<fs::DirEntry>| entry.map(|e| Path::new(FOLDER).join(e.file_name()));
    entries.map(name).collect::<std::io::Result<_>>().map_err(Error::io("list", &folder))
}

fn is_exposure(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("exposure_") && name.ends_with(".fits")
}

fn report(parts: &[(&str, Duration)]) {
    println!();
    for (part, took) in parts {
        println!("{part:>9}  {:8.1} s", took.as_secs_f64());
    }
    println!(
        "
demo/exposure_*.fits  what the telescope saw (simulated): SCI, ERR, DQ, WCS
demo/posterior.fits   {SAMPLES} samples of what the galaxy may look like, median, percentiles, residuals
demo/posterior.png    the same at a glance: look at this first

next:  eval \"$(cargo xtask env)\"
       target/release/pellucid inspect demo/posterior.fits
       target/release/pellucid sample --help"
    );
}
