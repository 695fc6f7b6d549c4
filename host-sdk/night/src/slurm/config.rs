//! The `[slurm]` table of a manifest, and the resources that follow from it.

use serde::{Deserialize, Serialize};

use super::error::{Result, SlurmError};

/// Time limit of a task when neither the manifest nor an estimate says one, minutes.
const DEFAULT_WALLTIME_MIN: u64 = 12 * 60;
/// Memory of a task when neither the manifest nor an estimate says it, MB.
const DEFAULT_MEM_MB: u64 = 4096;
/// An estimate of time is stretched by this factor: nodes differ, and a limit that is too short
/// costs more than one that is too long.
const TIME_MARGIN: f64 = 3.0;
/// And this is added, minutes: loading libraries and models, and one target to abandon.
const TIME_EXTRA_MIN: u64 = 10;
/// An estimate of the targets' memory is stretched by this factor.
const MEMORY_MARGIN: f64 = 1.5;
/// And this is added, MB: the libraries, the models and what the allocator keeps.
const MEMORY_EXTRA_MB: f64 = 1024.0;
/// More tasks than any cluster's default limit on an array (`MaxArraySize`).
const MAX_WORKERS: u32 = 1000;

/// `[slurm]`: how the night is spread over a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlurmConfig {
    /// Tasks of the array, each with its share of the targets; fewer where there are fewer targets.
    pub workers: u32,
    /// `--partition`; empty: the cluster's default.
    pub partition: String,
    /// `--account`; empty: the user's default.
    pub account: String,
    /// `--qos`; empty: the account's default.
    pub qos: String,
    /// `--gres` of each task, for instance `gpu:1`; empty: none, the task computes on CPUs.
    pub gres: String,
    /// `--cpus-per-task`.
    pub cpus_per_task: u32,
    /// `--mem` of each task, MB; 0: from the night's estimate.
    pub mem_mb: u64,
    /// `--time` of each task, as Slurm writes it (`HH:MM:SS`, `D-HH:MM`, ...); empty: from the
    /// night's estimate.
    pub walltime: String,
    /// How often a task begins again by itself: after its program was killed, and after the time
    /// limit ended it before its targets.
    pub restarts: u32,
    /// Whether a last job writes the report when all tasks have ended.
    pub report: bool,
    /// Lines for the script. Those that begin with `-` are options of sbatch
    /// (`--constraint=a100`), the others are run before the program (`module load cuda`).
    pub extra: Vec<String>,
}

impl Default for SlurmConfig {
    fn default() -> Self {
        Self {
            workers: 2,
            partition: String::new(),
            account: String::new(),
            qos: String::new(),
            gres: String::new(),
            cpus_per_task: 2,
            mem_mb: 0,
            walltime: String::new(),
            restarts: 3,
            report: true,
            extra: Vec::new(),
        }
    }
}

/// What the night is expected to need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Wall-clock time of all targets on one worker, seconds.
    pub seconds: f64,
    /// Memory of one worker's targets, bytes.
    pub memory_bytes: u64,
}

impl SlurmConfig {
    /// Checks what goes into the script as it stands.
    ///
    /// # Errors
    /// [`SlurmError::Config`].
    pub fn validate(&self) -> Result<()> {
        let bad = |key, need, got: &dyn ToString| {
            Err(SlurmError::Config { key, need, got: got.to_string() })
        };
        if !(1..=MAX_WORKERS).contains(&self.workers) {
            return bad("workers", "1 to 1000", &self.workers);
        }
        if self.cpus_per_task == 0 {
            return bad("cpus_per_task", "at least 1", &0);
        }
        for (key, value) in [
            ("partition", &self.partition),
            ("account", &self.account),
            ("qos", &self.qos),
            ("gres", &self.gres),
            ("walltime", &self.walltime),
        ] {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._+-:,=()[]*/".contains(c);
            if !value.chars().all(plain) {
                let need = "letters, digits and ._+-:,=()[]*/";
                return bad(key, need, value);
            }
        }
        if let Some(line) = self.extra.iter().find(|line| line.contains(['\n', '\r', '\0'])) {
            return bad("extra", "single lines", &format!("{line:?}"));
        }
        Ok(())
    }

    /// Tasks of the array for so many targets: none of them is idle.
    pub fn tasks(&self, targets: usize) -> u32 {
        u32::try_from(targets).unwrap_or(u32::MAX).clamp(1, self.workers.max(1))
    }

    /// `--time` for each of so many tasks.
    pub(super) fn time(&self, estimate: Option<Estimate>, tasks: u32) -> String {
        if !self.walltime.is_empty() {
            return self.walltime.clone();
        }
        let minutes = match estimate {
            Some(estimate) if estimate.seconds.is_finite() => {
                // Float to integer saturates.
                let share = estimate.seconds.max(0.0) / f64::from(tasks.max(1));
                ((share * TIME_MARGIN / 60.0).ceil() as u64).saturating_add(TIME_EXTRA_MIN)
            }
            _ => DEFAULT_WALLTIME_MIN,
        };
        let (days, hours) = (minutes / (24 * 60), minutes / 60 % 24);
        format!("{days}-{hours:02}:{:02}:00", minutes % 60)
    }

    /// `--mem` of each task, MB.
    pub(super) fn memory_mb(&self, estimate: Option<Estimate>) -> u64 {
        match (self.mem_mb, estimate) {
            (0, Some(estimate)) => {
                (estimate.memory_bytes as f64 * MEMORY_MARGIN / 1e6 + MEMORY_EXTRA_MB).ceil() as u64
            }
            (0, None) => DEFAULT_MEM_MB,
            (mem_mb, _) => mem_mb,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_memory_come_from_the_manifest_the_estimate_or_the_default() {
        let mut config = SlurmConfig::default();
        let estimate = Some(Estimate { seconds: 7200.0, memory_bytes: 2_000_000_000 });
        assert_eq!(config.time(None, 2), "0-12:00:00");
        assert_eq!(config.time(estimate, 2), "0-03:10:00", "two hours, two tasks, three times");
        assert_eq!(config.time(Some(Estimate { seconds: 1e6, memory_bytes: 0 }), 1), "34-17:30:00");
        assert_eq!(
            config.time(Some(Estimate { seconds: f64::NAN, memory_bytes: 0 }), 1),
            "0-12:00:00"
        );
        assert_eq!(config.memory_mb(None), 4096);
        assert_eq!(config.memory_mb(estimate), 4024);
        config.walltime = "01:00:00".into();
        config.mem_mb = 100;
        assert_eq!(config.time(estimate, 2), "01:00:00");
        assert_eq!(config.memory_mb(estimate), 100);
    }

    #[test]
    fn no_task_is_without_targets() {
        let config = SlurmConfig { workers: 8, ..SlurmConfig::default() };
        assert_eq!([0, 3, 8, 200].map(|targets| config.tasks(targets)), [1, 3, 8, 8]);
    }

    #[test]
    fn values_cannot_leave_their_line() {
        let refused = |change: fn(&mut SlurmConfig)| {
            let mut config = SlurmConfig::default();
            assert!(config.validate().is_ok());
            change(&mut config);
            config.validate().expect_err("refused").to_string()
        };
        assert!(refused(|c| c.workers = 0).contains("workers"));
        assert!(refused(|c| c.cpus_per_task = 0).contains("cpus_per_task"));
        assert!(refused(|c| c.partition = "a b".into()).contains("partition"));
        assert!(refused(|c| c.walltime = "1:00\nrm -rf".into()).contains("walltime"));
        assert!(refused(|c| c.gres = "gpu:1 # two".into()).contains("gres"));
        assert!(refused(|c| c.extra = vec!["a\nb".into()]).contains("extra"));
    }
}
