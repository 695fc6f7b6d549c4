//! `abi`: the built plugin exports what the contract names and nothing else, and the types of the
//! contract are those of the baseline.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::process::{command, output, release_dir, root};
use crate::witness;

/// The contract. A host asks for nothing else by name.
const SYMBOLS: &[&str] = &["pellucid_get_api"];

/// Check the plugin of the last build.
pub(crate) fn run() -> Result<()> {
    let plugin = release_dir().join("libpellucid.so");
    plugin.metadata().map_err(Error::io("find (run `cargo xtask build` first)", &plugin))?;
    let broken: Vec<_> = symbols(&plugin)?.into_iter().chain(soname(&plugin)?).collect();
    if !broken.is_empty() {
        return Err(Error::Rules { rule: "plugin ABI", broken });
    }
    println!("abi: {} exports {} only", plugin.display(), SYMBOLS.join(" "));
    witness::run(false)
}

fn symbols(plugin: &Path) -> Result<Vec<String>> {
    let mut nm = command("nm");
    nm.args(["--dynamic", "--defined-only", "--format=posix"]).arg(plugin);
    Ok(difference(&output(&mut nm)?))
}

/// What `nm -D` lists against the contract.
fn difference(nm: &str) -> Vec<String> {
    let found: BTreeSet<&str> = nm.lines().filter_map(|line| line.split(' ').next()).collect();
    let need: BTreeSet<&str> = SYMBOLS.iter().copied().collect();
    let extra =
        found.difference(&need).map(|name| format!("{name}: exported, not in the contract"));
    let absent = need.difference(&found).map(|name| format!("{name}: not exported"));
    extra.chain(absent).collect()
}

/// The soname's number is the header's breaking level.
fn soname(plugin: &Path) -> Result<Option<String>> {
    let header = root().join("include/pellucid/pellucid.h");
    let text = fs::read_to_string(&header).map_err(Error::io("read", &header))?;
    let level = text.lines().find_map(|line| line.strip_prefix("#define PELLUCID_ABI "));
    let level =
        level.map(|rest| rest.trim().chars().take_while(char::is_ascii_digit).collect::<String>());
    let need = format!("libpellucid.so.{}", level.unwrap_or_default());
    let dynamic = output(command("readelf").args(["--dynamic", "--wide"]).arg(plugin))?;
    let found = dynamic.lines().find(|line| line.contains("(SONAME)"));
    let got = found.and_then(|line| line.split(['[', ']']).nth(1)).unwrap_or("none");
    Ok((got != need).then(|| format!("soname {got}, need {need}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_and_absent_symbols() {
        assert!(difference("pellucid_get_api T 1000 20\n").is_empty());
        assert_eq!(difference("rogue T 1 2\n").len(), 2);
    }
}
