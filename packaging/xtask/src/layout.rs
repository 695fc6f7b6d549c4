//! Folders at the root and the length of files.

use std::collections::BTreeSet;
use std::fs;

use crate::error::{Error, Result};
use crate::process::{command, output, root};

/// The customer fixed them.
const FOLDERS: &[&str] = &["ffi", "host-sdk", "include", "packaging", "plugin", "tests"];
/// What people read and edit.
const SOURCES: &[&str] = &["rs", "c", "h", "cpp", "hpp", "py", "sh", "md", "cmake"];
const LONGEST: usize = 800;
const MEDIAN: usize = 200;

/// Check what git knows, or would add.
pub(crate) fn run() -> Result<()> {
    let mut list = command("git");
    // A checkout owned by another user, as in containers, is still only read here.
    list.args(["-c", "safe.directory=*"]);
    list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let list = output(&mut list)?;
    let paths: Vec<&str> = list.split_terminator('\0').collect();
    let mut broken = strange_folders(&paths);

    let mut lengths = Vec::new();
    for path in paths {
        if path.rsplit_once('.').is_none_or(|(_, extension)| !SOURCES.contains(&extension)) {
            continue;
        }
        // A file removed but not yet committed as removed is still listed.
        let Ok(bytes) = fs::read(root().join(path)) else {
            continue;
        };
        let lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
        if lines > LONGEST {
            broken.push(format!("{path}: {lines} lines, at most {LONGEST}"));
        }
        if path.ends_with(".rs") {
            lengths.push(lines);
        }
    }
    lengths.sort_unstable();
    let median = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
    if median > MEDIAN {
        broken.push(format!("median Rust file: {median} lines, at most {MEDIAN}"));
    }
    if !broken.is_empty() {
        return Err(Error::Rules { rule: "layout", broken });
    }
    println!("layout: {} Rust files, median {median} lines", lengths.len());
    Ok(())
}

fn strange_folders(paths: &[&str]) -> Vec<String> {
    let folders = paths.iter().filter_map(|path| path.split_once('/'));
    let folders: BTreeSet<&str> = folders.map(|(folder, _)| folder).collect();
    let strange = |folder: &&str| !folder.starts_with('.') && !FOLDERS.contains(folder);
    let extra = folders.iter().copied().filter(strange);
    let extra = extra.map(|folder| format!("{folder}/ does not belong at the root"));
    let absent = FOLDERS.iter().filter(|folder| !folders.contains(*folder));
    extra.chain(absent.map(|folder| format!("{folder}/ is missing"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_folders_are_exact() {
        let mut paths =
            ["ffi/a", "host-sdk/a", "include/a", "packaging/a", "plugin/a", "tests/a"].to_vec();
        paths.extend([".ci/run", "README.md"]);
        assert!(strange_folders(&paths).is_empty());
        paths.push("docs/a.md");
        paths.remove(0);
        assert_eq!(
            strange_folders(&paths),
            ["docs/ does not belong at the root", "ffi/ is missing"]
        );
    }
}
