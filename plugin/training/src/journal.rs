//! Log, progress and averages of a training run.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::TrainingError;

/// Steps between two lines of the log.
pub const LOG_EVERY: u64 = 50;

/// Sums over the steps between two lines of the log.
pub struct Window {
    started: Instant,
    steps: u32,
    loss: f64,
    norm: f64,
}

impl Default for Window {
    fn default() -> Self {
        Self { started: Instant::now(), steps: 0, loss: 0.0, norm: 0.0 }
    }
}

impl Window {
    /// Adds a step's loss and gradient norm.
    pub fn add(&mut self, loss: f64, norm: f64) {
        self.steps += 1;
        self.loss += loss;
        self.norm += norm;
    }

    /// Mean loss.
    pub fn loss(&self) -> f64 {
        self.loss / f64::from(self.steps)
    }

    /// Mean gradient norm.
    pub fn norm(&self) -> f64 {
        self.norm / f64::from(self.steps)
    }

    /// Steps a second since the window began.
    pub fn steps_per_s(&self) -> f64 {
        f64::from(self.steps) / self.started.elapsed().as_secs_f64()
    }
}

/// The log of a run, JSON lines, appended to.
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// `log.jsonl` of the run's folder.
    ///
    /// # Errors
    /// [`TrainingError::Io`].
    pub fn open(run: &Path) -> Result<Self, TrainingError> {
        let path = run.join("log.jsonl");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(TrainingError::io(&path))?;
        Ok(Self { path, file })
    }

    /// Appends a line.
    ///
    /// # Errors
    /// [`TrainingError::Io`].
    pub fn write(&mut self, line: &serde_json::Value) -> Result<(), TrainingError> {
        writeln!(self.file, "{line}").map_err(TrainingError::io(&self.path))
    }
}

/// The bar of a run of `steps`, at `step`.
pub fn progress(steps: u64, step: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps).with_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} eta {eta} {msg}")
            .expect("because the template is a constant"),
    );
    bar.set_position(step);
    bar
}
