//! The engine's configuration.

use crate::error::PosteriorError;
use crate::sampler::CPU_BATCH;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// More threads than this for each core only wait for one another; libtorch starts any number.
const MAX_THREADS_PER_CORE: usize = 4;

/// How to run. Every field may be left out; an unknown one is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineConfig {
    /// `auto` or `cpu`; `cuda:K` is known and not served yet.
    pub device: String,
    /// Threads of the CPU worker, at most four per core; 0 takes one per core.
    pub threads: usize,
    /// How many jobs may wait for their first batch.
    pub queue_capacity: usize,
    /// Samples in one batch, at most [`CPU_BATCH`].
    pub max_batch: usize,
    /// Folders of model files, searched before the standard ones.
    pub model_dirs: Vec<PathBuf>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            device: "auto".into(),
            threads: 0,
            queue_capacity: 1024,
            max_batch: CPU_BATCH,
            model_dirs: Vec::new(),
        }
    }
}

impl EngineConfig {
    /// # Errors
    /// [`PosteriorError::Config`] naming the field, [`PosteriorError::Unsupported`] for CUDA.
    pub(super) fn validate(&self) -> Result<(), PosteriorError> {
        let most = MAX_THREADS_PER_CORE * cores();
        if self.threads > most {
            let need = format!("0 to {most}, four per core");
            return Err(PosteriorError::config("threads", need, self.threads));
        }
        if self.queue_capacity == 0 {
            return Err(PosteriorError::config("queue_capacity", "at least 1", 0));
        }
        if !(1..=CPU_BATCH).contains(&self.max_batch) {
            let need = format!("1 to {CPU_BATCH}");
            return Err(PosteriorError::config("max_batch", need, self.max_batch));
        }
        match self.device.as_str() {
            "auto" | "cpu" => Ok(()),
            cuda if cuda.strip_prefix("cuda:").is_some_and(|k| k.parse::<u32>().is_ok()) => {
                Err(PosteriorError::Unsupported { what: format!("device {cuda}") })
            }
            other => Err(PosteriorError::config("device", "auto, cpu or cuda:K", other)),
        }
    }

    /// Threads of the CPU worker.
    pub(super) fn cpu_threads(&self) -> usize {
        match self.threads {
            0 => cores(),
            n => n,
        }
    }
}

/// Cores this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_bounded() {
        let check = |threads| EngineConfig { threads, ..EngineConfig::default() }.validate();
        let most = MAX_THREADS_PER_CORE * cores();
        assert!([0, 1, most].into_iter().all(|threads| check(threads).is_ok()));
        for threads in [most + 1, 100_000, usize::MAX] {
            let error = check(threads).expect_err("too many").to_string();
            assert!(error.contains(&threads.to_string()) && error.contains("threads"), "{error}");
        }
    }
}
