//! The types of the header against a committed baseline, by libabigail: prototypes, layouts, names.
//!
//! Rust's debug information does not describe the C types, so they are taken from a small library in
//! C that exports what the plugin does; that the plugin's own types agree is what
//! `tests/hosts/layout.rs` checks.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use crate::error::{Error, Result};
use crate::process::{command, display, release_dir, root, run_with_input, succeeds};

const SOURCE: &str = "\
#include <pellucid/pellucid.h>
const pellucid_predict_ext *pellucid_predict;
const pellucid_api *pellucid_get_api(uint32_t abi, uint32_t range[2]) {
  (void)abi;
  (void)range;
  return 0;
}
";
/// Kept per architecture: only this one is.
const ARCHITECTURE: &str = "x86_64";

fn baseline() -> PathBuf {
    root().join("packaging/xtask/abi/pellucid-1.abi")
}

/// Compare, or with `update` make the header of today the baseline.
pub(crate) fn run(update: bool) -> Result<()> {
    if std::env::consts::ARCH != ARCHITECTURE {
        println!("abi: SKIPPED, the baseline of types is for {ARCHITECTURE}");
        return Ok(());
    }
    if !succeeds(command("abidiff").arg("--version")) {
        println!("abi: SKIPPED the comparison of types, which needs abigail-tools");
        return Ok(());
    }
    let library = release_dir().join("pellucid-abi-witness.so");
    let mut compiler = command(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    compiler.args(["-shared", "-fPIC", "-g", "-I", "include", "-o"]).arg(&library);
    run_with_input(compiler.args(["-x", "c", "-"]), SOURCE)?;
    let baseline = baseline();
    if update {
        let mut abidw = command("abidw");
        abidw.args(["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs"]);
        abidw.args(["--type-id-style", "hash"]).arg(&library);
        let text = crate::process::output(&mut abidw)?;
        let write = fs::File::create(&baseline).and_then(|mut f| f.write_all(text.as_bytes()));
        write.map_err(Error::io("write", &baseline))?;
        println!("abi: {} is the header of today", baseline.display());
        return Ok(());
    }
    let mut abidiff = command("abidiff");
    // With what it calls harmless, such as a new name for a member: hosts no longer compile.
    abidiff.arg("--harmless").arg(&baseline).arg(&library);
    let report = abidiff.stderr(Stdio::inherit()).output();
    let report = report.map_err(|source| Error::Spawn { program: "abidiff".into(), source })?;
    match report.status.code() {
        Some(0) => {
            println!("abi: the types of the header are those of the baseline");
            Ok(())
        }
        // Bits of the exit status: 1 and 2 are errors of abidiff itself, 4 and 8 differences.
        Some(code) if code & 3 == 0 => Err(Error::Rules {
            rule: "ABI types (an addition? raise PELLUCID_ABI_MINOR and `cargo xtask abi --update`)",
            broken: String::from_utf8_lossy(&report.stdout).lines().map(str::to_owned).collect(),
        }),
        _ => Err(Error::Failed { command: display(&abidiff), status: report.status.to_string() }),
    }
}
