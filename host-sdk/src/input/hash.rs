//! SHA-256 of inputs, for provenance.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::error::{HostError, Result};
use crate::fits::regular;

/// SHA-256 of a file as it is on disk, lower-case hex.
///
/// # Errors
/// [`HostError::Io`].
pub fn sha256_file(path: &Path) -> Result<String> {
    regular(path)?;
    let mut file = File::open(path).map_err(HostError::io("open", path))?;
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut hasher).map_err(HostError::io("read", path))?;
    Ok(hex(&hasher.finalize()))
}

/// SHA-256 of bytes, lower-case hex.
pub fn sha256_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Hashes of files that many targets share: a file is read again only when its size or one of its
/// times has changed.
#[derive(Debug, Default)]
pub struct HashCache {
    known: Mutex<HashMap<PathBuf, (FileState, String)>>,
}

/// What tells that a file was changed: size, and times of change of content and of inode, ns.
pub type FileState = (u64, i128, i128);

/// The state of a file; `None` if there is none that can be seen.
pub fn file_state(path: &Path) -> Option<FileState> {
    let metadata = path.metadata().ok()?;
    let time = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
    let changed = time(metadata.mtime(), metadata.mtime_nsec());
    Some((metadata.len(), changed, time(metadata.ctime(), metadata.ctime_nsec())))
}

impl HashCache {
    /// As [`sha256_file`].
    ///
    /// # Errors
    /// [`HostError::Io`].
    pub fn sha256(&self, path: &Path) -> Result<String> {
        // Taken before the file is read: what changes meanwhile is read again.
        let state = file_state(path);
        if let Some(state) = state
            && let Some((then, hash)) = self.lock().get(path)
            && *then == state
        {
            return Ok(hash.clone());
        }
        let hash = sha256_file(path)?;
        if let Some(state) = state {
            self.lock().insert(path.into(), (state, hash.clone()));
        }
        Ok(hash)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, (FileState, String)>> {
        // Every entry is whole whoever panicked.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_is_hashed_again() {
        let path = std::env::temp_dir().join(format!("pellucid-hash-{}", std::process::id()));
        let cache = HashCache::default();
        std::fs::write(&path, b"one").unwrap();
        assert_eq!(cache.sha256(&path).unwrap(), sha256_bytes(b"one"));
        std::fs::write(&path, b"other").unwrap();
        assert_eq!(cache.sha256(&path).unwrap(), sha256_bytes(b"other"));
        std::fs::remove_file(&path).unwrap();
        assert!(cache.sha256(&path).is_err());
    }
}
