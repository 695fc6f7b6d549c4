//! `abi`: the built plugin exports what the contract names and nothing else, and the types of the
//! contract are those of the baseline.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::process::{command, output, release_dir, root};
use crate::witness;

/// Libraries, and what a host may ask of them by name: the contract, and of the installed one also
/// abi_stable's root module, which Rust hosts may load instead.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("libpellucid.so", &["pellucid_get_api"]),
    ("libpellucid_loader.so", &["pellucid_get_api", "_1as_0lib_1header_0root_bmodule_bloader"]),
];

/// Check the plugin of the last build, and what is installed in front of it.
pub(crate) fn run() -> Result<()> {
    LIBRARIES.iter().try_for_each(|(library, contract)| check(library, contract))?;
    witness::run(false)
}

fn check(library: &str, contract: &[&str]) -> Result<()> {
    let plugin = release_dir().join(library);
    plugin.metadata().map_err(Error::io("find (run `cargo xtask build` first)", &plugin))?;
    let broken: Vec<_> = symbols(&plugin, contract)?.into_iter().chain(soname(&plugin)?).collect();
    if !broken.is_empty() {
        return Err(Error::Rules { rule: "plugin ABI", broken });
    }
    println!("abi: {} exports {} only", plugin.display(), contract.join(" "));
    Ok(())
}

fn symbols(plugin: &Path, contract: &[&str]) -> Result<Vec<String>> {
    let mut nm = command("nm");
    nm.args(["--dynamic", "--defined-only", "--format=posix"]).arg(plugin);
    Ok(difference(&output(&mut nm)?, contract))
}

/// What `nm -D` lists against the contract.
fn difference(nm: &str, contract: &[&str]) -> Vec<String> {
    let found: BTreeSet<&str> = nm.lines().filter_map(|line| line.split(' ').next()).collect();
    let need: BTreeSet<&str> = contract.iter().copied().collect();
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
        let contract = ["pellucid_get_api"];
        assert!(difference("pellucid_get_api T 1000 20\n", &contract).is_empty());
        assert_eq!(difference("rogue T 1 2\n", &contract).len(), 2);
    }
}
