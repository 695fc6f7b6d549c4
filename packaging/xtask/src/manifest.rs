//! The list of every unpacked file with its size and checksum, by which damage is noticed.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

const NAME: &str = "manifest.tsv";
const BLOCK: usize = 1 << 16;

/// Files written into one folder: a line each, `sha256 TAB size TAB path`.
#[derive(Debug)]
pub(crate) struct Manifest {
    folder: PathBuf,
    lines: Vec<String>,
}

impl Manifest {
    /// An empty list for a folder yet to be filled.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), lines: Vec::new() }
    }

    /// Write `source` to `path` inside the folder and list it.
    pub(crate) fn add(&mut self, path: &str, source: &mut dyn Read) -> Result<()> {
        let target = self.folder.join(path);
        let parent = target.parent().expect("because it is inside the folder");
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        let file = File::create(&target).map_err(Error::io("create", &target))?;
        let mut file = BufWriter::new(file);
        let (sha256, size) = copy(source, &mut file).map_err(Error::io("write", &target))?;
        file.flush().map_err(Error::io("write", &target))?;
        self.lines.push(format!("{sha256}\t{size}\t{path}\n"));
        Ok(())
    }

    /// Write the list itself, last: a folder with a list is a complete one.
    pub(crate) fn write(mut self) -> Result<()> {
        self.lines.sort_by(|a, b| a.split('\t').nth(2).cmp(&b.split('\t').nth(2)));
        let path = self.folder.join(NAME);
        fs::write(&path, self.lines.concat()).map_err(Error::io("write", &path))
    }

    /// Check that every listed file is there with its size.
    pub(crate) fn check_sizes(folder: &Path) -> Result<()> {
        check(folder, |path, size, _| {
            let got = fs::metadata(path).map(|meta| meta.len()).ok();
            (got != Some(size))
                .then(|| got.map_or("missing".into(), |got| format!("{got} bytes, need {size}")))
        })
    }

    /// Check every byte of every listed file.
    pub(crate) fn check_bytes(folder: &Path) -> Result<()> {
        check(folder, |path, _, sha256| {
            let got = checksum(path).ok();
            (got.as_deref() != Some(sha256)).then(|| format!("sha256 {}", got.unwrap_or_default()))
        })
    }
}

/// The SHA-256 of a file, in hexadecimal.
pub(crate) fn checksum(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let (sha256, _) = copy(&mut file, &mut std::io::sink()).map_err(Error::io("read", path))?;
    Ok(sha256)
}

fn copy(source: &mut dyn Read, target: &mut dyn Write) -> std::io::Result<(String, u64)> {
    let (mut hash, mut size, mut block) = (Sha256::new(), 0, vec![0; BLOCK]);
    loop {
        let n = source.read(&mut block)?;
        if n == 0 {
            return Ok((format!("{:x}", hash.finalize()), size));
        }
        hash.update(&block[..n]);
        target.write_all(&block[..n])?;
        size += n as u64;
    }
}

/// Apply `fault` to each line: path, size, sha256.
fn check(folder: &Path, fault: impl Fn(&Path, u64, &str) -> Option<String>) -> Result<()> {
    let damaged = |what: String| Error::Damaged { path: folder.to_owned(), what };
    let list = fs::read_to_string(folder.join(NAME)).map_err(|_| damaged(format!("no {NAME}")))?;
    if list.is_empty() {
        return Err(damaged(format!("{NAME} is empty")));
    }
    for line in list.lines() {
        let mut fields = line.splitn(3, '\t');
        let (sha256, size, path) = (fields.next(), fields.next(), fields.next());
        let (Some(sha256), Some(Ok(size)), Some(path)) = (sha256, size.map(str::parse), path)
        else {
            return Err(damaged(format!("{NAME} has a bad line: {line}")));
        };
        if let Some(what) = fault(&folder.join(path), size, sha256) {
            return Err(damaged(format!("{path}: {what}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_noticed() {
        let folder = std::env::temp_dir().join(format!("xtask-manifest-{}", std::process::id()));
        let mut manifest = Manifest::new(&folder);
        manifest.add("lib/a", &mut &b"abc"[..]).expect("because the folder is new");
        assert!(Manifest::check_sizes(&folder).is_err(), "no list yet");
        manifest.write().expect("because the folder is new");
        Manifest::check_sizes(&folder).expect("because it is whole");
        Manifest::check_bytes(&folder).expect("because it is whole");

        fs::write(folder.join("lib/a"), "abd").expect("because it exists");
        Manifest::check_sizes(&folder).expect("because the size is the same");
        assert!(Manifest::check_bytes(&folder).is_err());
        fs::write(folder.join("lib/a"), "ab").expect("because it exists");
        assert!(Manifest::check_sizes(&folder).is_err());
        fs::remove_dir_all(&folder).expect("because it exists");
    }
}
