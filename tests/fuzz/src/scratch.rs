//! A file to read from: the readers take paths, cfitsio no less.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A file with given bytes, in memory where the system has such a folder; gone when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A file named after `kind`.
    ///
    /// # Panics
    /// If the temporary folder cannot be written to.
    pub fn new(kind: &str, bytes: &[u8]) -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("pellucid-fuzz-{}-{count}.{kind}", std::process::id()));
        std::fs::write(&path, bytes).expect("the temporary folder can be written to");
        Self(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
