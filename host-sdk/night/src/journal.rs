//! A process's own ledger file, and the reading of all of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use pellucid_host::clock;

use crate::error::{NightError, Result};
use crate::ledger::{Event, What};

/// Appends to the ledger; every line is on disk before the call returns, or kept until there is room.
pub struct Journal {
    inner: Mutex<Inner>,
    worker: String,
    path: PathBuf,
}

struct Inner {
    file: File,
    /// Bytes that are whole lines.
    good: u64,
    /// Lines that could not be written yet.
    pending: Vec<String>,
    error: Option<io::Error>,
}

/// `host:pid`, and the Slurm task behind it.
pub fn worker() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let job = variable("SLURM_ARRAY_JOB_ID").or_else(|| variable("SLURM_JOB_ID"));
    let task = variable("SLURM_ARRAY_TASK_ID").map_or(String::new(), |task| format!("_{task}"));
    let slurm = job.map_or(String::new(), |job| format!(" slurm:{job}{task}"));
    format!("{}:{}{slurm}", host(), std::process::id())
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".into() } else { name.into() }
}

impl Journal {
    /// Starts this process's file in a folder of ledgers.
    ///
    /// # Errors
    /// [`NightError::Io`].
    pub fn create(folder: &Path) -> Result<Self> {
        let start = clock::utc_milliseconds().replace([':', '-', '.'], "");
        let path = folder.join(format!("{}-{}-{start}.jsonl", host(), std::process::id()));
        let options = OpenOptions::new().create_new(true).append(true).open(&path);
        let file = options.map_err(NightError::io("create", &path))?;
        let inner = Inner { file, good: 0, pending: Vec::new(), error: None };
        Ok(Self { inner: Mutex::new(inner), worker: worker(), path })
    }

    /// Records an event. If the disk is full it is kept and written with the next one.
    pub fn record(&self, target: &str, attempt: u32, what: What) -> Event {
        let event = Event {
            time: clock::utc_milliseconds(),
            target: target.into(),
            attempt,
            worker: self.worker.clone(),
            what,
        };
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let line = serde_json::to_string(&event).expect("plain fields serialise");
        inner.pending.push(line + "\n");
        inner.write();
        event
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// [`NightError::Io`] if there still is no room for it.
    pub fn flush(&self) -> Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.write();
        match inner.error.take() {
            Some(error) => Err(NightError::io("write", &self.path)(error)),
            None => Ok(()),
        }
    }
}

impl Inner {
    fn write(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let lines = self.pending.concat();
        match self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data()) {
            Ok(()) => {
                self.good += lines.len() as u64;
                self.pending.clear();
                self.error = None;
            }
            Err(error) => {
                // Half a line is worth nothing; if even this fails, readers skip it.
                let _ = self.file.set_len(self.good);
                self.error = Some(error);
            }
        }
    }
}

/// All events of a night, by time. Lines that a power cut left incomplete are skipped.
///
/// # Errors
/// [`NightError::Io`]; a folder that is not there yet has no events.
pub fn read(folder: &Path) -> Result<Vec<Event>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(NightError::io("list", folder))?,
    };
    let mut events: Vec<Event> = Vec::new();
    for entry in entries {
        let path = entry.map_err(NightError::io("list", folder))?.path();
        if path.extension().is_some_and(|e| e == "jsonl") {
            let bytes = fs::read(&path).map_err(NightError::io("read", &path))?;
            let lines = bytes.split(|b| *b == b'\n');
            events.extend(lines.filter_map(|line| serde_json::from_slice(line).ok()));
        }
    }
    // Stable: events of one process in the same millisecond keep their order.
    events.sort_by(|a, b| a.time.cmp(&b.time));
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_is_skipped() {
        let folder = std::env::temp_dir().join(format!("pellucid-journal-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let journal = Journal::create(&folder).unwrap();
        let first = journal.record("a", 1, What::Started);
        let why = What::Quarantined { reason: "NaN".into(), inputs: "12".into() };
        let second = journal.record("a", 1, why);
        journal.flush().unwrap();
        assert_eq!(read(&folder).unwrap(), [first.clone(), second]);
        let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() - 5]).unwrap();
        assert_eq!(read(&folder).unwrap(), [first]);
        assert!(read(&folder.join("none")).unwrap().is_empty());
        fs::remove_dir_all(folder).unwrap();
    }
}
