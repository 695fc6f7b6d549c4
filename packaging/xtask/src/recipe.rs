//! `recipe`: the EsoRex recipe of `packaging/cpl`, where CPL is installed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::process::{command, release_dir, root, run, succeeds};

/// Below the release folder, with nothing else beside it: EsoRex opens every `*.so` it finds in a recipe folder.
const NAME: &str = "cpl/pellucid_sample.so";
const FLAGS: &[&str] = &["-std=c99", "-O2", "-fPIC", "-shared", "-fvisibility=hidden"];
const WARNINGS: &[&str] = &["-Wall", "-Wextra", "-pedantic", "-Wl,-z,defs"];
const LIBRARIES: &[&str] = &["-lcpldfs", "-lcplui", "-lcplcore", "-lcfitsio", "-ldl", "-lm"];

/// Build it into the release folder, or say that there is no CPL.
pub(crate) fn build() -> Result<()> {
    build_into(&release_dir())
}

/// Build it into another folder.
pub(crate) fn build_into(folder: &Path) -> Result<()> {
    let output = folder.join(NAME);
    if !has_cpl() {
        println!("recipe: skipped, no CPL here (libcpl-dev)");
        return Ok(());
    }
    compile(&output)?;
    println!("recipe: {}", output.display());
    Ok(())
}

fn compile(output: &Path) -> Result<()> {
    let folder = output.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let mut compiler = compiler();
    compiler.args(FLAGS).args(WARNINGS).arg("-I").arg("include");
    run(compiler.args(sources()?).arg("-o").arg(output).args(LIBRARIES))
}

fn sources() -> Result<Vec<PathBuf>> {
    let folder = root().join("packaging/cpl");
    let entries = fs::read_dir(&folder).map_err(Error::io("list", &folder))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    paths.sort();
    Ok(paths)
}

fn has_cpl() -> bool {
    succeeds(compiler().args(["-fsyntax-only", "-include", "cpl.h", "-x", "c", "/dev/null"]))
}

fn compiler() -> std::process::Command {
    command(env::var_os("CC").unwrap_or_else(|| "cc".into()))
}
