//! The folder of a night: names, lock, and what killed runs left behind.
//!
//! ```text
//! night.name                 whose folder it is
//! night.lock                 a run of the whole night holds it alone; shards share it,
//! lock-K-of-N                and hold their own alone
//! ledger/HOST-PID-START.jsonl
//! products/NAME.fits
//! products/stale/NAME.fits   of other inputs or settings, until there is a new one
//! figures/NAME.png
//! summary.json  report.html  slurm/
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use crate::error::{NightError, Result};

/// How often a lock is tried: `status` takes it for an instant to see whether it is free.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// Where a night keeps its files.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

/// Part `index` of `count` of a night: the targets whose position modulo `count` is `index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

impl std::str::FromStr for Shard {
    type Err = NightError;

    fn from_str(text: &str) -> Result<Self> {
        let parse = |t: &str| t.trim().parse::<usize>().ok();
        let both = text.split_once('/').and_then(|(k, n)| Some((parse(k)?, parse(n)?)));
        match both {
            Some((index, count)) if index < count => Ok(Self { index, count }),
            _ => Err(NightError::Shard { got: text.into() }),
        }
    }
}

/// Held as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _files: Vec<File>,
}

impl Folder {
    /// The night's folder; nothing is made.
    pub fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The product of a target.
    pub fn product(&self, name: &str) -> PathBuf {
        self.root.join("products").join(format!("{name}.fits"))
    }

    /// The figure of a target.
    pub fn figure(&self, name: &str) -> PathBuf {
        self.root.join("figures").join(format!("{name}.png"))
    }

    /// The folder of ledgers.
    pub fn ledger(&self) -> PathBuf {
        self.root.join("ledger")
    }

    /// What the night came to, for machines.
    pub fn summary(&self) -> PathBuf {
        self.root.join("summary.json")
    }

    /// What the night came to, for people.
    pub fn report(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// Makes the folders.
    ///
    /// # Errors
    /// [`NightError::Io`].
    pub fn make(&self) -> Result<()> {
        for name in ["products", "figures", "ledger"] {
            let path = self.root.join(name);
            fs::create_dir_all(&path).map_err(NightError::io("make the folder", &path))?;
        }
        Ok(())
    }

    /// Puts aside the product of a target that is none of its inputs and settings: who lists the products must
    /// not take it for one.
    ///
    /// # Errors
    /// [`NightError::Io`].
    pub fn put_aside(&self, name: &str) -> Result<()> {
        let (product, stale) = (self.product(name), self.root.join("products/stale"));
        fs::create_dir_all(&stale).map_err(NightError::io("make the folder", &stale))?;
        let aside = stale.join(format!("{name}.fits"));
        fs::rename(&product, aside).map_err(NightError::io("put aside", &product))
    }

    /// Makes it the folder of the night `name`, of which there may be many runs; whoever calls holds the lock.
    ///
    /// # Errors
    /// [`NightError::OtherNight`] if it is another's: two nights would replace each other's products.
    /// [`NightError::Io`].
    pub fn claim(&self, name: &str) -> Result<()> {
        let path = self.root.join("night.name");
        match fs::read_to_string(&path) {
            Ok(there) if there.trim_end() == name || there.is_empty() => {}
            Ok(there) => {
                let (path, there) = (self.root.clone(), there.trim_end().into());
                return Err(NightError::OtherNight { path, there, name: name.into() });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::write(&path, format!("{name}\n")).map_err(NightError::io("write", &path))?
            }
            Err(error) => return Err(NightError::io("read", &path)(error)),
        }
        Ok(())
    }

    /// Takes the night for this process, or its shard of it.
    ///
    /// # Errors
    /// [`NightError::Locked`], [`NightError::Io`].
    pub fn lock(&self, shard: Option<Shard>) -> Result<Lock> {
        let night = self.root.join("night.lock");
        match shard {
            None => Ok(Lock { _files: vec![hold(&night, true)?] }),
            Some(Shard { index, count }) => {
                let shared = hold(&night, false)?;
                let own = hold(&self.root.join(format!("lock-{index}-of-{count}")), true)?;
                self.divided_so(count)?;
                Ok(Lock { _files: vec![shared, own] })
            }
        }
    }

    /// Whether no shard of another number of shards is at work: it would share targets with those of `count`.
    fn divided_so(&self, count: usize) -> Result<()> {
        for entry in fs::read_dir(&self.root).map_err(NightError::io("list", &self.root))? {
            let path = entry.map_err(NightError::io("list", &self.root))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let parts = name.strip_prefix("lock-").and_then(|rest| rest.split_once("-of-"));
            if parts.is_some_and(|(_, of)| of != count.to_string()) {
                // For an instant: whoever holds it holds it alone.
                hold(&path, false)?;
            }
        }
        Ok(())
    }

    /// Whether some process works on the night now.
    pub fn busy(&self) -> bool {
        let path = self.root.join("night.lock");
        // NFS locks a file alone only for who may write to it.
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.or_else(|_| File::open(&path));
        file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Removes the temporary files that killed runs left of these targets' products and figures.
    /// Only for the holder of the lock.
    ///
    /// # Errors
    /// [`NightError::Io`].
    pub fn sweep<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<usize> {
        let names: std::collections::HashSet<&str> = names.collect();
        let mut swept = 0;
        for folder in ["products", "figures"] {
            let folder = self.root.join(folder);
            let entries = fs::read_dir(&folder).map_err(NightError::io("list", &folder))?;
            for entry in entries {
                let entry = entry.map_err(NightError::io("list", &folder))?;
                let name = entry.file_name();
                if temporary_of(&name.to_string_lossy()).is_some_and(|of| names.contains(of)) {
                    let path = entry.path();
                    fs::remove_file(&path).map_err(NightError::io("remove", &path))?;
                    swept += 1;
                }
            }
        }
        Ok(swept)
    }
}

/// The target of a temporary file `.NAME.fits.PID.part`, as [`pellucid_host`] names them.
fn temporary_of(file: &str) -> Option<&str> {
    let inner = file.strip_prefix('.')?.strip_suffix(".part")?;
    let (inner, process) = inner.rsplit_once('.')?;
    let numeric = process.bytes().all(|b| b.is_ascii_digit());
    let (name, extension) = inner.rsplit_once('.')?;
    (numeric && matches!(extension, "fits" | "png")).then_some(name)
}

fn hold(path: &Path, alone: bool) -> Result<File> {
    let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = open().map_err(NightError::io("open", path))?;
    for attempt in 1.. {
        let tried = if alone { file.try_lock() } else { file.try_lock_shared() };
        match tried {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if attempt < TRIES => sleep(BETWEEN_TRIES),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who holds it is a courtesy; that it is held is what matters.
                let _ = file.read_to_string(&mut holder);
                return Err(NightError::Locked { path: path.into(), holder: holder.trim().into() });
            }
            Err(TryLockError::Error(source)) => return Err(NightError::io("lock", path)(source)),
        }
    }
    if alone {
        // A courtesy to whoever finds it held; on a full disk there is no room for it.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", crate::journal::worker()));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_and_temporary_names() {
        assert_eq!("1/3".parse::<Shard>().unwrap(), Shard { index: 1, count: 3 });
        for wrong in ["3/3", "1", "a/2", "0/0", "-1/2"] {
            assert!(wrong.parse::<Shard>().unwrap_err().to_string().contains(wrong));
        }
        assert_eq!(temporary_of(".ngc.1.fits.4711.part"), Some("ngc.1"));
        assert_eq!(temporary_of(".ngc1.png.4711.part"), Some("ngc1"));
        for other in ["ngc1.fits", ".ngc1.fits.part", ".ngc1.txt.4711.part", ".part"] {
            assert_eq!(temporary_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_night_is_held_by_one_run_or_by_shards() {
        let root = std::env::temp_dir().join(format!("pellucid-lock-{}", std::process::id()));
        let folder = Folder::new(&root);
        folder.make().unwrap();
        let shard = |index| Some(Shard { index, count: 2 });
        assert!(!folder.busy());
        let whole = folder.lock(None).unwrap();
        assert!(folder.busy());
        assert!(
            matches!(folder.lock(None), Err(NightError::Locked { holder, .. }) if !holder.is_empty())
        );
        assert!(folder.lock(shard(0)).is_err());
        drop(whole);
        let (zero, one) = (folder.lock(shard(0)).unwrap(), folder.lock(shard(1)).unwrap());
        assert!(folder.lock(shard(1)).is_err() && folder.lock(None).is_err());
        let other = Some(Shard { index: 1, count: 3 });
        assert!(folder.lock(other).is_err(), "of three, while two of two are at work");
        drop((zero, one));
        drop(folder.lock(other).unwrap());
        folder.lock(None).unwrap();
        fs::remove_dir_all(root).unwrap();
    }
}
