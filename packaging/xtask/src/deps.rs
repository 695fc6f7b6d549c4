//! `deps`: who may depend on whom, from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::process::{cargo, display, output};

/// What a crate may name outside its tests; `None`: any crate of the workspace.
const ARROWS: &[(&str, Option<&[&str]>)] = &[
    ("pellucid-ffi", Some(&[])),
    ("pellucid-stable", Some(&["pellucid-ffi"])),
    ("pellucid-loader", Some(&["pellucid-ffi", "pellucid-stable"])),
    ("pellucid-wcslib", Some(&[])),
    ("pellucid-exposure", Some(&["pellucid-wcslib"])),
    ("pellucid-posterior", Some(&["pellucid-exposure"])),
    ("pellucid-plugin", Some(&["pellucid-ffi", "pellucid-exposure", "pellucid-posterior"])),
    // The host reads FITS: training sees exposures as hosts do.
    (
        "pellucid-train",
        Some(&["pellucid-exposure", "pellucid-host", "pellucid-posterior", "pellucid-scene"]),
    ),
    ("pellucid-scene", Some(&[])),
    ("pellucid-host", Some(&["pellucid-ffi", "pellucid-stable"])),
    ("pellucid-night", Some(&["pellucid-host"])),
    ("pellucid-cli", Some(&["pellucid-host", "pellucid-night", "pellucid-scene"])),
    ("pellucid-tests", None),
    ("pellucid-fuzz", None),
    ("pellucid-conformance", Some(&["pellucid-ffi"])),
    ("pellucid-faulty", Some(&["pellucid-ffi"])),
    ("xtask", Some(&[])),
];

/// Only they name tch, tests included.
const TCH_USERS: &[&str] = &["pellucid-posterior", "pellucid-train"];

/// Hosts reach the engine through the ABI: not even their tests, nor any dependency of theirs, link it.
const HOSTS: &[&str] = &[
    "pellucid-host",
    "pellucid-cli",
    "pellucid-scene",
    "pellucid-night",
    "pellucid-conformance",
    "pellucid-faulty",
];
const ENGINE: &[&str] =
    &["pellucid-plugin", "pellucid-exposure", "pellucid-posterior", "tch", "torch-sys"];

/// Who names whom, by kind: normal and build, then dev.
type Named = BTreeMap<String, [BTreeSet<String>; 2]>;

/// Every crate of the build.
struct Graph {
    workspace: Named,
    foreign: Named,
}

/// Check the arrows.
pub(crate) fn run() -> Result<()> {
    let graph = Graph::new(&metadata()?);
    let broken = graph.broken();
    if broken.is_empty() {
        println!("deps: {} crates, arrows hold", graph.workspace.len());
        return Ok(());
    }
    Err(Error::Rules { rule: "dependency arrows", broken })
}

/// `cargo metadata`, as far as this machine's build goes.
pub(crate) fn metadata() -> Result<Value> {
    let mut cargo = cargo("metadata");
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let text = output(cargo.args(["--format-version", "1", "--filter-platform", &target]))?;
    serde_json::from_str(&text)
        .map_err(|_| Error::Output { command: display(&cargo), need: "JSON" })
}

impl Graph {
    fn new(metadata: &Value) -> Self {
        let mut graph = Self { workspace: Named::new(), foreign: Named::new() };
        for package in metadata["packages"].as_array().into_iter().flatten() {
            let side = if is_local(package) { &mut graph.workspace } else { &mut graph.foreign };
            let [normal, dev] = side.entry(name(package)).or_default();
            for used in package["dependencies"].as_array().into_iter().flatten() {
                if used["kind"] == "dev" { &mut *dev } else { &mut *normal }.insert(name(used));
            }
        }
        graph
    }

    fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (user, [normal, dev]) in &self.workspace {
            match ARROWS.iter().find(|(name, _)| name == user) {
                None => {
                    broken.push(format!("{user}: unknown; say in xtask's deps.rs what it may use"))
                }
                Some((_, None)) => {}
                Some((_, Some(allowed))) => {
                    let inside = normal.iter().filter(|used| self.workspace.contains_key(*used));
                    let wrong = inside.filter(|used| !allowed.contains(&used.as_str()));
                    broken.extend(wrong.map(|used| format!("{user} -> {used}")));
                }
            }
            if !TCH_USERS.contains(&user.as_str()) {
                let tch =
                    normal.union(dev).filter(|used| matches!(used.as_str(), "tch" | "torch-sys"));
                broken.extend(tch.map(|used| format!("{user} names {used}")));
            }
            if HOSTS.contains(&user.as_str()) {
                let reached = self.reached(normal.union(dev));
                let engine = reached.iter().filter(|used| ENGINE.contains(&used.as_str()));
                broken.extend(engine.map(|used| format!("{user} reaches {used}")));
            }
        }
        broken
    }

    /// Everything that these crates bring along.
    fn reached<'a>(&'a self, from: impl Iterator<Item = &'a String>) -> BTreeSet<&'a String> {
        let mut todo: Vec<_> = from.collect();
        let mut reached = BTreeSet::new();
        while let Some(next) = todo.pop() {
            if reached.insert(next) {
                let node = self.workspace.get(next).or_else(|| self.foreign.get(next));
                todo.extend(node.into_iter().flat_map(|[normal, _]| normal));
            }
        }
        reached
    }
}

/// Crates of the workspace come from no registry.
pub(crate) fn is_local(package: &Value) -> bool {
    package["source"].is_null()
}

fn name(value: &Value) -> String {
    value["name"].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(crates: Value) -> Vec<String> {
        Graph::new(&serde_json::json!({ "packages": crates })).broken()
    }

    fn package(name: &str, uses: &[(&str, Option<&str>)]) -> Value {
        let uses: Vec<_> = uses
            .iter()
            .map(|(name, kind)| serde_json::json!({ "name": name, "kind": kind }))
            .collect();
        serde_json::json!({ "name": name, "dependencies": uses })
    }

    #[test]
    fn plugin_may_test_with_the_host() {
        let plugin = package("pellucid-plugin", &[("pellucid-host", Some("dev"))]);
        assert!(broken([plugin, package("pellucid-host", &[])].into_iter().collect()).is_empty());
    }

    #[test]
    fn arrows_against_the_grain() {
        let exposure = package("pellucid-exposure", &[("pellucid-posterior", None)]);
        let posterior = package("pellucid-posterior", &[("tch", None)]);
        let broken = broken([exposure, posterior].into_iter().collect());
        assert_eq!(broken, ["pellucid-exposure -> pellucid-posterior"]);
    }

    #[test]
    fn hosts_never_reach_the_engine() {
        let cli = package("pellucid-cli", &[("pellucid-tests", Some("dev"))]);
        let tests = package("pellucid-tests", &[("pellucid-posterior", None)]);
        let broken = broken([cli, tests].into_iter().collect());
        assert_eq!(broken, ["pellucid-cli reaches pellucid-posterior"]);
    }

    #[test]
    fn tch_and_strangers() {
        let broken =
            broken([package("pellucid-plugins", &[("tch", Some("dev"))])].into_iter().collect());
        assert_eq!(broken.len(), 2, "{broken:?}");
    }
}
