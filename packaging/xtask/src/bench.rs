//! `bench`: the statistical and speed benches, `harness = false` bench targets of any crate.

use std::path::absolute;

use crate::deps::{is_local, metadata};
use crate::error::{Error, Result};
use crate::process::{cargo, run as run_command};
use crate::setup::{self, Options};

/// Run one, its rows also as JSON if asked.
pub(crate) fn run(name: &str, json: Option<&str>) -> Result<()> {
    let benches = benches()?;
    let found = benches.iter().find(|(_, bench)| bench == name);
    let names = || benches.iter().map(|(_, bench)| bench.as_str()).collect::<Vec<_>>().join(" ");
    let unknown = || Error::Usage(format!("no bench {name}; there are: {}", names()));
    let (package, bench) = found.ok_or_else(unknown)?;
    let libtorch = setup::run(&Options::default())?;
    let mut cargo = cargo("bench");
    libtorch.apply(&mut cargo);
    cargo.args(["--package", package, "--bench", bench]);
    if let Some(json) = json {
        // cargo starts a bench in its package's folder.
        let json = absolute(json).map_err(Error::io("find", json.as_ref()))?;
        cargo.args(["--", "--json"]).arg(json);
    }
    run_command(&mut cargo)
}

/// Print the names.
pub(crate) fn list() -> Result<()> {
    benches()?.iter().for_each(|(_, bench)| println!("{bench}"));
    Ok(())
}

/// Package and name of every bench.
fn benches() -> Result<Vec<(String, String)>> {
    let metadata = metadata()?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let packages =
        metadata["packages"].as_array().into_iter().flatten().filter(|package| is_local(package));
    Ok(packages
        .flat_map(|package| {
            let targets = package["targets"].as_array().into_iter().flatten();
            let benches = targets.filter(|target| target["kind"][0] == "bench");
            benches.map(|target| (text(&package["name"]), text(&target["name"])))
        })
        .collect())
}
