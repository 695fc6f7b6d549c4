//! Files that appear under their name only when they are complete.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{HostError, Result};

/// A file written under a temporary name beside its final one.
///
/// [`AtomicFile::commit`] flushes it to disk and renames it; dropped before that, it is removed.
pub(crate) struct AtomicFile {
    path: PathBuf,
    temporary: PathBuf,
    writer: Option<BufWriter<File>>,
}

impl AtomicFile {
    /// Starts a file that will be called `path`.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let name = path
            .file_name()
            .ok_or_else(|| HostError::value("output file", "a file name", path.display()))?;
        let hidden = format!(".{}.{}.part", name.to_string_lossy(), std::process::id());
        let temporary = path.with_file_name(hidden);
        let file = File::create(&temporary).map_err(HostError::io("create", &temporary))?;
        Ok(Self { path: path.into(), temporary, writer: Some(BufWriter::new(file)) })
    }

    /// Appends `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let writer = self.writer.as_mut().expect("open until committed");
        writer.write_all(bytes).map_err(HostError::io("write", &self.path))
    }

    /// Syncs the file and gives it its name.
    pub(crate) fn commit(mut self) -> Result<()> {
        let writer = self.writer.take().expect("open until committed");
        let done = writer
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&self.temporary, &self.path));
        if let Err(error) = done {
            // The error that stopped us is the one worth telling.
            let _ = fs::remove_file(&self.temporary);
            return Err(HostError::io("write", &self.path)(error));
        }
        let folder = match self.path.parent() {
            Some(p) if !p.as_os_str().is_empty() => p,
            _ => Path::new("."),
        };
        // The rename itself survives a power cut only once the folder is synced too.
        File::open(folder).and_then(|f| f.sync_all()).map_err(HostError::io("sync", folder))
    }
}

/// Writes a whole file: it has all of `bytes`, on disk, or is not there (or is what it was before).
///
/// # Errors
/// [`HostError::Io`], [`HostError::Value`] if `path` is not a file name.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write(bytes)?;
    file.commit()
}

/// Checks that a file can be written at `path`, before hours are spent on its content.
///
/// # Errors
/// [`HostError::Io`], [`HostError::Value`] if `path` is not a file name.
pub fn check_output(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(HostError::value(
            "output file",
            "a file name",
            format!("the folder {}", path.display()),
        ));
    }
    AtomicFile::create(path).map(drop)
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            // Nobody is left to report to; a stale hidden file is the worst that can happen.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_unless_committed() {
        let folder = std::env::temp_dir().join(format!("pellucid-atomic-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.fits");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);

        let mut file = AtomicFile::create(&path).unwrap();
        file.write(b"whole").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }
}
